package ops_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

func TestGradientsOfTwoUsesAdd(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	x := r.param([]float64{1, -2, 3}, 3)
	y := ops.Mul(r.tape, x, x)
	z := ops.Add(r.tape, y, x)
	r.backward(ops.Sum(r.tape, z, false)) // x^2 + x
	assert.Equal(t, []float64{3, -3, 7}, r.read(x.Grad()))
}

func TestBackwardAddsToParamGradients(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	w := r.param(numbers(6, 1), 2, 3)
	var want []float64
	for i, x := range []*ops.Tensor{r.leaf(numbers(12, 1), 4, 3), r.leaf(numbers(12, 3), 4, 3)} {
		r.backward(ops.Sum(r.tape, ops.Linear(r.tape, x, w, nil), false))
		if i == 0 {
			want = r.read(w.Grad())
		}
	}
	got := r.read(w.Grad())
	for i := range want {
		assert.InDelta(t, 4*want[i], got[i], 1e-12, "the second batch is three times the first") // sums of 4 terms in f64
	}
}

func TestNoGradRecordsNothing(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	x := r.param([]float64{1, 2}, 2)
	undo := r.tape.NoGrad()
	y := ops.Exp(r.tape, x)
	assert.False(t, y.NeedsGrad())
	r.tape.Release(y)
	assert.Zero(t, r.arena.Live(), "nothing is kept for a backward that does not come")
	loss := ops.Sum(r.tape, x, false)
	assert.Panics(t, func() { r.tape.Backward(loss, loss.Value()) })
	undo()
	assert.True(t, ops.Exp(r.tape, x).NeedsGrad())
	r.end()
}

func TestDetachStopsTheGradient(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	x := r.param([]float64{1, -2, 3}, 3)
	y := ops.Scale(r.tape, x, 2)
	d := ops.Detach(r.tape, y)
	assert.False(t, d.NeedsGrad())
	assert.Equal(t, y.Value(), d.Value(), "no copy")
	loss := ops.Sum(r.tape, ops.Mul(r.tape, y, d), false) // d taken as a constant: 2 d
	r.tape.Release(y)
	assert.Equal(t, []float64{2, -4, 6}, r.read(d.Value()), "the detached tensor keeps the memory alive")
	r.backward(loss)
	assert.Equal(t, []float64{4, -8, 12}, r.read(x.Grad()))
}

func TestReleaseGivesMemoryBackWhenNothingReadsIt(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	x := r.param(numbers(100, 1), 100)
	a := ops.Scale(r.tape, x, 2) // backward reads neither side
	at := a.Value().Off
	b := ops.Relu(r.tape, a) // reads its result
	r.tape.Release(a)
	c := ops.Scale(r.tape, x, 3)
	assert.Equal(t, at, c.Value().Off, "the memory of a serves again")
	r.tape.Release(b)
	d := ops.Scale(r.tape, x, 4)
	assert.NotEqual(t, b.Value().Off, d.Value().Off, "backward needs b")
	assert.Panics(t, func() { r.tape.Release(b) })
	r.backward(ops.Sum(r.tape, ops.Add(r.tape, ops.Add(r.tape, b, c), d), false))
	for i, v := range r.read(x.Value()) {
		want := 7.0
		if v > 0 {
			want = 9
		}
		require.Equal(t, want, r.read(x.Grad())[i])
	}
}

func TestResetAloneEmptiesTheArena(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	x := r.param(numbers(12, 1), 2, 6)
	y := ops.LogSoftmax(r.tape, ops.Reshape(r.tape, ops.Tanh(r.tape, x), 3, 4), 1)
	ops.CrossEntropy(r.tape, y, ops.Leaf(r.view(device.I32, []float64{0, 3, 1}, 3)), ops.CrossEntropyOptions{})
	r.end()
	assert.Equal(t, make([]float64, 12), r.read(x.Grad()))
}

func TestWatchSeesOutputsAndGradients(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	x := r.param([]float64{1, -2}, 2)
	var seen []string
	r.tape.Watch = func(name string, v device.View, gradient bool) {
		seen = append(seen, fmt.Sprint(name, r.read(v), gradient))
	}
	y := r.tape.Announce("a", ops.Relu(r.tape, x))
	r.backward(ops.Sum(r.tape, r.tape.Announce("b", ops.Scale(r.tape, y, 3)), false))
	assert.Equal(t, []string{"a[1 0] false", "b[3 0] false", "b[1 1] true", "a[3 3] true"}, seen)
	assert.Equal(t, []float64{3, 0}, r.read(x.Grad()))
}

