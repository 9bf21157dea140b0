package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// correlation is the loop that both the convolution and its gradient to the input are: each position of y is a sum over
// taps, each of a pixel of x times a matrix of weights. What differs is which pixel a tap meets.
//
// A tile's rows are the same position in some images: all have the same taps, so none is spent on padding, whatever
// the stride. Of few images they are positions along a row of y, the stage's columns padded with zeros. A part stages a
// band of rows of its images, as (row, column, image, channel), so that a tile's rows lie evenly; then all its tiles read
// from there. With few channels the stage holds (position, image, tap, channel); or nothing but zeros are put around the
// image, and the rows of a tile, positions along a row of y, overlap in it.
type correlation[T float] struct {
	d            *Device
	level        simd.Level
	x, y         []T
	xs, ys       [3]int // strides of images, rows and pixels
	n            int
	h, w, ic     int // of x, channels of a group
	oh, ow, oc   int // of y
	groups       int
	kh, kw       int
	rows, cols   [][]tap // for each row and column of y
	per, parts   int     // channels in an element of the stage and of packed weights, and parts of each
	tap, depth   int     // elements of a pixel that a tap meets, and of all taps together
	weights      int     // elements of packed weights: (group, panel, part, tap, ic, width)
	bias         []T
	act          device.UnOp
	every, step  int // columns of y that have the same taps are every apart, and step apart in x
	images, band int // of a part: images, rows of y
	shares       int // parts that a band's panels of weights are dealt to
	along        bool
	runs         []run
	left, width  int // columns of zeros before those of x in the stage, and all its columns
	few          bool
	slides       bool         // few, and read where it lies
	high, wide   []extent     // of the kernel's rows and columns, where few
	windows      *windows     // of a convolution: nil in the gradient to its input
	pixel        int          // elements between neighbours in the stage
	together     int          // panels of weights that stay in a cache while a band's tiles pass by
	segments     [][]simd.Seg // room for each worker
}

// run is the positions of a tile in a row of y: column j and, along, those after it. The taps' columns are the stage's.
type run struct {
	j, rows int // rows 0: a row for each image
	taps    []tap
}

const (
	convImages    = 15        // the most rows of a tile where its kernel goes on by itself
	unitRows      = 32        // rows for which the matrix unit loads its registers best
	unitChannels  = 64        // channels for which splitting numbers for it pays, if each
	unitReuse     = 512       // is met by so many weights,
	unitPixels    = 1 << 10   // and each of those by so many positions;
	unitGain      = 1.4       // how many times as fast that is
	convAlong     = 8         // images under which rows of tiles are columns; where a kernel slides they always are
	convParts     = 16        // parts at least where panels are dealt out
	convFewest    = 8         // parts that may be odd: of 5, one of two threads has 3
	fewChannels   = 8         // under so many the taps of a position are staged side by side
	togetherBytes = 400 << 10 // of weights
)

// layout decides what lies in a pixel of the stage and in a column of weights.
func (q *correlation[T]) layout() {
	taps := q.kh * q.kw
	q.tap = ceil(q.ic, q.per)
	q.depth, q.pixel = taps*q.tap, roomy[T](q.parts*q.tap)
	if q.few = q.ic < fewChannels && taps > 1; q.few {
		q.depth = ceil(taps*q.ic, q.per)
		q.pixel = roomy[T](q.depth)
		q.slides = q.windows != nil && q.windows.slides(q.level, q.ow, q.per)
	}
	q.weights = q.parts * q.groups * q.depth * panelsFor(q.level, q.oc).wide()
}

