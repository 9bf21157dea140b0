package ops

import "github.com/acumen-ml/acumen/device"

// into gives f the place to write the gradient of x to, and does nothing if x needs none. Where a gradient is there
// already, f writes to scratch that is then added.
func (t *Tape) into(x *Tensor, f func(dx device.View)) {
	if x == nil || !x.need {
		return
	}
	if x.g.Mem == nil {
		x.g = t.like(x.v)
		f(x.g)
		return
	}
	s := t.like(x.g)
	f(s)
	t.addGrad(x, s)
	t.put(s)
}

// accumulate is into for kernels that can add by themselves: f writes gradient + beta dx to dx, beta being 0 or 1. dx is
// contiguous.
func (t *Tape) accumulate(x *Tensor, f func(dx device.View, beta float64)) {
	if x == nil || !x.need {
		return
	}
	if x.g.Mem == nil {
		x.g = t.like(x.v)
		f(x.g, 0)
		return
	}
	if !x.g.Contiguous() { // a parameter's
		t.into(x, func(dx device.View) { f(dx, 0) })
		return
	}
	if !x.alone() {
		g := t.like(x.g)
		t.Dev.Copy(g, x.g)
		t.dropGrad(x)
		x.g = g
	}
	f(x.g, 1)
}

// pass makes dy, the gradient of out or a view of it in x's shape, the gradient of x; they then share one memory where
// that can be.
func (t *Tape) pass(out, x *Tensor, dy device.View) {
	switch {
	case x == nil || !x.need:
	case x.g.Mem != nil:
		t.addGrad(x, dy)
	case dy.Type == x.v.Type && dy.Type == out.g.Type && dy.Off == out.g.Off && dy.Len() == out.g.Len() && dy.Contiguous():
		if out.share == nil {
			out.share = new(int)
			*out.share = 1
		}
		*out.share++
		x.g, x.share = dy.Reshape(x.Shape()...), out.share
	default:
		x.g = t.like(x.v)
		t.Dev.Copy(x.g, dy)
	}
}

// give makes d, which only the node at work keeps, the gradient of x, or adds it.
func (t *Tape) give(d, x *Tensor) {
	switch {
	case !needs(x):
	case x.g.Mem != nil:
		t.addGrad(x, d.v.Reshape(x.Shape()...))
	default:
		x.g = d.v.Reshape(x.Shape()...)
		d.leaf = true // its memory is no longer its own
	}
}

// addGrad adds dy to the gradient that x has.
func (t *Tape) addGrad(x *Tensor, dy device.View) {
	if x.alone() {
		t.Dev.Binary(device.Add, x.g, x.g, dy)
		return
	}
	g := t.like(x.g)
	t.Dev.Binary(device.Add, g, x.g, dy)
	t.dropGrad(x)
	x.g = g
}

// alone reports whether no other tensor's gradient lies in the memory of x's: then it may be written over.
func (x *Tensor) alone() bool { return x.share == nil || *x.share == 1 }

// dropGrad frees the gradient of x, if it has one that is the arena's.
func (t *Tape) dropGrad(x *Tensor) {
	if x.g.Mem == nil || x.accum {
		return
	}
	if x.alone() {
		t.put(x.g)
	} else {
		*x.share--
	}
	x.g, x.share = device.View{}, nil
}

// unbroadcast is into for an op whose output, and so dy, is broadcast from x: f writes a gradient of dy's shape, which
// is then summed to x's.
func (t *Tape) unbroadcast(x *Tensor, dy device.View, f func(d device.View)) {
	if x == nil || !x.need {
		return
	}
	if x.v.SameShape(dy) {
		t.into(x, f)
		return
	}
	s := t.get(accType(dy.Type), dy.Shape()...)
	f(s)
	t.into(x, func(dx device.View) { t.sumTo(dx, s) })
	t.put(s)
}

// last is unbroadcast where out's gradient function reads its dy, element by element, for the last time: f may be
// given dy itself to write over.
func (t *Tape) last(out, x *Tensor, f func(d device.View)) {
	if x == nil || !x.need {
		return
	}
	if dy := out.g; out.alone() && (x.v.SameShape(dy) && x.v.Type == dy.Type || dy.Type == accType(dy.Type)) {
		f(dy)
		t.passSum(out, x, dy)
		return
	}
	t.unbroadcast(x, out.g, f)
}

// passSum is pass, after summing dy over the axes in which x was broadcast.
func (t *Tape) passSum(out, x *Tensor, dy device.View) {
	if x == nil || !x.need {
		return
	}
	if x.v.SameShape(dy) {
		t.pass(out, x, dy)
		return
	}
	t.into(x, func(dx device.View) { t.sumTo(dx, dy) })
}

// sumTo writes dy summed over the axes in which dst was broadcast to dy's shape.
func (t *Tape) sumTo(dst, dy device.View) {
	like := device.View{Mem: dst.Mem, Off: dst.Off, Rank: dy.Rank, Type: dst.Type}
	k := int(dy.Rank) - int(dst.Rank)
	for i := range int(dy.Rank) {
		like.Dim[i] = 1
		if i >= k {
			like.Dim[i], like.Str[i] = dst.Dim[i-k], dst.Str[i-k]
		}
	}
	if like.SameShape(dy) {
		t.Dev.Copy(like, dy)
		return
	}
	t.Dev.Reduce(device.Sum, like, dy)
}