// graph builds the same random expression of three parameters again and again. Every op that hands its gradient on in
// place, or shares it, meets every other, and tensors are used several times.
func graph(t *ops.Tape, seed uint64, params []*ops.Tensor) *ops.Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	xs := slices.Clone(params)
	for range 12 {
		a, b := xs[rng.IntN(len(xs))], xs[rng.IntN(len(xs))]
		var y *ops.Tensor
		switch rng.IntN(13) {
		case 0:
			y = ops.Add(t, a, b)
		case 1:
			y = ops.Sub(t, a, b)
		case 2:
			y = ops.Mul(t, a, b)
		case 3:
			y = ops.Tanh(t, a)
		case 4:
			y = ops.Scale(t, a, 0.5)
		case 5:
			y = ops.Reshape(t, ops.Transpose(t, ops.Reshape(t, a, 3, 2)), 2, 3)
		case 6:
			y = ops.Add(t, a, ops.Sum(t, b, true, 0))
		case 7:
			y = ops.Slice(t, ops.Concat(t, 1, a, b, a), []int{0, 1}, []int{2, 7}, []int{1, 2})
		case 8:
			y = ops.Softmax(t, a, 1)
		case 9:
			y = ops.Sub(t, ops.Mean(t, a, true, 1), b)
		case 10:
			y = ops.Slice(t, ops.Pad(t, a, [][2]int{{0, 0}, {1, 0}}, 0.3), []int{0, 3}, []int{2, 0}, []int{1, -1})
		case 11:
			y = ops.Sigmoid(t, ops.Reshape(t, b, 6))
			y = ops.Reshape(t, y, 2, 3)
		case 12:
			y = ops.Div(t, a, ops.Exp(t, ops.Scale(t, ops.Tanh(t, b), 0.3)))
		}
		xs = append(xs, y)
	}
	last := xs[3:]
	sum := last[0]
	for _, x := range last[1:] {
		if rng.IntN(2) == 0 {
			sum = ops.Add(t, sum, x)
		}
	}
	return ops.Mean(t, ops.Mul(t, sum, ops.Tanh(t, sum)), false)
}

func TestRandomGraphsAgainstDifferences(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	for seed := range uint64(60) {
		var params []*ops.Tensor
		data := make([][]float64, 3)
		for i := range data {
			data[i] = numbers(6, 0.5+0.2*float64(i))
			params = append(params, r.param(data[i], 2, 3))
		}
		loss := graph(r.tape, seed, params)
		if !loss.NeedsGrad() {
			r.end()
			continue
		}
		r.backward(loss)
		value := func() float64 {
			defer r.tape.NoGrad()()
			leaves := make([]*ops.Tensor, 3)
			for i := range data {
				leaves[i] = r.leaf(data[i], 2, 3)
			}
			v := r.read(graph(r.tape, seed, leaves).Value())[0]
			r.end()
			return v
		}
		const h = 1e-5
		for i := range data {
			g := r.read(params[i].Grad())
			for k, x := range data[i] {
				data[i][k] = x + h
				up := value()
				data[i][k] = x - h
				down := value()
				data[i][k] = x
				// h^2 times third derivatives of up to some hundreds, and 1e-16/h of the value
				require.InDelta(t, (up-down)/(2*h), g[k], 1e-6*max(1, abs(g[k])), "seed %d, parameter %d, element %d", seed, i, k)
			}
		}
	}
}

func abs(x float64) float64 { return max(x, -x) }

// smallNet is a step through one op of each kind that keeps or hands on memory.
type smallNet struct {
	x, w, gamma, beta, w2, b2 *ops.Tensor
	labels                    *ops.Tensor
	state                     ops.BatchNormState
}

func newSmallNet(r *rig) *smallNet {
	labels := make([]float64, 4)
	for i := range labels {
		labels[i] = float64(i * 2)
	}
	acc := device.F32
	if r.typ == device.F64 {
		acc = device.F64
	}
	s := func(fill float64) device.View { return r.view(acc, slices.Repeat([]float64{fill}, 5), 5) }
	return &smallNet{
		x: r.leaf(numbers(4*6*6*2, 1), 4, 6, 6, 2), w: r.param(numbers(5*3*3*2, 0.4), 5, 3, 3, 2),
		gamma: r.param(numbers(5, 1), 5), beta: r.param(numbers(5, 0.5), 5),
		w2: r.param(numbers(7*45, 0.3), 7, 45), b2: r.param(numbers(7, 0.1), 7),
		labels: ops.Leaf(r.view(device.I32, labels, 4)),
		state:  ops.BatchNormState{Mean: s(0), Var: s(1), NextMean: s(0), NextVar: s(1), Momentum: 0.1, Eps: 1e-5},
	}
}

func (n *smallNet) loss(t *ops.Tape) *ops.Tensor {
	next := func(x, y *ops.Tensor) *ops.Tensor {
		t.Release(x)
		return y
	}
	y := next(n.x, ops.Conv2D(t, n.x, n.w, nil, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Groups: 1}))
	y = next(y, ops.BatchNormAct(t, y, n.gamma, n.beta, n.state, device.Relu))
	y = next(y, ops.Add(t, y, ops.Silu(t, y)))
	y = next(y, ops.MaxPool2D(t, y, device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1}))
	y = next(y, ops.Dropout(t, y, 0.25))
	y = next(y, ops.Reshape(t, y, 4, -1))
	y = next(y, ops.Linear(t, y, n.w2, n.b2))
	return next(y, ops.CrossEntropy(t, y, n.labels, ops.CrossEntropyOptions{Smoothing: 0.1}))
}

