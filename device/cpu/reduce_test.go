package cpu

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Sums of a million terms are as good as f32 can hold, in whatever direction and from whatever type they are taken.
func TestLongSums(t *testing.T) {
	side, types := 1000, []device.DType{device.F32, device.F16, device.BF16}
	if testing.Short() {
		side, types = 300, types[:1]
	}
	n := side*side + 3
	for _, typ := range types {
		var sum, squares float64
		got := everywhere(t, func(r *rig) (func(), []device.View) {
			x := r.with(typ, func(int) float64 { return 0.1 + r.rnd.Float64() }, n)
			sum, squares = 0, 0
			for _, v := range values(x) {
				sum += v
				squares += v * v
			}
			y := []device.View{r.zeros(device.F32, 1), r.zeros(device.F32, 1), r.zeros(device.F32, 1), r.zeros(device.F32, 1)}
			return func() {
				r.d.Reduce(device.Sum, y[0], x)
				r.d.Reduce(device.SumSq, y[1], x)
				r.d.Reduce(device.Sum, y[2], x.Flip(0))
				r.d.Reduce(device.Sum, y[3].Reshape(1, 1), x.Slice(0, 0, n-3, 1).Reshape(side, side).T())
			}, y
		})
		const tol = 1e-7 // 2^-24 of the one rounding to f32; sums are kept in f64
		assert.InEpsilon(t, sum, got[0][0], tol)
		assert.InEpsilon(t, squares, got[1][0], tol)
		assert.InEpsilon(t, sum, got[2][0], tol)
		assert.InEpsilon(t, sum, got[3][0], 3.0/float64(n)*2) // three terms, of at most twice the mean, are left out
	}
}

// The first of equal values wins, and the first NaN before all, across blocks and threads.
func TestArgMaxAcrossBlocks(t *testing.T) {
	const n = 3*reduceBlock + 5
	for _, at := range []int{0, reduceBlock - 1, reduceBlock, n - 1} {
		for _, top := range []float64{2, math.Inf(1), math.NaN()} {
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				x := r.with(device.F32, func(i int) float64 {
					if i >= at && i%3 == at%3 {
						return top
					}
					return -1
				}, n)
				y, m := r.zeros(device.I32, 1), r.zeros(device.F32, 1)
				return func() {
					r.d.Reduce(device.ArgMax, y, x)
					r.d.Reduce(device.ReduceMax, m, x)
				}, []device.View{y, m}
			})
			require.EqualValues(t, at, got[0][0], "%v", top)
			require.Equal(t, math.Float64bits(top)>>32, math.Float64bits(got[1][0])>>32)
		}
	}
}

func BenchmarkReduce(b *testing.B) {
	r := newRig(b, 0)
	const n = 1 << 20
	x := r.normal(device.F32, n/256, 256)
	narrow := x.Reshape(n/16, 16)
	row, col, one := r.zeros(device.F32, 1, 256), r.zeros(device.F32, n/256, 1), r.zeros(device.F32, 1, 1)
	narrowRow, narrowCol, arg := r.zeros(device.F32, 1, 16), r.zeros(device.F32, n/16, 1), r.zeros(device.I32, n/256, 1)
	for _, c := range []struct {
		name string
		op   device.RedOp
		y, x device.View
	}{
		{"SumAll", device.Sum, one, x},
		{"SumSqAll", device.SumSq, one, x},
		{"SumRows", device.Sum, col, x},
		{"SumNarrowRows", device.Sum, narrowCol, narrow},
		{"SumColumns", device.Sum, row, x},
		{"SumNarrowColumns", device.Sum, narrowRow, narrow},
		{"MaxRows", device.ReduceMax, col, x},
		{"ArgMaxRows", device.ArgMax, arg, x},
		{"MaxAbsAll", device.MaxAbs, one, x},
	} {
		b.Run(c.name, func(b *testing.B) { perElement(b, n, func() { r.d.Reduce(c.op, c.y, c.x) }) })
	}
}
