package cpu

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// MatMul is y = alpha a b + beta y, batched, for any strides and types.
func (d *Device) MatMul(y, a, b device.View, alpha, beta float64) {
	r := int(y.Rank)
	if r < 2 || a.Rank < 2 || b.Rank < 2 || a.D(-1) != b.D(-2) || y.D(-2) != a.D(-2) || y.D(-1) != b.D(-1) {
		panic(fmt.Sprintf("MatMul: %s = %s times %s", y, a, b))
	}
	var dims [device.MaxRank]int
	for i := range r {
		dims[i] = int(y.Dim[i])
	}
	wide := func(v device.View) device.View { // v with y's leading axes
		w := dims
		w[r-2], w[r-1] = v.D(-2), v.D(-1)
		to := device.Make(nil, v.Type, 0, w[:r]...)
		if !broadcasts(v, to) {
			panic(fmt.Sprintf("MatMul: %s = %s times %s: batches", y, a, b))
		}
		return v.BroadcastTo(to)
	}
	wa, wb := wide(a), wide(b)
	if y.Len() == 0 {
		return
	}
	switch device.Compute(y.Type, a.Type, b.Type) {
	case device.F64:
		matMul[float64](d, y, wa, wb, alpha, beta)
	case device.F32:
		matMul[float32](d, y, wa, wb, alpha, beta)
	default:
		matMulInt(d, y, wa, wb, alpha, beta)
	}
}

// foldBatch turns leading axes over which b does not change into rows of a and y, where the strides allow.
func foldBatch(y, a, b device.View) (device.View, device.View, device.View) {
	r := int(y.Rank)
	for i := range r - 2 {
		if b.Str[i] != 0 && b.Dim[i] != 1 {
			return y, a, b
		}
	}
	m := y.Len() / y.D(-1)
	if r == 2 || a.D(-1) == 0 || !y.CanReshape(m, y.D(-1)) || !a.CanReshape(m, a.D(-1)) {
		return y, a, b
	}
	for b.Rank > 2 {
		b = b.Slice(0, 0, 1, 1).Squeeze(0)
	}
	return y.Reshape(m, y.D(-1)), a.Reshape(m, a.D(-1)), b
}

