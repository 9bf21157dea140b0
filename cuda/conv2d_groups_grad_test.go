//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func sameOf(padH, padW, dil, groups int32) device.Conv2D {
	return device.Conv2D{StrideH: 1, StrideW: 1, PadH: padH, PadW: padW, DilH: dil, DilW: dil, Groups: groups}
}

// The gradient of the weights by warpgroups: all tiles that fit, images that are smaller than a step and larger, pixels that
// fill no step, taps beyond the kernel, padding wider than it, dilation, groups, pixels with gaps, sums in one part, in several,
// and in more than there are steps.
func TestConv2DGroupsGrad(t *testing.T) {
	e := newElements(t)
	if !e.gpu.abilities().groups {
		t.Skip("this GPU has no wgmma")
	}
	run := 0
	for i, c := range []convCase{
		{9, 4, 4, 64, 64, 3, 3, sameOf(1, 1, 1, 1)},
		{2, 7, 7, 128, 136, 3, 3, sameOf(1, 1, 1, 1)},
		{1, 15, 15, 64, 8, 3, 3, sameOf(1, 1, 1, 1)},
		{1, 9, 33, 64, 40, 3, 3, sameOf(1, 1, 1, 1)},
		{1, 32, 32, 64, 8, 3, 3, sameOf(1, 1, 1, 1)},
		{70, 1, 1, 64, 72, 3, 3, sameOf(1, 1, 1, 1)},
		{2, 7, 6, 64, 72, 3, 3, sameOf(2, 2, 2, 1)},
		{3, 6, 5, 128, 40, 5, 3, sameOf(2, 1, 1, 1)},
		{2, 9, 8, 192, 24, 3, 1, sameOf(1, 0, 1, 1)},
		{1, 5, 13, 64, 256, 1, 3, sameOf(0, 1, 1, 1)},
		{2, 5, 7, 128, 80, 3, 3, sameOf(1, 1, 1, 2)},
		{1, 3, 126, 64, 8, 3, 3, sameOf(1, 1, 1, 1)}, // taps of a block lie as far apart as they may
		{2, 8, 8, 64, 16, 3, 3, sameOf(2, 2, 1, 1)},  // dy is smaller than could be
	} {
		typ := []device.DType{device.F16, device.BF16}[i%2]
		o := c.operands(e, typ, 0)
		if i%3 == 0 {
			o.x, o.y = e.normal(typ, 8, c.n, c.h, c.w, c.c+8).Slice(3, 8, c.c, 1), e.normal(typ, 8, c.n, c.h, c.w, c.o+8).Slice(3, 8, c.o, 1)
		} else {
			o.y = e.normal(typ, 8, c.n, c.h, c.w, c.o)
		}
		o.xs, o.ys = e.get(o.x), e.get(o.y)
		plain := newSums(len(o.ws))
		c.gradLoops(func(w, x, y int) { plain.add(w, o.xs[x], o.ys[y]) })
		for tile := range kConv2DGroups[typ][convGradWeight].whole {
			for _, splits := range []int{1, 3, 40} {
				for _, beta := range []float64{0, 1} {
					if splits == 40 && beta == 0 || beta == 1 && splits == 3 {
						continue
					}
					to := []device.DType{typ, device.F32}[run/2%2]
					run++
					dw := e.normal(to, 5, o.w.Shape()...)
					if beta == 0 {
						dw = e.put(to, 5, func(int) float64 { return math.NaN() }, o.w.Shape()...) // is not read
					}
					p, ok := planConv2DGradWeight(dw, o.x, o.y, c.p, e.gpu.abilities())
					require.True(t, ok && p.whole)
					p.tileM, p.tileN, p.splits, p.path = tile[0], tile[1], splits, convGroups
					if p.xc%p.tileN != 0 || p.tileM > 64 && p.tileM >= 4*p.yc || !p.tapsNear() {
						continue
					}
					sum := newSums(len(plain.v))
					copy(sum.v, plain.v)
					copy(sum.size, plain.size)
					if beta != 0 {
						for i, v := range e.get(dw) {
							sum.add(i, beta, v)
						}
					}
					e.gpu.convolve(p, conv2DOperands{y: dw, x: o.x, w: o.y, beta: beta})
					sum.near(t, to, c.n*c.h*c.w, 0, e.get(dw), fmt.Sprint(typ, to, c, tile, splits, beta))
				}
			}
		}
		e.free()
	}
}

// gradLoops is the definition, with a y of x's size.
func (c convCase) gradLoops(visit func(w, x, y int)) {
	cg, og := c.c/int(c.p.Groups), c.o/int(c.p.Groups)
	for o := range c.o {
		for tap := range c.kh * c.kw {
			di, dj := tap/c.kw*int(c.p.DilH)-int(c.p.PadH), tap%c.kw*int(c.p.DilW)-int(c.p.PadW)
			for at := range c.n * c.h * c.w {
				if i, j := at/c.w%c.h+di, at%c.w+dj; i < 0 || i >= c.h || j < 0 || j >= c.w {
					continue
				}
				for l := range cg {
					visit((o*c.kh*c.kw+tap)*cg+l, (at+di*c.w+dj)*c.c+o/og*cg+l, at*c.o+o)
				}
			}
		}
	}
}
