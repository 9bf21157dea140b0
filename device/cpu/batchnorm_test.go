package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// offset is a normal view with a mean far from 0.
func (r *rig) offset(typ device.DType, mean float64, dims ...int) device.View {
	return r.with(typ, func(int) float64 { return mean + r.rnd.NormFloat64() }, dims...)
}

func TestBatchNorm(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, shape := range [][]int{{1, 1}, {5, 3}, {3, 4, 5, 7}, {2, 9, 8, 32}, {3000, 6}, {2, 1, 1, 20000}} {
			c := shape[len(shape)-1]
			m := 1
			for _, v := range shape[:len(shape)-1] {
				m *= v
			}
			var want [6][]float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				x, dy := r.offset(typ, 3, shape...), r.normal(typ, shape...)
				if i%2 == 1 {
					wide := append([]int{}, shape...)
					wide[len(wide)-1] += 3
					x = r.offset(typ, 3, wide...).Slice(len(wide)-1, 2, c, 1)
				}
				gamma, beta := r.normal(typ, c), r.normal(typ, c)
				mean, variance, rstd := r.zeros(typ, c), r.zeros(typ, c), r.with(typ, func(int) float64 { return 0.5 + r.rnd.Float64() }, c)
				at := r.normal(typ, c) // a mean to normalise by, not that of x: the gradient's formula takes any
				y, dx, dgamma, dbeta := r.zeros(typ, shape...), r.zeros(typ, shape...), r.zeros(typ, c), r.zeros(typ, c)
				if want[0] == nil {
					xs, gs, ga, be, rs, mu := values(x), values(dy), values(gamma), values(beta), values(rstd), values(at)
					for k, n := range []int{c, c, m * c, m * c, c, c} {
						want[k] = make([]float64, n)
					}
					for e, v := range xs {
						want[0][e%c] += v / float64(m)
					}
					for e, v := range xs {
						j := e % c
						want[1][j] += (v - want[0][j]) * (v - want[0][j]) / float64(m)
						want[2][e] = max((v-mu[j])*rs[j]*ga[j]+be[j], 0)
						want[4][j] += gs[e] * (v - mu[j]) * rs[j]
						want[5][j] += gs[e]
					}
					for e, v := range xs {
						j := e % c
						want[3][e] = ga[j] * rs[j] * (gs[e] - want[5][j]/float64(m) - (v-mu[j])*rs[j]*want[4][j]/float64(m))
					}
				}
				return func() {
					require.True(t, r.d.BatchNormStats(mean, variance, x))
					require.True(t, r.d.BatchNormApply(y, x, at, rstd, gamma, beta, device.Relu))
					require.True(t, r.d.BatchNormGrad(dx, dgamma, dbeta, dy, x, at, rstd, gamma))
				}, []device.View{mean, variance, y, dx, dgamma, dbeta}
			})
			terms := 16 // sums are in float64, so that an f32 result has only its own roundings
			if typ == device.F64 {
				terms = m
			}
			for k := range want {
				near(t, want[k], got[k], tolerance(typ, terms), fmt.Sprint(typ, shape, " output ", k))
			}
		}
	}
}

func TestBatchNormWithoutOptionalParts(t *testing.T) {
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		x, dy := r.normal(device.F64, 6, 3), r.normal(device.F64, 6, 3)
		one, none := r.with(device.F64, func(int) float64 { return 1 }, 3), device.View{}
		zero := r.zeros(device.F64, 3)
		y, y2 := r.zeros(device.F64, 6, 3), r.zeros(device.F64, 6, 3)
		dx, dx2, dbeta := r.zeros(device.F64, 6, 3), r.zeros(device.F64, 6, 3), r.zeros(device.F64, 3)
		return func() {
			require.True(t, r.d.BatchNormApply(y, x, zero, one, one, zero, device.Tanh))
			require.True(t, r.d.BatchNormApply(y2, x, zero, one, none, none, device.Tanh))
			require.True(t, r.d.BatchNormGrad(dx, none, none, dy, x, zero, one, none))
			require.True(t, r.d.BatchNormGrad(dx2, none, dbeta, dy, x, zero, one, one))
		}, []device.View{y, y2, dx, dx2}
	})
	require.Equal(t, got[0], got[1])
	require.Equal(t, got[2], got[3])
	require.NotZero(t, got[3][0])
}

