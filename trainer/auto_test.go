package trainer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// small is the CPU with so little memory as a limit says, of which it tells, as a GPU does.
type small struct {
	device.Device
	limit int
	all   map[device.Memory]int // what was allocated, in bytes
}

func newSmall(t *testing.T, limit int) *small {
	d := &small{Device: open(t, "cpu", 2), limit: limit, all: map[device.Memory]int{}}
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return d
}

func (d *small) Alloc(bytes int) (device.Memory, error) {
	used := 0
	for m, n := range d.all {
		if d.freed(m) {
			delete(d.all, m)
		} else {
			used += n
		}
	}
	if bytes > d.limit-used {
		return nil, &device.OutOfMemory{Device: "small", Asked: bytes, Held: used, Free: d.limit - used, Total: d.limit}
	}
	m, err := d.Device.Alloc(bytes)
	if err == nil {
		d.all[m] = bytes
	}
	return m, err
}

// freed reports whether memory was given back: the CPU panics where such is read.
func (d *small) freed(m device.Memory) (gone bool) {
	defer func() { gone = recover() != nil }()
	_ = d.Device.Download(make([]byte, 1), device.Make(m, device.U8, 0, 1))
	return false
}

func (d *small) Name() string { return "small" }

func (d *small) Room() (int, error) { return d.limit, nil }

func (d *small) Twin() (device.Planned, error) { return device.Twin(d.Device) }

func (d *small) Unwrap() device.Device { return d.Device }

// tanhNet has neither batch norm nor dropout: micro-batches give its weights but for the order of sums.
const tanhNet = `{layers: [{conv2d: {out: 6, kernel: 3, pad: same}}, tanh, {maxpool: 2}, {conv2d: {out: 8, kernel: 3, pad: same}}, tanh, flatten, {linear: 4}], input: [8, 8, 1], classes: 4}`

// needs is what training takes with this cut.
func needs(t *testing.T, spec string, train data.Set, evals []data.Set, o trainer.Options) *trainer.Need {
	dev := open(t, "cpu", 1)
	twin, err := device.Twin(dev)
	require.NoError(t, err)
	require.NotNil(t, twin)
	n, err := trainer.DryRun(twin, network(t, spec), train, evals, o)
	require.NoError(t, err)
	require.NoError(t, twin.Close(), "all is given back")
	require.NoError(t, dev.Close())
	return n
}

// A dry run tells what the engine then takes, to the byte.
func TestDryRunIsExact(t *testing.T) {
	for _, spec := range []string{convNet, plainNet} {
		for _, resident := range []int{0, -1} {
			train, test := pictures(t, 100, 1), pictures(t, 33, 2)
			o := options()
			o.MicroBatches, o.EvalBatch, o.ResidentBytes = 2, 20, resident
			n := needs(t, spec, train, []data.Set{test}, o)
			d := open(t, "cpu", 2)
			e, err := trainer.NewEngine(d, network(t, spec), train, o)
			require.NoError(t, err)
			require.NoError(t, e.TrainStep())
			_, err = e.Evaluate(context.Background(), test)
			require.NoError(t, err)
			assert.Equal(t, e.Memory(), n.Memory[:len(n.Memory)-1]) // the last is the device's own
			assert.Equal(t, e.StateBytes()+e.ArenaBytes(), n.Bytes)
			require.NoError(t, e.Close())
			require.NoError(t, d.Close())
		}
	}
}

// What does not fit is an error that tells what it was for, what all takes, and the cut that fits; that one does, and the
// next larger does not.
func TestOutOfMemoryTellsWhatFits(t *testing.T) {
	train := pictures(t, 96, 1)
	o := options()
	o.Batch, o.EvalBatch = 96, 1
	half, third := o, o
	half.MicroBatches, third.MicroBatches = 2, 3
	limit := (needs(t, tanhNet, train, nil, half).Bytes + needs(t, tanhNet, train, nil, third).Bytes) / 2 * 16 / 15 // 3 parts fit beside what stays free
	d := newSmall(t, limit)
	_, err := trainer.NewEngine(d, network(t, tanhNet), train, o)
	require.Error(t, err)
	full, ok := errors.AsType[*device.OutOfMemory](err)
	require.True(t, ok)
	assert.Equal(t, "activations and other temporaries of a step", full.For)
	assert.Regexp(t, `^small: out of memory: [\d.]+ KiB \(\d+ bytes\) wanted for activations and other temporaries of a step; [\d.]+ KiB are free of [\d.]+ KiB, [\d.]+ KiB are in use here\. layers in f32 with batches of 96 in one piece takes [\d.]+ KiB: [\d.]+ KiB activations and other temporaries of a step, [\d.]+ KiB data, .*weights`, err.Error())
	assert.Equal(t, "batches of 96 in 3 micro-batches of 32 fit: set trainer.micro_batches: 3, or trainer.batch: auto, which finds that", fault.HintOf(err))
	assert.Equal(t, fault.Usage, fault.KindOf(err))
	for parts, fits := range map[int]bool{1: false, 2: false, 3: true, 4: true} {
		o.MicroBatches = parts
		assert.Equal(t, fits, trainer.Fits(d, network(t, tanhNet), train, nil, o) == nil, "%d parts", parts)
		e, err := trainer.NewEngine(d, network(t, tanhNet), train, o)
		if assert.Equal(t, fits, err == nil, "%d parts: %v", parts, err); err == nil {
			require.NoError(t, e.TrainStep())
			require.NoError(t, e.Close())
		}
	}
}

