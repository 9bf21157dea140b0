package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// weightGrad is the gradient of a convolution to its weights: for each tap a product of the channels of dy with those of
// x over all positions that the tap has. A part has some channels of both; it stages bands of rows of a few images, as
// (row, column, image, channel), in which the positions of a row that a tap has are neighbours in both; its sums grow
// in memory from band to band. Panels lie along the channels of x, or along those of dy where that wastes less. With few
// channels x is read where it lies, if its level slides: rows of tiles are then the taps of a row of the kernel.
type weightGrad[T float] struct {
	d            *Device
	level        simd.Level
	c            conv
	x, dy, dw    []T
	beta         T
	n            int      // of dw
	rows, cols   []extent // for each row and column of the kernel
	windows      windows
	few          bool // the taps of a position are staged side by side, as channels of one tap
	slides       bool // few, and a split is some bands of images, of which a part has all channels
	taps, xc     int  // and channels of x, as they are staged
	across       bool // panels lie along the channels of dy
	vec          panels
	row, high    int  // channels along the rows of tiles, and those of a part
	many         int  // panels of a part
	per          int  // images in an element of the stage
	turned       bool // the rows of tiles are staged channel by channel, once for all taps, as the matrix unit wants them
	images, band int  // of a stage
	splits, each int  // of the images, with sums of their own, and stages of images of each, or bands of an image where slides
	aside        bool // sums grow beside dw
	segments     [][]simd.Seg
}

const (
	weightImages = 8       // images of a stage at least, if there are
	weightHigh   = 64      // channels of a part along the rows of tiles, twice as many for the matrix unit,
	weightMany   = 4       // which takes so many panels, too: what is staged serves more products
	weightParts  = 16      // parts at least, if sums stay small
	weightSums   = 1 << 21 // elements of all splits together
)

// Conv2DGradWeight is dw = gradient of conv(x, w) to w from dy (N,OH,OW,O), + beta dw; dw (O,KH,KW,C/G).
func (d *Device) Conv2DGradWeight(dw, x, dy device.View, p device.Conv2D, beta float64) bool {
	if !convServes(x, dw, dy) {
		return false
	}
	if x.Type == device.F64 {
		conv2DGradWeight[float64](d, dw, x, dy, p, beta)
	} else {
		conv2DGradWeight[float32](d, dw, x, dy, p, beta)
	}
	return true
}

func conv2DGradWeight[T float](d *Device, dw, x, dy device.View, p device.Conv2D, beta float64) {
	c := newConv(x, dy, dw.D(1), dw.D(2), p)
	if c.depthwise() {
		conv2DDepthwiseGradWeight[T](d, c, dw, x, dy, beta)
		return
	}
	if s := c.winograd(d, x.Type, c.oh, c.ow, true, false); s != nil {
		conv2DGradWeightWinograd(d, &c, s, dw, x, dy, beta)
		return
	}
	c.flatten()
	l, per := factors[T](d)
	g := &weightGrad[T]{d: d, level: l, per: per, c: c, x: slice[T](x), dy: slice[T](dy), dw: slice[T](dw), beta: T(beta), n: dw.Len(),
		rows: extents(forwardTaps(c.oh, c.h, c.kh, p.StrideH, p.PadH, p.DilH), c.kh), cols: extents(forwardTaps(c.ow, c.w, c.kw, p.StrideW, p.PadW, p.DilW), c.kw)}
	g.plan()
	d.reserve(g.scratch(g.images, g.band) * sizeOf[T]())
	across := ceil(g.vec.count(), g.many)
	parts := c.groups * across * ceil(g.row, g.high)
	if g.slides {
		parts = c.groups
	}
	phases := []phase{{n: g.splits * parts, run: func(part, worker int) {
		split, part := part/parts, part%parts
		if g.slides {
			g.slide(worker, split, part)
			return
		}
		q, r, group := part%across, part/across%ceil(g.row, g.high), part/across/ceil(g.row, g.high)
		g.part(worker, split, group, q*g.many, r*g.high)
	}}}
	if g.aside {
		d.shared(g.splits * g.n * sizeOf[T]())
		phases = append(phases, g.collect())
	}
	d.enqueue("Conv2DGradWeight", []device.View{dw}, []device.View{x, dy}, c.flops(), phases...)
}

