package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// softmaxLoops gives softmax and log-softmax of rows of k.
func softmaxLoops(x []float64, k int) (p, l []float64) {
	p, l = make([]float64, len(x)), make([]float64, len(x))
	for i := 0; i < len(x); i += k {
		top, sum := math.Inf(-1), 0.0
		for _, v := range x[i : i+k] {
			top = max(top, v)
		}
		for _, v := range x[i : i+k] {
			sum += math.Exp(v - top)
		}
		for j, v := range x[i : i+k] {
			p[i+j], l[i+j] = math.Exp(v-top)/sum, v-top-math.Log(sum)
		}
	}
	return p, l
}

func TestSoftmax(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, shape := range [][]int{{1, 1}, {3, 10}, {2, 3, 5}, {1000, 17}, {2, 4099}} {
			k := shape[len(shape)-1]
			var want [4][]float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				x := r.with(typ, func(int) float64 { return 5 * r.rnd.NormFloat64() }, shape...)
				if len(shape) == 3 {
					x = r.normal(typ, 2, 3, 7).Slice(2, 1, 5, 1)
				}
				dy := r.normal(typ, shape...)
				y, l, dx, dl := r.zeros(typ, shape...), r.zeros(typ, shape...), r.zeros(typ, shape...), r.zeros(typ, shape...)
				if want[0] == nil {
					want[0], want[1] = softmaxLoops(values(x), k)
					gs := values(dy)
					want[2], want[3] = make([]float64, len(gs)), make([]float64, len(gs))
					for i := 0; i < len(gs); i += k {
						var s, u float64
						for j := i; j < i+k; j++ {
							s += gs[j]
							u += gs[j] * want[0][j]
						}
						for j := i; j < i+k; j++ {
							want[2][j] = want[0][j] * (gs[j] - u)
							want[3][j] = gs[j] - want[0][j]*s
						}
					}
				}
				return func() {
					require.True(t, r.d.Softmax(y, x))
					require.True(t, r.d.LogSoftmax(l, x))
					require.True(t, r.d.SoftmaxGrad(dx, dy, y))
					require.True(t, r.d.LogSoftmaxGrad(dl, dy, l))
				}, []device.View{y, l, dx, dl}
			})
			for i := range want {
				// exp of an argument down to -40 magnifies its rounding; sums of up to 4099 terms
				near(t, want[i], got[i], 8*tolerance(typ, 64), fmt.Sprint(typ, shape, " output ", i))
			}
		}
	}
}

func TestSoftmaxOfMaskedRows(t *testing.T) {
	inf := math.Inf(1)
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		x := r.with(device.F32, func(i int) float64 { return []float64{-inf, -inf, -inf, 0, -inf, 0, math.NaN(), 1, 2}[i] }, 3, 3)
		y, l := r.zeros(device.F32, 3, 3), r.zeros(device.F32, 3, 3)
		return func() {
			require.True(t, r.d.Softmax(y, x))
			require.True(t, r.d.LogSoftmax(l, x))
		}, []device.View{y, l}
	})
	require.Equal(t, []float64{0, 0, 0, 0.5, 0, 0.5}, got[0][:6])
	require.Equal(t, []float64{-inf, -inf, -inf, float64(float32(-math.Ln2)), -inf, float64(float32(-math.Ln2))}, got[1][:6])
	for i := 6; i < 9; i++ {
		require.True(t, math.IsNaN(got[0][i]) && math.IsNaN(got[1][i]))
	}
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, smooth := range []float64{0, 0.2} {
			for _, soft := range []bool{false, true} {
				for _, s := range [][2]int{{1, 1}, {5, 10}, {700, 7}} {
					n, k := s[0], s[1]
					var wantL, wantD []float64
					got := everywhere(t, func(r *rig) (func(), []device.View) {
						x := r.with(typ, func(int) float64 { return 4 * r.rnd.NormFloat64() }, n, k)
						target := r.with(device.I32, func(i int) float64 { return float64(i * 3 % k) }, n)
						if soft {
							target = r.with(typ, func(int) float64 { return r.rnd.Float64() }, n, k)
						}
						loss, loss2, dx := r.zeros(typ, n), r.zeros(typ, n), r.zeros(typ, n, k)
						if wantL == nil {
							p, l := softmaxLoops(values(x), k)
							ts := values(target)
							wantL, wantD = make([]float64, n), make([]float64, n*k)
							for i := range n {
								var sum float64
								aim := make([]float64, k)
								for j := range k {
									if soft {
										aim[j] = ts[i*k+j]
									} else if int(ts[i]) == j {
										aim[j] = 1
									}
									aim[j] = (1-smooth)*aim[j] + smooth/float64(k)
									sum += aim[j]
									wantL[i] -= aim[j] * l[i*k+j]
								}
								for j := range k {
									wantD[i*k+j] = p[i*k+j]*sum - aim[j]
								}
							}
						}
						return func() {
							require.True(t, r.d.SoftmaxCrossEntropy(loss, dx, x, target, smooth))
							require.True(t, r.d.SoftmaxCrossEntropy(loss2, device.View{}, x, target, smooth))
						}, []device.View{loss, dx, loss2}
					})
					what := fmt.Sprint(typ, smooth, soft, s)
					near(t, wantL, got[0], tolerance(typ, 32), what) // some 10 terms, from logits up to 16
					near(t, wantD, got[1], tolerance(typ, 64), what)
					require.Equal(t, got[0], got[2], what)
				}
			}
		}
	}
}

func TestSoftmaxCrossEntropyReportsAWrongClass(t *testing.T) {
	r := newRig(t, 2)
	d := r.d
	for _, class := range []float64{-1, 3} {
		x, loss := r.zeros(device.F32, 2, 3), r.zeros(device.F32, 2)
		target := r.with(device.I32, func(i int) float64 { return class * float64(i) }, 2)
		require.True(t, d.SoftmaxCrossEntropy(loss, r.zeros(device.F32, 2, 3), x, target, 0))
		require.ErrorContains(t, d.Sync(), fmt.Sprintf("class %v of row 1 is not in 0..2", class))
		require.NoError(t, d.Sync())
	}
}
