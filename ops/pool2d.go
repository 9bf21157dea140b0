package ops

import "github.com/acumen-ml/acumen/device"

type maxPool2Der interface {
	MaxPool2D(y, idx, x device.View, p device.Pool2D) bool
	MaxPool2DGrad(dx, dy, idx device.View, p device.Pool2D) bool
}

type avgPool2Der interface {
	AvgPool2D(y, x device.View, p device.Pool2D, countPad bool) bool
	AvgPool2DGrad(dx, dy device.View, p device.Pool2D, countPad bool) bool
}

// MaxPool2D is the largest element under each window of x (N,H,W,C), y (N,OH,OW,C). The first of equals gets the
// gradient; NaN is largest; padding never wins, and a window without a pixel gives -Inf.
func MaxPool2D(t *Tape, x *Tensor, p device.Pool2D) *Tensor {
	y, idx := maxPool2D(t, "MaxPool2D", x, p, t.wants(x))
	if idx != nil {
		t.Release(idx)
	}
	return y
}

// MaxPool2DWithIndices is MaxPool2D that also tells where each largest element was: idx, I32 of y's shape, is h W + w in
// the image, -1 for a window without a pixel.
func MaxPool2DWithIndices(t *Tape, x *Tensor, p device.Pool2D) (y, idx *Tensor) {
	return maxPool2D(t, "MaxPool2DWithIndices", x, p, true)
}

func maxPool2D(t *Tape, op string, x *Tensor, p device.Pool2D, index bool) (y, idx *Tensor) {
	oh, ow := checkPool(op, x, p)
	y = t.temp(x.v.Type, x.Dim(0), oh, ow, x.Dim(3))
	if index {
		idx = t.temp(device.I32, y.Shape()...)
	}
	if y.v.Len() > 0 {
		t.maxPool2D(y.v, valueOf(idx), x.v, p)
	}
	blind := poolBlind(p, x.Dim(1), x.Dim(2), oh, ow)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.into(x, func(dx device.View) { t.maxPool2DGrad(dx, dy, idx.v, p, blind) })
	}, idx), idx
}

func (t *Tape) maxPool2D(y, idx, x device.View, p device.Pool2D) {
	if k, ok := device.As[maxPool2Der](t.Dev); !ok || !k.MaxPool2D(y, idx, x, p) {
		composedMaxPool2D(t, y, idx, x, p)
	}
}

func (t *Tape) maxPool2DGrad(dx, dy, idx device.View, p device.Pool2D, blind bool) {
	if k, ok := device.As[maxPool2Der](t.Dev); !ok || !k.MaxPool2DGrad(dx, dy, idx, p) {
		composedMaxPool2DGrad(t, dx, dy, idx, blind)
	}
}

// AvgPool2D is the mean under each window of x (N,H,W,C), y (N,OH,OW,C). Padding counts as zeros if countPad is set,
// else not at all; what Ceil adds beyond the padding never counts. A window that counts nothing gives 0.
func AvgPool2D(t *Tape, x *Tensor, p device.Pool2D, countPad bool) *Tensor {
	oh, ow := checkPool("AvgPool2D", x, p)
	y := t.temp(x.v.Type, x.Dim(0), oh, ow, x.Dim(3))
	k, fused := device.As[avgPool2Der](t.Dev)
	if y.v.Len() > 0 && (!fused || !k.AvgPool2D(y.v, x.v, p, countPad)) {
		composedAvgPool2D(t, y.v, x.v, p, countPad)
	}
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.into(x, func(dx device.View) {
			if dx.Len() > 0 && (!fused || !k.AvgPool2DGrad(dx, dy, p, countPad)) {
				composedAvgPool2DGrad(t, dx, dy, p, countPad)
			}
		})
	})
}

// GlobalAvgPool2D is the mean of each channel of x (N,H,W,C), y (N,1,1,C).
func GlobalAvgPool2D(t *Tape, x *Tensor) *Tensor {
	checkPool("GlobalAvgPool2D", x, wholePool(x))
	return Mean(t, x, true, 1, 2)
}

// GlobalMaxPool2D is the largest element of each channel of x (N,H,W,C), y (N,1,1,C). The first of equals gets the
// gradient; NaN is largest.
func GlobalMaxPool2D(t *Tape, x *Tensor) *Tensor {
	checkPool("GlobalMaxPool2D", x, wholePool(x))
	return MaxPool2D(t, x, wholePool(x))
}