func (n *smallNet) params() []*ops.Tensor {
	return []*ops.Tensor{n.w, n.gamma, n.beta, n.w2, n.b2}
}

func TestStepsUseTheSameAddresses(t *testing.T) {
	for _, fused := range []bool{true, false} {
		r := newRig(t, device.F32, 1<<22)
		if !fused {
			r.tape.Dev = device.Unfused(r.dev)
		}
		net := newSmallNet(r)
		var calls []string
		undo := device.Hook(r.tape.Dev, func(c device.Call) error {
			if c.Phase == device.Before && c.Kernel != "Upload" {
				line := c.Kernel
				for _, v := range c.Writes {
					line += fmt.Sprint(" ", v.Off, v.Shape())
				}
				for _, v := range c.Reads {
					line += fmt.Sprint(" ", v.Off, v.Shape())
				}
				calls = append(calls, line)
			}
			return nil
		})
		one := r.view(device.F32, []float64{1})
		var first []string
		for step := range 3 {
			calls = nil
			r.tape.Backward(net.loss(r.tape), one)
			r.end()
			if step == 0 {
				first = slices.Clone(calls)
			}
			require.Equal(t, first, calls, "fused %v, step %d", fused, step)
		}
		undo()
	}
}

func TestDryRunFindsTheArenaSize(t *testing.T) {
	for _, fused := range []bool{true, false} {
		r := newRig(t, device.F32, 1<<22)
		if !fused {
			r.tape.Dev = device.Unfused(r.dev)
		}
		net, one := newSmallNet(r), r.view(device.F32, []float64{1})
		own, phantom := r.arena, device.Phantom()
		r.tape.Arena = phantom
		device.DryRun(r.tape.Dev, func() {
			r.tape.Backward(net.loss(r.tape), one)
			r.tape.Reset()
		})
		require.Zero(t, phantom.Live())
		r.tape.Arena = own
		r.tape.Backward(net.loss(r.tape), one)
		r.end()
		assert.Equal(t, own.High(), phantom.High(), "fused %v", fused)
	}
}

func TestFusedAndComposedStepsAgree(t *testing.T) {
	var grads [2][][]float64
	for i := range grads {
		r := newRig(t, device.F64, 1<<22)
		if i == 1 {
			r.tape.Dev = device.Unfused(r.dev)
		}
		net := newSmallNet(r)
		r.backward(net.loss(r.tape))
		for _, p := range net.params() {
			grads[i] = append(grads[i], r.read(p.Grad()))
		}
		grads[i] = append(grads[i], r.read(net.state.NextMean), r.read(net.state.NextVar))
	}
	for i := range grads[0] {
		require.InDeltaSlice(t, grads[0][i], grads[1][i], 1e-12, "gradient %d", i) // f64 sums of some hundred terms of size 1
	}
}

// Activations and weights of 16 and 11 and 8 bits: errors grow with depth, but no gradient may be far off.
func TestHalfPrecisionStepsAreClose(t *testing.T) {
	step := func(typ device.DType) (all [][]float64) {
		r := newRig(t, typ, 1<<22)
		net := newSmallNet(r)
		r.backward(net.loss(r.tape))
		for _, p := range net.params() {
			all = append(all, r.read(p.Grad()))
		}
		return all
	}
	want := step(device.F64)
	for typ, tol := range map[device.DType]float64{
		device.F32:  1e-5, // 2^-24, times some hundred terms
		device.F16:  0.02, // 2^-11, times six roundings on the way and gains of batch norm
		device.BF16: 0.12, // 2^-8, the same
	} {
		for i, g := range step(typ) {
			scale, worst := 0.0, 0.0
			for k := range g {
				scale, worst = max(scale, abs(want[i][k])), max(worst, abs(g[k]-want[i][k]))
			}
			assert.LessOrEqual(t, worst, tol*scale, "%s, gradient %d", typ, i)
		}
	}
}

// At its peak a step holds the activations that backward reads and one tensor more, beside the input.
func TestPeakMemoryOfMLP(t *testing.T) {
	const layers, rows, width = 10, 64, 32
	r := newRig(t, device.F32, 1<<22)
	x := r.leaf(numbers(rows*width, 1), rows, width)
	var ws, bs []*ops.Tensor
	for range layers {
		ws = append(ws, r.param(numbers(width*width, 0.3), width, width))
		bs = append(bs, r.param(numbers(width, 0.1), width))
	}
	labels := ops.Leaf(r.view(device.I32, slices.Repeat([]float64{5}, rows), rows))
	y := x
	for i := range layers {
		z := ops.Linear(r.tape, y, ws[i], bs[i])
		r.tape.Release(y)
		if y = z; i < layers-1 {
			y = ops.Relu(r.tape, z)
			r.tape.Release(z)
		}
	}
	loss := ops.CrossEntropy(r.tape, y, labels, ops.CrossEntropyOptions{})
	r.tape.Release(y)
	r.backward(loss)
	const activation = rows * width * 4
	// 9 activations, the logits or one gradient, and small change: the bias gradient and the rows' losses
	assert.LessOrEqual(t, r.arena.High(), (layers-1+2)*activation+2048)
}
