package ops

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// composedMaxPool2D writes the largest elements under windows to y and, if it is there, their places to idx.
func composedMaxPool2D(t *Tape, y, idx, x device.View, p device.Pool2D) {
	oh, ow := y.D(1), y.D(2)
	f := frameOf(t, x, oh, ow, p, math.Inf(-1))
	t.Dev.Reduce(device.ReduceMax, perWindow(y), f.windows)
	if idx.Valid() {
		t.Dev.Reduce(device.ArgMax, perWindow(idx), f.windows)
	}
	if f.scratch {
		t.put(f.all)
	}
	if !idx.Valid() {
		return
	}
	// idx is the tap, counted row by row: make it the place h W + w.
	h, first, none := t.get(device.I32, idx.Shape()...), t.get(device.I32, oh, ow), t.get(device.U8, oh, ow)
	t.ints(device.Div, h, idx, int(p.KernelW))
	row := t.like(h)
	t.ints(device.Mul, row, h, int(p.KernelW))
	t.Dev.Binary(device.Sub, idx, idx, row) // now the tap's column
	t.put(row)
	out, bad := t.get(device.U8, idx.Shape()...), t.get(device.U8, idx.Shape()...)
	tap := func(tap device.View, axis, n int, stride, pad, dil int32, bad device.View) {
		t.ints(device.Mul, tap, tap, int(dil))
		at := t.get(device.I32, idx.D(axis))
		t.Dev.Iota(at, 0, -float64(pad), float64(stride))
		t.Dev.Binary(device.Add, tap, tap, at.Reshape(axisShape(4, axis, at.Len())...))
		t.put(at)
		limit := t.scalar(device.I32, float64(n-1))
		t.Dev.Binary(device.Lt, bad, limit, tap)
		t.Dev.Fill(limit, 0)
		t.Dev.Binary(device.Lt, out, tap, limit)
		t.Dev.Binary(device.Max, bad, bad, out)
		t.put(limit)
	}
	tap(h, 1, x.D(1), p.StrideH, p.PadH, p.DilH, bad)
	outside := t.like(bad)
	tap(idx, 2, x.D(2), p.StrideW, p.PadW, p.DilW, outside)
	t.Dev.Binary(device.Max, bad, bad, outside)
	t.put(outside)
	t.ints(device.Mul, h, h, x.D(2))
	t.Dev.Binary(device.Add, idx, h, idx)
	// A tap in the padding won only because all pixels are -Inf: the first of them is the place.
	t.firstPixel(first, none, x.D(1), x.D(2), p)
	t.Dev.Where(idx, bad, first.Reshape(1, oh, ow, 1), idx)
	t.put(h, first, none, out, bad)
}

// axisShape is rank axes of extent 1, but n at axis.
func axisShape(rank, axis, n int) []int {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	dims[axis] = n
	return dims
}

// ints is y = op(x, s) of whole numbers.
func (t *Tape) ints(op device.BinOp, y, x device.View, s int) {
	v := t.scalar(device.I32, float64(s))
	t.Dev.Binary(op, y, x, v)
	t.put(v)
}

// firstPixel writes the place of the first pixel under each window to first (OH,OW), -1 if there is none; none is
// scratch.
func (t *Tape) firstPixel(first, none device.View, h, w int, p device.Pool2D) {
	// along gives the position of the first pixel for each window along one axis, n pixels long, -1 if there is none.
	along := func(out, n int, k, stride, pad, dil int32) device.View {
		at, tap, lost := t.get(device.I32, out), t.get(device.I32, out), t.get(device.U8, out)
		t.Dev.Iota(at, 0, -float64(pad), float64(stride))
		t.Dev.Iota(tap, 0, float64(pad)+float64(dil)-1, -float64(stride))
		t.ints(device.Div, tap, tap, int(dil))
		t.ints(device.Max, tap, tap, 0) // the first tap at 0 or beyond
		last := t.scalar(device.I32, float64(k-1))
		t.Dev.Binary(device.Lt, lost, last, tap)
		t.ints(device.Mul, tap, tap, int(dil))
		t.Dev.Binary(device.Add, at, at, tap)
		none := t.scalar(device.I32, -1)
		t.Dev.Where(at, lost, none, at)
		t.Dev.Fill(last, float64(n-1))
		t.Dev.Binary(device.Lt, lost, last, at)
		t.Dev.Where(at, lost, none, at)
		t.put(tap, lost, last, none)
		return at
	}
	oh, ow := first.D(0), first.D(1)
	rows := along(oh, h, p.KernelH, p.StrideH, p.PadH, p.DilH)
	columns := along(ow, w, p.KernelW, p.StrideW, p.PadW, p.DilW)
	worst := t.get(device.I32, oh, ow)
	t.Dev.Binary(device.Min, worst, rows.Reshape(oh, 1), columns)
	zero := t.scalar(device.I32, 0)
	t.Dev.Binary(device.Lt, none, worst, zero)
	t.ints(device.Mul, rows, rows, w)
	t.Dev.Binary(device.Add, first, rows.Reshape(oh, 1), columns)
	t.Dev.Fill(zero, -1)
	t.Dev.Where(first, none, zero, first)
	t.put(rows, columns, worst, zero)
}

// composedMaxPool2DGrad scatters: dx (N,H,W,C) is the sum of the dy (N,OH,OW,C) whose idx is its place;
// blind says that idx may be -1.
func composedMaxPool2DGrad(t *Tape, dx, dy, idx device.View, blind bool) {
	if dx.Len() == 0 {
		return
	}
	n, c := dx.D(0), dx.D(3)
	at := t.like(idx)
	t.ints(device.Mul, at, idx, c)
	image, channel := t.get(device.I32, n, 1, 1, 1), t.get(device.I32, c)
	t.Dev.Iota(image, 0, 0, float64(dx.Len()/n))
	t.Dev.Iota(channel, 0, 0, 1)
	t.Dev.Binary(device.Add, at, at, image)
	t.Dev.Binary(device.Add, at, at, channel)
	t.put(image, channel)
	g := dy
	if blind {
		g = t.like(dy)
		lost, zero := t.get(device.U8, idx.Shape()...), t.scalar(device.I32, 0)
		t.Dev.Binary(device.Lt, lost, idx, zero)
		t.Dev.Where(at, lost, zero, at)
		t.Dev.Where(g, lost, zero, dy)
		t.put(lost, zero)
	}
	t.precisely(dx, func(s device.View) {
		t.Dev.Fill(s, 0)
		t.Dev.ScatterAdd(s.Reshape(s.Len()), g.Reshape(g.Len()), at.Reshape(at.Len()))
	})
	t.putIf(blind, g)
	t.put(at)
}
