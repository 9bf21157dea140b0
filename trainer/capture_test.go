package trainer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
)

// told are the step and epoch events of a run, without times.
func told(o *trainer.Options) *[]string {
	var all []string
	o.Observe = func(e trainer.Event) {
		switch e.Kind {
		case trainer.EventStep:
			all = append(all, fmt.Sprint(e.Step, e.Loss, e.Accuracy, e.LR, e.LossScale, e.SkippedSteps))
		case trainer.EventEpoch:
			all = append(all, fmt.Sprint("epoch ", e.Epoch, e.TrainLoss, e.TrainAccuracy, e.Validation))
		}
	}
	return &all
}

// Graphs of several steps give the same weights and the same events as single calls: where steps are logged more often
// than graphs end, over the last, smaller batch, with micro-batches, validation and a loss scale that skips steps.
func TestGraphsOfSeveralSteps(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2) // 9 steps of 16, one of 6
	for what, change := range map[string]func(*trainer.Options){
		"as they come":   func(*trainer.Options) {},
		"rarely logged":  func(o *trainer.Options) { o.LogEvery = 1000 },
		"logged at once": func(o *trainer.Options) { o.LogEvery = 1 },
		"micro-batches":  func(o *trainer.Options) { o.MicroBatches, o.LogEvery = 4, 7 },
		"many of them":   func(o *trainer.Options) { o.MicroBatches, o.LogEvery = 16, 7 },
		"no tail":        func(o *trainer.Options) { o.DropLast, o.LogEvery, o.MaxSteps = true, 7, 13 },
		"validation":     func(o *trainer.Options) { o.Validation, o.LogEvery, o.Epochs = 30, 4, 3 },
		"dynamic scale": func(o *trainer.Options) {
			o.Precision, o.LossScale, o.LogEvery, o.ClipNorm = device.F16, dynamic(1<<24, 5), 8, 1
		},
		"smaller than one": func(o *trainer.Options) { o.Batch, o.LogEvery = 100, 9 },
		"read ahead":       func(o *trainer.Options) { o.ResidentBytes, o.LogEvery = -1, 8 },
	} {
		t.Run(what, func(t *testing.T) {
			o := options()
			change(&o)
			plain := o
			plain.NoCapture = true
			events := told(&plain)
			want, _ := fit(t, convNet, 2, train, test, plain)
			for _, k := range []int{0, 1, 2, 4, 16} {
				o.CaptureSteps = k
				seen := told(&o)
				got, _ := fit(t, convNet, 2, train, test, o)
				assert.Equal(t, want, got, "%d steps a graph", k)
				assert.Equal(t, *events, *seen, "%d steps a graph", k)
			}
		})
	}
}

// launched counts the graphs that a device launches.
func launched(d device.Device, n *int) {
	device.Hook(d, func(c device.Call) error {
		if c.Kernel == "Launch" && c.Phase == device.Before {
			*n++
		}
		return nil
	})
}

// An epoch of 40 steps that is logged every 20 takes 10 graphs of 4 steps, and single ones where 20 is no multiple; a step
// is one graph, with its micro-batches and its update.
func TestGraphsAreWhole(t *testing.T) {
	for _, c := range []struct{ k, micro, log, ahead, want int }{
		{4, 1, 20, 0, 10},
		{1, 1, 20, 0, 40},
		{1, 4, 20, 0, 40},
		{8, 1, 20, 0, 2 * (2 + 4)},
		{16, 1, 1000, 0, 2 + 8},
		{4, 1, 1000, 0, 10}, // the host looks after 20
		{4, 1, 20, -1, 40},  // read ahead: each batch is uploaded
		{4, 2, 20, -1, 120}, // and each part
		{4, 16, 20, 0, 17 * 40},
	} {
		d := open(t, "cpu", 1)
		o := options()
		o.Epochs, o.CaptureSteps, o.MicroBatches, o.LogEvery, o.ResidentBytes = 1, c.k, c.micro, c.log, c.ahead
		n := 0
		launched(d, &n)
		_, err := trainer.Fit(context.Background(), d, network(t, plainNet), pictures(t, 640, 1), nil, o)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		assert.Equal(t, c.want+1, n, "%+v and the epoch's beginning", c)
	}
}

// A run that is stopped while graphs of several steps are under way ends in the bytes of one that was not.
func TestGraphsOfSeveralStepsResume(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2)
	o := options()
	o.Epochs, o.LogEvery = 4, 8
	want, _ := fit(t, plainNet, 2, train, test, o)
	for _, name := range []string{"cpu", "deferred"} {
		for _, k := range []int{1, 4} {
			o.Dir, o.CaptureSteps, o.Resume = t.TempDir(), k, true
			expected := want
			if name == "deferred" {
				p := o
				p.Dir, p.NoCapture = "", true
				expected = stopped(t, name, train, test, p, 0)
			}
			for _, at := range []int{1, 2, 1} { // after 8, 24 and 32 of 40 steps, or as soon after as a graph ends
				stopped(t, name, train, test, o, at)
			}
			assert.Equal(t, expected, stopped(t, name, train, test, o, 0), "%s, %d steps a graph", name, k)
		}
	}
}

// stopped trains until so many step events were told, 0: to the end.
func stopped(t *testing.T, name string, train, test data.Set, o trainer.Options, events int) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := 0
	o.Observe = func(e trainer.Event) {
		if e.Kind == trainer.EventStep {
			if seen++; seen == events {
				cancel()
			}
		}
	}
	d, net := open(t, name, 2), network(t, plainNet)
	_, err := trainer.Fit(ctx, d, net, train, test, o)
	var i *trainer.Interrupted
	if events == 0 {
		require.NoError(t, err)
	} else {
		require.True(t, errors.As(err, &i), "%v", err)
	}
	require.NoError(t, d.Close())
	return digest(net)
}

// A device that is asked chooses; the trainer asks with what a step really takes.
type choosing struct {
	device.Device
	calls        int
	bytes, flops float64
}

func (c *choosing) Unwrap() device.Device { return c.Device }

func (c *choosing) GraphSteps(calls int, bytes, flops float64) int {
	c.calls, c.bytes, c.flops = calls, bytes, flops
	return 4
}

func TestDeviceChoosesSteps(t *testing.T) {
	d := &choosing{Device: open(t, "cpu", 1)}
	o := options()
	o.Epochs, o.LogEvery = 1, 20
	n := 0
	launched(d, &n)
	_, err := trainer.Fit(context.Background(), d, network(t, plainNet), pictures(t, 640, 1), nil, o)
	require.NoError(t, err)
	assert.Equal(t, 10+1, n)

	calls := 0
	e, err := trainer.NewEngine(d, network(t, plainNet), pictures(t, 640, 1), trainer.Options{Batch: 16, NoCapture: true, Optimizer: o.Optimizer, Augment: o.Augment})
	require.NoError(t, err)
	require.NoError(t, e.TrainStep()) // begins the epoch, too
	device.Hook(d, func(c device.Call) error {
		if c.Phase == device.Before {
			calls++
		}
		return nil
	})
	require.NoError(t, e.TrainStep())
	assert.Equal(t, calls, d.calls)
	assert.Greater(t, d.bytes, 4.0*16*64)
	assert.Greater(t, d.flops, 2.0*16*64*12)
	require.NoError(t, e.Close())
	require.NoError(t, d.Close())
}
