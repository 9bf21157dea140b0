package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

type poolCase struct {
	n, h, w, c int
	p          device.Pool2D
}

func pool2DOf(k, s, pad, dil int32, ceil bool) device.Pool2D {
	return device.Pool2D{KernelH: k, KernelW: k, StrideH: s, StrideW: s, PadH: pad, PadW: pad, DilH: dil, DilW: dil, Ceil: ceil}
}

var poolCases = []poolCase{
	{1, 1, 1, 1, pool2DOf(1, 1, 0, 1, false)},
	{2, 4, 6, 3, pool2DOf(2, 2, 0, 1, false)},
	{3, 28, 28, 6, pool2DOf(2, 2, 0, 1, false)},
	{2, 7, 5, 4, pool2DOf(3, 2, 1, 1, true)},
	{2, 5, 7, 2, pool2DOf(2, 2, 0, 1, true)},
	{1, 8, 9, 5, pool2DOf(3, 1, 1, 2, false)},
	{2, 6, 7, 1, device.Pool2D{KernelH: 3, KernelW: 2, StrideH: 1, StrideW: 3, PadH: 1, PadW: 0, DilH: 1, DilW: 2}},
	{2, 8, 8, 16, pool2DOf(8, 8, 0, 1, false)},
	// rows of windows wholly in the padding above and below
	{1, 2, 8, 1, device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 1, PadH: 1, PadW: 0, DilH: 3, DilW: 1}},
	{2, 3, 9, 17, device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 1, PadH: 4, PadW: 1, DilH: 1, DilW: 1}},
}

// taps calls visit with the places in y and x of each tap inside the image, and with its h*W+w.
func (c poolCase) taps(visit func(y, x, place int)) {
	oh, ow := c.p.Out(c.h, c.w)
	for n := range c.n {
		for i := range oh {
			for j := range ow {
				for a := range int(c.p.KernelH) {
					for b := range int(c.p.KernelW) {
						h, w := i*int(c.p.StrideH)-int(c.p.PadH)+a*int(c.p.DilH), j*int(c.p.StrideW)-int(c.p.PadW)+b*int(c.p.DilW)
						if h < 0 || w < 0 || h >= c.h || w >= c.w {
							continue
						}
						for l := range c.c {
							visit(((n*oh+i)*ow+j)*c.c+l, ((n*c.h+h)*c.w+w)*c.c+l, h*c.w+w)
						}
					}
				}
			}
		}
	}
}

func (c poolCase) views(r *rig, typ device.DType, spread bool) (x, y, idx device.View) {
	oh, ow := c.p.Out(c.h, c.w)
	if spread {
		return r.normal(typ, c.n, c.h, c.w, c.c+2).Slice(3, 1, c.c, 1), r.normal(typ, c.n, oh, ow+1, c.c).Slice(2, 0, ow, 1), r.zeros(device.I32, c.n, oh, ow, c.c)
	}
	return r.normal(typ, c.n, c.h, c.w, c.c), r.normal(typ, c.n, oh, ow, c.c), r.zeros(device.I32, c.n, oh, ow, c.c)
}

func TestMaxPool2D(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, c := range poolCases {
			var want, places, wantDX []float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				x, y, idx := c.views(r, typ, i%2 == 1)
				_, y2, _ := c.views(r, typ, false)
				dy, dx := r.normal(typ, y.Shape()...), r.normal(typ, x.Shape()...)
				if want == nil {
					xs, gs := values(x), values(dy)
					want, places, wantDX = make([]float64, y.Len()), make([]float64, y.Len()), make([]float64, x.Len())
					winner := make([]int, y.Len())
					for i := range want {
						want[i], places[i], winner[i] = math.Inf(-1), -1, -1
					}
					c.taps(func(y, x, place int) {
						if xs[x] > want[y] {
							want[y], places[y], winner[y] = xs[x], float64(place), x
						}
					})
					for i, x := range winner {
						if x >= 0 {
							wantDX[x] += gs[i]
						}
					}
				}
				return func() {
					require.True(t, r.d.MaxPool2D(y, idx, x, c.p))
					require.True(t, r.d.MaxPool2D(y2, device.View{}, x, c.p))
					require.True(t, r.d.MaxPool2DGrad(dx, dy, idx, c.p))
				}, []device.View{y, idx, dx, y2}
			})
			what := fmt.Sprint(typ, c)
			require.Equal(t, want, got[0], what)
			require.Equal(t, places, got[1], what)
			require.Equal(t, want, got[3], what)
			near(t, wantDX, got[2], tolerance(typ, 9), what) // at most 9 windows meet in a pixel
		}
	}
}

