package trainer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

func dynamic(scale float64, every int) trainer.LossScale {
	return trainer.LossScale{Dynamic: true, Scale: scale, GrowEvery: every}
}

// A power of two scales f32 without a rounding: whatever the scale and however it grows, the bytes are those of none.
func TestScaleIsTakenOutAgain(t *testing.T) {
	train := pictures(t, 150, 1)
	for name, change := range map[string]func(*trainer.Options){
		"plain":         func(o *trainer.Options) {},
		"micro-batches": func(o *trainer.Options) { o.MicroBatches = 2 },
		"clip norm":     func(o *trainer.Options) { o.ClipNorm = 0.3 },
		"clip value":    func(o *trainer.Options) { o.ClipValue = 0.01 },
		"both, adam": func(o *trainer.Options) {
			o.ClipNorm, o.ClipValue, o.Optimizer = 0.1, 0.02, optim.AdamW{LR: 0.01, WeightDecay: 0.1}
		},
	} {
		o := options()
		change(&o)
		want, res := fit(t, convNet, 2, train, nil, o)
		for _, s := range []trainer.LossScale{{Scale: 1024}, dynamic(0, 0), dynamic(8, 3)} {
			o.LossScale = s
			got, r := fit(t, convNet, 2, train, nil, o)
			assert.Equal(t, want, got, "%s, %+v", name, s)
			assert.Equal(t, res.TrainLoss, r.TrainLoss)
		}
	}
	o := options()
	want, _ := fit(t, convNet, 2, train, nil, o)
	o.ClipNorm = 0.3
	clipped, _ := fit(t, convNet, 2, train, nil, o)
	assert.NotEqual(t, want, clipped, "the bounds above are felt")
	o.ClipNorm, o.ClipValue = 0, 0.01
	cut, _ := fit(t, convNet, 2, train, nil, o)
	assert.NotEqual(t, want, cut)
}

func TestScaleGrows(t *testing.T) {
	for _, p := range []device.DType{device.F32, device.F16} {
		o, d := options(), open(t, "cpu", 1)
		o.Precision, o.LossScale, o.Epochs = p, dynamic(4, 3), 10
		for i, m := range curve(t, d, network(t, plainNet), pictures(t, 64, 1), o, 14) {
			assert.Equal(t, float64(int(4)<<((i+1)/3)), m.LossScale, "%s, after step %d", p, i+1)
			assert.Zero(t, m.Skipped)
		}
		o.LossScale = dynamic(1<<40, 1)
		o.Precision = device.F32
		m := curve(t, d, network(t, plainNet), pictures(t, 64, 1), o, 3)
		assert.Equal(t, float64(1<<40), m[2].LossScale, "it grows no further")
		require.NoError(t, d.Close())
	}
}

// An overflow is skipped, and the scale halved until there is none; nothing else has happened by then.
func TestOverflowIsSkipped(t *testing.T) {
	train := pictures(t, 150, 1)
	for _, clip := range []bool{false, true} {
		o := options()
		o.Precision, o.Epochs, o.LossScale = device.F16, 4, dynamic(1<<24, 2000)
		o.Loss.Name = "mse"
		o.Optimizer = optim.Adam{LR: 1e-3}
		o.Schedule = schedule.Config{Name: "linear"}
		if clip {
			o.ClipNorm, o.ClipValue = 1, 0.5 // an infinity is seen before it is cut off
		}
		d := open(t, "cpu", 2)
		net := network(t, convNet)
		net.Init(o.Seed)
		start := digest(net)
		first := values(net)
		e, err := trainer.NewEngine(d, net, train, o)
		require.NoError(t, err)
		unscaled := o
		unscaled.LossScale = trainer.LossScale{Scale: 1}
		plain := curve(t, open(t, "cpu", 2), network(t, convNet), train, unscaled, 20)
		skipped := 0
		for step := 1; step <= 20; step++ {
			require.NoError(t, e.TrainStep())
			e.RequestMetrics()
			m, ok, err := e.Metrics(true)
			require.NoError(t, err)
			require.True(t, ok && m.Alive)
			require.NoError(t, e.Download())
			if m.Skipped == step {
				skipped = step
				assert.Equal(t, start, digest(net), "a skipped step writes nothing, running statistics included")
				assert.Equal(t, float64(int(1<<24)>>step), m.LossScale)
				assert.False(t, m.GradNorm > 0)
			} else if skipped == step-1 {
				moved := 0.0
				for i, v := range values(net) {
					moved = max(moved, abs(v-first[i]))
				}
				// Adam's first update is lr for every number, whatever its gradient: the count of updates begins here.
				assert.InDelta(t, m.LR, moved, 2e-3*m.LR) // f32 weights near 1 of 1e-3 steps
				assert.Equal(t, clip, m.GradNorm > 0)
			}
			assert.Equal(t, plain[step-1].LR, m.LR, "the schedule goes on")
		}
		t.Logf("%d steps skipped", skipped)
		assert.Greater(t, skipped, 2)
		assert.Less(t, skipped, 18)
		require.NoError(t, e.Close())
		require.NoError(t, d.Close())
	}
}

