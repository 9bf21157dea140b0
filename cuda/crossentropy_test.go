//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func TestSoftmaxCrossEntropy(t *testing.T) {
	e := newElements(t)
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, smooth := range []float64{0, 0.2} {
			for _, soft := range []bool{false, true} {
				for i, s := range [][2]int{{1, 1}, {5, 10}, {700, 7}, {40, 32}, {9, 100}, {9, 128}, {4, 1000}, {3, 1001}, {3, 4100}, {2, 2050}} {
					n, k := s[0], s[1]
					x := e.channels(typ, i%2, i%3, func(int) float64 { return 4 * e.rnd.NormFloat64() }, n, k)
					target := e.put(device.I32, 0, func(i int) float64 { return float64(i * 3 % k) }, n)
					if soft {
						target = e.put(typ, 0, func(int) float64 { return e.rnd.Float64() / float64(k) }, n, k)
					}
					loss, alone, dx := e.blank(typ, 0, n), e.blank(typ, 0, n), e.blank(typ, 0, n, k)
					e.everywhere(func() {
						require.True(t, e.gpu.SoftmaxCrossEntropy(loss, dx, x, target, smooth))
						require.True(t, e.gpu.SoftmaxCrossEntropy(alone, device.View{}, x, target, smooth))
					}, loss, dx, alone)
					p, l := softmaxLoops(e.get(x), k)
					ts := e.get(target)
					wantL, wantD := make([]float64, n), make([]float64, n*k)
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
					what := fmt.Sprint(typ, smooth, soft, s)
					units := 24.0 // exp of an argument of some 20 has an error of that many units
					if typ == device.F64 {
						units = 256 // the sums here, of up to 4100 terms one after the other, are no better themselves
					}
					e.near(typ, units, wantL, e.get(loss), what)
					e.near(typ, units, wantD, e.get(dx), what)
					require.Equal(t, e.get(loss), e.get(alone), what)
				}
				e.free()
			}
		}
	}
}

// Where a target is 0, an infinite logit counts nothing.
func TestSoftmaxCrossEntropyOfMaskedLogits(t *testing.T) {
	e := newElements(t)
	for _, k := range []int{4, 2000} {
		x := e.put(device.F32, 0, func(i int) float64 {
			if i%k > 1 {
				return math.Inf(-1)
			}
			return 0
		}, 1, k)
		for _, target := range []device.View{e.put(device.I32, 0, func(int) float64 { return 1 }, 1), e.put(device.F32, 0, func(i int) float64 { return float64(i & 1 >> (i >> 1)) }, 1, k)} {
			loss, dx := e.blank(device.F32, 0, 1), e.blank(device.F32, 0, 1, k)
			require.True(t, e.gpu.SoftmaxCrossEntropy(loss, dx, x, target, 0))
			require.InDelta(t, math.Ln2, e.get(loss)[0], 1e-7)
			want := make([]float64, k)
			want[0], want[1] = 0.5, -0.5
			require.Equal(t, want, e.get(dx))
		}
	}
}

func TestSoftmaxCrossEntropyReportsAWrongClass(t *testing.T) {
	e := newElements(t)
	for _, k := range []int{3, 5000} {
		for _, class := range []float64{-1, float64(k)} {
			x, loss := e.put(device.F32, 0, func(int) float64 { return 0 }, 300, k), e.blank(device.F32, 0, 300)
			target := e.put(device.I32, 0, func(i int) float64 {
				if i == 257 {
					return class
				}
				return 0
			}, 300)
			require.True(t, e.gpu.SoftmaxCrossEntropy(loss, e.blank(device.F32, 0, 300, k), x, target, 0))
			err := e.d.Sync()
			require.ErrorContains(t, err, "SoftmaxCrossEntropy")
			for _, part := range []any{class, 257, fmt.Sprintf("0..%d", k-1)} {
				require.ErrorContains(t, err, fmt.Sprint(part))
			}
			require.NoError(t, e.d.Sync())
			e.free()
		}
	}
}

func TestSoftmaxCrossEntropyDeclines(t *testing.T) {
	e := newElements(t)
	x, loss, class := e.blank(device.F32, 0, 3, 4), e.blank(device.F32, 0, 3), e.put(device.I32, 0, func(int) float64 { return 0 }, 3)
	require.False(t, e.gpu.SoftmaxCrossEntropy(e.blank(device.F64, 0, 3), device.View{}, x, class, 0))
	require.False(t, e.gpu.SoftmaxCrossEntropy(loss, e.blank(device.F32, 0, 4, 3), x, class, 0))
	require.False(t, e.gpu.SoftmaxCrossEntropy(loss, device.View{}, x, e.blank(device.F16, 0, 3, 4), 0))
	require.False(t, e.gpu.SoftmaxCrossEntropy(loss, device.View{}, e.blank(device.F16, 0, 3, 4), class, 0))
	require.False(t, e.gpu.SoftmaxCrossEntropy(loss, device.View{}, e.blank(device.F32, 0, 4, 3).T(), class, 0))
}
