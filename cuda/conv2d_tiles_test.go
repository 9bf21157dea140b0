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
				check := func(path conv2DPath, whole bool, tiles map[[2]int]kernelID) {
					for tile := range tiles {
						for _, splits := range []int{1, 3} {
							p.path, p.whole, p.tileM, p.tileN, p.splits = path, whole, tile[0], tile[1], splits
							q.run(p)
							q.sum.near(t, f.typ, q.n, f.rounded(), e.get(q.to), fmt.Sprint(f, conv2DNames[pass], path, tile, whole, splits))
						}
					}
				}
				path, kernels := convPlain, kConv2DPlain[pass]
				if p.path != convPlain {
					path, kernels = convTensor, kConv2DTensor[f.typ][pass]
				}
				check(path, true, kernels.whole)
				check(path, false, kernels.single)
				if f.typ != device.F32 && pass < int(convGradWeight) && (pass == int(convForward) || p.phases == 1) && e.gpu.abilities().groups {
					check(convGroups, true, kConv2DGroups[f.typ][pass].whole)
				}
			}
			e.free()
		}
	}
}

// Warpgroups: channels in slices that are whole and not, images that are smaller than a tile and larger, padding wider than
// the kernel, strides, dilation, groups, activations of both ways to write.
func TestConv2DGroups(t *testing.T) {
	e := newElements(t)
	if !e.gpu.abilities().groups {
		t.Skip("this GPU has no wgmma")
	}
	for _, c := range []convCase{
		{7, 5, 6, 8, 40, 3, 3, conv2DOf(1, 1, 1, 1)},
		{2, 13, 14, 16, 24, 3, 3, conv2DOf(1, 0, 1, 1)},
		{1, 31, 31, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{3, 9, 7, 32, 8, 2, 2, conv2DOf(1, 0, 1, 1)},
		{3, 15, 15, 64, 72, 3, 3, conv2DOf(1, 1, 1, 1)},
		{4, 7, 7, 128, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{20, 1, 1, 8, 32, 3, 3, conv2DOf(1, 1, 1, 1)},
		{3, 12, 11, 64, 136, 1, 1, conv2DOf(2, 0, 1, 1)},
		{2, 9, 10, 24, 136, 3, 2, device.Conv2D{StrideH: 2, StrideW: 3, PadH: 1, PadW: 2, DilH: 1, DilW: 2, Groups: 1}},
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
			for tile := range kConv2DGroups[typ][convForward].whole {
				for _, splits := range []int{1, 3} {
					what := fmt.Sprint(typ, c, tile, splits)
					for _, r := range []*conv2DPlan{&p, &q} {
						r.path, r.splits, r.tileM, r.tileN = convTensor, splits, tile[0], tile[1]
						if !r.groupable() {
							require.Equal(t, convGradInput, r.pass)
							continue // strides
						}
						r.path = convGroups
						e.d.Fill(zx, 55)
						e.d.Fill(zy, 55)
						if r.pass == convGradInput {
							e.gpu.convolve(q, conv2DOperands{y: zx, x: o.y, w: o.w})
							dx.near(t, typ, c.kh*c.kw*c.o, 0, e.get(zx), what)
							continue
						}
						for _, act := range convActs {
							e.gpu.convolve(p, conv2DOperands{y: zy, x: o.x, w: o.w, b: bias, act: act.op})
							y.applied(e.get(bias), act.f).near(t, typ, len(o.ws)/c.o, 0, e.get(zy), what+fmt.Sprint(act.op))
						}
					}
				}
			}
			e.free()
		}
	}
}