func TestMaxPool2DTiesAndNaN(t *testing.T) {
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		nan := math.NaN()
		x := r.with(device.F32, func(i int) float64 {
			return []float64{1, 1, nan, 5, 1, 1, 9, nan}[i]
		}, 1, 2, 4, 1)
		y, idx := r.zeros(device.F32, 1, 1, 2, 1), r.zeros(device.I32, 1, 1, 2, 1)
		return func() { require.True(t, r.d.MaxPool2D(y, idx, x, pool2DOf(2, 2, 0, 1, false))) }, []device.View{y, idx}
	})
	require.Equal(t, 1.0, got[0][0])
	require.True(t, math.IsNaN(got[0][1]))
	require.Equal(t, []float64{0, 2}, got[1], "the first of equals, the first NaN")
}

func TestAvgPool2D(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, c := range poolCases {
			for _, countPad := range []bool{false, true} {
				var want, wantDX []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					x, y, _ := c.views(r, typ, i%2 == 1)
					dy, dx := r.normal(typ, y.Shape()...), r.normal(typ, x.Shape()...)
					if want == nil {
						xs, gs := values(x), values(dy)
						want, wantDX = make([]float64, y.Len()), make([]float64, x.Len())
						count := make([]float64, y.Len())
						c.taps(func(y, x, _ int) { want[y] += xs[x]; count[y]++ })
						if countPad { // the taps inside the padded image
							padded := c
							padded.p.PadH, padded.p.PadW = 0, 0
							clear(count)
							padded.h, padded.w = c.h+2*int(c.p.PadH), c.w+2*int(c.p.PadW)
							oh, ow := padded.p.Out(padded.h, padded.w)
							require.Len(t, count, oh*ow*c.n*c.c, "ceil mode drops a window by the image without padding: not a case for this test")
							padded.taps(func(y, _, _ int) { count[y]++ })
						}
						for i := range want {
							want[i] /= max(count[i], 1)
						}
						c.taps(func(y, x, _ int) { wantDX[x] += gs[y] / count[y] })
					}
					return func() {
						require.True(t, r.d.AvgPool2D(y, x, c.p, countPad))
						require.True(t, r.d.AvgPool2DGrad(dx, dy, c.p, countPad))
					}, []device.View{y, dx}
				})
				near(t, want, got[0], tolerance(typ, 64), fmt.Sprint(typ, c, countPad))
				near(t, wantDX, got[1], tolerance(typ, 9), fmt.Sprint(typ, c, countPad))
			}
		}
	}
}

// BenchmarkPool2D tells GB/s of what has to pass between memory and processor.
func BenchmarkPool2D(b *testing.B) {
	for _, c := range []poolCase{{256, 31, 31, 64, pool2DOf(2, 2, 0, 1, false)}, {256, 32, 32, 64, pool2DOf(3, 2, 1, 1, false)}, {64, 28, 28, 6, pool2DOf(2, 2, 0, 1, false)}, {128, 8, 8, 512, pool2DOf(8, 8, 0, 1, false)}} {
		r := newRig(b, 1)
		d := r.d
		x, y, idx := c.views(r, device.F32, false)
		what, bytes, small := fmt.Sprint(c.h, c.c, c.p.KernelH), float64(x.Bytes()), float64(y.Bytes())
		b.Run(what+"max", func(b *testing.B) {
			traffic(b, d, bytes+2*small, func() { d.MaxPool2D(y, idx, x, c.p) })
		})
		b.Run(what+"maxgrad", func(b *testing.B) {
			traffic(b, d, bytes+2*small, func() { d.MaxPool2DGrad(x, y, idx, c.p) })
		})
		b.Run(what+"avg", func(b *testing.B) { traffic(b, d, bytes+small, func() { d.AvgPool2D(y, x, c.p, true) }) })
		b.Run(what+"avggrad", func(b *testing.B) {
			traffic(b, d, bytes+small, func() { d.AvgPool2DGrad(x, y, c.p, true) })
		})
	}
}
