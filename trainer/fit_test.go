package trainer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

func TestFitLearns(t *testing.T) {
	o := options()
	o.Epochs, o.Validation = 6, 0.2
	var kinds []trainer.EventKind
	o.Observe = func(e trainer.Event) { kinds = append(kinds, e.Kind) }
	_, res := fit(t, convNet, 2, pictures(t, 400, 1), pictures(t, 100, 2), o)
	assert.Greater(t, res.Test.Top1, 0.9) // chance is 0.25
	assert.Greater(t, res.Validation.Top1, 0.9)
	assert.Equal(t, 6, res.Epochs)
	assert.Equal(t, 6*20, res.Steps)
	assert.Equal(t, 100, res.Test.N)
	assert.Equal(t, trainer.EventStart, kinds[0])
	assert.Equal(t, trainer.EventFinish, kinds[len(kinds)-1])
	assert.Contains(t, kinds, trainer.EventStep)
}

func TestThreadsDoNotChangeBytes(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2) // 150 is no multiple of 16
	one, _ := fit(t, convNet, 1, train, test, options())
	for _, threads := range []int{2, 5} {
		got, _ := fit(t, convNet, threads, train, test, options())
		assert.Equal(t, one, got, "%d threads", threads)
	}
	o := options()
	o.NoCapture = true
	plain, _ := fit(t, convNet, 2, train, test, o)
	assert.Equal(t, one, plain, "captured steps and plain ones")
}

func TestReadAheadDoesNotChangeBytes(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2)
	o := options()
	o.MicroBatches, o.Validation = 2, 30
	resident, a := fit(t, convNet, 2, train, test, o)
	o.ResidentBytes = -1
	ahead, b := fit(t, convNet, 2, train, test, o)
	assert.Equal(t, resident, ahead)
	assert.Equal(t, a.Test, b.Test)
	assert.Equal(t, a.Validation, b.Validation)
}

func TestTwoTrainersAtOnce(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2)
	a, b := options(), options()
	b.Seed, b.Batch = 8, 24
	soloA, _ := fit(t, convNet, 2, train, test, a)
	soloB, _ := fit(t, convNet, 2, train, test, b)
	got := make(chan string, 1)
	go func() {
		d, _ := fit(t, convNet, 2, train, test, a)
		got <- d
	}()
	d, _ := fit(t, convNet, 2, train, test, b)
	assert.Equal(t, soloB, d)
	assert.Equal(t, soloA, <-got)
}

// What leans on host memory or eager execution fails here.
func TestFitOnDeferredDevice(t *testing.T) {
	train, test := pictures(t, 60, 1), pictures(t, 20, 2)
	o := options()
	o.Precision, o.Validation = device.F64, 12
	cpu, late := network(t, convNet), network(t, convNet)
	d := open(t, "cpu", 2)
	a, err := trainer.Fit(context.Background(), d, cpu, train, test, o)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	d = devicetest.NewDeferred()
	b, err := trainer.Fit(context.Background(), d, late, train, test, o)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	assert.Less(t, distance(values(cpu), values(late)), 1e-10) // f64, 6 steps: another order of sums, 1e-16 grown by batch norm
	assert.Equal(t, a.BestEpoch, b.BestEpoch)
	assert.InDelta(t, a.Test.Loss, b.Test.Loss, 1e-9) // the same, through one forward
}

func TestMicroBatchesEqualOneBatch(t *testing.T) {
	train := pictures(t, 120, 1)
	run := func(k int, typ device.DType) []float64 {
		o := options()
		o.Epochs, o.Batch, o.MicroBatches, o.Precision, o.Augment = 3, 24, k, typ, augment.Spec{}
		net, d := network(t, plainNet), open(t, "cpu", 2)
		_, err := trainer.Fit(context.Background(), d, net, train, nil, o)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		return values(net)
	}
	whole := run(1, device.F64)
	for _, k := range []int{2, 3, 24} {
		assert.Less(t, distance(whole, run(k, device.F64)), 1e-12, "%d parts", k) // only the order of sums differs
		assert.Less(t, distance(run(1, device.F32), run(k, device.F32)), 1e-6, "%d parts, f32", k)
	}
}