// plan decides how the work is cut, by shapes alone.
func (g *weightGrad[T]) plan() {
	c := &g.c
	g.taps, g.xc, g.many = c.taps(), c.cg, 1
	g.windows = windows{c.h, c.w, c.kh, c.kw, c.p}
	if g.few = c.cg < fewChannels && g.taps > 1; g.few {
		g.taps, g.xc = 1, g.taps*c.cg
	}
	alongX, alongY := panelsFor(g.level, g.xc), panelsFor(g.level, c.og)
	g.slides = g.few && g.windows.slides(g.level, c.ow, g.per) && alongY.wide()*g.xc <= slideWaste*alongX.wide()*c.og
	if g.slides {
		g.planSlides()
		return
	}
	g.vec, g.row = alongX, c.og
	if g.across = alongX.wide()*c.og > alongY.wide()*g.xc; g.across {
		g.vec, g.row = alongY, g.xc
	}
	g.high = blocks(g.row, weightHigh, 1)
	if g.turned = g.per == 2 && simd.MatrixUnit() && !g.few; g.turned {
		g.high, g.many = blocks(g.row, 2*weightHigh, 1), min(weightMany, g.vec.count())
	}
	g.images, g.band = 1, c.oh
	for g.images < c.n && g.scratch(g.images+1, g.band)*sizeOf[T]() <= stageBytes {
		g.images++
	}
	if least := min(c.n, weightImages); g.images < least {
		g.images, g.band = least, 1
		for g.band < c.oh && g.scratch(g.images, g.band+1)*sizeOf[T]() <= stageBytes {
			g.band++
		}
	}
	g.images, g.band = blocks(c.n, g.images, g.per), blocks(c.oh, g.band, 1)
	stages := ceil(c.n, g.images)
	g.splits = max(1, min(ceil(weightParts, c.groups*ceil(g.vec.count(), g.many)*ceil(g.row, g.high)), stages, weightSums/g.n))
	g.each = ceil(stages, g.splits)
	g.splits = ceil(stages, g.each)
	g.aside = g.splits > 1 || g.across
	runs := g.band
	if c.p.StrideW > 1 {
		runs *= c.ow
	}
	for range g.d.perWorker {
		g.segments = append(g.segments, make([]simd.Seg, 0, runs))
	}
}

// pixels is the elements of a pixel of x and of dy in a stage.
func (g *weightGrad[T]) pixels() (x, y int) {
	width := min(g.vec.p*g.many, g.vec.wide())
	switch {
	case g.few && g.across:
		return g.xc, width
	case g.few:
		return g.vec.wide(), g.high
	case g.across:
		return g.high, width
	}
	return width, g.high
}

// xRows is the rows of x that rows i0 to i1-1 of dy are made of.
func (g *weightGrad[T]) xRows(i0, i1 int) (lo, hi int) {
	lo, hi = g.c.h, 0
	for _, e := range g.rows {
		if a, b := max(e.lo, i0), min(e.hi, i1); a < b {
			s := int(g.c.p.StrideH)
			lo, hi = min(lo, e.at+(a-e.lo)*s), max(hi, e.at+(b-1-e.lo)*s+1)
		}
	}
	return min(lo, hi), hi
}

// scratch is the elements of a stage: x first, then, from xScratch on, dy, and where taps are gathered room for a band, where rows
// are turned room for them.
func (g *weightGrad[T]) scratch(images, band int) int {
	_, y := g.pixels()
	n := g.xScratch(images, band) + band*g.c.ow*ceil(images, g.per)*y
	if g.few && !g.slides {
		n += g.windows.room(band, g.c.ow, g.c.cg)
	}
	if g.turned {
		n += g.high * g.turnedRow(images, band)
	}
	return n
}

// turnedRow is the elements from row to row of what is staged channel by channel.
func (g *weightGrad[T]) turnedRow(images, band int) int {
	n := band * g.c.ow * ceil(images, g.per)
	if g.across {
		x, _ := g.pixels()
		n = g.xScratch(images, band) / x
	}
	return roomy[T](n)
}

