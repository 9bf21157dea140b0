package cpu

import "github.com/acumen-ml/acumen/device/cpu/simd"

// How a matrix product is cut into parts.

const (
	matMulRows  = 240     // rows of a part at most
	matMulCols  = 1024    // columns of a part: rows of a are packed once for so many
	matMulK     = 2304    // k of a block: sums are added to y once a block, and long ones hide what begins and ends them
	matMulOwn   = 1 << 17 // elements of b that a part packs for itself: half of a second-level cache
	matMulNear  = 3 << 15 // elements of panels of b that several tiles of rows pass by
	matMulWhole = 1 << 18 // elements of an a that every part reads whole
	matMulLow   = 256     // rows for which each part packs its panels of b for itself; four times as many for a b of matMulFar
	matMulMeet  = 1 << 12 // bytes between rows of such an a that all meet in one set of a first-level cache
	matMulWide  = 128     // columns of b that each part packs for itself at most, where caches are far,
	matMulBy    = 60      // and rows that pass by them at a time, where a tile may have any number
	matMulTall  = 1 << 13 // rows for which parts do so there: more take no less time, and room for their sums
	matMulFew   = 16      // rows for which b is not packed if it lies row by row: it is read once
	matMulSome  = 64      // rows for which it is not if lines of a panel crowd
	matMulSmall = 1 << 16 // elements of such a b that is not packed either
	matMulPlain = 1 << 10 // rows for which wide tiles do without packing it
	matMulPart  = 1 << 15 // multiply-adds that are worth a part of their own
	matMulParts = 16      // parts that a large product is cut into at least
	matMulFar   = 1 << 21 // elements of b up to which AVX2 has twice as many: each reads all of b from beyond the second-level cache
	matMulHigh  = 1 << 14 // elements of rows of a part that stay in a second-level cache, an eighth of it, while such a b passes by
	matMulGap   = 16      // elements between packed rows of a, so that they do not crowd
)

// cut decides how the product is cut, from its shape and strides alone, and gives the number of output tiles and how many
// of them are one part.
func (p *product[T]) cut() (tiles, each int) {
	m, n, k, width := p.m, p.n, p.k, p.level.Panel()
	p.nb, p.kb = blocks(n, matMulCols, width), blocks(k, p.per*matMulK, 4)
	parts := matMulParts
	if p.level == simd.AVX2 && n*k < matMulFar {
		parts *= 2 // rows of a part, packed, then take half of a second-level cache of 512 KiB
	}
	few := func() bool {
		return p.batches*ceil(m, p.mb)*ceil(n, p.nb) < parts && p.mb*p.nb*max(k, 1) > 2*matMulPart
	}
	// Rows first, down to two tiles: what is cut by columns packs rows of a more than once.
	high, unit := p.level.Rows(width), 1
	if p.level != simd.AVX512 {
		unit = high // of few rows: a tile that lacks one loses much
	}
	p.unit = unit
	most := matMulRows
	if p.level == simd.AVX2 && p.batches == 1 && n*k < matMulFar {
		most = min(most, max(matMulHigh/max(k, 1), 2*high))
	}
	for ; ; most /= 2 {
		if p.mb = blocks(m, most/unit*unit, unit); !few() || most/2 < 2*high {
			break
		}
	}
	for few() && p.nb > width {
		p.nb = ceil(p.nb/2, width) * width
	}
	for few() && p.mb > high {
		p.mb = ceil(ceil(p.mb, 2), unit) * unit
	}
	far := simd.FarCaches()
	p.plainB = p.plain(far)
	own, rows := p.ownPanels(width, far), p.mb
	if own {
		p.mb, p.nb = m, width
		if p.rowsBy = m; p.many(far) {
			p.nb *= max(1, min(ceil(n, width)/matMulParts, matMulWide/width))
			p.rowsBy = matMulBy
		}
	}
	p.sharedB = !own && !p.plainB && p.batches == 1 && rows < m
	if near := p.plain(false); (near && m <= matMulFew || !near && (p.batches != 1 || rows >= m)) && !p.ownPanels(width, false) {
		p.kb = blocks(k, p.per*8*width, 4) // of sums, and so the same wherever caches are
	}
	if !p.sharedB && !own && (!p.plainB || m <= matMulFew) {
		p.nb = min(p.nb, blocks(n, matMulOwn/max(8*width, ceil(p.kb, p.per)), width))
	}
	tiles = p.batches * ceil(m, p.mb) * ceil(n, p.nb)
	each = max(1, matMulPart/(p.mb*p.nb*max(k, 1)))
	p.byCols = p.a.r == 1 && p.a.c != 1 && p.a.c >= 0
	switch {
	case own:
		p.plainA = p.wholeA(p.many(far)) && (p.rowByRow() || p.byCols && p.level == simd.AVX512)
		p.sharedA = !p.plainA
		p.nextA = p.plainA && p.level == simd.AVX512 && !p.byCols
	case p.per == 1 && p.a.s != nil && p.byCols:
		// A column of a tall tile fills its cache lines, so that nothing is lost when they are driven out.
		tall := p.level.Rows(width)*sizeOf[T]() > line/2
		p.plainA = tall || !crowded[T](p.a.c)
	default:
		p.plainA = p.rowByRow() && !crowded[T](p.a.r)
	}
	at := 0
	place := func(n int) int {
		at += ceil(n, 16) * 16
		return at - ceil(n, 16)*16
	}
	deep := ceil(p.kb, p.per)
	if !p.plainA && !p.sharedA {
		p.aAt = place(max(p.mb*(deep+matMulGap), deep*(p.mb+matMulGap)))
	}
	if p.plainB {
		p.tail = place(p.kb * width)
	} else if !p.sharedB {
		p.bAt = place(deep * panelsFor(p.level, p.nb).wide())
	}
	if p.per > 1 {
		p.roomAt = place(pairRoom(p.level))
	}
	// Sums to which several blocks of k are added stay near where rows of y would drive each other out of a cache.
	p.direct = p.y.s != nil && p.y.c == 1 && p.y.r >= 0
	p.near = p.direct && k > p.kb && crowded[T](p.y.r)
	if !p.direct || p.near {
		p.cAt = place(p.mb * (p.nb + matMulGap))
	}
	p.scratch = at
	return tiles, each
}

