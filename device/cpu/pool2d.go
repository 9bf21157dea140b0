package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// images is the place of pixels of a view (N,H,W,C) whose channels are adjacent.
type images struct{ n, h, w, c, strN, strH, strW int }

// imagesOf reports false where channels are not adjacent or a stride is negative.
func imagesOf(v device.View) (images, bool) {
	m := images{v.D(0), v.D(1), v.D(2), v.D(3), int(v.Str[0]), int(v.Str[1]), int(v.Str[2])}
	return m, m.strN >= 0 && m.strH >= 0 && m.strW >= 0 && (v.Str[3] == 1 || m.c == 1) && v.Len() > 0
}

func (m *images) at(n, h, w int) int { return n*m.strN + h*m.strH + w*m.strW }

// tapsInside is the range of taps of a window along one axis that lie inside the image: input positions
// start+lo*dil .. start+(hi-1)*dil.
func tapsInside(start, k, dil, n int) (lo, hi int) {
	if start < 0 {
		lo = ceil(-start, dil)
	}
	if hi = k; start+(k-1)*dil >= n {
		hi = max((n-start+dil-1)/dil, 0)
	}
	return min(lo, hi), hi
}

// allInside is the range of windows of an axis, of those there are, all of whose taps lie inside the image.
func allInside(windows, k, stride, pad, dil, n int) (lo, hi int) {
	lo = min((pad+stride-1)/stride, windows)
	last := n - 1 - (k-1)*dil + pad // where the last one may start, padding counted
	if last < 0 {
		return lo, lo
	}
	return lo, max(lo, min(last/stride+1, windows))
}

// pooling is images x with windows over them, one for each pixel of y. Columns inside to beyond-1 of y are those whose
// windows leave the image neither left nor right.
type pooling struct {
	x, y           images
	p              device.Pool2D
	inside, beyond int
}

func newPooling(x, y images, p device.Pool2D) pooling {
	q := pooling{x: x, y: y, p: p}
	q.inside, q.beyond = allInside(y.w, int(p.KernelW), int(p.StrideW), int(p.PadW), int(p.DilW), x.w)
	return q
}

// row calls f for the windows of row oh of image n, from column ow on: for all that are wholly inside from left to right
// together, for the others one by one. y and x are the first elements; TapsH or TapsW is 0, and N 1, where no tap is inside.
func (q *pooling) row(n, oh int, f func(w simd.Windows, y, x, ow int)) {
	p := &q.p
	sw, dh, dw := int(p.StrideW), int(p.DilH), int(p.DilW)
	h0 := oh*int(p.StrideH) - int(p.PadH)
	hl, hh := tapsInside(h0, int(p.KernelH), dh, q.x.h)
	w := simd.Windows{
		C: q.x.c, YStep: q.y.strW, XStep: sw * q.x.strW,
		TapsH: hh - hl, StepH: dh * q.x.strH, StepW: dw * q.x.strW,
		PlaceStep: sw, PlaceH: dh * q.x.w, PlaceW: dw,
	}
	for ow := 0; ow < q.y.w; ow += w.N {
		w0 := ow*sw - int(p.PadW)
		wl, wh := tapsInside(w0, int(p.KernelW), dw, q.x.w)
		w.N, w.TapsW = 1, wh-wl
		if ow == q.inside && q.beyond > ow && w.TapsH > 0 {
			w.N = q.beyond - ow
		}
		h, v := h0+hl*dh, w0+wl*dw
		w.Place = h*q.x.w + v
		x := 0
		if w.TapsH > 0 && w.TapsW > 0 {
			x = q.x.at(n, h, v)
		}
		f(w, q.y.at(n, oh, ow), x, ow)
	}
}

// rows is the phase that calls f for each row of y, in parts of a few thousand elements.
func (q *pooling) rows(f func(n, oh int)) phase {
	rows, per := q.y.n*q.y.h, max(1, 16384/(q.y.w*q.y.c))
	return phase{
		n: ceil(rows, per),
		run: func(part, _ int) {
			for r := part * per; r < min(rows, (part+1)*per); r++ {
				f(r/q.y.h, r%q.y.h)
			}
		},
	}
}

