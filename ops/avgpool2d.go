package ops

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// poolShare is scratch (1,OH,OW,1): 1 over the number of pixels that count under each window of images h x w. They are
// counted by summing windows of an image of ones.
func poolShare(t *Tape, typ device.DType, h, w, oh, ow int, p device.Pool2D, countPad bool) device.View {
	f := frame(t, typ, 1, h, w, 1, oh, ow, p, 0)
	ones := f.inner
	if countPad {
		ones = f.all.Slice(1, 0, min(f.all.D(1), h+2*int(p.PadH)), 1).Slice(2, 0, min(f.all.D(2), w+2*int(p.PadW)), 1)
	}
	t.Dev.Fill(ones, 1)
	share := t.get(typ, 1, oh, ow, 1)
	t.Dev.Reduce(device.Sum, perWindow(share), f.windows)
	t.put(f.all)
	t.Dev.Unary(device.Clamp, share, share, 1, math.Inf(1)) // a window of nothing has sum 0
	t.Dev.Unary(device.Recip, share, share, 0, 0)
	return share
}

func composedAvgPool2D(t *Tape, y, x device.View, p device.Pool2D, countPad bool) {
	oh, ow := y.D(1), y.D(2)
	f := frameOf(t, x, oh, ow, p, 0)
	t.precisely(y, func(s device.View) {
		t.Dev.Reduce(device.Sum, perWindow(s), f.windows)
		share := poolShare(t, s.Type, x.D(1), x.D(2), oh, ow, p, countPad)
		t.Dev.Binary(device.Mul, s, s, share)
		t.put(share)
	})
	t.putIf(f.scratch, f.all)
}

// composedAvgPool2DGrad adds the share of each window to its pixels, tap by tap.
func composedAvgPool2DGrad(t *Tape, dx, dy device.View, p device.Pool2D, countPad bool) {
	acc := accType(dx.Type)
	n, h, w, c, oh, ow := dx.D(0), dx.D(1), dx.D(2), dx.D(3), dy.D(1), dy.D(2)
	g := t.get(acc, dy.Shape()...)
	share := poolShare(t, acc, h, w, oh, ow, p, countPad)
	t.Dev.Binary(device.Mul, g, dy, share)
	t.put(share)
	f := frame(t, acc, n, h, w, c, oh, ow, p, 0)
	for i := range int(p.KernelH) {
		for j := range int(p.KernelW) {
			at := f.windows.At(4, j).At(3, i) // one tap of all windows: no two are the same pixel
			t.Dev.Binary(device.Add, at, at, g)
		}
	}
	t.Dev.Copy(dx, f.inner)
	t.put(g, f.all)
}
