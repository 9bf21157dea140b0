//go:build cuda

package cuda

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

func poolOf(k, s, pad, dil int32, ceil bool) device.Pool2D {
	return device.Pool2D{KernelH: k, KernelW: k, StrideH: s, StrideW: s, PadH: pad, PadW: pad, DilH: dil, DilW: dil, Ceil: ceil}
}

var poolCases = []poolCase{
	{1, 1, 1, 1, poolOf(1, 1, 0, 1, false)},
	{2, 4, 6, 3, poolOf(2, 2, 0, 1, false)},
	{3, 14, 14, 6, poolOf(2, 2, 0, 1, false)},
	{2, 7, 9, 16, poolOf(2, 2, 0, 1, false)},
	{2, 7, 9, 8, poolOf(2, 2, 0, 1, true)},
	{2, 7, 5, 24, poolOf(3, 2, 1, 1, true)},
	{2, 5, 7, 2, poolOf(2, 2, 0, 1, true)},
	{1, 8, 9, 5, poolOf(3, 1, 1, 2, false)},
	{2, 9, 8, 8, poolOf(3, 1, 1, 1, false)},
	{2, 6, 7, 1, device.Pool2D{KernelH: 3, KernelW: 2, StrideH: 1, StrideW: 3, PadH: 1, PadW: 0, DilH: 1, DilW: 2}},
	{2, 6, 8, 8, device.Pool2D{KernelH: 3, KernelW: 4, StrideH: 3, StrideW: 4, DilH: 1, DilW: 1}},
	{2, 8, 8, 16, poolOf(8, 8, 0, 1, false)},
	{2, 3, 3, 8, poolOf(2, 2, 3, 1, false)}, // windows wholly in the padding
	{1, 5, 5, 8, poolOf(2, 3, 0, 3, true)},
}

// taps calls visit with the places in y and x of each tap inside the image, and with its h*W+w.
func (c poolCase) taps(visit func(y, x, place int)) {
	oh, ow := c.p.Out(c.h, c.w)
	for o := range c.n * oh * ow {
		n, i, j := o/(oh*ow), o/ow%oh, o%ow
		for k := range int(c.p.KernelH * c.p.KernelW) {
			a, b := k/int(c.p.KernelW), k%int(c.p.KernelW)
			h, w := i*int(c.p.StrideH)-int(c.p.PadH)+a*int(c.p.DilH), j*int(c.p.StrideW)-int(c.p.PadW)+b*int(c.p.DilW)
			if h < 0 || w < 0 || h >= c.h || w >= c.w {
				continue
			}
			for l := range c.c {
				visit(o*c.c+l, ((n*c.h+h)*c.w+w)*c.c+l, h*c.w+w)
			}
		}
	}
}

// counts is the number of taps of each window that counts, with padding or without.
func (c poolCase) counts(countPad bool) []float64 {
	oh, ow := c.p.Out(c.h, c.w)
	out := make([]float64, c.n*oh*ow*c.c)
	ph, pw := 0, 0
	if countPad {
		ph, pw = int(c.p.PadH), int(c.p.PadW)
	}
	for e := range out {
		i, j := e/c.c/ow%oh, e/c.c%ow
		for k := range int(c.p.KernelH * c.p.KernelW) {
			h := i*int(c.p.StrideH) - int(c.p.PadH) + k/int(c.p.KernelW)*int(c.p.DilH)
			w := j*int(c.p.StrideW) - int(c.p.PadW) + k%int(c.p.KernelW)*int(c.p.DilW)
			if h >= -ph && w >= -pw && h < c.h+ph && w < c.w+pw {
				out[e]++
			}
		}
	}
	return out
}

// views are x and dx, y and dy, and idx: without gaps, or with some between channels and between columns.
func (c poolCase) views(e *elements, typ device.DType, off, gap int) (x, dx, y, dy, idx device.View) {
	oh, ow := c.p.Out(c.h, c.w)
	normal := func(int) float64 { return e.rnd.NormFloat64() }
	// few values, so that there are equals
	few := func(int) float64 { return float64(e.rnd.IntN(5)) }
	x, dx = e.channels(typ, off, gap, few, c.n, c.h, c.w, c.c), e.channels(typ, off, gap, normal, c.n, c.h, c.w, c.c)
	y, dy = e.blank(typ, off, c.n, oh, ow+1, c.c).Slice(2, 0, ow, 1), e.channels(typ, off, gap, normal, c.n, oh, ow, c.c)
	return x, dx, y, dy, e.blank(device.I32, off, c.n, oh, ow, c.c)
}