// ownPanels reports whether a part is one panel of b, or a few, which it packs for itself, and all of a: such panels do not move
// from one processor's cache to another's, and where rows are few all of b is not written first for each part to read again. An a
// that lies column by column is packed on AVX2 by transposing it, which takes a larger b to pay.
func (p *product[T]) ownPanels(width int, far bool) bool {
	if p.level == simd.Generic || p.plain(far) || p.per != 1 || p.a.s == nil || p.batches != 1 {
		return false
	}
	switch rows, panels := p.rowByRow(), ceil(p.n, width); {
	case p.many(far):
		return true
	case p.level == simd.AVX512 || panels < matMulParts:
		return false
	case p.m <= matMulFew && p.k < 16*width, p.k < 8*width:
		return false
	case rows && p.wholeA(false):
		return true
	case p.m <= matMulLow:
		return rows || p.n*p.k >= matMulFar/4
	}
	return p.m <= 4*matMulLow && p.n*p.k >= matMulFar
}

// many reports whether a part is some panels of b, and rows of a pass by all of them, some at a time: where caches are far that is
// less to read from beyond them. On AVX2 rows of a small a pass by each panel, all at once.
func (p *product[T]) many(far bool) bool {
	if !far || p.level == simd.AVX2 && p.m*p.k <= matMulWhole {
		return false
	}
	return p.n >= 2*matMulWide && p.m > matMulFew && p.m <= matMulTall && p.k >= matMulWide/2
}

// wholeA reports whether parts can read all of an a that lies row by row there; else it is packed for all of them.
func (p *product[T]) wholeA(many bool) bool {
	return many || p.m*p.k <= matMulWhole && p.a.r*sizeOf[T]()%matMulMeet != 0
}

// sharedRows is the elements that blocks of all rows of a take once packed, those of k up to l.
func (p *product[T]) sharedRows(l int) int { return p.m * (l + ceil(l, p.kb)*matMulGap) }

// rowByRow reports whether a lies row by row, and so can be read there.
func (p *product[T]) rowByRow() bool { return p.per == 1 && p.a.s != nil && p.a.c == 1 && p.a.r >= 0 }

// plain reports whether b is read where it lies. Packing reads and writes all of b once, from and to beyond the second-level
// cache; without it every tile of rows reads lines far apart, which costs less the more rows a tile has, and much where caches
// are far: nothing fetches those lines beforehand, and rows a page apart meet in few sets of a second-level cache.
func (p *product[T]) plain(far bool) bool {
	if p.per != 1 || p.b.s == nil || p.b.c != 1 || p.b.r < 0 {
		return false
	}
	switch {
	case p.m <= matMulFew:
		return true
	case p.n%8 != 0 && p.n < 4*p.level.Panel():
		return false // each part would pack the last columns again
	case p.level == simd.AVX2 && p.m > matMulSome && p.b.r*sizeOf[T]()%(line*8) == 0:
		return false // lines of a panel meet in an eighth of a first-level cache
	case p.n*p.k <= matMulSmall:
		return true
	case p.level != simd.AVX512 || far:
		return false
	case p.b.r*sizeOf[T]()%line == 0:
		return p.m <= matMulPlain
	}
	return p.m <= matMulPlain/2 // vectors that lie across two lines are read twice
}

// row is where part i of n begins: rows are dealt evenly, so that the last part is not a small one that a thread waits for.
func (p *product[T]) row(i, n int) int { return min(i*ceil(p.m, p.unit)/n*p.unit, p.m) }