// wholePool has one window, all of x.
func wholePool(x *Tensor) device.Pool2D {
	p := device.Pool2D{StrideH: 1, StrideW: 1, DilH: 1, DilW: 1}
	if x.Rank() == 4 {
		p.KernelH, p.KernelW = x.v.Dim[1], x.v.Dim[2]
	}
	return p
}

// checkPool gives the extents of the result.
func checkPool(op string, x *Tensor, p device.Pool2D) (oh, ow int) {
	if x.Rank() != 4 {
		fail(op, "x %v, %+v: want x (N,H,W,C)", x.Shape(), p)
	}
	if p.KernelH < 1 || p.KernelW < 1 || p.StrideH < 1 || p.StrideW < 1 || p.DilH < 1 || p.DilW < 1 || p.PadH < 0 || p.PadW < 0 {
		fail(op, "x %v, %+v: kernel, strides and dilations start at 1, padding at 0", x.Shape(), p)
	}
	if oh, ow = p.Out(x.Dim(1), x.Dim(2)); oh < 1 || ow < 1 {
		fail(op, "x %v, %+v: the window does not fit into the padded image", x.Shape(), p)
	}
	return oh, ow
}

// poolBlind reports whether some window has no pixel of an image h x w.
func poolBlind(p device.Pool2D, h, w, oh, ow int) bool {
	blind := func(n, out int, k, stride, pad, dil int32) bool {
		for i := range out {
			sees := false
			for j := range int(k) {
				at := i*int(stride) - int(pad) + j*int(dil)
				sees = sees || at >= 0 && at < n
			}
			if !sees {
				return true
			}
		}
		return false
	}
	return blind(h, oh, p.KernelH, p.StrideH, p.PadH, p.DilH) || blind(w, ow, p.KernelW, p.StrideW, p.PadW, p.DilW)
}

// framed is the scratch in which x (N,H,W,C) stands with all that windows of p reach, of which value fills what is not
// x; windows shows (N,OH,OW,KH,KW,C). There is no scratch if the windows stay in x.
type framed struct {
	all, inner, windows device.View
	scratch             bool
}

func frame(t *Tape, typ device.DType, n, h, w, c, oh, ow int, p device.Pool2D, value float64) framed {
	ph, pw := int(p.PadH), int(p.PadW)
	hh := max((oh-1)*int(p.StrideH)+(int(p.KernelH)-1)*int(p.DilH)+1, ph+h)
	ww := max((ow-1)*int(p.StrideW)+(int(p.KernelW)-1)*int(p.DilW)+1, pw+w)
	f := framed{all: t.get(typ, n, hh, ww, c), scratch: true}
	t.Dev.Fill(f.all, value)
	f.inner = f.all.Slice(1, ph, h, 1).Slice(2, pw, w, 1)
	f.windows = poolWindows(f.all, oh, ow, p)
	return f
}

func poolWindows(v device.View, oh, ow int, p device.Pool2D) device.View {
	return v.Window(int(p.KernelH), int(p.KernelW), int(p.StrideH), int(p.StrideW), int(p.DilH), int(p.DilW)).Slice(1, 0, oh, 1).Slice(2, 0, ow, 1)
}

// frameOf is frame with x in it.
func frameOf(t *Tape, x device.View, oh, ow int, p device.Pool2D, value float64) framed {
	inside := func(n, out int, k, stride, pad, dil int32) bool {
		return pad == 0 && (out-1)*int(stride)+(int(k)-1)*int(dil) < n
	}
	if inside(x.D(1), oh, p.KernelH, p.StrideH, p.PadH, p.DilH) && inside(x.D(2), ow, p.KernelW, p.StrideW, p.PadW, p.DilW) {
		return framed{windows: poolWindows(x, oh, ow, p)}
	}
	f := frame(t, x.Type, x.D(0), x.D(1), x.D(2), x.D(3), oh, ow, p, value)
	t.Dev.Copy(f.inner, x)
	return f
}

// perWindow shows y (N,OH,OW,C) as the fold (N,OH,OW,1,1,C) of windows.
func perWindow(y device.View) device.View { return y.Unsqueeze(3).Unsqueeze(3) }
