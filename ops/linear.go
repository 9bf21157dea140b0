package ops

import "github.com/acumen-ml/acumen/device"

// Linear is x w' + b, x (..., in), w (out, in), b (out) or nil, y (..., out).
func Linear(t *Tape, x, w, b *Tensor) *Tensor {
	if x.v.Rank == 0 || w.v.Rank != 2 || x.Dim(-1) != w.Dim(1) || b != nil && (b.v.Rank != 1 || b.Dim(0) != w.Dim(0)) {
		fail("Linear", "x %v, w %v, b %v: want x (..., in), w (out, in), b (out)", x.Shape(), w.Shape(), shapeOf(b))
	}
	xv, copied := t.asRows(x.v)
	y := t.temp(x.v.Type, append(x.Shape()[:x.v.Rank-1], w.Dim(0))...)
	y2 := rows(y.v)
	beta := 0.0
	if b != nil { // the product is added to the bias, so that half precision rounds once
		t.Dev.Copy(y2, b.v)
		beta = 1
	}
	t.matMul(y2, xv, w.v.T(), 1, beta)
	t.putIf(copied, xv)
	return t.record(y, []*Tensor{x, w, b}, func(dy device.View) {
		dy = rows(dy)
		if needs(b) {
			t.into(b, func(db device.View) { t.sumTo(db, dy) })
		}
		if w.need {
			xv, copied := t.asRows(x.v)
			t.accumulate(w, func(dw device.View, beta float64) { t.matMul(dw, dy.T(), xv, 1, beta) })
			t.putIf(copied, xv)
		}
		t.accumulate(x, func(dx device.View, beta float64) { t.matMul(rows(dx), dy, w.v, 1, beta) })
	}, when(w.need, x), when(x.need, w))
}

// asRows is v as a matrix of its last axis, copied into scratch if its strides do not allow a view.
func (t *Tape) asRows(v device.View) (m device.View, copied bool) {
	n := 1
	for i := range int(v.Rank) - 1 {
		n *= v.D(i)
	}
	if v.CanReshape(n, v.D(-1)) {
		return v.Reshape(n, v.D(-1)), false
	}
	m = t.get(v.Type, n, v.D(-1))
	t.Dev.Copy(m.Reshape(v.Shape()...), v)
	return m, true
}

func (t *Tape) putIf(cond bool, v device.View) {
	if cond {
		t.put(v)
	}
}

// shapeOf is x's shape for a message, nil if x is nil.
func shapeOf(x *Tensor) []int {
	if x == nil {
		return nil
	}
	return x.Shape()
}