// MaxPool2D is y = the largest element under each window of x (N,H,W,C), y (N,OH,OW,C); idx (I32, y's shape, or none)
// its place h*W+w in the image, the first of equals; NaN is largest. A window wholly in the padding gives -Inf and
// place -1.
func (d *Device) MaxPool2D(y, idx, x device.View, p device.Pool2D) bool {
	mx, okx := imagesOf(x)
	my, oky := imagesOf(y)
	if !okx || !oky || x.Type != y.Type {
		return false
	}
	writes := []device.View{y}
	var index []int32
	if idx.Valid() {
		if idx.Type != device.I32 || !idx.Contiguous() {
			return false
		}
		index = slice[int32](idx)
		writes = append(writes, idx)
	}
	q := newPooling(mx, my, p)
	switch x.Type {
	case device.F32:
		d.enqueue("MaxPool2D", writes, []device.View{x}, 0, maxPool2D(slice[float32](y), index, slice[float32](x), &q))
	case device.F64:
		d.enqueue("MaxPool2D", writes, []device.View{x}, 0, maxPool2D(slice[float64](y), index, slice[float64](x), &q))
	default:
		return false
	}
	return true
}

func maxPool2D[T float](y []T, index []int32, x []T, q *pooling) phase {
	l, c := levelFor[T](), q.x.c
	return q.rows(func(n, oh int) {
		q.row(n, oh, func(w simd.Windows, to, from, ow int) {
			var at []int32
			if index != nil {
				at = index[((n*q.y.h+oh)*q.y.w+ow)*c:]
			}
			if w.TapsH > 0 && w.TapsW > 0 {
				simd.MaxPool(l, y[to:], at, x[from:], &w)
				return
			}
			for i := range c {
				y[to+i] = T(math.Inf(-1))
				if at != nil {
					at[i] = -1
				}
			}
		})
	})
}

// MaxPool2DGrad is dx = the gradient of MaxPool2D: each dy (N,OH,OW,C) added, in order, to the place in dx (N,H,W,C)
// that idx names, as MaxPool2D with p wrote it.
func (d *Device) MaxPool2DGrad(dx, dy, idx device.View, p device.Pool2D) bool {
	mx, okx := imagesOf(dx)
	my, oky := imagesOf(dy)
	if !okx || !oky || dx.Type != dy.Type || idx.Type != device.I32 || !idx.Contiguous() {
		return false
	}
	q, index := newPooling(mx, my, p), slice[int32](idx)
	switch dx.Type {
	case device.F32:
		d.enqueue("MaxPool2DGrad", []device.View{dx}, []device.View{dy, idx}, 0, maxPool2DGrad(slice[float32](dx), slice[float32](dy), index, &q, streams(dx)))
	case device.F64:
		d.enqueue("MaxPool2DGrad", []device.View{dx}, []device.View{dy, idx}, 0, maxPool2DGrad(slice[float64](dx), slice[float64](dy), index, &q, streams(dx)))
	default:
		return false
	}
	return true
}

func maxPool2DGrad[T float](dx, dy []T, index []int32, q *pooling, stream bool) phase {
	l := levelFor[T]()
	return poolGrad(dx, q, stream, func(w simd.Windows, n, oh, ow, from, to int, add bool) {
		simd.MaxPoolGrad(l, dx[to:], dy[from:], index[((n*q.y.h+oh)*q.y.w+ow)*w.C:], &w, add, stream)
	})
}

// poolGrad is the phase that calls give for all windows with a tap, whose gradient begins at element from of dy, and the
// first tap at element to of dx. Where windows lie side by side give sets what it writes, and what is under none is
// cleared here; else dx is cleared first, and give adds.
func poolGrad[T float](dx []T, q *pooling, stream bool, give func(w simd.Windows, n, oh, ow, from, to int, add bool)) phase {
	row := func(n, oh int, add bool) {
		q.row(n, oh, func(w simd.Windows, from, to, ow int) {
			if w.TapsH > 0 && w.TapsW > 0 {
				give(w, n, oh, ow, from, to, add)
			}
		})
	}
	if !q.p.Tiles() {
		return phase{n: q.x.n, run: func(n, _ int) {
			clearPixels(dx, &q.x, n, 0, q.x.h, 0)
			for oh := range q.y.h {
				row(n, oh, true)
			}
		}}
	}
	kh, kw := int(q.p.KernelH), int(q.p.KernelW)
	p := q.rows(func(n, oh int) {
		row(n, oh, false)
		clearPixels(dx, &q.x, n, oh*kh, (oh+1)*kh, q.y.w*kw)
		if oh == q.y.h-1 {
			clearPixels(dx, &q.x, n, q.y.h*kh, q.x.h, 0)
		}
	})
	return phase{n: p.n, run: func(part, worker int) {
		p.run(part, worker)
		if stream {
			simd.Fence(levelFor[T]())
		}
	}}
}