func (g *weightGrad[T]) xScratch(images, band int) int {
	if g.slides {
		return g.windows.room(band, g.c.ow, g.c.cg)
	}
	x, _ := g.pixels()
	if g.few {
		return band * g.c.ow * ceil(images, g.per) * g.per * x // gathered before there are pairs
	}
	most := 0
	for i := 0; i < g.c.oh; i += band {
		lo, hi := g.xRows(i, min(i+band, g.c.oh))
		most = max(most, hi-lo)
	}
	return most * g.c.w * ceil(images, g.per) * x
}

// part sums the panels from q on and the channels from r on of a group over the images of a split.
func (g *weightGrad[T]) part(worker, split, group, q, r int) {
	c := &g.c
	cols := min(g.many*g.vec.p, g.vec.n-q*g.vec.p)
	high := min(g.high, g.row-r)
	buf := scratchOf[T](g.d, worker, g.scratch(g.images, g.band))[:g.scratch(g.images, g.band)]
	clear(buf) // columns that a panel lacks are read
	xPixel, yPixel := g.pixels()
	xs, ys := buf[:g.xScratch(g.images, g.band)], buf[g.xScratch(g.images, g.band):]
	tile := simd.Tile[T]{ARow: 1, ByCols: 1, Flags: pairsIf(g.per, 1)}
	var to []T
	if to = g.dw; g.aside {
		to = sharedOf[T](g.d, split*g.n*sizeOf[T](), g.n)
	}
	xFrom, xMany, yFrom, yMany := q*g.vec.p, cols, r, high
	if g.across {
		xFrom, xMany, yFrom, yMany = r, high, q*g.vec.p, cols
		tile.A, tile.B, tile.AK, tile.BK, tile.CRow = xs, ys, xPixel, yPixel, c.og
		to = to[(group*g.taps*g.xc+r)*c.og+q*g.vec.p:]
	} else {
		tile.A, tile.B, tile.AK, tile.BK, tile.CRow = ys, xs, yPixel, xPixel, g.taps*g.xc
		to = to[(group*c.og+r)*g.taps*g.xc+q*g.vec.p:]
	}
	if !g.aside && g.beta != 0 {
		for t := range g.taps {
			scaleRows(to[t*g.xc:], high, cols, tile.CRow, g.beta, false)
		}
		tile.Flags |= simd.Add
	}
	// The columns of a gathered stage are all taps: a part begins at its own.
	if g.few && g.across {
		tile.A = tile.A[r:]
	} else if g.few {
		tile.B = tile.B[q*g.vec.p:]
	}
	var turned []T
	if g.turned {
		turned = buf[len(buf)-g.high*g.turnedRow(g.images, g.band):]
		tile.A, tile.ARow, tile.AK, tile.ByCols = turned, g.turnedRow(g.images, g.band), 1, 0
	}
	for n0 := split * g.each * g.images; n0 < min((split+1)*g.each*g.images, c.n); n0 += g.images {
		n := min(g.images, c.n-n0)
		for i0 := 0; i0 < c.oh; i0 += g.band {
			i1 := min(i0+g.band, c.oh)
			lo, hi := g.xRows(i0, i1)
			x, dy := g.x[n0*c.x[0]+group*c.cg:], g.dy[n0*c.y[0]+group*c.og+yFrom:]
			if g.few {
				g.gather(xs, ys[g.band*c.ow*ceil(g.images, g.per)*yPixel:], x, n, i0, i1, xPixel)
			} else {
				g.stage(xs, x[xFrom:], c.x, n, lo, hi, c.w, xMany, xPixel)
			}
			g.stage(ys, dy, c.y, n, i0, i1, c.ow, yMany, yPixel)
			if pairs := ceil(n, g.per); g.turned && g.across {
				simd.Transpose(g.level, turned, xs, (hi-lo)*c.w*pairs, high, tile.ARow, xPixel)
			} else if g.turned {
				simd.Transpose(g.level, turned, ys, (i1-i0)*c.ow*pairs, high, tile.ARow, yPixel)
			}
			g.tiles(&tile, worker, to, q, cols, ceil(n, g.per), i0, i1, lo, high)
			tile.Flags |= simd.Add
		}
	}
}

// stage stages rows lo to hi-1 of n images.
func (g *weightGrad[T]) stage(stage, x []T, s [3]int, n, lo, hi, w, channels, pixel int) {
	if g.per == 1 {
		stageRows(g.level, 1, 1, stage, x, s, n, lo, hi, w, channels, pixel)
	} else {
		zipImages(g.level, stage, x, s, n, lo, hi, w, channels, pixel)
	}
}

