package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// With few channels the taps of a row of a kernel lie side by side in an image, and the windows of neighbours overlap there: a
// kernel slides, and tiles read the image where it lies.

const (
	slideAlong = 4        // positions along a row of y at least
	slideBytes = 32 << 10 // what a band of the gradient to the weights stages at most, of more than a row: a first-level cache
	slideWaste = 2        // products of that gradient at most, by those that panels along the taps take, which have to be gathered
)

// windows is how positions of y meet an image of h x w pixels: a kernel of kh x kw taps as p says.
type windows struct {
	h, w, kh, kw int
	p            device.Conv2D
}

// rows and cols are the rows and columns of an image, with its padding, under n positions.
func (v *windows) rows(n int) int { return (n-1)*int(v.p.StrideH) + (v.kh-1)*int(v.p.DilH) + 1 }
func (v *windows) cols(n int) int { return (n-1)*int(v.p.StrideW) + (v.kw-1)*int(v.p.DilW) + 1 }

// room is the elements of a band under rows x ow positions, for slide.
func (v *windows) room(rows, ow, c int) int { return v.rows(rows) * v.cols(ow) * c }

// slide is the image, pitch elements from row to row, on which the kernel slides to the positions in rows i0 to i1-1 of y,
// ow wide: x, of strides s and c channels, or a copy in band with the zeros around it that they meet.
func slide[T float](l simd.Level, v *windows, band, x []T, s [3]int, i0, i1, ow, c int) (from []T, pitch int) {
	first, left := i0*int(v.p.StrideH)-int(v.p.PadH), -int(v.p.PadW)
	rows, cols := v.rows(i1-i0), v.cols(ow)
	if s[2] == c && first >= 0 && first+rows <= v.h && left >= 0 && left+cols <= v.w {
		return x[first*s[1]+left*c:], s[1]
	}
	surround(l, v, band, x, s, first, left, rows, cols, c)
	return band, cols * c
}

// slides reports whether tiles read images where they lie, positions along a row of y being their rows: there ow of them.
// Images of pairs are staged.
func (v *windows) slides(l simd.Level, ow, per int) bool {
	return per == 1 && l != simd.AVX512 && ow >= slideAlong
}

// runs calls f for each run of taps that lie side by side, many elements from tap on: they meet a slide's elements from at on.
func (v *windows) runs(pitch, c int, f func(tap, at, many int)) {
	for k := range v.kh {
		at := k * int(v.p.DilH) * pitch
		if v.p.DilW == 1 {
			f(k*v.kw*c, at, v.kw*c)
			continue
		}
		for t := range v.kw {
			f((k*v.kw+t)*c, at+t*int(v.p.DilW)*c, c)
		}
	}
}

// surround copies rows x cols pixels of an image from row first and column left on; outside it they are zeros.
func surround[T float](l simd.Level, v *windows, band, x []T, s [3]int, first, left, rows, cols, c int) {
	lo, hi := max(left, 0), min(left+cols, v.w)
	for r := range rows {
		to := band[r*cols*c:][:cols*c]
		if at := first + r; at < 0 || at >= v.h || lo >= hi {
			clear(to)
			continue
		}
		clear(to[:(lo-left)*c])
		clear(to[(hi-left)*c:])
		if to, from := to[(lo-left)*c:], x[(first+r)*s[1]+lo*s[2]:]; s[2] == c {
			copy(to[:(hi-lo)*c], from)
		} else {
			copyPixels(l, to, from, hi-lo, c, c, s[2])
		}
	}
}

// planSlides is plan where x is read in place.
func (g *weightGrad[T]) planSlides() {
	c := &g.c
	g.across, g.aside = true, true
	g.vec, g.row = panelsFor(g.level, c.og), g.xc
	g.images, g.high, g.band = 1, g.row, c.oh
	for g.band > 1 && g.scratch(1, g.band)*sizeOf[T]() > slideBytes {
		g.band--
	}
	g.band = blocks(c.oh, g.band, 1)
	bands := c.n * ceil(c.oh, g.band)
	g.splits = max(1, min(ceil(weightParts, c.groups), bands, weightSums/g.n))
	g.each = ceil(bands, g.splits)
	g.splits = ceil(bands, g.each)
	for range g.d.perWorker {
		g.segments = append(g.segments, make([]simd.Seg, 0, g.band))
	}
}

// slide sums the products of all taps and channels of a group over the bands of a split.
func (g *weightGrad[T]) slide(worker, split, group int) {
	c := &g.c
	buf, room := scratchOf[T](g.d, worker, g.scratch(1, g.band)), g.xScratch(1, g.band)
	_, pixel := g.pixels()
	clear(buf[room:]) // columns that a panel lacks are read
	sums := sharedOf[T](g.d, split*g.n*sizeOf[T](), g.n)[group*g.xc*c.og:]
	tile := simd.Tile[T]{ARow: 1, ByCols: 1, AK: int(c.p.StrideW) * c.cg, CRow: c.og}
	bands := ceil(c.oh, g.band)
	for at := split * g.each; at < min((split+1)*g.each, c.n*bands); at++ {
		n, i0 := at/bands, at%bands*g.band
		rows := min(g.band, c.oh-i0)
		x, pitch := slide(g.level, &g.windows, buf, g.x[n*c.x[0]+group*c.cg:], c.x, i0, i0+rows, c.ow, c.cg)
		for q := range g.vec.count() {
			tile.Width, tile.Cols = g.vec.width(q)
			tile.A, tile.B, tile.BK = x, g.dy[n*c.y[0]+i0*c.y[1]+group*c.og+q*g.vec.p:], c.y[2]
			row := c.y[1]
			if tile.Cols < tile.Width || crowded[T](tile.BK) {
				stageRows(g.level, 1, 1, buf[room:], tile.B, c.y, 1, 0, rows, c.ow, tile.Cols, pixel)
				tile.B, tile.BK, row = buf[room:], pixel, c.ow*pixel
			}
			g.windows.runs(pitch, c.cg, func(tap, at, many int) {
				tile.Segs = g.segments[worker][:0]
				for i := range rows {
					tile.Segs = append(tile.Segs, simd.Seg{A: at + i*int(c.p.StrideH)*pitch, B: i * row, K: c.ow})
				}
				tile.Rows, tile.C = many, sums[tap*c.og+q*g.vec.p:]
				tile.Run(g.level)
			})
		}
		tile.Flags |= simd.Add
	}
}