// phases packs the weights, then computes.
func (q *correlation[T]) phases(pack phase) []phase {
	most := convImages
	if q.level == simd.AVX512 {
		most = q.tall()
	}
	q.images, q.shares = tileRows(q.n, most), 1
	if q.along = q.slides || q.n < convAlong && q.ow > 1; q.along {
		q.images = 1
	}
	if q.few {
		q.high, q.wide = extents(q.rows, q.kh), extents(q.cols, q.kw)
	}
	q.deal()
	q.band = 1
	for q.band < q.oh && q.stage(q.band+1)*sizeOf[T]() <= stageBytes {
		q.band++
	}
	q.band = blocks(q.oh, q.band, 1)
	q.together = max(1, togetherBytes/(q.parts*q.depth*q.level.Panel()*sizeOf[T]()))
	for range q.d.perWorker {
		q.segments = append(q.segments, make([]simd.Seg, 0, q.kh*q.kw))
	}
	need := q.stage(q.band)
	if q.few && q.windows != nil && !q.slides {
		need += q.windows.room(q.band, q.ow, q.ic)
	}
	q.d.reserve(max(need, pairRoom(q.level)) * sizeOf[T]())
	q.d.shared(q.weights * sizeOf[T]())
	bands := ceil(q.oh, q.band)
	images := ceil(q.n, q.images)
	if parts := images * bands * q.groups; parts%2 == 1 && parts > 1 && parts < convFewest && !q.along {
		q.images = tileRows(q.n, ceil(q.n, images+1))
		images = ceil(q.n, q.images)
	}
	if panels := panelsFor(q.level, q.oc).count(); q.along {
		q.shares = min(panels, ceil(convParts, images*bands*q.groups))
	}
	return []phase{pack, {n: images * bands * q.groups * q.shares, run: func(part, worker int) {
		share, part := part%q.shares, part/q.shares
		g, n0, i0 := part/(images*bands), part/bands%images*q.images, part%bands*q.band
		q.part(g, n0, min(q.images, q.n-n0), i0, min(i0+q.band, q.oh), share, scratchOf[T](q.d, worker, need), q.segments[worker])
	}}}
}

// tall is the most rows of a tile.
func (q *correlation[T]) tall() int {
	if q.per == 2 && (simd.MatrixUnit() || q.parts > 1) {
		return unitRows
	}
	return q.level.Rows(min(q.level.Panel(), panelsFor(q.level, q.oc).wide()))
}

// deal lists the runs of a row of y.
func (q *correlation[T]) deal() {
	q.width = q.w
	if !q.along {
		for j := range q.ow {
			q.runs = append(q.runs, run{j: j, taps: q.cols[j]})
		}
		return
	}
	if q.slides {
		q.runs = []run{{rows: q.ow}}
		return
	}
	high := q.tall()
	every := q.every
	if q.few {
		every = 1 // all positions are staged alike
	}
	taps := extents(q.cols, q.kw)
	right := 0
	for first := range min(every, q.ow) {
		count := ceil(q.ow-first, every)
		for at := 0; at < count; at += tileRows(count, high) {
			r := run{j: first + at*every, rows: min(tileRows(count, high), count-at)}
			for k, e := range taps {
				if q.few || e.hi == 0 || e.lo%every != first {
					continue
				}
				col := e.at + (r.j-e.lo)/every*q.step // outside x where it meets padding
				q.left, right = max(q.left, -col), max(right, col+(r.rows-1)*q.step+1-q.w)
				r.taps = append(r.taps, tap{k, col})
			}
			q.runs = append(q.runs, r)
		}
	}
	q.width = q.left + q.w + right
	for _, r := range q.runs {
		for i := range r.taps {
			r.taps[i].at += q.left
		}
	}
}

// stage is the number of elements that the largest stage for a band of rows of y has.
func (q *correlation[T]) stage(band int) int {
	switch {
	case q.slides:
		return q.windows.room(band, q.ow, q.ic)
	case q.few:
		return band * q.ow * q.images * q.pixel * q.per // gathered before there are pairs
	}
	most := 0
	for i := 0; i < q.oh; i += band {
		lo, hi := q.meets(i, min(i+band, q.oh))
		most = max(most, hi-lo)
	}
	return most * q.width * q.images * q.pixel
}

// meets is the rows of x that rows i0 to i1-1 of y are made of.
func (q *correlation[T]) meets(i0, i1 int) (lo, hi int) {
	lo, hi = q.h, 0
	for _, taps := range q.rows[i0:i1] {
		for _, t := range taps {
			lo, hi = min(lo, t.at), max(hi, t.at+1)
		}
	}
	return min(lo, hi), hi
}

