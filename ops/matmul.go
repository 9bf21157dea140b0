package ops

import "github.com/acumen-ml/acumen/device"

// MatMul is the matrix product over the last two axes, a (..., m, k), b (..., k, n), y (..., m, n), the leading axes
// broadcast. An operand of rank 1 is a row on the left or a column on the right, and its axis of 1 is not in y.
func MatMul(t *Tape, a, b *Tensor) *Tensor {
	if a.v.Rank == 0 || b.v.Rank == 0 {
		fail("MatMul", "a %v, b %v: an operand has no axes", a.Shape(), b.Shape())
	}
	av, bv := a.v, b.v
	if a.v.Rank == 1 {
		av = av.Unsqueeze(0)
	}
	if b.v.Rank == 1 {
		bv = bv.Unsqueeze(1)
	}
	if av.D(-1) != bv.D(-2) {
		fail("MatMul", "a %v, b %v: %d columns against %d rows", a.Shape(), b.Shape(), av.D(-1), bv.D(-2))
	}
	batch := broadcast("MatMul", lead(av), lead(bv))
	full := append(batch, av.D(-2), bv.D(-1)) // y's shape with the axes of 1 that operands of rank 1 stand for
	out := full[:len(full):len(full)]
	if b.v.Rank == 1 {
		out = out[:len(out)-1]
	}
	if a.v.Rank == 1 {
		out = append(append([]int{}, batch...), out[len(batch)+1:]...)
	}
	y := t.temp(promote(a.v.Type, b.v.Type), out...)
	fold := foldable(av, bv)
	product(t, y.v.Reshape(full...), av, bv, fold)
	return t.record(y, []*Tensor{a, b}, func(dy device.View) {
		dy = dy.Reshape(full...)
		if fold {
			dy, av = rows(dy), rows(av)
		}
		operandGrad(t, b, bv, dy, func(d device.View, beta float64) { t.matMul(d, av.T(), dy, 1, beta) })
		operandGrad(t, a, av, dy, func(d device.View, beta float64) { t.matMul(d, dy, bv.T(), 1, beta) })
	}, when(b.need, a), when(a.need, b))
}

// lead is v without its last two axes.
func lead(v device.View) device.View {
	return device.Make(v.Mem, v.Type, v.Off, v.Shape()[:v.Rank-2]...)
}

// foldable is whether all products of a's matrices are with the one matrix b, so that they can be made as one.
func foldable(a, b device.View) bool {
	return b.Rank == 2 && a.Rank > 2 && a.CanReshape(a.Len()/max(a.D(-1), 1), a.D(-1)) && a.D(-1) > 0
}

// rows is v with all axes but the last as one.
func rows(v device.View) device.View {
	n := 1
	for i := range int(v.Rank) - 1 {
		n *= v.D(i)
	}
	return v.Reshape(n, v.D(-1))
}

func product(t *Tape, y, a, b device.View, fold bool) {
	if fold {
		y, a = rows(y), rows(a)
	}
	t.matMul(y, a, b, 1, 0)
}

// operandGrad hands on the gradient of the operand x of a product, which stands in it as v, perhaps broadcast over the
// leading axes of dy. f writes a product of dy's leading axes.
func operandGrad(t *Tape, x *Tensor, v, dy device.View, f func(d device.View, beta float64)) {
	shape := append(lead(dy).Shape(), v.D(-2), v.D(-1))
	if !needs(x) {
		return
	}
	if like := device.Make(nil, v.Type, 0, shape...); like.SameShape(v) {
		t.accumulate(x, func(dx device.View, beta float64) { f(dx.Reshape(shape...), beta) })
		return
	}
	s := t.get(accType(dy.Type), shape...)
	f(s, 0)
	t.into(x, func(dx device.View) { t.sumTo(dx.Reshape(v.Shape()...), s) })
	t.put(s)
}
