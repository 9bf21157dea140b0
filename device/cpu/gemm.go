package cpu

// The heart of matrix products and convolutions: register tiles of 4 rows by 2 columns, eight sums in registers. Wider
// tiles lose in plain Go, whose multiply needs a copy of one operand, so that 12 or 16 sums spill. Each sum runs over k
// in rising order in every kernel here: a result does not depend on the tile that it falls in.
//
// Two forms of operands exist. "Rows" are as they lie in memory where k is the contiguous axis. "Panels" are packed:
// 4 rows of a interleaved (k-th group of 4 at 4k), 2 rows of b interleaved.

type float interface{ float32 | float64 }

const (
	tileM = 4 // rows of a register tile, and of a panel of a
	tileN = 2 // columns of a register tile, and of a panel of b
)

// dot4x2 is: acc[2i+j] = sum over k < n of a[i*lda+k] * b[j*ldb+k].
func dot4x2[T float](acc *[8]T, a []T, lda int, b []T, ldb, n int) {
	p0, p1, p2, p3 := a[:n], a[lda:][:n], a[2*lda:][:n], a[3*lda:][:n]
	q0, q1 := b[:n], b[ldb:][:n]
	var c00, c01, c10, c11, c20, c21, c30, c31 T
	k := 0
	for ; k <= n-8; k += 8 {
		x0, x1, x2, x3 := (*[8]T)(p0[k:]), (*[8]T)(p1[k:]), (*[8]T)(p2[k:]), (*[8]T)(p3[k:])
		y0, y1 := (*[8]T)(q0[k:]), (*[8]T)(q1[k:])
		b0, b1 := y0[0], y1[0]
		a0, a1, a2, a3 := x0[0], x1[0], x2[0], x3[0]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[1], y1[1]
		a0, a1, a2, a3 = x0[1], x1[1], x2[1], x3[1]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[2], y1[2]
		a0, a1, a2, a3 = x0[2], x1[2], x2[2], x3[2]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[3], y1[3]
		a0, a1, a2, a3 = x0[3], x1[3], x2[3], x3[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[4], y1[4]
		a0, a1, a2, a3 = x0[4], x1[4], x2[4], x3[4]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[5], y1[5]
		a0, a1, a2, a3 = x0[5], x1[5], x2[5], x3[5]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[6], y1[6]
		a0, a1, a2, a3 = x0[6], x1[6], x2[6], x3[6]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y0[7], y1[7]
		a0, a1, a2, a3 = x0[7], x1[7], x2[7], x3[7]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
	}
	p0 = p0[k:]
	p1, p2, p3 = p1[k:][:len(p0)], p2[k:][:len(p0)], p3[k:][:len(p0)]
	q0, q1 = q0[k:][:len(p0)], q1[k:][:len(p0)]
	for i, a0 := range p0 {
		a1, a2, a3, b0, b1 := p1[i], p2[i], p3[i], q0[i], q1[i]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
	}
	*acc = [8]T{c00, c01, c10, c11, c20, c21, c30, c31}
}

// dot4x1 is: acc[2i] = sum over k < n of a[i*lda+k] * b[k].
func dot4x1[T float](acc *[8]T, a []T, lda int, b []T, n int) {
	p0, p1, p2, p3, q := a[:n], a[lda:][:n], a[2*lda:][:n], a[3*lda:][:n], b[:n]
	var c0, c1, c2, c3 T
	for k, v := range q {
		c0 += p0[k] * v
		c1 += p1[k] * v
		c2 += p2[k] * v
		c3 += p3[k] * v
	}
	acc[0], acc[2], acc[4], acc[6] = c0, c1, c2, c3
}

// dot is: sum over k of a[k] * b[k]. b is at least as long as a.
func dot[T float](a, b []T) T {
	b = b[:len(a)]
	var c T
	for k, v := range a {
		c += v * b[k]
	}
	return c
}

// panel4x2 is: acc[2i+j] = sum over k < n of a[4k+i] * b[2k+j].
func panel4x2[T float](acc *[8]T, a, b []T, n int) {
	a, b = a[:4*n], b[:2*n]
	var c00, c01, c10, c11, c20, c21, c30, c31 T
	for len(a) >= 16 && len(b) >= 8 {
		x, y := a[:16:16], b[:8:8]
		b0, b1 := y[0], y[1]
		a0, a1, a2, a3 := x[0], x[1], x[2], x[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y[2], y[3]
		a0, a1, a2, a3 = x[4], x[5], x[6], x[7]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y[4], y[5]
		a0, a1, a2, a3 = x[8], x[9], x[10], x[11]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		b0, b1 = y[6], y[7]
		a0, a1, a2, a3 = x[12], x[13], x[14], x[15]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		a, b = a[16:], b[8:]
	}
	for len(a) >= 4 && len(b) >= 2 {
		b0, b1 := b[0], b[1]
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		a, b = a[4:], b[2:]
	}
	*acc = [8]T{c00, c01, c10, c11, c20, c21, c30, c31}
}

const (
	blockK = 512 // k of a block: 6 rows of f32 are 12 KiB, well inside a first-level cache
	blockN = 128 // rows of b of a block: 128 x 512 f32 are 256 KiB, inside a second-level cache
)

// blocks cuts n into equal blocks of at most most elements, multiples of unit; it returns the size of a block.
func blocks(n, most, unit int) int {
	c := (n + most - 1) / most
	if c <= 1 {
		return max(n, 1)
	}
	return ((n+c-1)/c + unit - 1) / unit * unit
}

// gemmRows is: s(i,j) gets the sum over l < k of a[i*lda+l] * b[j*ldb+l], for i < m and j < n.
func gemmRows[T float](s sink[T], a []T, lda int, b []T, ldb, m, n, k int) {
	kb := blocks(k, blockK, 8)
	nb := blocks(n, blockN, tileN)
	for l := 0; l < k; l += kb {
		kc := min(kb, k-l)
		t := s.block(l == 0, l+kc == k)
		for j := 0; j < n; j += nb {
			dotTile(&t, a[l:], lda, b[j*ldb+l:], ldb, m, min(nb, n-j), kc, j)
		}
	}
}

// dotTile is one block of gemmRows whose columns start at j0 of the sink.
func dotTile[T float](s *sink[T], a []T, lda int, b []T, ldb, m, n, k, j0 int) {
	var acc [8]T
	if m < tileM {
		for i := range m {
			row := a[i*lda:][:k]
			j := 0
			for ; j <= n-4; j += 4 { // the transposed product: four rows of b share one of a
				dot4x1(&acc, b[j*ldb:], ldb, row, k)
				for t := range 4 {
					s.set(i, j0+j+t, acc[2*t])
				}
			}
			for ; j < n; j++ {
				s.set(i, j0+j, dot(row, b[j*ldb:]))
			}
		}
		return
	}
	for i := 0; i < m; i += tileM {
		lo := max(0, i+tileM-m) // the last tile is moved back to be full; what is there already is not stored again
		i0 := i - lo
		rows := a[i0*lda:]
		j := 0
		for ; j <= n-tileN; j += tileN {
			dot4x2(&acc, rows, lda, b[j*ldb:], ldb, k)
			s.put(&acc, i0, j0+j, lo, tileM, tileN)
		}
		if j < n {
			dot4x1(&acc, rows, lda, b[j*ldb:], k)
			s.put(&acc, i0, j0+j, lo, tileM, 1)
		}
	}
}

// gemmPanels is one block of k: s(i,j) gets the sums of the panels of a and b, for i < m and j < n.
func gemmPanels[T float](s *sink[T], a, b []T, m, n, k int) {
	var acc [8]T
	for i := 0; i < m; i += tileM {
		p := a[i*k:]
		for j := 0; j < n; j += tileN {
			panel4x2(&acc, p, b[j*k:], k)
			s.put(&acc, i, j, 0, min(tileM, m-i), min(tileN, n-j))
		}
	}
}

// panelLen is the number of elements of n rows of k in panels of width rows.
func panelLen(n, k, width int) int { return (n + width - 1) / width * width * k }

// packPanels fills panels of width rows (4 or 2) with n rows of k elements, src[i*rs+l*ks]; missing rows are zeros.
func packPanels[T float](dst, src []T, off, rs, ks, n, k, width int) {
	for i := 0; i < n; i += width {
		p := dst[i*k:][:width*k]
		o := off + i*rs
		have := min(width, n-i)
		switch {
		case have == 4 && width == 4 && ks == 1 && rs >= 0:
			r0, r1, r2, r3 := src[o:][:k], src[o+rs:][:k], src[o+2*rs:][:k], src[o+3*rs:][:k]
			for l, v := range r0 {
				q := (*[4]T)(p[4*l:])
				q[0], q[1], q[2], q[3] = v, r1[l], r2[l], r3[l]
			}
		case have == 4 && width == 4 && rs == 1:
			for l := range k {
				*(*[4]T)(p[4*l:]) = *(*[4]T)(src[o:])
				o += ks
			}
		case have == 2 && width == 2 && rs == 1:
			for l := range k {
				*(*[2]T)(p[2*l:]) = *(*[2]T)(src[o:])
				o += ks
			}
		default:
			for r := range width {
				x := o + r*rs
				for l := range k {
					if r < have {
						p[l*width+r] = src[x]
					} else {
						p[l*width+r] = 0
					}
					x += ks
				}
			}
		}
	}
}
