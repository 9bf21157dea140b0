package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// conv is the geometry of a convolution of x (N,H,W,C) with kernels KH x KW to y (N,OH,OW,O).
type conv struct {
	n, h, w, oh, ow int
	groups, cg, og  int // cg and og: channels of a group
	kh, kw          int
	p               device.Conv2D
	x, y            [3]int // strides of images, rows and pixels
}

func newConv(x, y device.View, kh, kw int, p device.Conv2D) conv {
	g := int(p.Groups)
	c := conv{n: x.D(0), h: x.D(1), w: x.D(2), oh: y.D(1), ow: y.D(2), groups: g, cg: x.D(3) / g, og: y.D(3) / g, kh: kh, kw: kw, p: p}
	for i := range 3 {
		c.x[i], c.y[i] = int(x.Str[i]), int(y.Str[i])
	}
	return c
}

func (c *conv) taps() int { return c.kh * c.kw }

// pointwise reports whether each pixel of x makes the position of y that lies there, and no other.
func (c *conv) pointwise() bool {
	return c.oh == c.h && c.ow == c.w && c.taps() == 1 && c.p.StrideH == 1 && c.p.StrideW == 1 && c.p.PadH == 0 && c.p.PadW == 0
}

// flatten makes a pointwise convolution one of pictures of a single pixel, where the pixels of both lie evenly.
func (c *conv) flatten() {
	even := func(s [3]int) bool {
		return (c.h == 1 || c.w == 1 || s[1] == c.w*s[2]) && (c.n == 1 || c.h*c.w == 1 || s[0] == c.h*c.w*c.pixel(s))
	}
	if c.pointwise() && even(c.x) && even(c.y) && c.h*c.w > 1 {
		px, py := c.pixel(c.x), c.pixel(c.y)
		c.n *= c.h * c.w
		c.h, c.w, c.oh, c.ow = 1, 1, 1, 1
		c.x, c.y = [3]int{px, px, px}, [3]int{py, py, py}
	}
}

// pixel is the distance of neighbours among strides s.
func (c *conv) pixel(s [3]int) int {
	if c.w == 1 {
		return s[1]
	}
	return s[2]
}

func (c *conv) flops() float64 {
	return 2 * float64(c.n) * float64(c.oh) * float64(c.ow) * float64(c.taps()) * float64(c.cg) * float64(c.groups) * float64(c.og)
}

// tap is one of the kernel's rows, or columns, k and the row or column of the image that it meets.
type tap struct{ k, at int }

// forwardTaps lists, for each of n positions along an axis of y, the taps that meet x, extent long.
func forwardTaps(n, extent, kernel int, stride, pad, dil int32) [][]tap {
	taps := make([][]tap, n)
	for i := range n {
		for k := range kernel {
			if at := i*int(stride) - int(pad) + k*int(dil); at >= 0 && at < extent {
				taps[i] = append(taps[i], tap{k, at})
			}
		}
	}
	return taps
}

// backwardTaps lists, for each of n positions along an axis of x, the taps through which it met y, extent long.
func backwardTaps(n, extent, kernel int, stride, pad, dil int32) [][]tap {
	taps := make([][]tap, n)
	for i := range n {
		for k := range kernel {
			if at := i + int(pad) - k*int(dil); at >= 0 && at%int(stride) == 0 && at/int(stride) < extent {
				taps[i] = append(taps[i], tap{k, at / int(stride)})
			}
		}
	}
	return taps
}

// convServes reports whether the kernels below serve images x, y and weights w: of one real type, the weights contiguous,
// the channels of images adjacent.
func convServes(x, w, y device.View) bool {
	t := x.Type
	if t != device.F32 && t != device.F64 || w.Type != t || y.Type != t || !w.Contiguous() {
		return false
	}
	for _, v := range []device.View{x, y} {
		for i := range 4 {
			if v.Str[i] < 0 {
				return false
			}
		}
		if v.Str[3] != 1 && v.Dim[3] != 1 || v.Len() == 0 {
			return false
		}
	}
	return w.Len() > 0
}

// Conv2D is y = act(conv(x, w) + b): x (N,H,W,C), w (O,KH,KW,C/G), b (O) or none, y (N,OH,OW,O), of which the last rows
// and columns may be missing, here and in the gradients. It reports false, having queued nothing, for types other than f32 and f64 and for layouts and activations that it does not serve.
func (d *Device) Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool {
	if !convServes(x, w, y) || !epilogue(act) || b.Valid() && (b.Type != x.Type || !b.Contiguous()) {
		return false
	}
	if x.Type == device.F64 {
		conv2D[float64](d, y, x, w, b, p, act)
	} else {
		conv2D[float32](d, y, x, w, b, p, act)
	}
	return true
}

