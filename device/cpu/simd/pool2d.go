package simd

import (
	"math"
	"unsafe"
)

// Windows is a row of N windows over pixels of C channels: the pixel of window i is at y[i YStep], and its taps are at
//
//	x[i XStep + h StepH + w StepW]      h < TapsH, w < TapsW
//
// with place Place + i PlaceStep + h PlaceH + w PlaceW. Indices are places, C of them for each pixel of y without a gap.
// There is at least one tap. Nothing outside the pixels is read or written.
type Windows struct {
	N, C                             int
	YStep, XStep                     int
	TapsH, TapsW, StepH, StepW       int
	Place, PlaceStep, PlaceH, PlaceW int
}

// windows32 is Windows as kernels read them: distances in bytes, and from the last tap of a row to the first of the next.
type windows32 struct {
	n, c, y, x                   int
	tapsH, tapsW, skipH, stepW   int
	place, placeStep, placeSkipH int
	placeW, scale, add, stream   int
}

func (w *Windows) bytes() windows32 {
	return windows32{
		n: w.N, c: w.C, y: 4 * w.YStep, x: 4 * w.XStep,
		tapsH: w.TapsH, tapsW: w.TapsW, skipH: 4 * (w.StepH - w.TapsW*w.StepW), stepW: 4 * w.StepW,
		place: w.Place, placeStep: w.PlaceStep, placeSkipH: w.PlaceH - w.TapsW*w.PlaceW, placeW: w.PlaceW,
	}
}

// check panics unless all pixels are inside y and x, and reports whether there are any.
func (w *Windows) check(y, x int) bool {
	if w.N <= 0 || w.C <= 0 {
		return false
	}
	if w.TapsH <= 0 || w.TapsW <= 0 || w.YStep < 0 || w.XStep < 0 || w.StepH < 0 || w.StepW < 0 ||
		(w.N-1)*w.YStep+w.C > y || (w.N-1)*w.XStep+(w.TapsH-1)*w.StepH+(w.TapsW-1)*w.StepW+w.C > x {
		panic("simd: windows leave their slices")
	}
	return true
}

// taps calls f with the first element and the place of each tap of window i.
func (w *Windows) taps(i int, f func(x, place int)) {
	for h := range w.TapsH {
		for v := range w.TapsW {
			f(i*w.XStep+h*w.StepH+v*w.StepW, w.Place+i*w.PlaceStep+h*w.PlaceH+v*w.PlaceW)
		}
	}
}

// MaxPool is y = the largest of the taps, and index, if it is not nil, its place: the first of equals, and NaN is larger
// than all numbers.
func MaxPool[T Float](l Level, y []T, index []int32, x []T, w *Windows) {
	if !w.check(len(y), len(x)) {
		return
	}
	var at *int32
	if index != nil {
		at = &index[:w.N*w.C][0]
	}
	if l != Generic && is32[T]() {
		b := w.bytes()
		maxPool32(l, ptr32(y), at, ptr32(x), &b)
		return
	}
	for i := range w.N {
		best := y[i*w.YStep:][:w.C]
		var at []int32
		if index != nil {
			at = index[i*w.C:][:w.C]
		}
		first := true
		w.taps(i, func(from, place int) {
			px := x[from:][:len(best)]
			switch {
			case first:
				copy(best, px)
				for j := range at {
					at[j] = int32(place)
				}
				first = false
			case at == nil:
				for j, v := range px {
					if b := best[j]; v > b || v != v && b == b {
						best[j] = v
					}
				}
			default:
				at = at[:len(best)]
				for j, v := range px {
					if b := best[j]; v > b || v != v && b == b {
						best[j], at[j] = v, int32(place)
					}
				}
			}
		})
	}
}

// MaxPoolGrad gives to each tap of dx the elements of dy whose index is its place. add says that they are added to dx;
// else dx is set, to 0 where there is none, and windows do not overlap. stream as in Normalise.
func MaxPoolGrad[T Float](l Level, dx, dy []T, index []int32, w *Windows, add, stream bool) {
	if !w.check(len(dy), len(dx)) {
		return
	}
	index = index[:w.N*w.C]
	if l != Generic && is32[T]() {
		b := w.grad(l, unsafe.Pointer(&dx[0]), 1, add, stream)
		maxPoolGrad32(l, ptr32(dy), &index[0], ptr32(dx), &b)
		return
	}
	for i := range w.N {
		g, at := dy[i*w.YStep:][:w.C], index[i*w.C:][:w.C]
		w.taps(i, func(to, place int) {
			px := dx[to:][:len(g)]
			if !add {
				clear(px)
			}
			for j, v := range g {
				if at[j] == int32(place) {
					px[j] += v
				}
			}
		})
	}
}

// AvgPool is y = scale times the sum of the taps.
func AvgPool[T Float](l Level, y, x []T, w *Windows, scale T) {
	if !w.check(len(y), len(x)) {
		return
	}
	if l != Generic && is32[T]() {
		b := w.bytes()
		b.scale = int(math.Float32bits(float32(scale)))
		avgPool32(l, ptr32(y), ptr32(x), &b)
		return
	}
	for i := range w.N {
		sum := y[i*w.YStep:][:w.C]
		clear(sum)
		w.taps(i, func(from, _ int) {
			for j, v := range x[from:][:len(sum)] {
				sum[j] += v
			}
		})
		for j := range sum {
			sum[j] *= scale
		}
	}
}

// AvgPoolGrad gives to each tap of dx scale times dy; add and stream as in MaxPoolGrad.
func AvgPoolGrad[T Float](l Level, dx, dy []T, w *Windows, scale T, add, stream bool) {
	if !w.check(len(dy), len(dx)) {
		return
	}
	if l != Generic && is32[T]() {
		b := w.grad(l, unsafe.Pointer(&dx[0]), float32(scale), add, stream)
		avgPoolGrad32(l, ptr32(dy), ptr32(dx), &b)
		return
	}
	for i := range w.N {
		g := dy[i*w.YStep:][:w.C]
		w.taps(i, func(to, _ int) {
			px := dx[to:][:len(g)]
			if !add {
				clear(px)
			}
			for j, v := range g {
				px[j] += v * scale
			}
		})
	}
}

// grad is w for a kernel that writes the taps. It streams where it may, and each pixel begins where a vector may.
func (w *Windows) grad(l Level, dx unsafe.Pointer, scale float32, add, stream bool) windows32 {
	b := w.bytes()
	b.scale = int(math.Float32bits(scale))
	if add {
		b.add = 1
	}
	if vector := 2 * l.Panel(); stream && (int(uintptr(dx))|4*w.XStep|4*w.StepH|4*w.StepW)%vector == 0 {
		b.stream = 1
	}
	return b
}
