//go:build cuda

package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Every tile of every kernel, and sums in one part and in several, on one shape with edges in all directions: which of
// them serves a shape is a question of speed.
func TestConv2DTiles(t *testing.T) {
	e := newElements(t)
	for _, c := range []convCase{
		{2, 9, 10, 24, 136, 3, 2, device.Conv2D{StrideH: 2, StrideW: 1, PadH: 1, PadW: 2, DilH: 1, DilW: 2, Groups: 1}},
		{3, 8, 8, 72, 40, 2, 2, conv2DOf(1, 1, 1, 1)},
	} {
		for _, f := range convForms {
			e.gpu.TF32(f.tf32)
			o := c.operands(e, f.typ, 0)
			y, dx, dw := newSums(len(o.ys)), newSums(len(o.xs)), newSums(len(o.ws))
			c.convLoops(func(iy, ix, iw int) {
				y.add(iy, o.xs[ix], o.ws[iw])
				dx.add(ix, o.ys[iy], o.ws[iw])
				dw.add(iw, o.xs[ix], o.ys[iy])
			})
			none := device.View{}
			zy, zx, zw := e.blank(f.typ, 8, o.y.Shape()...), e.blank(f.typ, 8, o.x.Shape()...), e.blank(f.typ, 8, o.w.Shape()...)
			for pass, q := range []struct {
				plan func() (conv2DPlan, bool)
				run  func(p conv2DPlan)
				to   device.View
				sum  sums
				n    int
			}{
				{func() (conv2DPlan, bool) {
					return planConv2D(zy, o.x, o.w, none, c.p, device.Identity, e.gpu.abilities())
				},
					func(p conv2DPlan) { e.gpu.convolve(p, conv2DOperands{y: zy, x: o.x, w: o.w}) }, zy, y, len(o.ws) / c.o},
				{func() (conv2DPlan, bool) { return planConv2DGradInput(zx, o.y, o.w, c.p, e.gpu.abilities()) },
					func(p conv2DPlan) { e.gpu.convolve(p, conv2DOperands{y: zx, x: o.y, w: o.w}) }, zx, dx, c.kh * c.kw * c.o},
				{func() (conv2DPlan, bool) { return planConv2DGradWeight(zw, o.x, o.y, c.p, e.gpu.abilities()) },
					func(p conv2DPlan) { e.gpu.convolve(p, conv2DOperands{y: zw, x: o.x, w: o.y}) }, zw, dw, len(o.ys) / c.o},
			} {
				p, ok := q.plan()
				require.True(t, ok)
				require.True(t, p.whole)
				kernels := kConv2DPlain[pass]
				if p.path != convPlain {
					p.path = convTensor
					kernels = kConv2DTensor[f.typ][pass]
				}
				for _, whole := range []bool{true, false} {
					tiles := kernels.single
					if whole {
						tiles = kernels.whole
					}
					for tile := range tiles {
						for _, splits := range []int{1, 3} {
							p.whole, p.tileM, p.tileN, p.splits = whole, tile[0], tile[1], splits
							q.run(p)
							q.sum.near(t, f.typ, q.n, f.rounded(), e.get(q.to), fmt.Sprint(f, conv2DNames[pass], tile, whole, splits))
						}
					}
				}
			}
			e.free()
		}
	}
}

// Pixels staged once for all taps, weights in a ring or resident: channels in one slice of 1 to 4 chunks and in several, images that are smaller than a
// tile and larger, padding wider than the kernel, dilation, groups.
func TestConv2DStaged(t *testing.T) {
	e := newElements(t)
	for _, c := range []convCase{
		{7, 5, 6, 8, 40, 3, 3, conv2DOf(1, 1, 1, 1)},
		{2, 13, 14, 16, 24, 3, 3, conv2DOf(1, 0, 1, 1)},
		{1, 31, 31, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{3, 9, 7, 32, 8, 2, 2, conv2DOf(1, 0, 1, 1)},
		{3, 15, 15, 64, 72, 3, 3, conv2DOf(1, 1, 1, 1)},
		{9, 4, 4, 32, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{4, 7, 7, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{20, 1, 1, 8, 32, 3, 3, conv2DOf(1, 1, 1, 1)},
		{2, 8, 9, 96, 32, 5, 1, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 4, PadW: 0, DilH: 2, DilW: 1, Groups: 1}},
		{2, 6, 20, 48, 80, 2, 3, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 3, PadW: 2, DilH: 2, DilW: 1, Groups: 2}},
	} {
		for _, typ := range []device.DType{device.F16, device.BF16} {
			o := c.operands(e, typ, 2)
			y, dx := newSums(len(o.ys)), newSums(len(o.xs))
			c.convLoops(func(iy, ix, iw int) {
				y.add(iy, o.xs[ix], o.ws[iw])
				dx.add(ix, o.ys[iy], o.ws[iw])
			})
			bias := e.normal(typ, 1, c.o)
			zy, zx := e.blank(typ, 8, o.y.Shape()...), e.blank(typ, 8, o.x.Shape()...)
			p, ok := planConv2D(zy, o.x, o.w, bias, c.p, device.Relu, e.gpu.abilities())
			require.True(t, ok && p.whole)
			q, ok := planConv2DGradInput(zx, o.y, o.w, c.p, e.gpu.abilities())
			require.True(t, ok && q.whole)
			served := 0
			for _, way := range []struct{ tileN, each int }{{128, 1}, {64, 1}, {32, 1}, {64, 2}, {32, 3}} {
				for _, r := range []*conv2DPlan{&p, &q} {
					r.path, r.splits, r.tileM, r.tileN, r.each = convTensor, 1, 128, way.tileN, way.each
					if !r.stageable() {
						continue // more channels than slices are made of
					}
					r.path = convStaged
					if r.each > 1 {
						r.path = convResident
					}
					if _, _, _, shared := r.launch(); int(shared) > e.gpu.abilities().shared {
						continue // of GPUs that have less
					}
					served++
					what := fmt.Sprint(typ, c, way)
					if r.pass == convForward {
						e.gpu.convolve(p, conv2DOperands{y: zy, x: o.x, w: o.w, b: bias, act: device.Relu})
						y.applied(e.get(bias), convActs[1].f).near(t, typ, len(o.ws)/c.o, 0, e.get(zy), what)
					} else {
						e.gpu.convolve(q, conv2DOperands{y: zx, x: o.y, w: o.w})
						dx.near(t, typ, c.kh*c.kw*c.o, 0, e.get(zx), what)
					}
				}
			}
			require.Positive(t, served, "%+v", c)
			e.free()
		}
	}
}