func abs(x float64) float64 { return max(x, -x) }

// After a start that overflows, a whole run ends as one that did not.
func TestOverflowDoesNotHurt(t *testing.T) {
	train, test := pictures(t, 400, 1), pictures(t, 100, 2)
	o := options()
	o.Epochs, o.Precision, o.LossScale, o.LogEvery = 5, device.F16, dynamic(1<<26, 40), 1
	var steps, skipped int
	var scales []float64
	o.Observe = func(e trainer.Event) {
		if e.Kind == trainer.EventStep {
			steps, skipped, scales = steps+1, e.SkippedSteps, append(scales, e.LossScale)
		}
		if e.Kind == trainer.EventEpoch {
			assert.Equal(t, skipped, e.SkippedSteps)
			assert.Positive(t, e.LossScale)
		}
	}
	_, res := fit(t, convNet, 2, train, test, o)
	assert.Equal(t, 125, steps)
	assert.Greater(t, skipped, 4)
	assert.Less(t, skipped, 20)
	assert.Greater(t, res.Test.Top1, 0.9) // chance is 0.25
	grew := false
	for i := 1; i < len(scales); i++ {
		grew = grew || scales[i] > scales[i-1]
	}
	assert.True(t, grew, "%v", scales)
}

// explosive is a network whose outputs are moderate and whose gradients are not: the second layer is as large as the
// first is small.
func explosive(t *testing.T) *model.Network {
	net := network(t, `{layers: [flatten, {linear: 12}, {linear: 4}], input: [8, 8, 1], classes: 4}`)
	net.Init(1)
	for path, v := range map[string]float32{"linear_1.weight": 1e-3, "linear_2.weight": 6e4} {
		p := net.Param(path)
		x := make([]float32, p.Shape[0]*p.Shape[1])
		for i := range x {
			x[i] = v / 100
			if path == "linear_2.weight" {
				x[i] = v
			}
		}
		p.Value = tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(x))
	}
	return net
}

func TestScaleUnderItsMinimumEndsTheRun(t *testing.T) {
	train := pictures(t, 64, 1)
	run := func(change func(*trainer.Options)) error {
		o := trainer.Options{Epochs: 10, Batch: 4, Precision: device.F16, Loss: trainer.Loss{Name: "mse"}, LogEvery: 1, Seed: 1, Mean: []float64{0}, Std: []float64{1}}
		change(&o)
		d, net := open(t, "cpu", 1), explosive(t)
		_, err := trainer.Fit(context.Background(), d, net, train, nil, o)
		require.NoError(t, d.Close())
		require.Error(t, err)
		assert.Equal(t, fault.Diverged, fault.KindOf(err), "%v", err)
		return err
	}
	for _, plain := range []bool{false, true} {
		err := run(func(o *trainer.Options) { o.NoCapture = plain })
		// 65536 is 2^16: sixteen steps are skipped, and the scale would fall under 1 with the next.
		assert.EqualError(t, err, "step 17: the loss scale fell under 1: even so the gradient at the output of layer linear_1 is NaN or infinite")
		assert.Contains(t, fault.HintOf(err), "bf16")
	}
	err := run(func(o *trainer.Options) { o.LossScale.Scale = 16 })
	assert.EqualError(t, err, "step 1: the gradient at the output of layer linear_1 is NaN or infinite")
	assert.Contains(t, fault.HintOf(err), "dynamic")
	err = run(func(o *trainer.Options) { o.Std = []float64{1e-6} })
	assert.Regexp(t, "^step 1: the output of layer .* is NaN or infinite", err.Error(), "a loss that is not finite ends the run at once")
}

// scalars are the device's numbers in a checkpoint.
func scalars(t *testing.T, path string) (c *checkpoint.Checkpoint, all []float64) {
	c, err := checkpoint.Load(path)
	require.NoError(t, err)
	var p struct{ Scalars []float64 }
	require.NoError(t, json.Unmarshal(c.Progress, &p))
	return c, p.Scalars
}

