package ops

import "github.com/acumen-ml/acumen/device"

// AdaptiveAvgPool2D is the mean of each of oh x ow cells of x (N,H,W,C), y (N,oh,ow,C). Cell i of an axis of n goes from
// floor(i n/o) to ceil((i+1) n/o), as in PyTorch: cells may overlap.
func AdaptiveAvgPool2D(t *Tape, x *Tensor, oh, ow int) *Tensor {
	if p, even := checkAdaptive("AdaptiveAvgPool2D", x, oh, ow); even {
		return AvgPool2D(t, x, p, false)
	}
	y := t.temp(x.v.Type, x.Dim(0), oh, ow, x.Dim(3))
	cells(x.v, y.v, func(x, y device.View, _ int) {
		t.precisely(y, func(s device.View) {
			t.Dev.Reduce(device.Sum, s, x)
			t.Dev.Unary(device.Affine, s, s, 1/float64(x.D(1)*x.D(2)), 0)
		})
	})
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.into(x, func(dx device.View) {
			t.precisely(dx, func(dx device.View) {
				t.Dev.Fill(dx, 0)
				cells(dx, dy, func(dx, dy device.View, _ int) {
					g := t.get(dx.Type, dy.Shape()...)
					t.Dev.Unary(device.Affine, g, dy, 1/float64(dx.D(1)*dx.D(2)), 0)
					t.Dev.Binary(device.Add, dx, dx, g)
					t.put(g)
				})
			})
		})
	})
}

// AdaptiveMaxPool2D is the largest element of each of oh x ow cells of x (N,H,W,C), y (N,oh,ow,C); cells are as in
// AdaptiveAvgPool2D. The first of equals gets the gradient; NaN is largest.
func AdaptiveMaxPool2D(t *Tape, x *Tensor, oh, ow int) *Tensor {
	if p, even := checkAdaptive("AdaptiveMaxPool2D", x, oh, ow); even {
		return MaxPool2D(t, x, p)
	}
	y := t.temp(x.v.Type, x.Dim(0), oh, ow, x.Dim(3))
	cells(x.v, y.v, func(x, y device.View, _ int) { t.Dev.Reduce(device.ReduceMax, y, x) })
	if !t.wants(x) {
		return y
	}
	idx := t.temp(device.I32, y.Shape()...) // h W + w of the winner
	cells(x.v, idx.v, func(cell, idx device.View, first int) {
		tap, row := t.get(device.I32, idx.Shape()...), t.get(device.I32, idx.Shape()...)
		t.Dev.Reduce(device.ArgMax, tap, cell)
		t.ints(device.Div, row, tap, cell.D(2))
		t.ints(device.Mul, row, row, x.Dim(2)-cell.D(2))
		t.Dev.Binary(device.Add, tap, tap, row)
		t.ints(device.Add, idx, tap, first)
		t.put(tap, row)
	})
	t.record(y, []*Tensor{x}, func(dy device.View) {
		t.into(x, func(dx device.View) { composedMaxPool2DGrad(t, dx, dy, idx.v, false) })
	}, idx)
	t.Release(idx)
	return y
}

// checkAdaptive gives the pooling that has the same cells, if they are even.
func checkAdaptive(op string, x *Tensor, oh, ow int) (p device.Pool2D, even bool) {
	if x.Rank() != 4 || x.Dim(1) < 1 || x.Dim(2) < 1 || oh < 1 || ow < 1 {
		fail(op, "x %v to %d x %d: want x (N,H,W,C) with pixels, and at least one cell", x.Shape(), oh, ow)
	}
	kh, kw := x.v.Dim[1]/int32(oh), x.v.Dim[2]/int32(ow)
	p = device.Pool2D{KernelH: kh, KernelW: kw, StrideH: kh, StrideW: kw, DilH: 1, DilW: 1}
	return p, int(kh)*oh == x.Dim(1) && int(kw)*ow == x.Dim(2)
}

// cells calls f with each cell of x (N,H,W,C), its element (N,1,1,C) of y (N,OH,OW,C), and the place h W + w of its first
// pixel.
func cells(x, y device.View, f func(x, y device.View, first int)) {
	if y.Len() == 0 {
		return
	}
	h, w, oh, ow := x.D(1), x.D(2), y.D(1), y.D(2)
	for i := range oh {
		h0, h1 := i*h/oh, ((i+1)*h+oh-1)/oh
		for j := range ow {
			w0, w1 := j*w/ow, ((j+1)*w+ow-1)/ow
			f(x.Slice(1, h0, h1-h0, 1).Slice(2, w0, w1-w0, 1), y.Slice(1, i, 1, 1).Slice(2, j, 1, 1), h0*w+w0)
		}
	}
}
