package ops_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

func each(t *testing.T, typ device.DType, f func(r *rig)) {
	for _, fused := range []bool{true, false} {
		r := newRig(t, typ, 1<<20)
		if !fused {
			r.tape.Dev = device.Unfused(r.dev)
		}
		f(r)
	}
}

func (r *rig) classes(c ...float64) *ops.Tensor { return ops.Leaf(r.view(device.I32, c, len(c))) }

func TestCrossEntropyIgnoresRows(t *testing.T) {
	ignore := 9
	each(t, device.F64, func(r *rig) {
		data := []float64{1, 2, 0.5, math.NaN(), 1, math.Inf(1), 0.25, -1, 3}
		x := r.param(data, 3, 3)
		loss := ops.CrossEntropy(r.tape, x, r.classes(1, 9, 0), ops.CrossEntropyOptions{IgnoreIndex: &ignore})
		row := func(x []float64, k int) float64 {
			return math.Log(math.Exp(x[0])+math.Exp(x[1])+math.Exp(x[2])) - x[k]
		}
		want := (row(data[:3], 1) + row(data[6:], 0)) / 2
		assert.InDelta(t, want, r.read(loss.Value())[0], 1e-14) // f64, a few roundings
		r.backward(loss)
		g := r.read(x.Grad())
		assert.Equal(t, []float64{0, 0, 0}, g[3:6], "an ignored row counts nothing, even if it is not finite")
		assert.InDelta(t, 0, g[0]+g[1]+g[2], 1e-15) // softmax - target sums to 0, in f64
		assert.NotZero(t, g[0])

		none := ops.CrossEntropy(r.tape, x, r.classes(9, 9, 9), ops.CrossEntropyOptions{IgnoreIndex: &ignore})
		assert.True(t, math.IsNaN(r.read(none.Value())[0]), "a mean over no row, as in PyTorch")
		r.end()
	})
}

func TestCrossEntropyUsedTwiceAddsItsGradients(t *testing.T) {
	each(t, device.F64, func(r *rig) {
		x := r.param(numbers(6, 2), 2, 3)
		y := ops.Scale(r.tape, x, 1)
		a := ops.CrossEntropy(r.tape, y, r.classes(0, 2), ops.CrossEntropyOptions{Reduction: ops.ReduceSum})
		b := ops.CrossEntropy(r.tape, y, r.classes(0, 2), ops.CrossEntropyOptions{Reduction: ops.ReduceSum})
		r.backward(ops.Add(r.tape, a, ops.Scale(r.tape, b, 2)))
		three := r.read(x.Grad())
		z := r.param(numbers(6, 2), 2, 3)
		r.backward(ops.CrossEntropy(r.tape, z, r.classes(0, 2), ops.CrossEntropyOptions{Reduction: ops.ReduceSum}))
		for i, g := range r.read(z.Grad()) {
			assert.InDelta(t, 3*g, three[i], 1e-14) // f64
		}
	})
}

func TestClassOutsideIsAnErrorAtSync(t *testing.T) {
	weights := numbers(3, 1)
	for _, class := range []float64{-1, 3} {
		for _, o := range []ops.CrossEntropyOptions{{}, {Smoothing: 0.1}, {ClassWeights: &ops.Tensor{}}} {
			each(t, device.F32, func(r *rig) {
				if o.ClassWeights != nil {
					o.ClassWeights = r.leaf(weights, 3)
				}
				ops.CrossEntropy(r.tape, r.leaf(numbers(6, 1), 2, 3), r.classes(0, class), o)
				require.Error(t, r.dev.Sync())
				r.end()
			})
		}
	}
}

func TestIndexOutsideIsAnErrorAtSync(t *testing.T) {
	each(t, device.F32, func(r *rig) {
		x := r.leaf(numbers(6, 1), 2, 3)
		for _, at := range []float64{-1, 3, 5} {
			// As a place in memory 3 or 5 of row 0 would be an element of row 1.
			ops.Gather(r.tape, x, ops.Leaf(r.view(device.I32, []float64{at, 0}, 2, 1)), 1)
			require.Error(t, r.dev.Sync(), "Gather %v", at)
			ops.Take(r.tape, x, r.classes(at), 1)
			require.Error(t, r.dev.Sync(), "Take %v", at)
			r.tape.Reset()
		}
		r.end()
	})
}

func TestSoftmaxOfMaskedRows(t *testing.T) {
	inf := math.Inf(-1)
	each(t, device.F64, func(r *rig) {
		x := r.param([]float64{inf, inf, inf, 0, inf, 0, 1e30, inf, -1e30}, 3, 3)
		y := ops.Softmax(r.tape, x, 1)
		assert.Equal(t, []float64{0, 0, 0, 0.5, 0, 0.5, 1, 0, 0}, r.read(y.Value()))
		z := ops.LogSoftmax(r.tape, x, 1)
		half := -math.Log(2)
		got := r.read(z.Value())
		for i, want := range []float64{inf, inf, inf, half, inf, half, 0, inf, -2e30} {
			if want == inf || want == 0 {
				assert.Equal(t, want, got[i])
			} else {
				assert.InEpsilon(t, want, got[i], 1e-15) // f64
			}
		}
		r.backward(ops.Sum(r.tape, ops.Mul(r.tape, y, y), false))
		assert.Equal(t, make([]float64, 9), r.read(x.Grad()))
	})
}
