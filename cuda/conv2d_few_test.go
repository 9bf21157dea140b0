//go:build cuda

package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// First layers: one channel and three, strides, dilation, padding wider than the kernel, gaps between pixels, every number of
// channels a thread can write, both activations, with and without bias and statistics.
func TestConv2DFew(t *testing.T) {
	e := newElements(t)
	for i, c := range []convCase{
		{5, 8, 8, 3, 24, 2, 2, conv2DOf(1, 0, 1, 1)},
		{3, 9, 7, 3, 64, 3, 3, conv2DOf(2, 1, 1, 1)},
		{2, 12, 13, 1, 8, 5, 5, conv2DOf(1, 2, 1, 1)},
		{2, 10, 9, 2, 40, 3, 2, device.Conv2D{StrideH: 1, StrideW: 3, PadH: 4, PadW: 0, DilH: 2, DilW: 1, Groups: 1}},
		{1, 1, 1, 4, 96, 1, 1, conv2DOf(1, 0, 1, 1)},
	} {
		for _, typ := range []device.DType{device.F16, device.BF16} {
			o := c.operands(e, typ, i%2)
			o.y = e.blank(typ, 8, o.y.Shape()...)
			y := newSums(o.y.Len())
			c.convLoops(func(iy, ix, iw int) { y.add(iy, o.xs[ix], o.ws[iw]) })
			mean, variance := e.blank(device.F32, 1, c.o), e.blank(device.F32, 2, c.o)
			for j, act := range convActs[:2] {
				bias, b := device.View{}, make([]float64, c.o)
				if j > 0 {
					bias = e.normal(typ, 1, c.o)
					b = e.get(bias)
				}
				p, ok := planConv2DPool(o.y, none, mean, variance, o.x, o.w, bias, c.p, act.op, device.Pool2D{}, e.gpu.abilities())
				require.True(t, ok)
				p.splits, p.path = 1, convTensor // how small cases are summed is a question of speed
				p.takeFew(o.y, act.op)
				require.Equal(t, convFew, p.path)
				e.d.Fill(o.y, 55)
				e.gpu.convolve(p, conv2DOperands{y: o.y, x: o.x, w: o.w, b: bias, mean: mean, variance: variance, act: act.op})
				what := fmt.Sprint(typ, c, act.op)
				y.applied(b, act.f).near(t, typ, c.kh*c.kw*c.c, 0, e.get(o.y), what)
				e.nearStats(mean, variance, e.get(o.y), what)
			}
			e.free()
		}
	}
}
