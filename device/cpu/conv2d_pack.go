package cpu

import "github.com/acumen-ml/acumen/device/cpu/simd"

// pack is the phase that packs weights w (O,KH,KW,C) for the convolution.
func (q *correlation[T]) pack(w []T) phase {
	all := panelsFor(q.level, q.oc)
	k := q.kh * q.kw * q.ic
	return phase{n: q.groups * all.count(), run: func(part, worker int) {
		g, i := part/all.count(), part%all.count()
		width, cols := all.width(i)
		dst, off := q.panel(g, i), (g*q.oc+i*all.p)*k
		if q.per == 1 {
			packPanel(q.level, dst, w, off, 1, k, k, cols, width)
			return
		}
		pairs := q.pairs(width)
		room := scratchOf[T](q.d, worker, pairRoom(q.level))
		if q.few || q.ic%2 == 0 {
			pairs(dst, w, off, 1, k, k, cols, room)
			return
		}
		for t := range q.kh * q.kw { // no pair is of two taps
			pairs(dst[t*q.tap*width:], w, off+t*q.ic, 1, k, q.ic, cols, room)
		}
	}}
}

// packExchanged is the phase that packs weights w, (IC,KH,KW,OC) to the correlation, for the gradient to the input.
func (q *correlation[T]) packExchanged(w []T) phase {
	all := panelsFor(q.level, q.oc)
	taps := q.kh * q.kw
	if q.few && q.per == 2 { // pairs may be of two taps
		return phase{n: q.groups * all.count(), run: func(part, _ int) {
			g, i := part/all.count(), part%all.count()
			width, cols := all.width(i)
			dst := float32s(q.panel(g, i))
			clear(dst[:q.depth*width])
			row := func(k int) []float32 {
				if k == taps*q.ic {
					return nil
				}
				return float32s(w[((g*q.ic+k%q.ic)*taps+k/q.ic)*q.oc+i*all.p:])
			}
			for k := range q.depth {
				simd.ZipRows(q.level, dst[k*width:], row(2*k), row(2*k+1), 1, cols, width, cols)
			}
		}}
	}
	return phase{n: q.groups * all.count() * taps, run: func(part, worker int) {
		t, i, g := part%taps, part/taps%all.count(), part/taps/all.count()
		width, cols := all.width(i)
		dst, off := q.panel(g, i)[t*q.tap*width:], (g*q.ic*taps+t)*q.oc+i*all.p
		if q.per == 1 {
			packPanel(q.level, dst, w, off, taps*q.oc, 1, q.ic, cols, width)
		} else {
			q.pairs(width)(dst, w, off, taps*q.oc, 1, q.ic, cols, scratchOf[T](q.d, worker, pairRoom(q.level)))
		}
	}}
}

// pairs is how panels so wide are packed as pairs.
func (q *correlation[T]) pairs(width int) func(to, from []T, off, rs, cs, k, cols int, room []T) {
	return func(to, from []T, off, rs, cs, k, cols int, room []T) {
		if q.parts > 1 {
			packSplit(q.level, to, from, off, rs, cs, k, cols, width, q.depth*width, room)
		} else {
			packPairs(q.level, to, from, off, rs, cs, k, cols, width, room)
		}
	}
}

// panel is the place of panel i of a group's weights.
func (q *correlation[T]) panel(g, i int) []T {
	all := panelsFor(q.level, q.oc)
	return sharedOf[T](q.d, 0, q.weights)[q.parts*q.depth*(g*all.wide()+i*all.p):]
}
