package cpu

import "github.com/acumen-ml/acumen/device/cpu/simd"

// The heart of matrix products and convolutions is simd.Tile: sums in registers of a few rows of a times a panel of b, as
// wide as the instruction set likes. Here are the panels. Each sum runs over k in rising order, block after block: a
// result does not depend on the tile that it falls in, so not on how the work is cut.

type float = simd.Float

// levelFor is the instruction set that serves T: vector kernels are there for float32.
func levelFor[T float]() simd.Level {
	if sizeOf[T]() == 8 {
		return simd.Generic
	}
	return simd.Active()
}

// blocks cuts n into equal blocks of at most most elements, multiples of unit; it returns the size of a block.
func blocks(n, most, unit int) int {
	c := ceil(n, most)
	if c <= 1 {
		return max(n, 1)
	}
	return ceil(ceil(n, c), unit) * unit
}

func ceil(a, b int) int { return (a + b - 1) / b }

// panels says how n columns are dealt to panels: all are p wide but for the last, which may be narrower.
type panels struct {
	n, p int
	l    simd.Level
}

func panelsFor(l simd.Level, n int) panels { return panels{n, l.Panel(), l} }

// count is the number of panels.
func (s panels) count() int { return ceil(s.n, s.p) }

// width is the width of panel q, and cols how many of its columns there are.
func (s panels) width(q int) (width, cols int) {
	if cols = s.n - q*s.p; cols >= s.p {
		return s.p, s.p
	}
	return s.l.Width(cols), cols
}

// wide is the columns of all panels together.
func (s panels) wide() int {
	if s.n == 0 {
		return 0
	}
	width, _ := s.width(s.count() - 1)
	return (s.count()-1)*s.p + width
}

// packPanel writes cols columns and k rows of b, src[off+l*rs+j*cs], as a panel of width columns; missing ones are zeros.
func packPanel[T float](l simd.Level, dst, src []T, off, rs, cs, k, cols, width int) {
	dst = dst[:k*width]
	if cols < width {
		clear(dst)
	}
	switch {
	case k == 0:
	case cs == 1 && rs >= 0:
		copyPixels(l, dst, src[off:], k, cols, width, rs)
	case rs == 1 && cs >= 0:
		simd.Transpose(l, dst, src[off:], cols, k, width, cs)
	default:
		for i := range k {
			for j := range cols {
				dst[i*width+j] = src[off+i*rs+j*cs]
			}
		}
	}
}

// packRows writes m rows of k elements of a, src[off+i*rs+l*ks], ld apart.
func packRows[T float](l simd.Level, dst, src []T, off, rs, ks, m, k, ld int) {
	switch {
	case k == 0:
	case ks == 1 && rs >= 0:
		copyPixels(l, dst, src[off:], m, k, ld, rs)
	case rs == 1 && ks >= 0:
		simd.Transpose(l, dst, src[off:], k, m, ld, ks)
	default:
		for i := range m {
			for j := range k {
				dst[i*ld+j] = src[off+i*rs+j*ks]
			}
		}
	}
}

// crowded reports whether rows so many elements apart meet in few sets of a first-level cache, so that a tile's rows
// would drive each other out.
func crowded[T float](stride int) bool { return stride*sizeOf[T]()%2048 == 0 && stride != 0 }

// tileRows cuts m rows into tiles of nearly the same height, at most most.
func tileRows(m, most int) int { return ceil(m, max(ceil(m, most), 1)) }