// clearPixels clears rows h0 to h1-1 of image n from column w0 on.
func clearPixels[T float](x []T, m *images, n, h0, h1, w0 int) {
	for h := h0; h < h1; h++ {
		if m.strW == m.c {
			clear(x[m.at(n, h, w0):][:(m.w-w0)*m.c])
			continue
		}
		for w := w0; w < m.w; w++ {
			clear(x[m.at(n, h, w):][:m.c])
		}
	}
}

// count is what the sum over the window of row oh, column ow is divided by: the taps inside the image, or, if padding
// counts, those inside it or its padding, but not what Ceil adds beyond.
func (q *pooling) count(oh, ow int, countPad bool) int {
	taps := func(o, k, stride, pad, dil, n int32) int {
		start := int(o*stride - pad)
		if countPad {
			_, hi := tapsInside(start, int(k), int(dil), int(n+pad))
			return hi
		}
		lo, hi := tapsInside(start, int(k), int(dil), int(n))
		return hi - lo
	}
	p := &q.p
	return taps(int32(oh), p.KernelH, p.StrideH, p.PadH, p.DilH, int32(q.x.h)) * taps(int32(ow), p.KernelW, p.StrideW, p.PadW, p.DilW, int32(q.x.w))
}

// AvgPool2D is y (N,OH,OW,C) = the mean under each window of x (N,H,W,C). Padding counts as zeros if countPad is set,
// else not at all; a window without a counted pixel gives 0.
func (d *Device) AvgPool2D(y, x device.View, p device.Pool2D, countPad bool) bool {
	mx, okx := imagesOf(x)
	my, oky := imagesOf(y)
	if !okx || !oky || x.Type != y.Type {
		return false
	}
	q := newPooling(mx, my, p)
	switch x.Type {
	case device.F32:
		d.enqueue("AvgPool2D", []device.View{y}, []device.View{x}, 0, avgPool2D(slice[float32](y), slice[float32](x), &q, countPad))
	case device.F64:
		d.enqueue("AvgPool2D", []device.View{y}, []device.View{x}, 0, avgPool2D(slice[float64](y), slice[float64](x), &q, countPad))
	default:
		return false
	}
	return true
}

func avgPool2D[T float](y, x []T, q *pooling, countPad bool) phase {
	l := levelFor[T]()
	return q.rows(func(n, oh int) {
		q.row(n, oh, func(w simd.Windows, to, from, ow int) {
			if w.TapsH > 0 && w.TapsW > 0 {
				simd.AvgPool(l, y[to:], x[from:], &w, 1/T(q.count(oh, ow, countPad)))
				return
			}
			clear(y[to:][:w.C])
		})
	})
}

// AvgPool2DGrad is dx (N,H,W,C) = the gradient of AvgPool2D from dy (N,OH,OW,C); overlapping windows are added in
// order.
func (d *Device) AvgPool2DGrad(dx, dy device.View, p device.Pool2D, countPad bool) bool {
	mx, okx := imagesOf(dx)
	my, oky := imagesOf(dy)
	if !okx || !oky || dx.Type != dy.Type {
		return false
	}
	q := newPooling(mx, my, p)
	switch dx.Type {
	case device.F32:
		d.enqueue("AvgPool2DGrad", []device.View{dx}, []device.View{dy}, 0, avgPool2DGrad(slice[float32](dx), slice[float32](dy), &q, countPad, streams(dx)))
	case device.F64:
		d.enqueue("AvgPool2DGrad", []device.View{dx}, []device.View{dy}, 0, avgPool2DGrad(slice[float64](dx), slice[float64](dy), &q, countPad, streams(dx)))
	default:
		return false
	}
	return true
}

func avgPool2DGrad[T float](dx, dy []T, q *pooling, countPad, stream bool) phase {
	l := levelFor[T]()
	return poolGrad(dx, q, stream, func(w simd.Windows, _, oh, ow, from, to int, add bool) {
		simd.AvgPoolGrad(l, dx[to:], dy[from:], &w, 1/T(q.count(oh, ow, countPad)), add, stream)
	})
}
