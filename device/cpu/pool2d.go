package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// images is the place of pixels of a view (N,H,W,C) whose channels are adjacent.
type images struct{ n, h, w, c, strN, strH, strW int }

// imagesOf reports false where channels are not adjacent or a stride is negative.
func imagesOf(v device.View) (images, bool) {
	m := images{v.D(0), v.D(1), v.D(2), v.D(3), int(v.Str[0]), int(v.Str[1]), int(v.Str[2])}
	return m, m.strN >= 0 && m.strH >= 0 && m.strW >= 0 && (v.Str[3] == 1 || m.c == 1) && v.Len() > 0
}

func (m *images) at(n, h, w int) int { return n*m.strN + h*m.strH + w*m.strW }

// poolRows is the number of output rows of a part: a few thousand elements.
func poolRows(w, c int) int { return max(1, 4096/(w*c)) }

// span is the range of taps of a window along one axis that lie inside the image: input positions
// start+lo*dil .. start+(hi-1)*dil.
func tapsInside(start, k, dil, n int) (lo, hi int) {
	if start < 0 {
		lo = (-start + dil - 1) / dil
	}
	if hi = k; start+(k-1)*dil >= n {
		hi = max((n-start+dil-1)/dil, 0)
	}
	return min(lo, hi), hi
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
	switch x.Type {
	case device.F32:
		d.enqueue("MaxPool2D", writes, []device.View{x}, 0, maxPool2D(slice[float32](y), my, index, slice[float32](x), mx, p))
	case device.F64:
		d.enqueue("MaxPool2D", writes, []device.View{x}, 0, maxPool2D(slice[float64](y), my, index, slice[float64](x), mx, p))
	default:
		return false
	}
	return true
}

func maxPool2D[T float](y []T, my images, index []int32, x []T, mx images, p device.Pool2D) phase {
	per := poolRows(my.w, my.c)
	rows := my.n * my.h
	sh, sw, dh, dw := int(p.StrideH), int(p.StrideW), int(p.DilH), int(p.DilW)
	c := mx.c
	return phase{
		n: (rows + per - 1) / per,
		run: func(part, _ int) {
			for r := part * per; r < min(rows, (part+1)*per); r++ {
				n, oh := r/my.h, r%my.h
				h0 := oh*sh - int(p.PadH)
				hl, hh := tapsInside(h0, int(p.KernelH), dh, mx.h)
				for ow := range my.w {
					w0 := ow*sw - int(p.PadW)
					wl, wh := tapsInside(w0, int(p.KernelW), dw, mx.w)
					best := y[my.at(n, oh, ow):][:c]
					var at []int32
					if index != nil {
						at = index[(r*my.w+ow)*c:][:c]
					}
					if hl == hh || wl == wh {
						for i := range best {
							best[i] = T(math.Inf(-1))
						}
						for i := range at {
							at[i] = -1
						}
						continue
					}
					first := true
					for i := hl; i < hh; i++ {
						h := h0 + i*dh
						for j := wl; j < wh; j++ {
							w := w0 + j*dw
							place := int32(h*mx.w + w)
							px := x[mx.at(n, h, w):][:len(best)]
							switch {
							case first:
								copy(best, px)
								for i := range at {
									at[i] = place
								}
								first = false
							case at == nil:
								for i, v := range px {
									if b := best[i]; v > b || v != v && b == b {
										best[i] = v
									}
								}
							default:
								at = at[:len(best)]
								for i, v := range px {
									if b := best[i]; v > b || v != v && b == b {
										best[i], at[i] = v, place
									}
								}
							}
						}
					}
				}
			}
		},
	}
}

// MaxPool2DGrad is dx = the gradient of MaxPool2D: each dy (N,OH,OW,C) added, in order, to the place in dx (N,H,W,C)
// that idx names.
func (d *Device) MaxPool2DGrad(dx, dy, idx device.View, p device.Pool2D) bool {
	mx, okx := imagesOf(dx)
	my, oky := imagesOf(dy)
	if !okx || !oky || dx.Type != dy.Type || idx.Type != device.I32 || !idx.Contiguous() || mx.h > 1 && mx.strH != mx.w*mx.strW {
		return false
	}
	index := slice[int32](idx)
	switch dx.Type {
	case device.F32:
		d.enqueue("MaxPool2DGrad", []device.View{dx}, []device.View{dy, idx}, 0, maxPool2DGrad(slice[float32](dx), mx, slice[float32](dy), my, index))
	case device.F64:
		d.enqueue("MaxPool2DGrad", []device.View{dx}, []device.View{dy, idx}, 0, maxPool2DGrad(slice[float64](dx), mx, slice[float64](dy), my, index))
	default:
		return false
	}
	return true
}

func maxPool2DGrad[T float](dx []T, mx images, dy []T, my images, index []int32) phase {
	return phase{
		n: mx.n,
		run: func(n, _ int) {
			clearImage(dx, &mx, n)
			x := dx[n*mx.strN:]
			c := mx.c
			for oh := range my.h {
				for ow := range my.w {
					g := dy[my.at(n, oh, ow):][:c]
					at := index[((n*my.h+oh)*my.w+ow)*c:][:len(g)]
					for i, v := range g {
						if q := int(at[i]); q >= 0 {
							x[q*mx.strW+i] += v
						}
					}
				}
			}
		},
	}
}