func TestInterruptAndResume(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2)
	for _, c := range []struct {
		name       string
		stop       int // updates before the interruption; 10 in an epoch
		validation float64
		streamed   bool
		precision  device.DType
	}{{"in the first epoch", 3, 0, false, device.F32}, {"in the second epoch", 14, 0, false, device.F32}, {"at an epoch's end", 10, 0, false, device.F32},
		{"with validation", 13, 30, false, device.F32}, {"read ahead", 14, 0, true, device.F32}, {"in bf16", 14, 0, false, device.BF16}} {
		t.Run(c.name, func(t *testing.T) {
			o := options()
			o.Epochs, o.Validation, o.MicroBatches, o.Precision = 3, c.validation, 2, c.precision
			if c.streamed {
				o.ResidentBytes = -1
			}
			straight, want := fit(t, convNet, 2, train, test, o)

			o.Dir, o.Resume, o.LogEvery = t.TempDir(), true, 1
			ctx, cancel := context.WithCancelCause(context.Background())
			cause := errors.New("signal")
			o.Observe = func(e trainer.Event) {
				if e.Kind == trainer.EventStep && e.Step == c.stop {
					cancel(cause)
				}
			}
			d := open(t, "cpu", 2)
			_, err := trainer.Fit(ctx, d, network(t, convNet), train, test, o)
			require.NoError(t, d.Close())
			var stopped *trainer.Interrupted
			require.ErrorAs(t, err, &stopped)
			assert.ErrorIs(t, err, cause)
			assert.FileExists(t, stopped.Path)
			assert.GreaterOrEqual(t, stopped.Step, c.stop)

			o.Observe = nil
			resumed, res := fit(t, convNet, 5, train, test, o)
			assert.Equal(t, straight, resumed)
			assert.Equal(t, want.Test, res.Test)
			assert.Equal(t, want.TrainLoss, res.TrainLoss)
			assert.Equal(t, want.Validation, res.Validation)

			again, res := fit(t, convNet, 1, train, test, o) // finished: nothing is trained, the result is told again
			assert.Equal(t, straight, again)
			assert.Equal(t, want.Test, res.Test)
		})
	}
}

func TestResumeChecks(t *testing.T) {
	train := pictures(t, 150, 1)
	o := options()
	o.Dir, o.Resume = t.TempDir(), true
	fit(t, convNet, 2, train, nil, o)
	try := func(spec string, train data.Set, change func(*trainer.Options)) string {
		p := o
		change(&p)
		d := open(t, "cpu", 2)
		defer d.Close()
		_, err := trainer.Fit(context.Background(), d, network(t, spec), train, nil, p)
		require.Error(t, err)
		assert.NotEmpty(t, fault.HintOf(err))
		assert.Equal(t, fault.Usage, fault.KindOf(err))
		return err.Error()
	}
	assert.Contains(t, try(plainNet, train, func(*trainer.Options) {}), "another model")
	assert.Contains(t, try(convNet, train, func(o *trainer.Options) { o.Batch = 8 }), "batch")
	assert.Contains(t, try(convNet, train, func(o *trainer.Options) { o.Seed = 4 }), "seed")
	assert.Contains(t, try(convNet, pictures(t, 120, 1), func(*trainer.Options) {}), "120")
	assert.Contains(t, try(convNet, train, func(o *trainer.Options) { o.Optimizer = optim.Adam{LR: 0.1} }), "optimizer")
	assert.Contains(t, try(convNet, train, func(o *trainer.Options) { o.Resume = false }), "checkpoint")
}

// The test set's labels reach nothing but its own table.
func TestTestLabelsDecideNothing(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2)
	turned := make([]int32, test.Len())
	for i, l := range test.Labels() {
		turned[i] = (l + 1) % 4
	}
	other, err := data.WithLabels(test, turned)
	require.NoError(t, err)
	o := options()
	o.Epochs, o.Validation, o.EarlyStop, o.Plateau = 5, 30, 2, &schedule.Plateau{Factor: 0.5, Patience: 1}
	a, resA := fit(t, convNet, 2, train, test, o)
	b, resB := fit(t, convNet, 2, train, other, o)
	assert.Equal(t, a, b)
	assert.Equal(t, resA.BestEpoch, resB.BestEpoch)
	assert.Equal(t, resA.Epochs, resB.Epochs)
	assert.Equal(t, resA.Validation, resB.Validation)
	assert.NotEqual(t, resA.Test.Top1, resB.Test.Top1)
}

func TestEarlyStop(t *testing.T) {
	o := options()
	o.Epochs, o.Validation, o.EarlyStop = 40, 40, 2
	o.Optimizer = optim.SGD{LR: 1e-30} // nothing moves, so the first epoch stays the best
	_, res := fit(t, plainNet, 2, pictures(t, 150, 1), nil, o)
	assert.Equal(t, "early stop", res.Stopped)
	assert.Equal(t, 1, res.BestEpoch)
	assert.Equal(t, 3, res.Epochs)
}

func TestMaxSteps(t *testing.T) {
	o := options()
	o.MaxSteps = 4
	_, res := fit(t, plainNet, 2, pictures(t, 150, 1), pictures(t, 40, 2), o)
	assert.Equal(t, 4, res.Steps)
	assert.Equal(t, "max steps", res.Stopped)
	assert.NotNil(t, res.Test)
}

