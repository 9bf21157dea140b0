package cpu

import (
	"fmt"
	"math"
	"os"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Convolutions of 3x3 with stride 1 in f32, and their gradients, by Winograd's F(2x2, 3x3): see simd.Transform. Four positions
// of y take 16 products for each pair of channels, where the sum over taps takes 36. A tile is 2x2 positions of y. In place
// of sums over channels and taps there are 16 matrix products, one for each element of the transformed tiles, with as many
// rows as there are tiles. Sums are shorter, and rounding errors smaller than those of the sum over taps.

const (
	winogradGain     = 1.25      // times as many products that the sum over taps must have
	winogradChannels = 16        // channels of both sides that are worth it
	winogradTiles    = 32        // tiles of all images that are
	winogradBytes    = 512 << 10 // of transformed tiles: they stay in a second-level cache while panels of weights pass by
	winogradParts    = 16        // parts at least, if there are so many rows of tiles
	winogradGap      = 16        // elements between the 16 elements of tiles, which would crowd in a cache
)

// winogradOff reports whether the environment variable ACUMEN_WINOGRAD asks for sums over taps everywhere, and what is wrong
// with it.
func winogradOff() (off bool, why string) {
	switch s := os.Getenv("ACUMEN_WINOGRAD"); s {
	case "", "on":
		return false, ""
	case "off":
		return true, ""
	default:
		return false, fmt.Sprintf("ACUMEN_WINOGRAD is %q, which is neither on nor off", s)
	}
}

// winograd reports whether Winograd's way serves the convolution, and its gradients: by shape alone.
func (c *conv) winograd(d *Device, t device.DType) bool {
	p := &c.p
	return t == device.F32 && !d.noWinograd && c.kh == 3 && c.kw == 3 && p.StrideH == 1 && p.StrideW == 1 && p.DilH == 1 && p.DilW == 1 &&
		c.cg >= winogradChannels && c.og >= winogradChannels && c.n*ceil(c.oh, 2)*ceil(c.ow, 2) >= winogradTiles &&
		c.products() >= winogradGain*16*float64(ceil(c.oh, 2)*ceil(c.ow, 2))
}

// products is the products for each pair of channels and image of a sum over taps, which leaves out padding.
func (c *conv) products() float64 {
	along := func(n, extent, kernel int, stride, pad, dil int32) (many int) {
		for _, taps := range forwardTaps(n, extent, kernel, stride, pad, dil) {
			many += len(taps)
		}
		return many
	}
	p := &c.p
	return float64(along(c.oh, c.h, c.kh, p.StrideH, p.PadH, p.DilH)) * float64(along(c.ow, c.w, c.kw, p.StrideW, p.PadW, p.DilW))
}

// tiling cuts images into tiles of 2x2 positions, which are numbered row by row, image by image.
type tiling struct{ down, across int }

func tilingOf(h, w int) tiling { return tiling{ceil(h, 2), ceil(w, 2)} }

// runs calls f for tiles first to last-1, those of one row at once: n tiles from number at on, which lie in row i of an
// image from column j on.
func (t tiling) runs(first, last int, f func(at, image, i, j, n int)) {
	for at := first; at < last; {
		image, k := at/(t.down*t.across), at%(t.down*t.across)
		i, j := k/t.across, k%t.across
		n := min(t.across-j, last-at)
		f(at, image, i, j, n)
		at += n
	}
}

// grids is the pixels under tiles: size x size of them for each, from 2i - top and 2j - left on; outside are zeros.
type grids struct {
	x                     []float32
	s                     [3]int // strides of images, rows and pixels
	h, w, top, left, size int
}

// stage is the elements of scratch that transform needs for n tiles and c channels.
func (g *grids) stage(n, c int) int { return g.size * (2*(n-1) + g.size) * c }

// transform transforms c channels from channel from on of n tiles in row i of an image, from column j on, to dst: tiles
// are pixel apart there, and the elements of a tile apart.
func (g *grids) transform(l simd.Level, how simd.Transform, dst, stage []float32, image, i, j, n, from, c, pixel, apart int) {
	row := 2*i - g.top
	if row >= 0 && row+g.size <= g.h { // those wholly inside are read where they lie
		lo, hi := max(j, ceil(g.left, 2)), min(j+n, (g.w-g.size+g.left)/2+1)
		if g.w >= g.size && lo < hi {
			at := image*g.s[0] + row*g.s[1] + (2*lo-g.left)*g.s[2] + from
			simd.Winograd(l, how, dst, g.x, &simd.Tiles{N: hi - lo, C: c,
				To:   simd.Steps{At: (lo - j) * pixel, Next: pixel, Row: 4 * apart, Col: apart},
				From: simd.Steps{At: at, Next: 2 * g.s[2], Row: g.s[1], Col: g.s[2]}})
			g.edge(l, how, dst, stage, image, i, j, lo-j, from, c, pixel, apart)
			g.edge(l, how, dst[(hi-j)*pixel:], stage, image, i, hi, j+n-hi, from, c, pixel, apart)
			return
		}
	}
	g.edge(l, how, dst, stage, image, i, j, n, from, c, pixel, apart)
}

// edge is transform for tiles that may lie partly, or wholly, outside.
func (g *grids) edge(l simd.Level, how simd.Transform, dst, stage []float32, image, i, j, n, from, c, pixel, apart int) {
	if n == 0 {
		return
	}
	row, col, cols := 2*i-g.top, 2*j-g.left, 2*(n-1)+g.size
	origin := image*g.s[0] + from
	lo, hi := max(col, 0), min(col+cols, g.w)
	for k := range g.size {
		to := stage[k*cols*c:][:cols*c]
		if r := row + k; r < 0 || r >= g.h || lo >= hi {
			clear(to)
			continue
		}
		clear(to[:(lo-col)*c])
		clear(to[(hi-col)*c:])
		copyPixels(l, to[(lo-col)*c:], g.x[origin+(row+k)*g.s[1]+lo*g.s[2]:], hi-lo, c, c, g.s[2])
	}
	simd.Winograd(l, how, dst, stage, &simd.Tiles{N: n, C: c, To: simd.Steps{Next: pixel, Row: 4 * apart, Col: apart},
		From: simd.Steps{Next: 2 * c, Row: cols * c, Col: c}})
}

// winogradConv is a convolution, or the gradient to its input, which is one of dy with the weights turned by half a turn.
type winogradConv struct {
	d           *Device
	level       simd.Level
	x           grids
	y           []float32
	ys          [3]int
	oh, ow      int // of y
	ic, oc      int // channels of a group, of x and of y
	groups      int
	bias        []float32
	act         device.UnOp
	tiling      tiling
	tiles, many int // all tiles, and those of a part
	shares      int // parts that their panels of weights are dealt to
	pixel       int // elements from tile to tile
	weights     int // elements of packed weights: (group, panel, element of a tile, ic, width)
}

// run cuts the work, and queues it after the packing of weights.
func (q *winogradConv) run(kernel string, images int, pack phase, scratch int, writes, reads []device.View, flops float64) {
	all := panelsFor(q.level, q.oc)
	q.tiling, q.pixel = tilingOf(q.oh, q.ow), roomy[float32](q.ic)
	q.tiles = images * q.tiling.down * q.tiling.across
	high := q.level.Rows(min(all.p, all.wide()))
	fit := winogradBytes / (4 * 16 * (q.pixel + all.p))
	q.many = max(1, (fit+high/2)/high) * high
	q.many = blocks(q.tiles, min(q.many, max(1, ceil(ceil(q.tiles, winogradParts), high))*high), high)
	parts := ceil(q.tiles, q.many)
	q.shares = min(all.count(), ceil(winogradParts, parts*q.groups))
	_, _, _, need := q.room()
	q.d.reserve(max(scratch, need) * 4)
	q.d.shared(q.weights * 4)
	compute := phase{n: parts * q.groups * q.shares, run: func(part, worker int) {
		share, part := part%q.shares, part/q.shares
		g, first := part/parts, part%parts*q.many
		q.part(g, first, min(first+q.many, q.tiles), share, scratchOf[float32](q.d, worker, need))
	}}
	q.d.enqueue(kernel, writes, reads, flops, pack, compute)
}

// room is how a part's scratch is used: transformed tiles, whose elements are dataApart apart, then products, sumsApart, then
// the stage of a run of tiles, and all together.
func (q *winogradConv) room() (dataApart, sumsApart, stage, all int) {
	panel := q.level.Panel()
	dataApart, sumsApart = q.many*q.pixel+winogradGap, q.many*panel+winogradGap
	run := min(q.many, q.tiling.across)
	return dataApart, sumsApart, 16 * (dataApart + sumsApart), 16*(dataApart+sumsApart) + max(q.x.stage(run, q.ic), 4*run*panel)
}

// part computes a share of the channels of group g for tiles first to last-1.
func (q *winogradConv) part(g, first, last, share int, buf []float32) {
	dataApart, sumsApart, stageAt, _ := q.room()
	data, sums, stage := buf[:16*dataApart], buf[16*dataApart:][:16*sumsApart], buf[stageAt:]
	q.tiling.runs(first, last, func(at, image, i, j, n int) {
		q.x.transform(q.level, simd.WinogradData, data[(at-first)*q.pixel:], stage, image, i, j, n, g*q.ic, q.ic, q.pixel, dataApart)
	})
	all := panelsFor(q.level, q.oc)
	weights := sharedOf[float32](q.d, 0, q.weights)[g*16*q.ic*all.wide():]
	high := tileRows(last-first, q.level.Rows(min(all.p, all.wide())))
	segs := [1]simd.Seg{{K: q.ic}}
	tile := simd.Tile[float32]{Segs: segs[:], ARow: q.pixel, AK: 1}
	each := ceil(all.count(), q.shares)
	for p := share * each; p < min((share+1)*each, all.count()); p++ {
		tile.Width, tile.Cols = all.width(p)
		tile.BK, tile.CRow = tile.Width, tile.Width
		for e := range 16 {
			tile.Bias = nil
			if e == 5 && q.bias != nil { // A^T has ones in its second column: all four positions get it
				tile.Bias = q.bias[g*q.oc+p*all.p:][:tile.Cols]
			}
			tile.B = weights[(p*all.p*16+e*tile.Width)*q.ic:]
			for r := 0; r < last-first; r += high {
				tile.Rows = min(high, last-first-r)
				tile.A, tile.C = data[e*dataApart+r*q.pixel:], sums[e*sumsApart+r*tile.Width:]
				tile.Run(q.level)
			}
		}
		q.results(sums, stage, first, last, sumsApart, tile.Width, tile.Cols, g*q.oc+p*all.p)
	}
}

// results writes cols channels of y, from channel to on, for tiles first to last-1.
func (q *winogradConv) results(sums, stage []float32, first, last, apart, width, cols, to int) {
	tiles := simd.Tiles{C: cols, Low: float32(math.Inf(-1))}
	if q.act == device.Relu {
		tiles.Low = 0
	}
	q.tiling.runs(first, last, func(at, image, i, j, n int) {
		rows, whole := min(2, q.oh-2*i), n
		if 2*(j+n) > q.ow {
			whole--
		}
		if rows < 2 {
			whole = 0
		}
		y := q.y[image*q.ys[0]+2*i*q.ys[1]+2*j*q.ys[2]+to:]
		tiles.From = simd.Steps{At: (at - first) * width, Next: width, Row: 4 * apart, Col: apart}
		if tiles.N = whole; whole > 0 {
			tiles.To = simd.Steps{Next: 2 * q.ys[2], Row: q.ys[1], Col: q.ys[2]}
			simd.Winograd(q.level, simd.WinogradResult, y, sums, &tiles)
		}
		if tiles.N = n - whole; tiles.N > 0 { // the rest lies partly outside
			tiles.From.At += whole * width
			tiles.To = simd.Steps{Next: 2 * cols, Row: 2 * tiles.N * cols, Col: cols}
			simd.Winograd(q.level, simd.WinogradResult, stage, sums, &tiles)
			for r := range rows {
				copyPixels(q.level, y[r*q.ys[1]+2*whole*q.ys[2]:], stage[r*tiles.To.Row:], min(2*tiles.N, q.ow-2*(j+whole)), cols, q.ys[2], cols)
			}
		}
		if q.act == device.Identity || q.act == device.Relu {
			return
		}
		for r := range rows {
			for k := range min(2*n, q.ow-2*j) {
				activate(q.act, y[r*q.ys[1]+k*q.ys[2]:][:cols])
			}
		}
	})
}

// conv2DWinograd is Conv2D.
func conv2DWinograd(d *Device, c *conv, y, x, w, b device.View, act device.UnOp) {
	l := simd.Active()
	all := panelsFor(l, c.og)
	weights := slice[float32](w)
	q := &winogradConv{d: d, level: l, x: grids{slice[float32](x), c.x, c.h, c.w, int(c.p.PadH), int(c.p.PadW), 4}, y: slice[float32](y), ys: c.y,
		oh: c.oh, ow: c.ow, ic: c.cg, oc: c.og, groups: c.groups, act: act, weights: c.groups * 16 * c.cg * all.wide()}
	if b.Valid() {
		q.bias = slice[float32](b)[:w.D(0)]
	}
	const most = 128 // channels at a time
	scratch := 16 * all.p * min(most, c.cg)
	pack := phase{n: c.groups * all.count() * ceil(c.cg, most), run: func(part, worker int) {
		from, i, g := part%ceil(c.cg, most)*most, part/ceil(c.cg, most)%all.count(), part/ceil(c.cg, most)/all.count()
		width, cols := all.width(i)
		n := min(most, c.cg-from)
		buf := scratchOf[float32](d, worker, scratch)
		simd.Winograd(l, simd.WinogradFilter, buf, weights, &simd.Tiles{N: cols, C: n, To: simd.Steps{Next: n, Row: 4 * cols * n, Col: cols * n},
			From: simd.Steps{At: (g*c.og+i*all.p)*9*c.cg + from, Next: 9 * c.cg, Row: 3 * c.cg, Col: c.cg}})
		to := sharedOf[float32](d, 0, q.weights)[(g*all.wide()+i*all.p)*16*c.cg:]
		for e := range 16 {
			packPanel(l, to[(e*c.cg+from)*width:], buf, e*cols*n, 1, n, n, cols, width)
		}
	}}
	q.run("Conv2D", c.n, pack, scratch, []device.View{y}, present(x, w, b), c.flops())
}

// conv2DGradInputWinograd is Conv2DGradInput.
func conv2DGradInputWinograd(d *Device, c *conv, dx, dy, w device.View) {
	l := simd.Active()
	all := panelsFor(l, c.cg)
	weights := slice[float32](w)
	q := &winogradConv{d: d, level: l, x: grids{slice[float32](dy), c.y, c.oh, c.ow, 2 - int(c.p.PadH), 2 - int(c.p.PadW), 4}, y: slice[float32](dx), ys: c.x,
		oh: c.h, ow: c.w, ic: c.og, oc: c.cg, groups: c.groups, weights: c.groups * 16 * c.og * all.wide()}
	pack := phase{n: c.groups * all.count(), run: func(part, _ int) {
		i, g := part%all.count(), part/all.count()
		width, cols := all.width(i)
		to := sharedOf[float32](d, 0, q.weights)[(g*all.wide()+i*all.p)*16*c.og:][:16*c.og*width]
		if cols < width {
			clear(to)
		}
		simd.Winograd(l, simd.WinogradFilter, to, weights, &simd.Tiles{N: c.og, C: cols, To: simd.Steps{Next: width, Row: 4 * c.og * width, Col: c.og * width},
			From: simd.Steps{At: (g*c.og*9+8)*c.cg + i*all.p, Next: 9 * c.cg, Row: -3 * c.cg, Col: -c.cg}})
	}}
	q.run("Conv2DGradInput", c.n, pack, 0, []device.View{dx}, []device.View{dy, w}, c.flops())
}
