package ops

import "github.com/acumen-ml/acumen/device"

type linearer interface {
	Linear(y, x, w, b device.View, act device.UnOp) bool
}

// Linear is x w' + b, x (..., in), w (out, in), b (out) or nil, y (..., out).
func Linear(t *Tape, x, w, b *Tensor) *Tensor { return linear(t, "Linear", x, w, b, device.Identity) }

// LinearAct is act(Linear), act an activation without parameters.
func LinearAct(t *Tape, x, w, b *Tensor, act device.UnOp) *Tensor {
	return activated(t, "LinearAct", act, func(act device.UnOp) *Tensor { return linear(t, "LinearAct", x, w, b, act) }, x, w, b)
}

func linear(t *Tape, op string, x, w, b *Tensor, act device.UnOp) *Tensor {
	if x.v.Rank == 0 || w.v.Rank != 2 || x.Dim(-1) != w.Dim(1) || b != nil && (b.v.Rank != 1 || b.Dim(0) != w.Dim(0)) {
		fail(op, "x %v, w %v, b %v: want x (..., in), w (out, in), b (out)", x.Shape(), w.Shape(), shapeOf(b))
	}
	xv, copied := t.asRows(x.v)
	y := t.temp(x.v.Type, append(x.Shape()[:x.v.Rank-1], w.Dim(0))...)
	t.linear(rows(y.v), xv, w.v, valueOf(b), act)
	t.putIf(copied, xv)
	return t.record(y, []*Tensor{x, w, b}, func(device.View) {
		dz, scratch := t.actGrad(y, act)
		dy := rows(dz)
		if needs(b) {
			t.into(b, func(db device.View) { t.sumTo(db, dy) })
		}
		if w.need {
			xv, copied := t.asRows(x.v)
			t.accumulate(w, func(dw device.View, beta float64) { t.matMul(dw, dy.T(), xv, 1, beta) })
			t.putIf(copied, xv)
		}
		t.accumulate(x, func(dx device.View, beta float64) { t.matMul(rows(dx), dy, w.v, 1, beta) })
		t.putIf(scratch, dz)
	}, when(w.need, x), when(x.need, w), when(act != device.Identity, y))
}

// linear is y = act(x w' + b) on matrices. act sees what was rounded to y's type, so that it may come in another call.
func (t *Tape) linear(y, x, w, b device.View, act device.UnOp) {
	k, fused := device.As[linearer](t.Dev)
	fused = fused && y.Len() > 0 && b.Valid()
	if fused && k.Linear(y, x, w, b, act) {
		return
	}
	if act != device.Identity {
		t.linear(y, x, w, b, device.Identity)
		t.Dev.Unary(act, y, y, 0, 0)
		return
	}
	beta := 0.0
	if b.Valid() { // the product is added to the bias, so that half precision rounds once
		t.Dev.Copy(y, b)
		beta = 1
	}
	t.matMul(y, x, w.T(), 1, beta)
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