// Each place where memory can lack has its name in the message.
func TestOutOfMemoryEverywhere(t *testing.T) {
	train, test := pictures(t, 96, 1), pictures(t, 64, 2)
	o := options()
	o.Batch, o.EvalBatch = 16, 64
	n := needs(t, tanhNet, train, []data.Set{test}, o)
	of := map[string]int{}
	for _, m := range n.Memory {
		of[m.What] = m.Bytes
	}
	weights, state := of["weights"], of["optimiser state"]
	for what, limit := range map[string]int{
		"weights":         weights / 2,
		"gradients":       weights + weights/2,
		"optimiser state": 2*weights + state/2,
		"data":            2*weights + state + of["data"]/3,
		"order of the data, counters and the schedule": 2*weights + state + 8,
		"activations and other temporaries of a step":  n.Bytes - 64*(64+4) - 1, // the test set comes after it
	} {
		d := newSmall(t, limit)
		_, err := trainer.Fit(context.Background(), d, network(t, tanhNet), train, test, o)
		full, ok := errors.AsType[*device.OutOfMemory](err)
		require.True(t, ok, "%s: %v", what, err)
		assert.Equal(t, what, full.For)
		assert.Contains(t, err.Error(), " wanted for "+what+"; ")
		assert.Contains(t, err.Error(), "in one piece takes "+device.Size(n.Bytes)+": ", what)
		assert.NotEmpty(t, fault.HintOf(err), what)
	}
}

// Where a run diverges and there is no memory to look into its layers, it still ends as one that diverged.
func TestDivergedWithoutMemoryToLook(t *testing.T) {
	train := pictures(t, 96, 1)
	o := options()
	o.Optimizer = optim.SGD{LR: 1e30}
	for _, c := range []struct {
		limit int
		say   string
	}{
		{1 << 30, `: the output of layer \S+ is NaN or infinite$`},
		{needs(t, convNet, train, nil, o).Bytes + 64, `: (the loss is NaN or infinite; there is no memory left to see whether a layer's output is|the gradient of parameter \S+ is NaN or infinite)$`},
	} {
		_, err := trainer.Fit(context.Background(), newSmall(t, c.limit), network(t, convNet), train, nil, o)
		require.Error(t, err)
		assert.Equal(t, fault.Diverged, fault.KindOf(err))
		assert.Regexp(t, `^step \d+`+c.say, err.Error())
	}
}

// A set that is evaluated in batches that do not fit: the message names those that do.
func TestOutOfMemoryOfEvaluation(t *testing.T) {
	train, test := pictures(t, 96, 1), pictures(t, 400, 2)
	o := options()
	o.Batch, o.EvalBatch, o.ResidentBytes = 4, 400, -1
	quarter := o
	quarter.EvalBatch = 100
	d := newSmall(t, needs(t, tanhNet, train, []data.Set{test}, quarter).Bytes*16/15+1)
	_, err := trainer.Fit(context.Background(), d, network(t, tanhNet), train, test, o)
	require.Error(t, err)
	assert.Equal(t, "evaluation in batches of 100 fits: set trainer.eval_batch: 100, or trainer.batch: auto, which finds that", fault.HintOf(err))
	_, err = trainer.Fit(context.Background(), d, network(t, tanhNet), train, test, quarter)
	require.NoError(t, err)
	o.MicroBatches = trainer.Auto
	require.NoError(t, trainer.Fits(d, network(t, tanhNet), train, test, o))
}

