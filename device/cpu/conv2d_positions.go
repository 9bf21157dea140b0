package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// A convolution to few positions, those of a small picture, reads each weight for few products: to pack weights would take longer
// than to multiply by them. So the positions are packed instead, as columns of panels, and the weights are read where they lie, as the rows
// of tiles: channels of y. What comes out lies the other way round, and is little. Sums are those of a correlation, in its order.

const (
	positionsMost    = 64      // positions
	positionsWeights = 1 << 18 // weights that are worth it
)

// fewPositions reports whether the convolution is one to few positions.
func (c *conv) fewPositions(d *Device, t device.DType) bool {
	return t == device.F32 && !d.bf16 && c.groups == 1 && c.n*c.oh*c.ow <= positionsMost && c.taps()*c.cg*c.og >= positionsWeights
}

// conv2DFewPositions is Conv2D.
func conv2DFewPositions(d *Device, c *conv, y, x, w, b device.View, act device.UnOp) {
	l := simd.Active()
	from, weights, to := slice[float32](x), slice[float32](w), slice[float32](y)
	var bias []float32
	if b.Valid() {
		bias = slice[float32](b)[:c.og]
	}
	positions, depth := c.n*c.oh*c.ow, c.taps()*c.cg
	all := panelsFor(l, positions)
	high := l.Rows(min(all.p, all.wide()))
	rows := extents(forwardTaps(c.oh, c.h, c.kh, c.p.StrideH, c.p.PadH, c.p.DilH), c.kh)
	cols := extents(forwardTaps(c.ow, c.w, c.kw, c.p.StrideW, c.p.PadW, c.p.DilW), c.kw)
	d.shared(depth * all.wide() * 4)
	d.reserve(max(positions*c.cg, high*all.wide()) * 4)
	pack := phase{n: c.taps(), run: func(t, worker int) {
		pixels := scratchOf[float32](d, worker, positions*c.cg) // (row, column, image, channel)
		r, k := t/c.kw, t%c.kw
		gatherTaps(l, pixels, from, c.x, c.n, 0, c.oh, c.ow, rows[r:r+1], cols[k:k+1], c.cg, c.cg)
		panels := sharedOf[float32](d, 0, depth*all.wide())
		for q := range all.count() {
			width, many := all.width(q)
			packPanel(l, panels[q*all.p*depth+t*c.cg*width:], pixels, q*all.p*c.cg, 1, c.cg, c.cg, many, width)
		}
	}}
	compute := phase{n: ceil(c.og, high), run: func(part, worker int) {
		o := part * high
		sums := scratchOf[float32](d, worker, high*all.wide())
		segs := [1]simd.Seg{{K: depth}}
		tile := simd.Tile[float32]{A: weights[o*depth:], ARow: depth, AK: 1, Rows: min(high, c.og-o), CRow: all.wide(), Segs: segs[:]}
		panels := sharedOf[float32](d, 0, depth*all.wide())
		for q := range all.count() {
			tile.Width, tile.Cols = all.width(q)
			tile.B, tile.BK, tile.C = panels[q*all.p*depth:], tile.Width, sums[q*all.p:]
			tile.Run(l)
		}
		for p := range positions {
			out := to[p%c.n*c.y[0]+p/(c.n*c.ow)*c.y[1]+p/c.n%c.ow*c.y[2]+o:][:tile.Rows]
			for r := range out {
				v := sums[r*tile.CRow+p]
				if bias != nil {
					v += bias[o+r]
				}
				out[r] = v
			}
			if act != device.Identity {
				activate(act, out)
			}
		}
	}}
	d.enqueue("Conv2D", []device.View{y}, present(x, w, b), c.flops(), pack, compute)
}
