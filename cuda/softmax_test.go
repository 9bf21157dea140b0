//go:build cuda

package cuda

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
	e := newElements(t)
	for _, typ := range elementTypes {
		for i, s := range [][]int{{1, 1}, {600, 3}, {3, 10}, {2, 3, 8}, {70, 17}, {33, 48}, {5, 100}, {9, 250}, {9, 256}, {3, 600}, {5, 1000}, {3, 1024}, {3, 1025}, {2, 4099}, {2, 5000}} {
			k := s[len(s)-1]
			off, gap := i%2, i%3 // rows at odd places, and with gaps between them
			x := e.channels(typ, off, gap, func(int) float64 { return 4 * e.rnd.NormFloat64() }, s...)
			dy := e.channels(typ, 0, 8, func(int) float64 { return e.rnd.NormFloat64() }, s...)
			y, l, dx, dl := e.blank(typ, 0, s...), e.blank(typ, off, s...), e.blank(typ, 0, s...), e.blank(typ, 0, s...)
			e.everywhere(func() {
				require.True(t, e.gpu.Softmax(y, x))
				require.True(t, e.gpu.LogSoftmax(l, x))
				require.True(t, e.gpu.SoftmaxGrad(dx, dy, y))
				require.True(t, e.gpu.LogSoftmaxGrad(dl, dy, l))
			}, y, l, dx, dl)
			p, logs := softmaxLoops(e.get(x), k)
			ys, ls, gs := e.get(y), e.get(l), e.get(dy) // gradients are those of the rounded y
			wantX, wantL := make([]float64, len(gs)), make([]float64, len(gs))
			for i := 0; i < len(gs); i += k {
				var sum, dot float64
				for j := i; j < i+k; j++ {
					sum += gs[j]
					dot += gs[j] * ys[j]
				}
				for j := i; j < i+k; j++ {
					wantX[j], wantL[j] = ys[j]*(gs[j]-dot), gs[j]-math.Exp(ls[j])*sum
				}
			}
			what := fmt.Sprint(typ, s)
			units := 24.0 // exp of an argument of some 20 has an error of that many units
			if typ == device.F64 {
				units = 256 // the sums here, of up to 5000 terms one after the other, are no better themselves
			}
			for _, c := range []struct {
				name      string
				want, got []float64
			}{{"softmax", p, e.get(y)}, {"log", logs, e.get(l)}, {"softmax gradient", wantX, e.get(dx)}, {"log gradient", wantL, e.get(dl)}} {
				u := 1.0 // of f16 and bf16: one rounding, a half, and what f32 lost before
				if typ == device.F32 || typ == device.F64 {
					u = units
				}
				e.near(typ, u, c.want, c.got, what+" "+c.name)
			}
		}
		e.free()
	}
}

func TestSoftmaxOfMaskedRows(t *testing.T) {
	e := newElements(t)
	inf := math.Inf(1)
	for _, k := range []int{3, 40, 64, 300, 1024, 3000, 4096} {
		x := e.put(device.F32, 0, func(i int) float64 {
			switch i / k {
			case 0:
				return -inf
			case 1:
				if i%k == k-1 || i%k == 0 {
					return 5
				}
				return -inf
			case 2:
				if i%k == 1 {
					return math.NaN()
				}
			}
			return 1
		}, 4, k)
		y, l := e.blank(device.F32, 0, 4, k), e.blank(device.F32, 0, 4, k)
		require.True(t, e.gpu.Softmax(y, x))
		require.True(t, e.gpu.LogSoftmax(l, x))
		ys, ls := e.get(y), e.get(l)
		for j := range k {
			require.Zero(t, ys[j])
			require.Equal(t, -inf, ls[j])
			if j == 0 || j == k-1 {
				require.Equal(t, 0.5, ys[k+j])
				require.InDelta(t, -math.Ln2, ls[k+j], 1e-7)
			} else {
				require.Zero(t, ys[k+j])
				require.Equal(t, -inf, ls[k+j])
			}
			require.True(t, math.IsNaN(ys[2*k+j]) && math.IsNaN(ls[2*k+j]))
			require.InEpsilon(t, 1/float64(k), ys[3*k+j], 1e-6) // a sum, a division
		}
		e.free()
	}
}

func TestSoftmaxInPlaceAndDeclines(t *testing.T) {
	e := newElements(t)
	x := e.normal(device.F32, 0, 3, 2000)
	want, _ := softmaxLoops(e.get(x), 2000)
	require.True(t, e.gpu.Softmax(x, x))
	e.near(device.F32, 8, want, e.get(x), "in place")
	a, b := e.normal(device.F32, 0, 4, 4), e.normal(device.F16, 0, 4, 4)
	require.False(t, e.gpu.Softmax(a, b))
	require.False(t, e.gpu.Softmax(a, a.T()))
	require.False(t, e.gpu.SoftmaxGrad(a, a, b))
	require.False(t, e.gpu.Softmax(a, e.normal(device.F32, 0, 4, 5).Slice(1, 0, 2, 1)))
}
