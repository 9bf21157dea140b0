package cpu

import "github.com/acumen-ml/acumen/device/cpu/simd"

// Where there is a matrix unit for bf16, products of f32 numbers are sums of products of their parts, see simd.SplitRows and ADR 0015:
// with six of nine, sums of many products err no more than those of f32 products do, in less time. A single product may be off by
// 2^-22 of itself, where one of f32 numbers is by 2^-24.

// splitProduct is a matrix product y = a b + beta y that is computed so. A part splits its rows of a for itself, a block of k after the
// other, and they stay in its second-level cache while panels of b pass by, which are split beforehand for all parts. In a such a block
// is 32 rows, and in these chunk after chunk of k: what the unit takes at a time lies together, part after part. In b, too, it is
// panel after panel, in each part after part.
type splitProduct struct {
	d          *Device
	level      simd.Level
	y, a, b    operand[float32]
	m, n, k    int
	beta       float32
	mb, nb, kb int // of a part, and of a block of k
}

const (
	splitSide  = 32                                  // rows and columns that the unit takes at a time
	splitChunk = 16                                  // pairs along k that it does
	splitBlock = simd.Parts * splitSide * splitChunk // elements of such rows
	splitK     = 1024                                // k of a block: rows of a part fit into a second-level cache with a panel,
	splitRows  = 128                                 // and so many share what is read of b from beyond
	splitCols  = 2048                                // columns of a part: rows of a are split once for so many
	splitWide  = 128                                 // columns that are split at a time
	splitParts = 8                                   // parts at least
	splitLeast = 1 << 25                             // multiply-adds that are worth it, if
	splitMeets = 128                                 // rows and columns have a harmonic mean of twice this: an element is split for so many products
)

// split is the product if its factors are worth splitting.
func (p *product[T]) split() *splitProduct {
	q, ok := any(p).(*product[float32])
	worth := simd.MatrixUnit() && p.m*p.n >= splitMeets*(p.m+p.n) && p.k >= 2*splitChunk && p.m*p.n*p.k >= splitLeast
	if !ok || !worth && !p.d.split || p.per != 1 || p.batches != 1 || p.alpha != 1 || p.k == 0 ||
		q.a.s == nil || q.b.s == nil || q.y.s == nil || q.y.c != 1 || q.y.r < 0 {
		return nil
	}
	s := &splitProduct{d: p.d, level: p.level, y: q.y, a: q.a, b: q.b, m: p.m, n: p.n, k: p.k, beta: q.beta}
	s.mb, s.nb, s.kb = blocks(s.m, splitRows, splitSide), blocks(s.n, splitCols, splitSide), blocks(s.k, splitK, splitSide)
	halve := func(n *int, least int) {
		for ceil(s.m, s.mb)*ceil(s.n, s.nb) < splitParts && *n > least {
			*n = ceil(ceil(*n, 2), splitSide) * splitSide
		}
	}
	halve(&s.nb, 2*splitRows)
	halve(&s.mb, splitRows/2)
	halve(&s.nb, splitRows/2)
	return s
}

// deep is the pairs of k numbers, with zeros up to a whole number of chunks.
func (s *splitProduct) deep(k int) int { return ceil(ceil(k, 2), splitChunk) * splitChunk }

// phases splits b, then computes.
func (s *splitProduct) phases() []phase {
	wide := panelsFor(s.level, s.n).wide()
	size := simd.Parts * s.deep(s.k) * wide
	rows, temp := simd.Parts*s.deep(s.kb)*ceil(s.mb, splitSide)*splitSide, max(pairRoom(s.level), s.kb*splitSide)
	s.d.reserve((rows + temp) * 4)
	s.d.shared(size * 4)
	// panels is where columns from j on lie, of the block of k from l on.
	panels := func(j, l int) []float32 {
		return sharedOf[float32](s.d, 0, size)[simd.Parts*(wide*l/2+j*s.deep(min(s.kb, s.k-l))):]
	}
	across, cols := ceil(s.n, s.nb), ceil(s.n, splitWide)
	return []phase{{n: ceil(s.k, s.kb) * cols, run: func(part, worker int) {
		l, j := part/cols*s.kb, part%cols*splitWide
		s.panels(panels(j, l), scratchOf[float32](s.d, worker, temp), j, l, min(s.kb, s.k-l), min(splitWide, s.n-j))
	}}, {n: ceil(s.m, s.mb) * across, run: func(part, worker int) {
		i, j := part/across*s.mb, part%across*s.nb
		buf := scratchOf[float32](s.d, worker, rows+temp)
		for l := 0; l < s.k; l += s.kb {
			s.part(i, j, l, min(s.mb, s.m-i), min(s.nb, s.n-j), min(s.kb, s.k-l), buf[temp:], panels(j, l), buf[:temp])
		}
	}}}
}