func clearImage[T float](x []T, m *images, n int) {
	for h := range m.h {
		if m.strW == m.c {
			clear(x[m.at(n, h, 0):][:m.w*m.c])
			continue
		}
		for w := range m.w {
			clear(x[m.at(n, h, w):][:m.c])
		}
	}
}

// avgWindow is the window of one output position: the taps inside the image and what their sum is divided by, 0 if no
// tap counts. Padding counts if countPad is set, but not what Ceil adds beyond it.
type avgWindow struct {
	h0, hl, hh, w0, wl, wh int
	count                  int
}

func newAvgWindow(p *device.Pool2D, m *images, oh, ow int, countPad bool) avgWindow {
	a := avgWindow{h0: oh*int(p.StrideH) - int(p.PadH), w0: ow*int(p.StrideW) - int(p.PadW)}
	a.hl, a.hh = tapsInside(a.h0, int(p.KernelH), int(p.DilH), m.h)
	a.wl, a.wh = tapsInside(a.w0, int(p.KernelW), int(p.DilW), m.w)
	a.count = (a.hh - a.hl) * (a.wh - a.wl)
	if countPad {
		_, h := tapsInside(a.h0, int(p.KernelH), int(p.DilH), m.h+int(p.PadH))
		_, w := tapsInside(a.w0, int(p.KernelW), int(p.DilW), m.w+int(p.PadW))
		a.count = h * w
	}
	return a
}

// AvgPool2D is y (N,OH,OW,C) = the mean under each window of x (N,H,W,C). Padding counts as zeros if countPad is set,
// else not at all; a window without a counted pixel gives 0.
func (d *Device) AvgPool2D(y, x device.View, p device.Pool2D, countPad bool) bool {
	mx, okx := imagesOf(x)
	my, oky := imagesOf(y)
	if !okx || !oky || x.Type != y.Type {
		return false
	}
	switch x.Type {
	case device.F32:
		d.enqueue("AvgPool2D", []device.View{y}, []device.View{x}, 0, avgPool2D(slice[float32](y), my, slice[float32](x), mx, p, countPad))
	case device.F64:
		d.enqueue("AvgPool2D", []device.View{y}, []device.View{x}, 0, avgPool2D(slice[float64](y), my, slice[float64](x), mx, p, countPad))
	default:
		return false
	}
	return true
}

func avgPool2D[T float](y []T, my images, x []T, mx images, p device.Pool2D, countPad bool) phase {
	per := poolRows(my.w, my.c)
	rows := my.n * my.h
	dh, dw := int(p.DilH), int(p.DilW)
	return phase{
		n: (rows + per - 1) / per,
		run: func(part, _ int) {
			for r := part * per; r < min(rows, (part+1)*per); r++ {
				n, oh := r/my.h, r%my.h
				for ow := range my.w {
					a := newAvgWindow(&p, &mx, oh, ow, countPad)
					sum := y[my.at(n, oh, ow):][:my.c]
					clear(sum)
					for i := a.hl; i < a.hh; i++ {
						for j := a.wl; j < a.wh; j++ {
							for l, v := range x[mx.at(n, a.h0+i*dh, a.w0+j*dw):][:len(sum)] {
								sum[l] += v
							}
						}
					}
					if a.count > 0 {
						s := 1 / T(a.count)
						for l := range sum {
							sum[l] *= s
						}
					}
				}
			}
		},
	}
}

// AvgPool2DGrad is dx (N,H,W,C) = the gradient of AvgPool2D from dy (N,OH,OW,C); overlapping windows are added in
// order.
func (d *Device) AvgPool2DGrad(dx, dy device.View, p device.Pool2D, countPad bool) bool {
	mx, okx := imagesOf(dx)
	my, oky := imagesOf(dy)
	if !okx || !oky || dx.Type != dy.Type {
		return false
	}
	switch dx.Type {
	case device.F32:
		d.enqueue("AvgPool2DGrad", []device.View{dx}, []device.View{dy}, 0, avgPool2DGrad(slice[float32](dx), mx, slice[float32](dy), my, p, countPad))
	case device.F64:
		d.enqueue("AvgPool2DGrad", []device.View{dx}, []device.View{dy}, 0, avgPool2DGrad(slice[float64](dx), mx, slice[float64](dy), my, p, countPad))
	default:
		return false
	}
	return true
}

func avgPool2DGrad[T float](dx []T, mx images, dy []T, my images, p device.Pool2D, countPad bool) phase {
	dh, dw := int(p.DilH), int(p.DilW)
	return phase{
		n: mx.n,
		run: func(n, _ int) {
			clearImage(dx, &mx, n)
			for oh := range my.h {
				for ow := range my.w {
					a := newAvgWindow(&p, &mx, oh, ow, countPad)
					if a.count == 0 {
						continue
					}
					g := dy[my.at(n, oh, ow):][:my.c]
					s := 1 / T(a.count)
					for i := a.hl; i < a.hh; i++ {
						for j := a.wl; j < a.wh; j++ {
							px := dx[mx.at(n, a.h0+i*dh, a.w0+j*dw):][:len(g)]
							for l, v := range g {
								px[l] += v * s
							}
						}
					}
				}
			}
		},
	}
}
