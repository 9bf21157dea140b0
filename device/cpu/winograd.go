package cpu

import (
	"fmt"
	"math"
	"os"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Convolutions of 3x3 and 5x5 with stride 1 in f32, and their gradients, by Winograd's way: see simd.Transform. A tile is a
// square of positions of y. In place of sums over channels and taps there is a matrix product for each element of the
// transformed tiles, with as many rows as there are tiles: by F(2x2, 3x3) four positions take 16 products for each pair of
// channels, where the sum over taps takes 36.

// scheme is F(m x m, r x r): tiles of m x m positions, filters of r x r taps.
type scheme struct {
	m, r                                   int
	data, result, grad, filter, filterGrad simd.Transform
	// The sum over taps must have gain + slope/channels times as many products, channels being the fewer of x and y. Measured
	// on Zen 4, with AVX-512, for 16 to 256 channels.
	gain, slope float64
	coarse      bool // of tiles rounded to bf16 sums err five times as much as those over taps, otherwise less than twice
}

var schemes = []scheme{
	{2, 3, simd.WinogradData4, simd.WinogradResult23, simd.WinogradGrad23, simd.WinogradFilter23, simd.WinogradFilterGrad23, 1.1, 7, false},
	{4, 3, simd.WinogradData6, simd.WinogradResult43, simd.WinogradGrad43, simd.WinogradFilter43, simd.WinogradFilterGrad43, 1.35, 15, true},
	{2, 5, simd.WinogradData6, simd.WinogradResult25, simd.WinogradGrad25, simd.WinogradFilter25, simd.WinogradFilterGrad25, 1.35, 15, true},
}

// size is the elements of a tile along a side, and area all of them.
func (s *scheme) size() int { return s.m + s.r - 1 }
func (s *scheme) area() int { return s.size() * s.size() }

const (
	winogradChannels = 16        // channels of both sides that are worth it
	winogradTiles    = 32        // tiles of all images that are
	winogradBytes    = 512 << 10 // of transformed tiles: they stay in a second-level cache while panels of weights pass by
	winogradParts    = 16        // parts at least, if there are so many rows of tiles
	winogradNear     = 1 << 19   // transformed weights that a second-level cache holds: others are fetched for few tiles again,
	winogradFetch    = 64        // which takes as long as the products of so many
	winogradGap      = 16        // elements between the elements of tiles, which would crowd in a cache
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

// winograd is the scheme that serves the convolution, or a gradient, best if images of h x w are cut into tiles; nil: the sum
// over taps does. It is chosen by shape, precision and instruction set alone. Gradients in bf16 may be coarse: what they gain in noise is little beside what
// they have from the choice of the batch. Where the matrix unit takes the sum over taps, in parts, that is unitGain times as fast.
func (c *conv) winograd(d *Device, t device.DType, h, w int, grad, unit bool) (best *scheme) {
	p := &c.p
	if t != device.F32 || d.noWinograd || d.bf16 && simd.MatrixUnit() || c.kh != c.kw || p.StrideH != 1 || p.StrideW != 1 || p.DilH != 1 || p.DilW != 1 ||
		c.cg < winogradChannels || c.og < winogradChannels {
		return nil
	}
	least, spared, pairing := c.products(), 0.0, 0.0
	if d.bf16 { // products take half the time, transforms as long as ever, and what is transformed is made pairs of
		least, spared, pairing = least/2, 0.5, 2
	} else if unit {
		least /= unitGain
	}
	for i := range schemes {
		s := &schemes[i]
		tiles := ceil(h, s.m) * ceil(w, s.m)
		if s.coarse && d.bf16 && !grad {
			continue
		}
		cost := (s.gain - spared + (s.slope+pairing)/float64(min(c.cg, c.og))) * float64(s.area()*tiles)
		if unit && s.area()*c.cg*c.og > winogradNear {
			cost *= 1 + winogradFetch/float64(c.n*tiles)
		}
		if c.kh == s.r && c.n*tiles >= winogradTiles && cost <= least {
			best, least = s, cost
		}
	}
	return best
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

// tiling cuts images into tiles, which are numbered row by row, image by image.
type tiling struct{ down, across int }

func (s *scheme) tiling(h, w int) tiling { return tiling{ceil(h, s.m), ceil(w, s.m)} }

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

// grids is the pixels under tiles: size x size of them for each, from i step - top and j step - left on; outside are zeros.
type grids struct {
	x                     []float32
	s                     [3]int // strides of images, rows and pixels
	h, w, top, left, size int
	step, into            int // from tile to tile, and elements along a side of what they are transformed into
}

// stage is the elements of scratch that transform needs for n tiles and c channels.
func (g *grids) stage(n, c int) int { return g.size * ((n-1)*g.step + g.size) * c }

// transform transforms c channels from channel from on of n tiles in row i of an image, from column j on, to dst: tiles
// are pixel apart there, and the elements of a tile apart.
func (g *grids) transform(l simd.Level, how simd.Transform, dst, stage []float32, image, i, j, n, from, c, pixel, apart int) {
	row := i*g.step - g.top
	if row >= 0 && row+g.size <= g.h { // those wholly inside are read where they lie
		lo, hi := max(j, ceil(g.left, g.step)), min(j+n, (g.w-g.size+g.left)/g.step+1)
		if g.w >= g.size && lo < hi {
			at := image*g.s[0] + row*g.s[1] + (lo*g.step-g.left)*g.s[2] + from
			simd.Winograd(l, how, dst, g.x, &simd.Tiles{N: hi - lo, C: c,
				To:   simd.Steps{At: (lo - j) * pixel, Next: pixel, Row: g.into * apart, Col: apart},
				From: simd.Steps{At: at, Next: g.step * g.s[2], Row: g.s[1], Col: g.s[2]}})
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
	row, col, cols := i*g.step-g.top, j*g.step-g.left, (n-1)*g.step+g.size
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
	simd.Winograd(l, how, dst, stage, &simd.Tiles{N: n, C: c, To: simd.Steps{Next: pixel, Row: g.into * apart, Col: apart},
		From: simd.Steps{Next: g.step * c, Row: cols * c, Col: c}})
}

// winogradConv is a convolution, or the gradient to its input, which is one of dy with the weights turned by half a turn.
type winogradConv struct {
	*scheme
	d           *Device
	level       simd.Level
	per         int // channels in an element of transformed tiles and weights
	x           grids
	y           []float32
	ys          [3]int
	oh, ow      int // of y
	ic, oc      int // channels of a group, of x and of y
	groups      int
	bias        []float32
	act         device.UnOp
	cut         tiling
	tiles, many int // all tiles, and those of a part
	shares      int // parts that their panels of weights are dealt to
	pixel       int // elements from tile to tile
	weights     int // elements of packed weights: (group, panel, element of a tile, ic, width)
}

// run cuts the work, and queues it after the packing of weights.
func (q *winogradConv) run(kernel string, images int, pack phase, scratch int, writes, reads []device.View, flops float64) {
	all := panelsFor(q.level, q.oc)
	q.cut, q.pixel = q.tiling(q.oh, q.ow), roomy[float32](q.ic)
	q.tiles = images * q.cut.down * q.cut.across
	high := q.level.Rows(min(all.p, all.wide()))
	fit := winogradBytes / (4 * q.area() * (q.pixel + all.p))
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
	run := min(q.many, q.cut.across)
	stage = q.area() * (dataApart + sumsApart)
	return dataApart, sumsApart, stage, stage + max(q.x.stage(run, q.ic), q.m*q.m*run*panel)
}

// part computes a share of the channels of group g for tiles first to last-1.
func (q *winogradConv) part(g, first, last, share int, buf []float32) {
	dataApart, sumsApart, stageAt, _ := q.room()
	data, sums, stage := buf[:q.area()*dataApart], buf[q.area()*dataApart:stageAt], buf[stageAt:]
	q.cut.runs(first, last, func(at, image, i, j, n int) {
		q.x.transform(q.level, q.data, data[(at-first)*q.pixel:], stage, image, i, j, n, g*q.ic, q.ic, q.pixel, dataApart)
	})
	if q.per == 2 {
		for e := range q.area() {
			simd.PairRows(q.level, data[e*dataApart:], data[e*dataApart:], last-first, q.ic, q.pixel, q.pixel)
		}
	}
	all := panelsFor(q.level, q.oc)
	weights := sharedOf[float32](q.d, 0, q.weights)[g*q.area()*q.ic*all.wide():]
	segs := [1]simd.Seg{{K: ceil(q.ic, q.per)}}
	tile := simd.Tile[float32]{Segs: segs[:], Rows: last - first, ARow: q.pixel, AK: 1, Flags: pairsIf(q.per, 1)}
	each := ceil(all.count(), q.shares)
	for p := share * each; p < min((share+1)*each, all.count()); p++ {
		tile.Width, tile.Cols = all.width(p)
		tile.BK, tile.CRow = tile.Width, tile.Width
		for e := range q.area() {
			tile.B = weights[(p*all.p*q.area()+e*tile.Width)*q.ic:]
			tile.A, tile.C = data[e*dataApart:], sums[e*sumsApart:]
			tile.Run(q.level)
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
	if q.bias != nil {
		tiles.Bias = q.bias[to:][:cols]
	}
	q.cut.runs(first, last, func(at, image, i, j, n int) {
		rows, whole := min(q.m, q.oh-i*q.m), n
		if (j+n)*q.m > q.ow {
			whole--
		}
		if rows < q.m {
			whole = 0
		}
		y := q.y[image*q.ys[0]+i*q.m*q.ys[1]+j*q.m*q.ys[2]+to:]
		tiles.From = simd.Steps{At: (at - first) * width, Next: width, Row: q.size() * apart, Col: apart}
		if tiles.N = whole; whole > 0 {
			tiles.To = simd.Steps{Next: q.m * q.ys[2], Row: q.ys[1], Col: q.ys[2]}
			simd.Winograd(q.level, q.result, y, sums, &tiles)
		}
		if tiles.N = n - whole; tiles.N > 0 { // the rest lies partly outside
			tiles.From.At += whole * width
			tiles.To = simd.Steps{Next: q.m * cols, Row: q.m * tiles.N * cols, Col: cols}
			simd.Winograd(q.level, q.result, stage, sums, &tiles)
			for r := range rows {
				copyPixels(q.level, y[r*q.ys[1]+whole*q.m*q.ys[2]:], stage[r*tiles.To.Row:], min(tiles.N*q.m, q.ow-(j+whole)*q.m), cols, q.ys[2], cols)
			}
		}
		if q.act == device.Identity || q.act == device.Relu {
			return
		}
		for r := range rows {
			for k := range min(n*q.m, q.ow-j*q.m) {
				activate(q.act, y[r*q.ys[1]+k*q.ys[2]:][:cols])
			}
		}
	})
}

// conv2DWinograd is Conv2D.
func conv2DWinograd(d *Device, c *conv, s *scheme, y, x, w, b device.View, act device.UnOp) {
	l, per := factors[float32](d)
	taps, area := s.r*s.r, s.area()
	all := panelsFor(l, c.og)
	weights := slice[float32](w)
	q := &winogradConv{scheme: s, d: d, level: l, per: per, y: slice[float32](y), ys: c.y, oh: c.oh, ow: c.ow, ic: c.cg, oc: c.og, groups: c.groups, act: act,
		x: grids{slice[float32](x), c.x, c.h, c.w, int(c.p.PadH), int(c.p.PadW), s.size(), s.m, s.size()}, weights: c.groups * area * c.cg * all.wide()}
	if b.Valid() {
		q.bias = slice[float32](b)[:w.D(0)]
	}
	const most = 64 // channels at a time
	size := area * all.p * min(most, c.cg)
	scratch := size + pairRoom(l)
	pack := phase{n: c.groups * all.count() * ceil(c.cg, most), run: func(part, worker int) {
		from, i, g := part%ceil(c.cg, most)*most, part/ceil(c.cg, most)%all.count(), part/ceil(c.cg, most)/all.count()
		width, cols := all.width(i)
		n := min(most, c.cg-from)
		buf := scratchOf[float32](d, worker, scratch)
		simd.Winograd(l, s.filter, buf, weights, &simd.Tiles{N: cols, C: n, To: simd.Steps{Next: n, Row: s.size() * cols * n, Col: cols * n},
			From: simd.Steps{At: (g*c.og+i*all.p)*taps*c.cg + from, Next: taps * c.cg, Row: s.r * c.cg, Col: c.cg}})
		to := sharedOf[float32](d, 0, q.weights)[(g*all.wide()+i*all.p)*area*c.cg:]
		for e := range area {
			if per == 2 {
				packPairs(l, to[(e*c.cg+from/2)*width:], buf, e*cols*n, 1, n, n, cols, width, buf[size:])
			} else {
				packPanel(l, to[(e*c.cg+from)*width:], buf, e*cols*n, 1, n, n, cols, width)
			}
		}
	}}
	q.run("Conv2D", c.n, pack, scratch, []device.View{y}, present(x, w, b), c.flops())
}

// conv2DGradInputWinograd is Conv2DGradInput.
func conv2DGradInputWinograd(d *Device, c *conv, s *scheme, dx, dy, w device.View) {
	l, per := factors[float32](d)
	taps, area := s.r*s.r, s.area()
	all := panelsFor(l, c.cg)
	weights := slice[float32](w)
	q := &winogradConv{scheme: s, d: d, level: l, per: per, y: slice[float32](dx), ys: c.x, oh: c.h, ow: c.w, ic: c.og, oc: c.cg, groups: c.groups,
		x:       grids{slice[float32](dy), c.y, c.oh, c.ow, s.r - 1 - int(c.p.PadH), s.r - 1 - int(c.p.PadW), s.size(), s.m, s.size()},
		weights: c.groups * area * c.og * all.wide()}
	pack := phase{n: c.groups * all.count(), run: func(part, _ int) {
		i, g := part%all.count(), part/all.count()
		width, cols := all.width(i)
		to := sharedOf[float32](d, 0, q.weights)[(g*all.wide()+i*all.p)*area*c.og:][:area*c.og*width]
		if cols < width {
			clear(to)
		}
		simd.Winograd(l, s.filter, to, weights, &simd.Tiles{N: c.og, C: cols, To: simd.Steps{Next: width, Row: s.size() * c.og * width, Col: c.og * width},
			From: simd.Steps{At: (g*c.og*taps+taps-1)*c.cg + i*all.p, Next: taps * c.cg, Row: -s.r * c.cg, Col: -c.cg}})
		if per == 2 {
			for e := range area {
				panel := to[e*c.og*width:]
				zipColumns(l, panel, panel, c.og, width, width, width)
			}
		}
	}}
	q.run("Conv2DGradInput", c.n, pack, 0, []device.View{dx}, []device.View{dy, w}, c.flops())
}
