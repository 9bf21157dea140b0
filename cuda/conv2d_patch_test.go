//go:build cuda

package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Patches: one slice of channels and several, narrow ones, images that are smaller than a tile and larger, padding wider than
// the kernel and none, dilation, groups, an even number of taps; forward and gradient of the input.
func TestConv2DPatch(t *testing.T) {
	e := newElements(t)
	if !e.gpu.abilities().groups {
		t.Skip("this GPU has no wgmma")
	}
	forced, all := map[string]bool{}, e.gpu.gpu.processors
	for _, c := range []convCase{
		{7, 5, 6, 64, 40, 3, 3, conv2DOf(1, 1, 1, 1)},
		{2, 13, 14, 64, 32, 3, 3, conv2DOf(1, 0, 1, 1)},
		{1, 31, 31, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{3, 9, 7, 32, 24, 2, 4, conv2DOf(1, 1, 1, 1)},
		{1, 15, 15, 192, 72, 3, 3, conv2DOf(1, 1, 1, 1)},
		{40, 3, 3, 128, 136, 3, 3, conv2DOf(1, 1, 1, 1)},
		{2, 9, 8, 64, 24, 3, 3, conv2DOf(1, 1, 1, 1)},
		{20, 1, 1, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{2, 8, 9, 128, 32, 5, 1, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 4, PadW: 0, DilH: 2, DilW: 1, Groups: 1}},
		{2, 6, 20, 128, 128, 2, 3, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 3, PadW: 2, DilH: 2, DilW: 1, Groups: 2}},
	} {
		for _, typ := range []device.DType{device.F16, device.BF16} {
			o := c.operands(e, typ, 2)
			o.x = e.normal(typ, 16, c.n, c.h, c.w, c.c+8).Slice(3, 8, c.c, 1) // no gaps but between pixels
			o.xs = e.get(o.x)
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
			for _, r := range []*conv2DPlan{&p, &q} {
				x := o.x
				if r.pass == convGradInput {
					x = o.y
				}
				for _, channels := range []int{128, 64, 32} {
					r.path, r.splits, r.tileM, r.tileN = convGroups, 1, 128, channels
					if !r.patchable(x) {
						continue
					}
					if r.patch = r.patchOf(); r.patch.shared(r) > sharedLimit(9, 0) {
						continue
					}
					r.path = convPatch
					e.gpu.gpu.processors = []int{1, 3, all}[len(forced)%3] // blocks have several tiles, or one
					e.d.Fill(zx, 55)
					e.d.Fill(zy, 55)
					what := fmt.Sprint(conv2DNames[r.pass], typ, channels, r.patch.slot)
					forced[what] = true
					what += fmt.Sprint(c)
					if r.pass == convGradInput {
						e.gpu.convolve(q, conv2DOperands{y: zx, x: o.y, w: o.w})
						dx.near(t, typ, c.kh*c.kw*c.o, 0, e.get(zx), what)
						continue
					}
					for _, act := range convActs[:2] {
						e.gpu.convolve(p, conv2DOperands{y: zy, x: o.x, w: o.w, b: bias, act: act.op})
						y.applied(e.get(bias), act.f).near(t, typ, len(o.ws)/c.o, 0, e.get(zy), what+fmt.Sprint(act.op))
					}
				}
			}
			e.gpu.gpu.processors = all
			e.free()
		}
	}
	require.Len(t, forced, 2*2*(3+2), "every kernel ran")
}