const (
	matMulRows  = 240     // rows of a part at most
	matMulCols  = 1024    // columns of a part: rows of a are packed once for so many
	matMulK     = 2304    // k of a block: sums are added to y once a block, and long ones hide what begins and ends them
	matMulOwn   = 1 << 17 // elements of b that a part packs for itself: half of a second-level cache
	matMulNear  = 3 << 15 // elements of panels of b that several tiles of rows pass by
	matMulWhole = 1 << 18 // elements of an a that every part reads whole
	matMulMeet  = 1 << 12 // bytes between rows of such an a that all meet in one set of a first-level cache
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

// product is a matrix product as it is cut into parts.
type product[T float] struct {
	d                   *Device
	level               simd.Level
	y, a, b             operand[T]
	lead                []int32
	batches, m, n, k    int
	per                 int // numbers along k in an element of packed a and b
	alpha, beta         T
	mb, nb, kb          int // of a part at most, and of a block of k
	unit                int // rows of which parts have a whole number, but for the last
	shared              bool
	plainA, plainB      bool // read where they lie
	direct, near        bool // y is written by tiles; its sums grow in scratch
	byCols              bool // a lies column by column
	aAt, bAt, tail, cAt int  // in a worker's scratch: rows of a, panels of b, the panel of a plain b's last columns, sums
	roomAt              int  // and what packing pairs takes
	scratch             int
}

func matMul[T float](d *Device, y, a, b device.View, alpha, beta float64) {
	writes, reads := []device.View{y}, []device.View{a, b}
	y, a, b = foldBatch(y, a, b)
	if columns := rowStride(y) == 1 && colStride(y) != 1; columns || y.D(-1) < 8 && y.D(-2) > y.D(-1) && (rowStride(a) == 1 || y.D(-1) == 1) {
		y, a, b = y.T(), b.T(), a.T() // sums are stored along rows
	}
	p := &product[T]{d: d, level: levelFor[T](), per: 1, y: newOperand[T](y), a: newOperand[T](a), b: newOperand[T](b),
		lead: append([]int32(nil), y.Dim[:y.Rank-2]...), batches: 1, m: y.D(-2), n: y.D(-1), k: a.D(-1), alpha: T(alpha), beta: T(beta)}
	for _, x := range p.lead {
		p.batches *= int(x)
	}
	if p.a.s != nil && p.b.s != nil {
		p.level, p.per = factors[T](d)
	}
	tiles, each := p.cut()
	d.reserve(p.scratch * sizeOf[T]())
	phases := []phase{{n: ceil(tiles, each), run: func(part, worker int) {
		buf := scratchOf[T](d, worker, p.scratch)
		for t := part * each; t < min(tiles, (part+1)*each); t++ {
			p.part(t, buf)
		}
	}}}
	if p.shared {
		// Block after block of k: the panels of one lie together, and so in different sets of a cache.
		wide := panelsFor(p.level, p.n).wide()
		n := ceil(p.k, p.per) * wide
		d.shared(n * sizeOf[T]())
		phases = append([]phase{{n: panelsFor(p.level, p.n).count(), run: func(q, worker int) {
			all := panelsFor(p.level, p.n)
			width, cols := all.width(q)
			for l := 0; l < p.k; l += p.kb {
				k := min(p.kb, p.k-l)
				to := sharedOf[T](d, 0, n)[l/p.per*wide+q*all.p*ceil(k, p.per):]
				p.panel(to, scratchOf[T](d, worker, p.scratch), p.b.off+l*p.b.r+q*all.p*p.b.c, k, cols, width)
			}
		}}}, phases...)
	}
	d.enqueue("MatMul", writes, reads, 2*float64(p.batches)*float64(p.m)*float64(p.n)*float64(p.k), phases...)
}

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
	p.plainB = p.plain()
	p.shared = !p.plainB && p.batches == 1 && m > p.mb
	own := p.shared && p.ownPanels(width)
	if own {
		p.mb, p.nb, p.shared = m, width, false
	}
	if !p.shared && !own && (!p.plainB || m <= matMulFew) {
		p.kb = blocks(k, p.per*8*width, 4)
		p.nb = min(p.nb, blocks(n, matMulOwn/(8*width), width))
	}
	tiles = p.batches * ceil(m, p.mb) * ceil(n, p.nb)
	each = max(1, matMulPart/(p.mb*p.nb*max(k, 1)))
	p.byCols = p.a.r == 1 && p.a.c != 1 && p.a.c >= 0
	// A column of a tall tile fills its cache lines, so that nothing is lost when they are driven out.
	tall := p.level.Rows(width)*sizeOf[T]() > line/2
	p.plainA = p.per == 1 && p.a.s != nil && p.byCols && (tall || !crowded[T](p.a.c)) || p.rowByRow() && (own || !crowded[T](p.a.r))
	at := 0
	place := func(n int) int {
		at += ceil(n, 16) * 16
		return at - ceil(n, 16)*16
	}
	deep := ceil(p.kb, p.per)
	if !p.plainA {
		p.aAt = place(max(p.mb*(deep+matMulGap), deep*(p.mb+matMulGap)))
	}
	if p.plainB {
		p.tail = place(p.kb * width)
	} else if !p.shared {
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

// ownPanels reports whether a part is one panel of b, which it packs for itself, and all of a, read where it lies: such panels do
// not move from one processor's cache to another's.
func (p *product[T]) ownPanels(width int) bool {
	return p.level == simd.AVX2 && p.rowByRow() && p.a.r*sizeOf[T]()%matMulMeet != 0 &&
		p.k >= 8*width && p.m*p.k <= matMulWhole && ceil(p.n, width) >= matMulParts
}

// rowByRow reports whether a lies row by row, and so can be read there.
func (p *product[T]) rowByRow() bool { return p.per == 1 && p.a.s != nil && p.a.c == 1 && p.a.r >= 0 }

// plain reports whether b is read where it lies. Packing reads and writes all of b once, from and to beyond the second-level
// cache; without it every tile of rows reads lines far apart, which costs less the more rows a tile has.
func (p *product[T]) plain() bool {
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
	case p.level != simd.AVX512:
		return false
	case p.b.r*sizeOf[T]()%line == 0:
		return p.m <= matMulPlain
	}
	return p.m <= matMulPlain/2 // vectors that lie across two lines are read twice
}

// row is where part i of n begins: rows are dealt evenly, so that the last part is not a small one that a thread waits for.
func (p *product[T]) row(i, n int) int { return min(i*ceil(p.m, p.unit)/n*p.unit, p.m) }

// part computes output tile t.
func (p *product[T]) part(t int, buf []T) {
	mt, nt := ceil(p.m, p.mb), ceil(p.n, p.nb)
	i0, j0 := p.row(t/nt%mt, mt), t%nt*p.nb
	m, n := p.row(t/nt%mt+1, mt)-i0, min(p.nb, p.n-j0)
	batch := t / (mt * nt)
	atY := p.y.origin(batch, p.lead) + i0*p.y.r + j0*p.y.c
	atA := p.a.origin(batch, p.lead) + i0*p.a.r
	atB := p.b.origin(batch, p.lead) + j0*p.b.c
	var segs [1]simd.Seg
	tile := simd.Tile[T]{Segs: segs[:], Alpha: p.alpha, CRow: p.y.r, ARow: p.a.r, AK: p.a.c, Flags: pairsIf(p.per)}
	c, beta := p.y.s, p.beta
	if p.direct {
		c = c[atY:]
	}
	y, sums := c, buf[p.cAt:]
	switch {
	case p.near:
		if c, tile.CRow = sums, n+matMulGap; beta != 0 {
			copyPixels(p.level, c, y, m, n, tile.CRow, p.y.r)
		}
	case !p.direct:
		c, beta, tile.CRow = sums[:m*n], 0, n
	}
	if p.alpha != 1 {
		tile.Flags |= simd.Scale
	}
	scaleRows(c, m, n, tile.CRow, beta, p.k == 0)
	if beta != 0 {
		tile.Flags |= simd.Add
	}
	for l := 0; l < p.k; l += p.kb {
		k := min(p.kb, p.k-l)
		a := p.a.s
		if p.plainA {
			a = a[atA+l*p.a.c:]
		} else {
			a = buf[p.aAt:]
			p.rows(&tile, a, buf, atA+l*p.a.c, m, k)
		}
		if p.byCols && p.plainA {
			tile.ByCols = 1
		}
		p.block(&tile, buf, c, a, atB, l, j0, m, n, k)
		tile.Flags |= simd.Add
	}
	if p.near {
		copyPixels(p.level, y, c, m, n, p.y.r, tile.CRow)
	}
	if p.direct {
		return
	}
	for i := range m {
		for j := range n {
			p.y.add(atY+i*p.y.r+j*p.y.c, c[i*n+j], p.beta)
		}
	}
}

// block adds the products of one block of k.
func (p *product[T]) block(tile *simd.Tile[T], buf, c, a []T, atB, l, j0, m, n, k int) {
	all := panelsFor(p.level, n)
	count, deep := all.count(), ceil(k, p.per)
	tile.Segs[0].K = deep
	var b []T // panels, one behind the other
	switch {
	case p.shared:
		wide := panelsFor(p.level, p.n).wide()
		b = sharedOf[T](p.d, 0, ceil(p.k, p.per)*wide)[l/p.per*wide+j0*deep:]
	case p.plainB:
		b = buf[p.tail:]
	default:
		b = buf[p.bAt:]
		for q := range count {
			width, cols := all.width(q)
			p.panel(b[q*all.p*deep:], buf, atB+l*p.b.r+q*all.p*p.b.c, k, cols, width)
		}
	}
	high := m // a panel of b is read for all rows at once
	if p.level == simd.AVX512 {
		high = tileRows(m, p.level.Rows(min(all.p, all.wide()))) // a tile's rows stay while panels of b pass by
	}
	group := max(matMulNear/(all.p*deep), 1)
	for from := 0; from < count; from += group {
		for i := 0; i < m; i += high {
			tile.Rows, tile.A = min(high, m-i), a[i*tile.ARow:]
			for q := from; q < min(from+group, count); q++ {
				tile.Width, tile.Cols = all.width(q)
				tile.C, tile.BK = c[i*tile.CRow+q*all.p:], tile.Width
				switch {
				case !p.plainB:
					tile.B = b[q*all.p*deep:]
				case tile.Cols == tile.Width:
					tile.B, tile.BK = p.b.s[atB+l*p.b.r+q*all.p:], p.b.r
				default: // vectors would reach beyond the last columns
					tile.B = b
					if i == 0 {
						p.b.panel(p.level, b, atB+l*p.b.r+q*all.p, k, tile.Cols, tile.Width)
					}
				}
				tile.Run(p.level)
			}
		}
	}
}

// scaleRows is c = beta c where products are added to it later, and where there are none.
func scaleRows[T float](c []T, m, n, stride int, beta T, alone bool) {
	if beta == 1 || beta == 0 && !alone {
		return
	}
	for i := range m {
		row := c[i*stride:][:n]
		for j, v := range row {
			if beta == 0 {
				row[j] = 0
			} else {
				row[j] = beta * v
			}
		}
	}
}

func rowStride(v device.View) int { return int(v.Str[v.Rank-2]) }

func colStride(v device.View) int { return int(v.Str[v.Rank-1]) }