// part computes rows i0 to i1-1 of y for n images from n0 on and group g, a share of the panels.
func (q *correlation[T]) part(g, n0, n, i0, i1, share int, stage []T, segs []simd.Seg) {
	lo, hi := q.meets(i0, i1)
	x := q.x[n0*q.xs[0]+g*q.ic:]
	pitch := 0
	switch {
	case q.slides:
		stage, pitch = slide(q.level, q.windows, stage, x, q.xs, i0, i1, q.ow, q.ic)
	case q.few:
		if pixel := q.per * q.pixel; q.windows != nil {
			gather(q.level, q.windows, stage, stage[q.stage(q.band):], x, q.xs, n, n, i0, i1, q.ow, q.ic, pixel)
		} else {
			gatherTaps(q.level, stage, x, q.xs, n, i0, i1, q.ow, q.high, q.wide, q.ic, pixel)
		}
		if q.per == 2 {
			simd.PairRows(q.level, float32s(stage), float32s(stage), (i1-i0)*q.ow*n, q.kh*q.kw*q.ic, q.pixel, 2*q.pixel)
		}
	default:
		if q.width > q.w {
			clear(stage[:(hi-lo)*q.width*n*q.pixel])
		}
		for r := lo; r < hi; r++ {
			stageRows(q.level, q.per, q.parts, stage[((r-lo)*q.width+q.left)*n*q.pixel:], x, q.xs, n, r, r+1, q.w, q.ic, q.pixel)
		}
	}
	all := panelsFor(q.level, q.oc)
	tile := simd.Tile[T]{ARow: q.pixel, AK: 1, CRow: q.ys[0], APlane: q.tap, Flags: pairsIf(q.per, q.parts)}
	if q.act == device.Relu {
		tile.Flags |= simd.Relu
	}
	if q.along {
		tile.CRow = q.ys[2]
		switch {
		case q.slides:
			tile.ARow = q.step * q.ic
		case !q.few:
			tile.ARow, tile.CRow = q.step*q.pixel, q.every*q.ys[2]
		}
	}
	weights := sharedOf[T](q.d, 0, q.weights)[q.parts*g*q.depth*all.wide():]
	each := ceil(all.count(), q.shares)
	end := min((share+1)*each, all.count())
	for first := share * each; first < end; first += q.together {
		last := min(first+q.together, end)
		for i := i0; i < i1; i++ {
			for _, run := range q.runs {
				rows := n
				if run.rows > 0 {
					rows = run.rows
				}
				tile.Width = 0
				to := q.y[n0*q.ys[0]+i*q.ys[1]+run.j*q.ys[2]+g*q.oc:]
				for p := first; p < last; p++ {
					width, cols := all.width(p)
					if width != tile.Width {
						tile.Segs = q.segs(segs[:0], i-i0, lo, i, n, width, pitch, run)
					}
					tile.Width, tile.BK, tile.BPlane, tile.Cols = width, width, q.depth*width, cols
					tile.B = weights[q.parts*p*all.p*q.depth:]
					if q.bias != nil {
						tile.Bias = q.bias[g*q.oc+p*all.p:][:cols]
					}
					tile.Rows, tile.A, tile.C = rows, stage, to[p*all.p:]
					tile.Run(q.level)
					q.activate(&tile)
				}
			}
		}
	}
}

// segs lists the products of a run in row i of y, row in the band, lo being the first staged row, pitch as slide tells it.
func (q *correlation[T]) segs(s []simd.Seg, row, lo, i, n, width, pitch int, at run) []simd.Seg {
	if q.slides {
		first := row * int(q.windows.p.StrideH) * pitch
		q.windows.runs(pitch, q.ic, func(tap, at, many int) {
			s = append(s, simd.Seg{A: first + at, B: tap * width, K: many})
		})
		return s
	}
	if q.few {
		return append(s, simd.Seg{A: (row*q.ow + at.j) * n * q.pixel, K: q.depth})
	}
	for _, r := range q.rows[i] {
		for _, c := range at.taps {
			s = append(s, simd.Seg{A: ((r.at-lo)*q.width + c.at) * n * q.pixel, B: (r.k*q.kw + c.k) * q.tap * width, K: q.tap})
		}
	}
	return s
}

// activate applies what a tile cannot.
func (q *correlation[T]) activate(t *simd.Tile[T]) {
	if q.act != device.Identity && q.act != device.Relu {
		for r := range t.Rows {
			activate(q.act, t.C[r*t.CRow:][:t.Cols])
		}
	}
}