// rows splits k numbers of m rows of a, one block of the unit's, from (i, l) on.
func (s *splitProduct) rows(dst, temp []float32, i, l, m, k int) {
	from, rs, at := s.a.s, s.a.r, s.a.off+i*s.a.r+l*s.a.c
	if s.a.c != 1 || rs < 0 {
		packRows(s.level, temp, from, at, rs, s.a.c, m, k, s.kb)
		from, rs, at = temp, s.kb, 0
	}
	const plane = splitSide * splitChunk
	whole, rest := k/(2*splitChunk), k%(2*splitChunk)
	for r := range m { // row by row, as they are read
		simd.SplitRows(s.level, dst[r*splitChunk:], from[at+r*rs:], whole, 2*splitChunk, splitBlock, 2*splitChunk, plane)
	}
	if rest > 0 {
		dst = dst[whole*splitBlock:]
		clear(dst[:splitBlock])
		simd.SplitRows(s.level, dst, from[at+k-rest:], m, rest, splitChunk, rs, plane)
	}
}

// panels splits k numbers of n columns of b from (l, j) on.
func (s *splitProduct) panels(dst, temp []float32, j, l, k, n int) {
	all, b, deep, done := panelsFor(s.level, n), &s.b, s.deep(k), 0
	if b.c == 1 && b.r >= 0 && deep == ceil(k, 2) { // row by row, as they are read
		done = n / all.p
		at, plane := b.off+l*b.r+j, deep*all.p
		for i := 0; i < k && done > 0; i += 2 {
			var next []float32
			if i+1 < k {
				next = b.s[at+(i+1)*b.r:]
			}
			simd.ZipSplitRows(s.level, dst[i/2*all.p:], b.s[at+i*b.r:], next, done, all.p, simd.Parts*plane, all.p, plane)
		}
	}
	for q := done; q < all.count(); q++ {
		width, cols := all.width(q)
		to := dst[simd.Parts*deep*q*all.p:]
		if deep > ceil(k, 2) {
			clear(to[:simd.Parts*deep*width])
		}
		packSplit(s.level, to, b.s, b.off+l*b.r+(j+q*all.p)*b.c, b.r, b.c, k, cols, width, deep*width, temp)
	}
}

// part adds the products of k numbers from l on to m x n elements of y from (i, j) on, b being split from there on. The rows of a are
// split, into a, while they meet the first panel.
func (s *splitProduct) part(i, j, l, m, n, k int, a, b, temp []float32) {
	all, deep := panelsFor(s.level, n), s.deep(k)
	var segs [splitK / 2 / splitChunk]simd.Seg
	tile := simd.Tile[float32]{AK: 1, ARow: splitChunk, APlane: splitSide * splitChunk, ABlock: simd.Parts * splitSide * deep, CRow: s.y.r,
		Segs: segs[:deep/splitChunk], Flags: simd.Pairs | simd.Split}
	y, beta := s.y.s[s.y.off+i*s.y.r+j:], s.beta
	if l > 0 {
		beta = 1
	}
	if beta != 0 {
		tile.Flags |= simd.Add
		scaleRows(y, m, n, s.y.r, beta, false)
	}
	for q := range all.count() {
		tile.Width, tile.Cols = all.width(q)
		tile.BK, tile.BPlane = tile.Width, deep*tile.Width
		for c := range tile.Segs {
			tile.Segs[c] = simd.Seg{A: splitBlock * c, B: c * splitChunk * tile.Width, K: splitChunk}
		}
		tile.B = b[simd.Parts*deep*q*all.p:]
		if q > 0 {
			tile.Rows, tile.A, tile.C = m, a, y[q*all.p:]
			tile.Run(s.level)
			continue
		}
		for r := 0; r < m; r += splitSide {
			tile.Rows, tile.A, tile.C = min(splitSide, m-r), a[simd.Parts*r*deep:], y[r*s.y.r:]
			s.rows(tile.A, temp, i+r, l, tile.Rows, k)
			tile.Run(s.level)
		}
	}
}
