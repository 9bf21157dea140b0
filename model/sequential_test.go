package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/model/modeltest"
	"github.com/acumen-ml/acumen/ops"
)

// A watched tape is told each layer's output, and in backward its gradient, once, by the layer's path.
func TestEveryLayerIsAnnounced(t *testing.T) {
	net, err := fromList(t, everyKind, [3]int{16, 16, 3}, 10)
	require.NoError(t, err)
	net.Init(3)
	r := modeltest.NewRig(t, open(t), net, device.F32)
	var forward, backward []string
	r.Tape.Watch = func(name string, _ device.View, gradient bool) {
		if gradient {
			backward = append([]string{name}, backward...)
		} else {
			forward = append(forward, name)
		}
	}
	x, labels := modeltest.Batch("announce", 3, net.Input)
	r.Step(x, labels)
	var want []string
	for _, row := range net.Costs() {
		want = append(want, row.Path)
	}
	// The dry run announces too.
	assert.Equal(t, append(want, want...), forward)
	assert.ElementsMatch(t, append(want, want...), backward)
}

// A watched network runs unfused; its numbers are those of the fused one.
func TestFusedEqualsUnfused(t *testing.T) {
	net, err := fromList(t, everyKind, [3]int{16, 16, 3}, 10)
	require.NoError(t, err)
	net.Init(3)
	x, labels := modeltest.Batch("fused", 3, net.Input)
	r := modeltest.NewRig(t, open(t), net, device.F64)
	y, loss := r.Step(x, labels)
	g := r.Read(r.Store.G)
	r.Tape.Watch = func(string, device.View, bool) {}
	y2, loss2 := r.Step(x, labels)
	g2 := r.Read(r.Store.G)
	assert.InDelta(t, loss, loss2, 1e-12)                                      // float64, the same formulas
	assert.InDeltaSlice(t, y.Data().([]float64), y2.Data().([]float64), 1e-12) // the same
	assert.InDeltaSlice(t, g.Data().([]float64), g2.Data().([]float64), 1e-11) // sums of some hundred such terms
	assert.NotEqual(t, 0.0, loss)
}

// asked is a device that is asked for convolutions that pool, and declines them all.
type asked struct {
	device.Device
	calls []string
}

func (a *asked) Unwrap() device.Device { return a.Device }

func (a *asked) Conv2DPool(y, idx, mean, variance, _, _, _ device.View, _ device.Conv2D, act device.UnOp, pool device.Pool2D) bool {
	s := act.String()
	if pool.KernelH > 0 {
		s += " pool"
	}
	if idx.Valid() {
		s += " places"
	}
	if mean.Valid() && variance.Valid() {
		s += " statistics"
	}
	a.calls = append(a.calls, s)
	return false
}

// What stands between a convolution, its activation, its pooling and a batch norm keeps them apart; evaluation asks for no
// statistics and no places; a watched network runs layer by layer. The numbers are the same.
func TestConvolutionAndWhatFollows(t *testing.T) {
	net, err := fromList(t, `
- {conv2d: {out: 4, pad: same}}
- {maxpool: 2}
- batchnorm
- gelu
- {conv2d: {out: 4, pad: same}}
- batchnorm
- relu
- {conv2d: {out: 6, pad: same}}
- relu
- {maxpool: 2}
- {conv2d: {out: 6, pad: same}}
- gelu
- {maxpool: 1}
- {conv2d: {out: 6, pad: same}}
- {scale: 0.5}
- {maxpool: 2}
- {conv2d: {out: 4, pad: same}}
- {maxpool: {kernel: 3, stride: 2}}
- batchnorm
- flatten
- {linear: 10}`, [3]int{26, 26, 3}, 10)
	require.NoError(t, err)
	net.Init(3)
	x, labels := modeltest.Batch("follows", 3, net.Input)
	r := modeltest.NewRig(t, open(t), net, device.F64)
	d := &asked{Device: r.Tape.Dev}
	r.Tape.Dev = d
	y, loss := r.Step(x, labels)
	assert.Equal(t, []string{
		"identity pool places statistics", "identity pool places", // asked again without statistics
		"identity statistics", "relu pool places",
	}, d.calls[len(d.calls)/2:]) // the first half is the dry run
	g := r.Read(r.Store.G)
	r.Tape.Watch = func(string, device.View, bool) {}
	d.calls = nil
	y2, loss2 := r.Step(x, labels)
	assert.Empty(t, d.calls)
	assert.InDelta(t, loss, loss2, 1e-12)                                                     // float64, the same formulas
	assert.InDeltaSlice(t, y.Data().([]float64), y2.Data().([]float64), 1e-12)                // the same
	assert.InDeltaSlice(t, g.Data().([]float64), r.Read(r.Store.G).Data().([]float64), 1e-11) // sums of some hundred such terms

	r.Tape.Watch = nil
	r.Evaluate(x)
	assert.Equal(t, []string{"identity pool", "relu pool", "gelu pool"}, d.calls[len(d.calls)/2:])
}

