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

// product is a matrix product as it is cut into parts.
type product[T float] struct {
	d                   *Device
	level               simd.Level
	y, a, b             operand[T]
	lead                []int32
	batches, m, n, k    int
	per                 int // numbers along k in an element of packed a and b
	alpha, beta         T
	mb, nb, kb          int  // of a part at most, and of a block of k
	unit                int  // rows of which parts have a whole number, but for the last
	plainA, plainB      bool // read where they lie
	sharedA, sharedB    bool // packed once, for all parts
	rowsBy              int  // rows that pass by all panels of a part, if those are its own
	nextA               bool // the next rows of a are fetched while those before them are multiplied
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
	flops := 2 * float64(p.batches) * float64(p.m) * float64(p.n) * float64(p.k)
	if p.vectors() {
		d.enqueue("MatMul", writes, reads, flops, p.byVectors())
		return
	}
	if s := p.split(); s != nil {
		d.enqueue("MatMul", writes, reads, flops, s.phases()...)
		return
	}
	tiles, each := p.cut()
	d.reserve(p.scratch * sizeOf[T]())
	phases := []phase{{n: ceil(tiles, each), run: func(part, worker int) {
		buf := scratchOf[T](d, worker, p.scratch)
		for t := part * each; t < min(tiles, (part+1)*each); t++ {
			p.part(t, buf)
		}
	}}}
	if p.sharedB {
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
	if p.sharedA {
		d.shared(p.sharedRows(p.k) * sizeOf[T]())
		high := p.level.Rows(p.nb)
		phases = append([]phase{{n: ceil(p.m, high), run: func(q, _ int) {
			i := q * high
			for l := 0; l < p.k; l += p.kb {
				k := min(p.kb, p.k-l)
				to := sharedOf[T](d, p.sharedRows(l)*sizeOf[T](), p.m*(k+matMulGap))[i*(k+matMulGap):]
				p.a.rows(p.level, to, p.a.off+i*p.a.r+l*p.a.c, p.a.r, p.a.c, min(high, p.m-i), k, k+matMulGap)
			}
		}}}, phases...)
	}
	d.enqueue("MatMul", writes, reads, flops, phases...)
}

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
	tile := simd.Tile[T]{Segs: segs[:], Alpha: p.alpha, CRow: p.y.r, ARow: p.a.r, AK: p.a.c, Flags: pairsIf(p.per, 1)}
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
		switch {
		case p.plainA:
			a = a[atA+l*p.a.c:]
		case p.sharedA:
			tile.ARow, tile.AK = k+matMulGap, 1
			a = sharedOf[T](p.d, p.sharedRows(l)*sizeOf[T](), m*tile.ARow)
		default:
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
	case p.sharedB:
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
	if p.level == simd.AVX512 && (p.per == 1 || !simd.MatrixUnit()) {
		high = tileRows(m, p.level.Rows(min(all.p, all.wide()))) // a tile's rows stay while panels of b pass by
	}
	group := max(matMulNear/(all.p*deep), 1)
	if p.rowsBy > 0 {
		high, group = min(high, p.rowsBy), count
	}
	tiles := ceil(m, high)
	for from := 0; from < count; from += group {
		var next []T // panels
		if p.sharedB && from+group < count {
			next = b[(from+group)*all.p*deep : min((from+2*group)*all.p, all.wide())*deep]
		}
		share := ceil(ceil(len(next), tiles*group), line/4) * line / 4
		for t := range tiles {
			i := t * m / tiles // dealt evenly: sums of one of few rows wait for each other
			tile.Rows, tile.A = (t+1)*m/tiles-i, a[i*tile.ARow:]
			for q := from; q < min(from+group, count); q++ {
				tile.Width, tile.Cols = all.width(q)
				switch at := (i+high)*tile.ARow + (q-from)*4*deep; {
				case p.nextA && at < len(a):
					tile.Ahead = a[at:]
				case p.nextA:
					tile.Ahead = nil
				default:
					tile.Ahead = next[min((t*group+q-from)*share, len(next)):]
				}
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