func TestMaxPool2D(t *testing.T) {
	e := newElements(t)
	for _, typ := range floatTypes {
		for _, c := range poolCases {
			for _, lie := range [][2]int{{0, 0}, {1, 2}, {0, 8}} {
				x, dx, y, dy, idx := c.views(e, typ, lie[0], lie[1])
				y2 := e.blank(typ, 0, y.Shape()...)
				xs, gs := e.get(x), e.get(dy)
				want, places, wantDX := make([]float64, y.Len()), make([]float64, y.Len()), make([]float64, x.Len())
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
				e.everywhere(func() {
					require.True(t, e.gpu.MaxPool2D(y, idx, x, c.p))
					require.True(t, e.gpu.MaxPool2D(y2, device.View{}, x, c.p))
					require.True(t, e.gpu.MaxPool2DGrad(dx, dy, idx, c.p))
				}, y, idx, y2, dx)
				what := fmt.Sprint(typ, c, lie)
				require.Equal(t, want, e.get(y), what)
				require.Equal(t, places, e.get(idx), what)
				require.Equal(t, want, e.get(y2), what)
				e.near(typ, 8, wantDX, e.get(dx), what) // up to 9 windows meet in a pixel, with sums of about 4 on the way
			}
			e.free()
		}
	}
}

func TestMaxPool2DTiesAndNaN(t *testing.T) {
	e := newElements(t)
	inf := math.Inf(-1)
	for _, c := range []int{1, 8} { // single channels and packs of them
		for _, p := range []device.Pool2D{poolOf(2, 2, 0, 1, false), {KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1, Ceil: true}} {
			px := []float64{1, 1, math.NaN(), 5, inf, inf, 1, 1, 9, math.NaN(), inf, inf}
			x := e.put(device.F16, 0, func(i int) float64 { return px[i/c] }, 1, 2, 6, c)
			y, idx := e.blank(device.F16, 0, 1, 1, 3, c), e.blank(device.I32, 0, 1, 1, 3, c)
			require.True(t, e.gpu.MaxPool2D(y, idx, x, p))
			got, at := e.get(y), e.get(idx)
			require.Equal(t, 1.0, got[0])
			require.True(t, math.IsNaN(got[c]))
			require.Equal(t, inf, got[2*c])
			require.Equal(t, []float64{0, 2, 4}, []float64{at[0], at[c], at[2*c]}, "the first of equals, the first NaN")
		}
	}
}

func TestAvgPool2D(t *testing.T) {
	e := newElements(t)
	for _, typ := range floatTypes {
		for _, c := range poolCases {
			for _, countPad := range []bool{false, true} {
				for _, lie := range [][2]int{{0, 0}, {1, 2}} {
					x, dx, y, dy, _ := c.views(e, typ, lie[0], lie[1])
					xs, gs, count := e.get(x), e.get(dy), c.counts(countPad)
					want, wantDX := make([]float64, y.Len()), make([]float64, x.Len())
					c.taps(func(y, x, _ int) {
						want[y] += xs[x] / count[y]
						wantDX[x] += gs[y] / count[y]
					})
					e.everywhere(func() {
						require.True(t, e.gpu.AvgPool2D(y, x, c.p, countPad))
						require.True(t, e.gpu.AvgPool2DGrad(dx, dy, c.p, countPad))
					}, y, dx)
					e.near(typ, 4, want, e.get(y), fmt.Sprint(typ, c, countPad, lie)) // up to 64 terms, the share's rounding
					e.near(typ, 4, wantDX, e.get(dx), fmt.Sprint(typ, c, countPad, lie))
				}
			}
			e.free()
		}
	}
}

// The kernels divide by products: many windows, none of whose extents is a power of two.
func TestDivider(t *testing.T) {
	for _, d := range []uint32{1, 2, 3, 5, 7, 10, 641, 1 << 16, 1<<16 + 1, 1 << 30, 1<<31 - 1} {
		v := newDivider(int(d))
		for _, n := range []uint32{0, 1, d - 1, d, d + 1, 2*d - 1, 2 * d, 1<<31 - 1, (1<<31 - 1) / d * d, 123456789} {
			if n >= 1<<31 {
				continue
			}
			q := n
			if v.by != 1 {
				q = uint32(uint64(n)*uint64(v.factor)>>32) >> v.shift
			}
			require.Equal(t, n/d, q, "%d / %d", n, d)
		}
	}
}

func TestPool2DDeclines(t *testing.T) {
	e := newElements(t)
	x, y := e.blank(device.F32, 0, 1, 4, 4, 4), e.blank(device.F32, 0, 1, 2, 2, 4)
	p, none := poolOf(2, 2, 0, 1, false), device.View{}
	require.True(t, e.gpu.MaxPool2D(y, none, x, p))
	require.False(t, e.gpu.MaxPool2D(y, none, x.Permute(0, 3, 1, 2), p), "channels are not adjacent")
	require.False(t, e.gpu.MaxPool2D(e.blank(device.F16, 0, 1, 2, 2, 4), none, x, p))
	require.False(t, e.gpu.MaxPool2D(y, y, x, p), "places are whole numbers")
	require.False(t, e.gpu.MaxPool2DGrad(x, y, none, p))
	require.False(t, e.gpu.AvgPool2D(y, x.Flip(1), p, true))
	require.False(t, e.gpu.AvgPool2D(e.blank(device.F32, 0, 1, 3, 2, 4), x, p, true))
	require.False(t, e.gpu.AvgPool2DGrad(e.blank(device.I32, 0, 1, 4, 4, 4), e.blank(device.I32, 0, 1, 2, 2, 4), p, true))
}