func conv2D[T float](d *Device, y, x, w, b device.View, p device.Conv2D, act device.UnOp) {
	c := newConv(x, y, w.D(1), w.D(2), p)
	if c.depthwise() {
		conv2DDepthwise[T](d, c, y, x, w, b, act)
		return
	}
	if c.fewPositions(d, x.Type) {
		conv2DFewPositions(d, &c, y, x, w, b, act)
		return
	}
	if s := c.winograd(d, x.Type, c.oh, c.ow, false, c.unitServes(c.cg, c.og)); s != nil {
		conv2DWinograd(d, &c, s, y, x, w, b, act)
		return
	}
	c.flatten()
	l, per, parts := convFactors[T](d, &c, c.cg, c.og)
	q := &correlation[T]{
		d: d, level: l, per: per, parts: parts, x: slice[T](x), y: slice[T](y), xs: c.x, ys: c.y, n: c.n, h: c.h, w: c.w, ic: c.cg, oh: c.oh, ow: c.ow, oc: c.og,
		groups: c.groups, kh: c.kh, kw: c.kw, act: act, every: 1, step: int(p.StrideW), windows: &windows{c.h, c.w, c.kh, c.kw, p},
		rows: forwardTaps(c.oh, c.h, c.kh, p.StrideH, p.PadH, p.DilH), cols: forwardTaps(c.ow, c.w, c.kw, p.StrideW, p.PadW, p.DilW),
	}
	if b.Valid() {
		q.bias = slice[T](b)[:w.D(0)]
	}
	q.layout()
	d.enqueue("Conv2D", []device.View{y}, present(x, w, b), c.flops(), q.phases(q.pack(slice[T](w)))...)
}

// Conv2DGradInput is the gradient of conv(x, w) to x, dx (N,H,W,C), overwritten, from dy (N,OH,OW,O).
func (d *Device) Conv2DGradInput(dx, dy, w device.View, p device.Conv2D) bool {
	if !convServes(dy, w, dx) {
		return false
	}
	if dx.Type == device.F64 {
		conv2DGradInput[float64](d, dx, dy, w, p)
	} else {
		conv2DGradInput[float32](d, dx, dy, w, p)
	}
	return true
}

// conv2DGradInput correlates dy with the weights, whose channels are exchanged as they are packed.
func conv2DGradInput[T float](d *Device, dx, dy, w device.View, p device.Conv2D) {
	c := newConv(dx, dy, w.D(1), w.D(2), p)
	if c.depthwise() {
		conv2DDepthwiseGradInput[T](d, c, dx, dy, w)
		return
	}
	if s := c.winograd(d, dx.Type, c.h, c.w, true, c.unitServes(c.og, c.cg)); s != nil {
		conv2DGradInputWinograd(d, &c, s, dx, dy, w)
		return
	}
	c.flatten()
	l, per, parts := convFactors[T](d, &c, c.og, c.cg)
	q := &correlation[T]{
		d: d, level: l, per: per, parts: parts, x: slice[T](dy), y: slice[T](dx), xs: c.y, ys: c.x, n: c.n, h: c.oh, w: c.ow, ic: c.og, oh: c.h, ow: c.w, oc: c.cg,
		groups: c.groups, kh: c.kh, kw: c.kw, every: int(p.StrideW), step: 1,
		rows: backwardTaps(c.h, c.oh, c.kh, p.StrideH, p.PadH, p.DilH), cols: backwardTaps(c.w, c.ow, c.kw, p.StrideW, p.PadW, p.DilW),
	}
	q.layout()
	d.enqueue("Conv2DGradInput", []device.View{dx}, []device.View{dy, w}, c.flops(), q.phases(q.packExchanged(slice[T](w)))...)
}

// convFactors is factors for sums over taps of in channels to out ones, and of how many parts numbers are. Splitting pays where what is
// split, pixels and weights, meets many of the other.
func convFactors[T float](d *Device, c *conv, in, out int) (l simd.Level, per, parts int) {
	l, per = factors[T](d)
	if sizeOf[T]() != 4 || per != 1 || in < fewChannels && c.taps() > 1 {
		return l, per, 1
	}
	if d.split || c.unitServes(in, out) {
		return l, 2, simd.Parts
	}
	return l, per, 1
}

// unitServes reports whether the matrix unit is there and faster in f32.
func (c *conv) unitServes(in, out int) bool {
	return simd.MatrixUnit() && in >= unitChannels && c.taps()*out >= unitReuse && simd.UnitServes(ceil(in, 2)) && c.n*c.oh*c.ow >= unitPixels
}

// roomy is the distance of pixels of c channels in a stage: as many, or a few more where rows of a tile would crowd.
func roomy[T float](c int) int {
	if crowded[T](c) {
		return c + 16
	}
	return c
}

// stageBytes is what a part of a convolution stages at most: with a panel of weights it fits into a second-level cache.
const stageBytes = 384 << 10