// gather stages the taps of the positions in rows i0 to i1-1 of n images.
func (g *weightGrad[T]) gather(stage, band, x []T, n, i0, i1, pixel int) {
	slots := ceil(n, g.per)
	gather(g.level, &g.windows, stage, band, x, g.c.x, n, slots*g.per, i0, i1, g.c.ow, g.c.cg, pixel)
	if g.per == 2 {
		s := float32s(stage)
		simd.ZipRows(g.level, s, s, s[pixel:], (i1-i0)*g.c.ow*slots, g.xc, pixel, 2*pixel)
	}
}

// tiles adds, or sets at first, the products of one stage for all taps, cols columns from panel q on.
func (g *weightGrad[T]) tiles(tile *simd.Tile[T], worker int, to []T, q, cols, n, i0, i1, lo, high int) {
	tile.Rows = high
	b := tile.B
	for t := range g.taps {
		tile.Segs = g.segs(g.segments[worker], tile, t, n, i0, i1, lo)
		at := t * g.xc
		if g.across {
			at *= g.c.og
		}
		for from := 0; from < cols; from += g.vec.p {
			tile.Width, tile.Cols = g.vec.width(q + from/g.vec.p)
			tile.B, tile.C = b[min(from, len(b)):], to[at+from:] // without b the kernel meets nothing of the picture
			tile.Run(g.level)
		}
	}
	tile.B = b
}

// segs lists the runs of positions that tap t has in rows i0 to i1-1 of n staged images, or pairs of them, lo the first
// staged row of x.
func (g *weightGrad[T]) segs(s []simd.Seg, tile *simd.Tile[T], t, n, i0, i1, lo int) []simd.Seg {
	s = s[:0]
	c := &g.c
	add := func(y, x, k int) {
		if g.across {
			y, x = x, y
		}
		s = append(s, simd.Seg{A: y * n * tile.AK, B: x * n * tile.BK, K: k * n})
	}
	if g.few {
		add(0, 0, (i1-i0)*c.ow)
		return s
	}
	r, w := g.rows[t/c.kw], g.cols[t%c.kw]
	for i := max(r.lo, i0); i < min(r.hi, i1); i++ {
		x := (r.at+(i-r.lo)*int(c.p.StrideH)-lo)*c.w + w.at
		y := (i-i0)*c.ow + w.lo
		if c.p.StrideW == 1 {
			add(y, x, w.hi-w.lo)
			continue
		}
		for j := range w.hi - w.lo {
			add(y+j, x+j*int(c.p.StrideW), 1)
		}
	}
	return s
}

// collect is dw = the sums of all splits + beta dw.
func (g *weightGrad[T]) collect() phase {
	k, og := g.taps*g.xc, g.c.og
	const rows = 32 // of a part, across: (row, channel of dy) is turned
	if g.across {
		return phase{n: g.c.groups * ceil(k, rows), run: func(part, _ int) {
			group, at := part/ceil(k, rows), part%ceil(k, rows)*rows
			n := min(rows, k-at)
			sums, w := g.sum((group*k+at)*og, n*og), g.dw[group*og*k+at:]
			if g.beta == 0 {
				simd.Transpose(g.level, w, sums, n, og, k, og)
				return
			}
			for i := range n {
				for o, v := range sums[i*og:][:og] {
					w[o*k+i] = v + g.beta*w[o*k+i]
				}
			}
		}}
	}
	return phase{n: g.c.groups * og, run: func(o, _ int) {
		sums, w := g.sum(o*k, k), g.dw[o*k:][:k]
		if g.beta == 0 {
			copy(w, sums)
			return
		}
		for i, v := range sums {
			w[i] = v + g.beta*w[i]
		}
	}}
}

// sum is n sums from at on of all splits together.
func (g *weightGrad[T]) sum(at, n int) []T {
	sums, m := sharedOf[T](g.d, 0, g.n)[at:][:n], simd.Map[T]{Level: g.level}
	for s := 1; s < g.splits; s++ {
		m.Add(sums, sums, sharedOf[T](g.d, s*g.n*sizeOf[T](), g.n)[at:][:n])
	}
	return sums
}
