package cpu

import (
	"unsafe"

	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// A stage is the part of some images that tiles of a convolution read, laid out so that what a tile needs is near: as
// (row, column, image, channel), or with few channels as (row, column, image, tap, channel).

// extent is the positions lo, lo+every, ... under hi along an axis of y that a tap has; they meet at, at+step, ... in x.
type extent struct{ lo, hi, at, every, step int }

// count is the number of positions.
func (e *extent) count() int {
	if e.hi <= e.lo {
		return 0
	}
	return (e.hi-1-e.lo)/e.every + 1
}

// extents turns the taps of positions into the positions of each tap.
func extents(taps [][]tap, kernel int) []extent {
	all := make([]extent, kernel)
	for i, ts := range taps {
		for _, t := range ts {
			e := &all[t.k]
			switch {
			case e.hi == 0:
				*e = extent{i, i + 1, t.at, 1, 1}
			case e.hi == e.lo+1: // the second
				e.every, e.step = i-e.lo, t.at-e.at
			}
			e.hi = i + 1
		}
	}
	return all
}

// stageRows stages rows lo to hi-1, w pixels wide, of n images of strides s: channels of each, per of them in an element. Parts of
// numbers lie side by side in a pixel.
func stageRows[T float](l simd.Level, per, parts int, stage, x []T, s [3]int, n, lo, hi, w, channels, pixel int) {
	for i := range n {
		for r := lo; r < hi; r++ {
			to, from := stage[((r-lo)*w*n+i)*pixel:], x[i*s[0]+r*s[1]:]
			switch {
			case per == 1:
				copyPixels(l, to, from, w, channels, n*pixel, s[2])
			case parts > 1:
				simd.SplitRows(l, float32s(to), float32s(from), w, channels, n*pixel, s[2], ceil(channels, per))
			default:
				simd.PairRows(l, float32s(to), float32s(from), w, channels, n*pixel, s[2])
			}
		}
	}
}

// gather stages the taps of the positions in rows i0 to i1-1 of y, which is ow wide, of n images x of strides s: c channels
// for each, and zeros for images up to slots. band is room for those rows of an image with zeros around them, from which
// windows are copied.
func gather[T float](l simd.Level, v *windows, stage, band, x []T, s [3]int, n, slots, i0, i1, ow, c, pixel int) {
	if slots > n {
		clear(stage[:(i1-i0)*ow*slots*pixel])
	}
	for m := range n {
		from, pitch := slide(l, v, band, x[m*s[0]:], s, i0, i1, ow, c)
		for i := range i1 - i0 {
			to, row := stage[(i*ow*slots+m)*pixel:], from[i*int(v.p.StrideH)*pitch:]
			v.runs(pitch, c, func(tap, at, many int) {
				copyPixels(l, to[tap:], row[at:], ow, many, slots*pixel, int(v.p.StrideW)*c)
			})
		}
	}
}

// gatherTaps is gather for taps in any order, as a gradient to the input has them: those of each row and column of the kernel.
func gatherTaps[T float](l simd.Level, stage, x []T, s [3]int, n, i0, i1, ow int, rows, cols []extent, c, pixel int) {
	clear(stage[:(i1-i0)*ow*n*pixel]) // taps in the padding
	for r := range rows {
		e := &rows[r]
		for i := e.lo; i < min(e.hi, i1); i += e.every {
			if i < i0 {
				continue
			}
			at := e.at + (i-e.lo)/e.every*e.step
			for m := range n {
				to, from := stage[((i-i0)*ow*n+m)*pixel+r*len(cols)*c:], x[m*s[0]+at*s[1]:]
				for k := range cols {
					if w := &cols[k]; w.count() > 0 {
						copyPixels(l, to[w.lo*n*pixel+k*c:], from[w.at*s[2]:], w.count(), c, w.every*n*pixel, w.step*s[2])
					}
				}
			}
		}
	}
}

// copyPixels copies n runs of c elements, from stride from to stride to.
func copyPixels[T float](l simd.Level, dst, src []T, n, c, to, from int) {
	if n <= 0 {
		return
	}
	if sizeOf[T]() == 4 {
		simd.CopyRows(l, float32s(dst), float32s(src), n, c, to, from)
		return
	}
	for i := range n {
		copy(dst[i*to:][:c], src[i*from:])
	}
}

// float32s is x, which holds float32.
func float32s[T float](x []T) []float32 { return *(*[]float32)(unsafe.Pointer(&x)) }