// Auto cuts batches where memory asks for it, and then gives the weights of batches in one piece, but for the order of
// sums; it says what it did, and a resumed run goes on with it.
func TestAuto(t *testing.T) {
	train, test := pictures(t, 96, 1), pictures(t, 40, 2)
	o := options()
	o.Batch, o.EvalBatch, o.Epochs, o.Augment = 48, 16, 4, augment.Spec{}
	third := o
	third.MicroBatches = 3
	limit := needs(t, tanhNet, train, []data.Set{test}, third).Bytes*16/15 + 1
	run := func(d device.Device, change func(*trainer.Options)) (got []float64, notes []string) {
		p := o
		p.MicroBatches = trainer.Auto
		p.Observe = func(e trainer.Event) {
			if e.Kind == trainer.EventNote {
				notes = append(notes, e.Text)
			}
		}
		change(&p)
		net := network(t, tanhNet)
		_, err := trainer.Fit(context.Background(), d, net, train, test, p)
		require.NoError(t, err)
		return values(net), notes
	}
	d := open(t, "cpu", 2)
	want, notes := run(d, func(*trainer.Options) {})
	assert.Equal(t, []string{"micro_batches auto: batches of 48 in one piece, since cpu has no memory of its own that could be too small"}, notes)
	whole, _ := run(d, func(p *trainer.Options) { p.MicroBatches = 1 })
	assert.Equal(t, whole, want)
	require.NoError(t, d.Close())

	got, notes := run(newSmall(t, limit), func(*trainer.Options) {})
	require.Len(t, notes, 1)
	assert.Regexp(t, `^micro_batches auto: batches of 48 in 3 micro-batches of 16, evaluation of 16; they take [\d.]+ KiB of [\d.]+ KiB, which are the [\d.]+ KiB that are free less a sixteenth$`, notes[0])
	assert.Less(t, distance(want, got), 1e-5) // 8 updates of f32 sums in another order; measured 5e-8
	assert.NotEqual(t, want, got, "the sums are in another order")
	same, _ := run(newSmall(t, limit), func(p *trainer.Options) { p.MicroBatches = 3 })
	assert.Equal(t, same, got, "as if it had been written")

	// What was chosen stays, with more memory too: the run ends in the same bytes.
	dir := t.TempDir()
	run(newSmall(t, limit), func(p *trainer.Options) { p.Dir, p.MaxSteps = dir, 3 })
	rest, notes := run(newSmall(t, 2*limit), func(p *trainer.Options) { p.Dir, p.Resume = dir, true })
	assert.Equal(t, got, rest)
	require.Len(t, notes, 2)
	assert.Equal(t, "micro_batches auto: batches of 48 in 3 micro-batches of 16, as the run began", notes[0])

	// Where that does not fit, or with other parts, it does not go on.
	p := o
	p.Dir, p.Resume, p.MicroBatches = dir, true, trainer.Auto
	_, err := trainer.Fit(context.Background(), newSmall(t, limit*3/4), network(t, tanhNet), train, test, p)
	_, full := errors.AsType[*device.OutOfMemory](err)
	require.True(t, full, "%v", err)
	assert.Contains(t, fault.HintOf(err), "the run began with batches of 48 in 3 micro-batches of 16")
	p.MicroBatches = 2
	_, err = trainer.Fit(context.Background(), newSmall(t, limit), network(t, tanhNet), train, test, p)
	assert.EqualError(t, err, filepath.Join(dir, "last.safetensors")+": the run was started with trainer.micro_batches 3, not 2")
}

// The choice is the largest divisor of the batch that fits into what may be used; with batch norm the note says what that
// means. A device on which not even one picture at a time fits is told so.
func TestAutoChoosesDivisors(t *testing.T) {
	train := pictures(t, 90, 1)
	o := options()
	o.Epochs, o.MaxSteps, o.Batch, o.EvalBatch = 1, 1, 90, 1
	bytes := map[int]int{}
	for _, k := range []int{1, 2, 3, 5, 6, 9, 10, 15, 18, 30, 45, 90} {
		p := o
		p.MicroBatches = k
		bytes[k] = needs(t, convNet, train, nil, p).Bytes
	}
	chosen := map[int]bool{}
	for i := range 25 {
		limit := bytes[90] + (bytes[1]-bytes[90])*i/20
		want := 0
		for k, b := range bytes {
			if b <= trainer.Usable(limit) && (want == 0 || k < want) {
				want = k
			}
		}
		got, notes := 0, ""
		p := o
		p.MicroBatches = trainer.Auto
		p.Observe = func(e trainer.Event) {
			switch e.Kind {
			case trainer.EventStart:
				got = e.MicroBatches
			case trainer.EventNote:
				notes += e.Text
			}
		}
		_, err := trainer.Fit(context.Background(), newSmall(t, limit), network(t, convNet), train, nil, p)
		if want == 0 {
			require.Error(t, err)
			assert.Regexp(t, `^small: out of memory: layers in f32 takes [\d.]+ KiB with one picture at a time: .*; [\d.]+ KiB are free, of which a sixteenth stays so$`, err.Error())
			assert.NotEmpty(t, fault.HintOf(err))
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, want, got)
		chosen[got] = true
		if got > 1 {
			assert.Contains(t, notes, fmt.Sprintf("; batch norm sees %d pictures at a time, which is other training than with 90", 90/got))
		} else {
			assert.NotContains(t, notes, "batch norm")
		}
	}
	assert.Greater(t, len(chosen), 3, "%v", chosen)
}