// With an activation batch norm gives the bytes that the activation by itself would.
func TestBatchNormActivations(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, act := range []device.UnOp{device.Relu, device.Sigmoid, device.Tanh, device.Silu, device.Gelu, device.GeluTanh} {
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				x := r.normal(typ, 900, 27).Slice(1, 1, 24, 1)
				mean, rstd, gamma, beta := r.normal(typ, 24), r.normal(typ, 24), r.normal(typ, 24), r.normal(typ, 24)
				y, z, wide := r.zeros(typ, 900, 24), r.zeros(typ, 900, 24), r.zeros(typ, 900, 30).Slice(1, 0, 24, 1)
				dense := r.zeros(typ, 900, 24)
				return func() {
					r.d.Copy(dense, x)
					require.True(t, r.d.BatchNormApply(z, dense, mean, rstd, gamma, beta, device.Identity))
					r.d.Unary(act, z, z, 0, 0)
					require.True(t, r.d.BatchNormApply(y, dense, mean, rstd, gamma, beta, act))
					require.True(t, r.d.BatchNormApply(wide, x, mean, rstd, gamma, beta, act))
				}, []device.View{z, y, wide}
			})
			require.Equal(t, got[0], got[1], "%s %s", typ, act)
			require.Equal(t, got[0], got[2], "%s %s, of strided rows", typ, act)
		}
	}
}

func TestBatchNormVarianceOfAConstantIsZero(t *testing.T) {
	// With eps 1e-12 a rounding error in the variance would blow up the result.
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		x := r.with(device.F32, func(i int) float64 { return 0.1 + float64(i%3)*100 }, 7, 31, 31, 3)
		mean, variance := r.zeros(device.F32, 3), r.zeros(device.F32, 3)
		return func() { require.True(t, r.d.BatchNormStats(mean, variance, x)) }, []device.View{mean, variance}
	})
	for j, v := range got[1] {
		require.Less(t, math.Abs(v), 1e-24, j) // 1e-12 of float64's own rounding, squared
	}
}

// The distances that are summed are from the mean of a block's first rows, which may be far from that of the others.
func TestBatchNormStatsOfUnlikeRows(t *testing.T) {
	const m, c = 5000, 40
	var want [2][c]float64
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		x := r.with(device.F32, func(i int) float64 {
			if i < 40*c {
				return 1000 + r.rnd.NormFloat64()
			}
			return 0.01 * r.rnd.NormFloat64()
		}, m, c)
		want = [2][c]float64{}
		xs := values(x)
		for i, v := range xs {
			want[0][i%c] += v / m
		}
		for i, v := range xs {
			e := v - want[0][i%c]
			want[1][i%c] += e * e / m
		}
		mean, variance := r.zeros(device.F32, c), r.zeros(device.F32, c)
		return func() { require.True(t, r.d.BatchNormStats(mean, variance, x)) }, []device.View{mean, variance}
	})
	near(t, want[0][:], got[0], 1e-6, "mean") // a rounding of each sum of 32 rows, of 1e6 rather than of the variance's 8e3
	near(t, want[1][:], got[1], 1e-5, "variance")
}

// BenchmarkBatchNorm tells GB/s of what has to pass between memory and processor: x for statistics, x and y to apply them,
// twice dy and x and once dx for the gradient.
func BenchmarkBatchNorm(b *testing.B) {
	for _, dims := range [][]int{{256, 31, 31, 64}, {256, 7, 7, 256}, {1024, 16, 16, 3}} {
		r := newRig(b, 1)
		d, c := r.d, dims[3]
		x, y, dx := r.normal(device.F32, dims...), r.normal(device.F32, dims...), r.zeros(device.F32, dims...)
		m, v, g, dg, db := r.zeros(device.F32, c), r.zeros(device.F32, c), r.zeros(device.F32, c), r.zeros(device.F32, c), r.zeros(device.F32, c)
		bytes := float64(x.Bytes())
		b.Run(fmt.Sprint(dims, "stats"), func(b *testing.B) { traffic(b, d, bytes, func() { d.BatchNormStats(m, v, x) }) })
		b.Run(fmt.Sprint(dims, "apply"), func(b *testing.B) {
			traffic(b, d, 2*bytes, func() { d.BatchNormApply(y, x, m, v, g, g, device.Relu) })
		})
		b.Run(fmt.Sprint(dims, "gradsums"), func(b *testing.B) {
			traffic(b, d, 2*bytes, func() { d.BatchNormGrad(device.View{}, dg, db, y, x, m, v, g) })
		})
		b.Run(fmt.Sprint(dims, "grad"), func(b *testing.B) {
			traffic(b, d, 5*bytes, func() { d.BatchNormGrad(dx, dg, db, y, x, m, v, g) })
		})
	}
}
