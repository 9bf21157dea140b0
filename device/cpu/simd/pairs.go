package simd

import "math"

// Products of numbers in bf16, a float32 without its lower half. Two of them that are neighbours along k are a pair, 32 bits
// with the first in the lower half, and stand where one float32 would: slices of pairs are slices of float32.
//
// A number is rounded to the nearest one in bf16, ties to even. NaN becomes a quiet NaN, and what is under 2^-126, the
// smallest that is normal, becomes 0.

// pair is two numbers as they stand in a slice.
func pair(first, second float32) float32 {
	return math.Float32frombits(uint32(bf16(first)) | uint32(bf16(second))<<16)
}

func bf16(x float32) uint16 {
	u := math.Float32bits(x)
	switch {
	case x != x:
		return uint16(u>>16) | 0x40
	case u&0x7f800000 == 0:
		return uint16(u>>16) & 0x8000
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// first and second are the numbers of a pair.
func first(p float32) float32  { return math.Float32frombits(math.Float32bits(p) << 16) }
func second(p float32) float32 { return math.Float32frombits(math.Float32bits(p) & 0xffff0000) }

// PairRows makes pairs of neighbours in n rows of size elements: row i from src[i srcStride] on becomes (size+1)/2 pairs
// from dst[i dstStride] on, with 0 beside a last one. dst may begin where src does, if its rows are no farther apart.
func PairRows(l Level, dst, src []float32, n, size, dstStride, srcStride int) {
	if n <= 0 || size <= 0 {
		return
	}
	_, _ = dst[:(n-1)*dstStride+(size+1)/2], src[:(n-1)*srcStride+size]
	if pairRows32(l, &dst[0], &src[0], n, size, dstStride, srcStride) {
		return
	}
	for i := range n {
		s, d := src[i*srcStride:][:size], dst[i*dstStride:]
		for j := 0; j+1 < size; j += 2 {
			d[j/2] = pair(s[j], s[j+1])
		}
		if size%2 != 0 {
			d[size/2] = pair(s[size-1], 0)
		}
	}
}

// ZipRows makes pairs of an element of a and the one of b that has its place, in n rows of size elements, from srcStride to
// dstStride apart; b nil means zeros. dst may be a, if its rows are no farther apart, and b is not before a.
func ZipRows(l Level, dst, a, b []float32, n, size, dstStride, srcStride int) {
	if n <= 0 || size <= 0 {
		return
	}
	_, _ = dst[:(n-1)*dstStride+size], a[:(n-1)*srcStride+size]
	var b0 *float32
	if b != nil {
		_, b0 = b[:(n-1)*srcStride+size], &b[0]
	}
	if zipRows32(l, &dst[0], &a[0], b0, n, size, dstStride, srcStride) {
		return
	}
	for i := range n {
		for j, v := range a[i*srcStride:][:size] {
			w := float32(0)
			if b != nil {
				w = b[i*srcStride+j]
			}
			dst[i*dstStride+j] = pair(v, w)
		}
	}
}

// Parts is how many numbers in bf16 a float32 is split into: the one nearest to it, the one nearest to what is left, and the one
// nearest to what is left then. Of 24 bits nothing remains, but parts under 2^-126 are 0. Of what is infinite, or rounds to it,
// the others are NaN. See Henry, Tang and Heinecke, arXiv:1904.06376.
const Parts = 3

// SplitRows is PairRows for each part of the numbers: the second parts lie plane elements behind the first, the third as far
// behind those.
func SplitRows(l Level, dst, src []float32, n, size, dstStride, srcStride, plane int) {
	if n <= 0 || size <= 0 {
		return
	}
	_, _ = dst[2*plane+(n-1)*dstStride+(size+1)/2-1], src[:(n-1)*srcStride+size]
	if splitRows32(l, &dst[0], &src[0], n, size, dstStride, srcStride, plane) {
		return
	}
	for i := range n {
		s, d := src[i*srcStride:][:size], dst[i*dstStride:]
		for j := 0; j < size; j += 2 {
			var second float32
			if j+1 < size {
				second = s[j+1]
			}
			putSplit(d[j/2:], s[j], second, plane)
		}
	}
}

// ZipSplitRows is ZipRows for each part of the numbers, as SplitRows is PairRows.
func ZipSplitRows(l Level, dst, a, b []float32, n, size, dstStride, srcStride, plane int) {
	if n <= 0 || size <= 0 {
		return
	}
	_, _ = dst[2*plane+(n-1)*dstStride+size-1], a[:(n-1)*srcStride+size]
	var b0 *float32
	if b != nil {
		_, b0 = b[:(n-1)*srcStride+size], &b[0]
	}
	if zipSplitRows32(l, &dst[0], &a[0], b0, n, size, dstStride, srcStride, plane) {
		return
	}
	for i := range n {
		for j, v := range a[i*srcStride:][:size] {
			w := float32(0)
			if b != nil {
				w = b[i*srcStride+j]
			}
			putSplit(dst[i*dstStride+j:], v, w, plane)
		}
	}
}

func putSplit(dst []float32, x, y float32, plane int) {
	for i := range Parts {
		p := pair(x, y)
		dst[i*plane] = p
		x -= first(p)
		y -= second(p)
	}
}

// pairs is the definition of a tile of Pairs. In each pair the second product comes first, and each sum is rounded: so does
// the instruction for it, in Intel's manual. Products of numbers in bf16 are exact in float32, so that fused sums are the
// same; but the instruction has 0 for a sum under 2^-126.
func (t *Tile[T]) pairs() {
	for i := range t.Rows {
		for j := 0; j < t.Cols; j += 2 {
			next := min(1, t.Width-1-j)
			var c0, c1 float32
			for _, s := range t.Segs {
				if s.K == 0 {
					continue
				}
				a, b, at := t.A[s.A+i*t.ARow:], t.B[s.B+j:], 0
				for k := range s.K {
					x, b0, b1 := float32(a[at]), float32(b[k*t.BK]), float32(b[k*t.BK+next])
					x1, x0 := second(x), first(x)
					c0 += x1 * second(b0)
					c1 += x1 * second(b1)
					c0 += x0 * first(b0)
					c1 += x0 * first(b1)
					at += t.AK
				}
			}
			t.put(i, j, T(c0))
			if j+1 < t.Cols {
				t.put(i, j+1, T(c1))
			}
		}
	}
}