// Gated is the module of docs/adding-a-model.md.
type Gated struct{ Gate *model.Linear }

func (g *Gated) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	w := g.Gate.Forward(t, x)
	s := ops.Sigmoid(t, w)
	t.Release(w)
	y := ops.Mul(t, s, x)
	t.Release(s)
	return y
}

func (g *Gated) OutShape(in []int) ([]int, error) { return g.Gate.OutShape(in) }

func (g *Gated) Visit(v model.Visitor) { v.Child("gate", g.Gate) }

func (g *Gated) MultiplyAdds(in []int) int { return g.Gate.MultiplyAdds(in) }

func TestModuleFromOutside(t *testing.T) {
	net, err := model.NewNetwork("gated", model.NewSequential(model.NewFlatten(), &Gated{model.NewLinear(12, 12, true, nil)},
		model.Named("mid", &Gated{model.NewLinear(12, 12, false, model.LeCunNormal())}), model.NewLinear(12, 10, true, nil)), [3]int{2, 2, 3}, 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"gated_1.gate.weight", "gated_1.gate.bias", "mid.gate.weight", "linear_1.weight", "linear_1.bias"}, paths(net))
	assert.Equal(t, 144+12+144+130, net.NumParams())
	assert.Equal(t, net.NumParams()-12-10, net.MultiplyAdds())
	assert.Empty(t, net.Spec)
	net.Init(1)
	r := modeltest.NewRig(t, open(t), net, device.F32)
	x, labels := modeltest.Batch("gated", 3, net.Input)
	_, loss := r.Step(x, labels)
	assert.Greater(t, loss, 0.0)
}

func TestNewNetworkRefuses(t *testing.T) {
	shared := model.NewLinear(4, 4, true, nil)
	_, err := model.NewNetwork("twice", model.NewSequential(model.NewFlatten(), shared, shared), [3]int{2, 2, 1}, 4)
	assert.ErrorContains(t, err, "linear_2.weight is the same tensor as linear_1.weight")
	_, err = model.NewNetwork("named", model.NewSequential(model.NewFlatten(), model.Named("a", model.NewLinear(4, 4, true, nil)), model.Named("a", model.NewLinear(4, 4, true, nil))), [3]int{2, 2, 1}, 4)
	assert.ErrorContains(t, err, "two tensors are called a.weight")
	_, err = model.NewNetwork("shape", model.NewSequential(model.NewFlatten(), model.NewLinear(3, 4, true, nil)), [3]int{2, 2, 1}, 4)
	assert.EqualError(t, err, "model shape: linear_1: linear takes rows of 3, its input is 4")
	assert.Panics(t, func() { model.NewConv2D(3, 4, [2]int{3, 3}, device.Conv2D{Groups: 2}, true, nil) })
}

func TestEmptySequentialPassesOn(t *testing.T) {
	net, err := model.NewNetwork("thin", model.NewSequential(model.NewFlatten(), model.NewResidual(model.NewLinear(4, 4, true, nil), model.NewSequential())), [3]int{2, 2, 1}, 4)
	require.NoError(t, err)
	net.Init(1)
	r := modeltest.NewRig(t, open(t), net, device.F64)
	x, labels := modeltest.Batch("thin", 2, net.Input)
	for i := range labels {
		labels[i] %= 4
	}
	y, _ := r.Step(x, labels)
	assert.True(t, strings.HasPrefix(net.Params()[0].Path, "residual_1.body."))
	assert.Equal(t, []int{2, 4}, []int(y.Shape()))
}