func TestDivergence(t *testing.T) {
	for _, c := range []struct {
		name, spec string
		lr         float64
		say        string
	}{{"layer", convNet, 1e30, "(layer|parameter) "}, {"at once", plainNet, 3e38, ""}} {
		t.Run(c.name, func(t *testing.T) {
			o := options()
			o.Optimizer, o.LogEvery, o.Epochs, o.Dir = optim.SGD{LR: c.lr}, 4, 4, t.TempDir()
			d := open(t, "cpu", 2)
			_, err := trainer.Fit(context.Background(), d, network(t, c.spec), pictures(t, 150, 1), nil, o)
			require.NoError(t, d.Close())
			require.Error(t, err)
			assert.Equal(t, fault.Diverged, fault.KindOf(err), "%v", err)
			assert.Regexp(t, `^step \d+: .*`+c.say, err.Error())
			assert.NotEmpty(t, fault.HintOf(err))
		})
	}
}

func TestDivergenceKeepsTheCheckpoint(t *testing.T) {
	train := pictures(t, 150, 1)
	o := options()
	o.Epochs, o.Dir, o.Resume = 1, t.TempDir(), true
	good, _ := fit(t, convNet, 2, train, nil, o)
	o.Epochs, o.Optimizer = 3, optim.SGD{LR: 1e30, Momentum: 0.9, Nesterov: true, WeightDecay: 1e-3}
	d := open(t, "cpu", 2)
	_, err := trainer.Fit(context.Background(), d, network(t, convNet), train, nil, o)
	require.NoError(t, d.Close())
	require.Equal(t, fault.Diverged, fault.KindOf(err), "%v", err)
	o.Epochs = 1
	again, _ := fit(t, convNet, 2, train, nil, o)
	assert.Equal(t, good, again)
}

func TestOptionErrors(t *testing.T) {
	train := pictures(t, 50, 1)
	for say, change := range map[string]func(*trainer.Options){
		"trainer.batch: -1":         func(o *trainer.Options) { o.Batch = -1 },
		"trainer.micro_batches":     func(o *trainer.Options) { o.MicroBatches = 3 },
		"trainer.optimizer.lr: NaN": func(o *trainer.Options) { o.Optimizer = optim.SGD{LR: nan()} },
		"trainer.early_stop":        func(o *trainer.Options) { o.EarlyStop = 2 },
		"trainer.plateau":           func(o *trainer.Options) { o.Plateau = &schedule.Plateau{} },
		"data.validation":           func(o *trainer.Options) { o.Validation = 50 },
		"trainer.loss.name":         func(o *trainer.Options) { o.Loss.Name = "hinge" },
		"data.mean":                 func(o *trainer.Options) { o.Mean, o.Std = []float64{0, 0, 0}, []float64{1, 1, 1} },
		"trainer.monitor":           func(o *trainer.Options) { o.Monitor = "speed" },
	} {
		o := options()
		change(&o)
		d := open(t, "cpu", 1)
		_, err := trainer.Fit(context.Background(), d, network(t, plainNet), train, nil, o)
		require.ErrorContains(t, err, say)
		assert.NotEmpty(t, fault.HintOf(err), say)
		assert.NoError(t, d.Close())
	}
	d := open(t, "cpu", 1)
	defer d.Close()
	_, err := trainer.Fit(context.Background(), d, network(t, `{name: lenet5, input: [28, 28, 1], classes: 10}`), train, nil, options())
	assert.ErrorContains(t, err, "28x28x1")
}

// A device that fails in the middle ends the run with the step, and leaves the checkpoint that was there.
func TestDeviceFault(t *testing.T) {
	train := pictures(t, 150, 1)
	o := options()
	o.Dir, o.Resume, o.Epochs = t.TempDir(), true, 1
	want, _ := fit(t, plainNet, 2, train, nil, o)
	o.Epochs = 3
	d := open(t, "cpu", 2)
	broken := errors.New("bus error")
	launches := 0
	undo := device.Hook(d, func(c device.Call) error {
		if c.Phase == device.Before && c.Kernel == "Launch" {
			if launches++; launches == 9 {
				return broken
			}
		}
		return nil
	})
	_, err := trainer.Fit(context.Background(), d, network(t, plainNet), train, nil, o)
	undo()
	require.ErrorIs(t, err, broken)
	assert.Contains(t, fault.HintOf(err), o.Dir)
	o.Epochs = 1
	again, _ := fit(t, plainNet, 2, train, nil, o)
	assert.Equal(t, want, again)
}

func TestSaveEvery(t *testing.T) {
	o := options()
	o.Dir, o.SaveEvery = t.TempDir(), time.Nanosecond
	n := 0
	o.Observe = func(e trainer.Event) {
		if e.Kind == trainer.EventCheckpoint {
			n++
			assert.FileExists(t, e.Path)
		}
	}
	_, res := fit(t, plainNet, 2, pictures(t, 80, 1), nil, o)
	assert.GreaterOrEqual(t, n, res.Steps)
}
