package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// winogradWeightGrad is the gradient of a convolution to its weights by Winograd's way: for each element of transformed
// tiles a product of the channels of dy with those of x over all tiles, and the sums transformed in the end. A
// part has some channels of both, and the tiles of a split; it transforms some tiles at a time. Panels lie along the channels
// of x, or along those of dy where that wastes less.
type winogradWeightGrad struct {
	*scheme
	d            *Device
	level        simd.Level
	per          int // tiles in an element of what is transformed
	c            conv
	x, dy        grids
	dw           []float32
	beta         float32
	n            int // elements of dw
	across       bool
	vec, row     blocked // channels along panels, and along the rows of tiles
	cut          tiling
	tiles, many  int // all, and those of a stage
	splits, each int // of the tiles, and the stages of each
	aside        bool
}

// blocked is n channels in blocks of most.
type blocked struct{ n, most int }

func (b blocked) count() int { return ceil(b.n, b.most) }

const (
	winogradBlock  = 64 // channels of a part, both ways
	winogradStage  = 32 // tiles of a stage: sums are fetched from memory once for so many
	winogradSplits = 16 // parts at least, if sums stay small
)

// conv2DGradWeightWinograd is Conv2DGradWeight.
func conv2DGradWeightWinograd(d *Device, c *conv, s *scheme, dw, x, dy device.View, beta float64) {
	l, per := factors[float32](d)
	g := &winogradWeightGrad{scheme: s, d: d, level: l, per: per, c: *c, dw: slice[float32](dw), beta: float32(beta), n: dw.Len(),
		x:  grids{slice[float32](x), c.x, c.h, c.w, int(c.p.PadH), int(c.p.PadW), s.size(), s.m, s.size()},
		dy: grids{slice[float32](dy), c.y, c.oh, c.ow, 0, 0, s.m, s.m, s.size()}}
	alongX, alongY := panelsFor(g.level, c.cg), panelsFor(g.level, c.og)
	vec, row := c.cg, c.og
	if g.across = alongX.wide()*c.og > alongY.wide()*c.cg; g.across {
		vec, row = row, vec
	}
	g.vec, g.row = blocked{vec, blocks(vec, winogradBlock, g.level.Panel())}, blocked{row, blocks(row, winogradBlock, 1)}
	g.cut = s.tiling(c.oh, c.ow)
	g.tiles = c.n * g.cut.down * g.cut.across
	g.many = blocks(g.tiles, winogradStage, 1)
	stages, parts := ceil(g.tiles, g.many), c.groups*g.vec.count()*g.row.count()
	g.splits = max(1, min(ceil(winogradSplits, parts), stages, weightSums/g.n))
	g.each = ceil(stages, g.splits)
	g.splits = ceil(stages, g.each)
	g.aside = g.splits > 1 || g.across || beta != 0
	_, _, _, need := g.room()
	d.reserve(need * 4)
	phases := []phase{{n: g.splits * parts, run: func(part, worker int) {
		split, part := part/parts, part%parts
		v, r, group := part%g.vec.count(), part/g.vec.count()%g.row.count(), part/g.vec.count()/g.row.count()
		g.part(split, group, v*g.vec.most, r*g.row.most, scratchOf[float32](d, worker, need))
	}}}
	if g.aside {
		d.shared(g.splits * g.n * 4)
		sums := &weightGrad[float32]{d: d, level: g.level, c: *c, dw: g.dw, beta: g.beta, n: g.n, taps: s.r * s.r, xc: c.cg, across: g.across, splits: g.splits}
		phases = append(phases, sums.collect())
	}
	d.enqueue("Conv2DGradWeight", []device.View{dw}, []device.View{x, dy}, c.flops(), phases...)
}

// width is the elements of a tile's channels along panels.
func (g *winogradWeightGrad) width() int { return panelsFor(g.level, g.vec.most).wide() }