// interrupted trains until a step was reported, and saves.
func interrupted(t *testing.T, stop int, o trainer.Options) {
	ctx, cancel := context.WithCancelCause(context.Background())
	o.Observe = func(e trainer.Event) {
		if e.Kind == trainer.EventStep && e.Step >= stop {
			cancel(errors.New("signal"))
		}
	}
	d := open(t, "cpu", 2)
	_, err := trainer.Fit(ctx, d, network(t, convNet), pictures(t, 150, 1), nil, o)
	require.NoError(t, d.Close())
	var stopped *trainer.Interrupted
	require.ErrorAs(t, err, &stopped)
}

// A run in half precision that was stopped ends with the same bytes, scale and counters included.
func TestHalfResume(t *testing.T) {
	train := pictures(t, 150, 1)
	for _, p := range []device.DType{device.F16, device.BF16} {
		for _, stop := range []int{2, 7, 10, 14} { // while the scale falls, in an epoch, at its end, in the next
			t.Run(fmt.Sprint(p, stop), func(t *testing.T) {
				o := options()
				o.Epochs, o.MicroBatches, o.Precision, o.LogEvery, o.ClipNorm = 3, 2, p, 1, 2
				if p == device.F16 {
					o.LossScale = dynamic(1<<23, 3)
				}
				o.Dir = t.TempDir()
				straight, want := fit(t, convNet, 2, train, nil, o)
				a, numbers := scalars(t, filepath.Join(o.Dir, checkpoint.Last))

				o.Dir, o.Resume = t.TempDir(), true
				interrupted(t, stop, o)
				resumed, got := fit(t, convNet, 5, train, nil, o)
				b, again := scalars(t, filepath.Join(o.Dir, checkpoint.Last))
				assert.Equal(t, straight, resumed)
				assert.Equal(t, want.TrainLoss, got.TrainLoss)
				assert.Equal(t, numbers, again)
				assert.Equal(t, a.Weights, b.Weights)
				assert.Equal(t, a.Optim, b.Optim)
				assert.Equal(t, p.String(), b.Meta.Precision)
				if n := len(again); p == device.F16 {
					assert.Positive(t, again[n-1], "steps were skipped")
				} else {
					assert.Equal(t, []float64{1, 0, 0}, again[n-3:])
				}
			})
		}
	}
}

// Checkpoints of before loss scaling hold fewer numbers; a run goes on from them all the same.
func TestOldCheckpointIsResumed(t *testing.T) {
	train := pictures(t, 150, 1)
	o := options()
	o.Epochs, o.LogEvery = 3, 1
	straight, _ := fit(t, convNet, 2, train, nil, o)
	o.Dir, o.Resume = t.TempDir(), true
	interrupted(t, 14, o)
	path := filepath.Join(o.Dir, checkpoint.Last)
	c, all := scalars(t, path)
	var progress map[string]any
	require.NoError(t, json.Unmarshal(c.Progress, &progress))
	progress["scalars"] = all[:13]
	var err error
	c.Progress, err = json.Marshal(progress)
	require.NoError(t, err)
	store, err := checkpoint.OpenStore(nil, o.Dir, 0)
	require.NoError(t, err)
	require.NoError(t, store.Save(c, false, 0))
	resumed, _ := fit(t, convNet, 2, train, nil, o)
	assert.Equal(t, straight, resumed)
	_, all = scalars(t, path)
	assert.Equal(t, []float64{1, 0, 0}, all[13:])
}

func TestLossScaleMistakes(t *testing.T) {
	train := pictures(t, 50, 1)
	for say, s := range map[string]trainer.LossScale{
		"trainer.loss_scale: 0.5":                              {Scale: 0.5},
		"trainer.loss_scale: -1":                               {Scale: -1},
		"trainer.loss_scale: NaN":                              {Scale: nan()},
		"trainer.loss_scale: 2.199023255552e+12":               dynamic(1<<41, 0),
		"trainer.loss_scale: it cannot grow every -1 steps":    dynamic(8, -1),
		"trainer.loss_scale: it cannot grow every 16777217 st": dynamic(8, 1<<24+1),
	} {
		o, d := options(), open(t, "cpu", 1)
		o.LossScale, o.Augment = s, augment.Spec{}
		_, err := trainer.NewEngine(d, network(t, plainNet), train, o)
		require.ErrorContains(t, err, say)
		assert.Equal(t, fault.Usage, fault.KindOf(err))
		assert.NotEmpty(t, fault.HintOf(err))
		require.NoError(t, d.Close())
	}
}