// room is how a part's scratch is used: from vec on tiles transformed that lie along panels, from row on the others, from
// stage on the stage of a run; sums come first. all is all together.
func (g *winogradWeightGrad) room() (vec, row, stage, all int) {
	vec = g.area() * (g.row.most*g.width() + winogradGap)
	row = vec + g.area()*(g.many*g.width()+winogradGap)
	stage = row + g.area()*(g.many*g.row.most+winogradGap)
	run := min(g.many, g.cut.across)
	most := max(g.vec.most, g.row.most)
	return vec, row, stage, stage + max(g.x.stage(run, most), g.dy.stage(run, most))
}

// part sums the channels from v on along panels and from r on along rows of a group, over the tiles of a split.
func (g *winogradWeightGrad) part(split, group, v, r int, buf []float32) {
	vecAt, rowAt, stageAt, _ := g.room()
	width := g.width()
	cols, rows := min(g.vec.most, g.vec.n-v), min(g.row.most, g.row.n-r)
	sums, vec, row, stage := buf[:vecAt], buf[vecAt:rowAt], buf[rowAt:stageAt], buf[stageAt:]
	sumsApart, vecApart, rowApart := vecAt/g.area(), (rowAt-vecAt)/g.area(), (stageAt-rowAt)/g.area()
	clear(sums)
	clear(vec) // columns that a panel lacks are read
	all := panelsFor(g.level, cols)
	var segs [1]simd.Seg
	tile := simd.Tile[float32]{Segs: segs[:], Rows: rows, ARow: 1, AK: g.row.most, BK: width, CRow: width, ByCols: 1, Flags: simd.Add | pairsIf(g.per, 1)}
	for first := split * g.each * g.many; first < min((split+1)*g.each*g.many, g.tiles); first += g.many {
		last := min(first+g.many, g.tiles)
		g.cut.runs(first, last, func(at, image, i, j, n int) {
			to := at - first
			if g.across {
				g.x.transform(g.level, g.data, row[to*g.row.most:], stage, image, i, j, n, group*g.c.cg+r, rows, g.row.most, rowApart)
				g.dy.transform(g.level, g.grad, vec[to*width:], stage, image, i, j, n, group*g.c.og+v, cols, width, vecApart)
			} else {
				g.x.transform(g.level, g.data, vec[to*width:], stage, image, i, j, n, group*g.c.cg+v, cols, width, vecApart)
				g.dy.transform(g.level, g.grad, row[to*g.row.most:], stage, image, i, j, n, group*g.c.og+r, rows, g.row.most, rowApart)
			}
		})
		if g.per == 2 {
			for e := range g.area() {
				v, r := vec[e*vecApart:], row[e*rowApart:]
				zipColumns(g.level, v, v, last-first, width, width, width)
				zipColumns(g.level, r, r, last-first, g.row.most, g.row.most, g.row.most)
			}
		}
		segs[0].K = ceil(last-first, g.per)
		for e := range g.area() {
			for p := range all.count() {
				tile.Width, tile.Cols = all.width(p)
				tile.B = vec[e*vecApart+p*all.p:]
				tile.A, tile.C = row[e*rowApart:], sums[e*sumsApart+p*all.p:]
				tile.Run(g.level)
			}
		}
	}
	to := g.dw
	if g.aside {
		to = sharedOf[float32](g.d, split*g.n*4, g.n)
	}
	tiles := simd.Tiles{N: rows, C: cols, From: simd.Steps{Next: width, Row: g.size() * sumsApart, Col: sumsApart}}
	if g.across { // (channel of x, ...) of each tap: collect turns it
		tiles.To = simd.Steps{At: (group*g.r*g.r*g.c.cg+r)*g.c.og + v, Next: g.c.og, Row: g.r * g.c.cg * g.c.og, Col: g.c.cg * g.c.og}
	} else {
		tiles.To = simd.Steps{At: (group*g.c.og+r)*g.r*g.r*g.c.cg + v, Next: g.r * g.r * g.c.cg, Row: g.r * g.c.cg, Col: g.c.cg}
	}
	simd.Winograd(g.level, g.filterGrad, to, sums, &tiles)
}
