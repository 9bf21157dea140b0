package ops

import "github.com/acumen-ml/acumen/device"

// unary is y = f(x), elementwise, with f's numbers a and b.
func unary(t *Tape, f device.UnOp, x *Tensor, a, b float64) *Tensor {
	y := t.temp(x.v.Type, x.Shape()...)
	t.Dev.Unary(f, y.v, x.v, a, b)
	readsX, readsY := f.GradReads()
	keepX, keepY := when(readsX, x), when(readsY, y)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.last(y, x, func(dx device.View) { t.Dev.UnaryGrad(f, dx, dy, valueOf(keepX), valueOf(keepY), a, b) })
	}, keepX, keepY)
}

// binary is y = f(a, b), elementwise, a and b broadcast to one shape.
func binary(t *Tape, op string, f device.BinOp, a, b *Tensor) *Tensor {
	y := t.temp(promote(a.v.Type, b.v.Type), broadcast(op, a.v, b.v)...)
	t.Dev.Binary(f, y.v, a.v, b.v)
	return y
}

// Add is a + b. Shapes broadcast as numpy's do; so for all functions of a and b here.
func Add(t *Tape, a, b *Tensor) *Tensor {
	y := binary(t, "Add", device.Add, a, b)
	return t.record(y, []*Tensor{a, b}, func(dy device.View) {
		t.passSum(y, a, dy)
		t.passSum(y, b, dy)
	})
}

// Sub is a - b.
func Sub(t *Tape, a, b *Tensor) *Tensor {
	y := binary(t, "Sub", device.Sub, a, b)
	return t.record(y, []*Tensor{a, b}, func(dy device.View) {
		t.passSum(y, a, dy)
		t.last(y, b, func(d device.View) { t.Dev.Unary(device.Affine, d, dy, -1, 0) })
	})
}

// Mul is a b.
func Mul(t *Tape, a, b *Tensor) *Tensor {
	y := binary(t, "Mul", device.Mul, a, b)
	return t.record(y, []*Tensor{a, b}, func(dy device.View) {
		t.unbroadcast(a, dy, func(d device.View) { t.Dev.Binary(device.Mul, d, dy, b.v) })
		t.last(y, b, func(d device.View) { t.Dev.Binary(device.Mul, d, dy, a.v) })
	}, when(b.need, a), when(a.need, b))
}

// Div is a / b.
func Div(t *Tape, a, b *Tensor) *Tensor {
	y := binary(t, "Div", device.Div, a, b)
	return t.record(y, []*Tensor{a, b}, func(dy device.View) {
		t.unbroadcast(a, dy, func(d device.View) { t.Dev.Binary(device.Div, d, dy, b.v) })
		t.last(y, b, func(d device.View) { // -dy y / b
			t.precisely(d, func(s device.View) {
				t.Dev.Binary(device.Mul, s, dy, y.v)
				t.Dev.Binary(device.Div, s, s, b.v)
				t.Dev.Unary(device.Affine, s, s, -1, 0)
			})
		})
	}, b, when(b.need, y))
}

// Pow is a to the power b. Gradients are 0 where calculus leaves them open: to a where b is 0, to b where a is 0 and b
// is not negative.
func Pow(t *Tape, a, b *Tensor) *Tensor {
	y := binary(t, "Pow", device.Pow, a, b)
	return t.record(y, []*Tensor{a, b}, func(dy device.View) {
		zero := t.scalar(accType(dy.Type), 0)
		t.unbroadcast(a, dy, func(d device.View) { // dy b a^(b-1)
			t.precisely(d, func(s device.View) {
				t.Dev.Unary(device.Affine, s, b.v, 1, -1)
				t.Dev.Binary(device.Pow, s, a.v, s)
				t.Dev.Binary(device.Mul, s, s, b.v)
				t.Dev.Binary(device.Mul, s, s, dy)
				open := t.get(device.U8, b.Shape()...)
				t.Dev.Binary(device.Eq, open, b.v, zero)
				t.Dev.Where(s, open, zero, s)
				t.put(open)
			})
		})
		t.unbroadcast(b, dy, func(d device.View) { // dy y ln a
			t.precisely(d, func(s device.View) {
				t.Dev.Unary(device.Log, s, a.v, 0, 0)
				t.Dev.Binary(device.Mul, s, s, y.v)
				t.Dev.Binary(device.Mul, s, s, dy)
				open, negative := t.get(device.U8, dy.Shape()...), t.get(device.U8, b.Shape()...)
				t.Dev.Binary(device.Eq, open, a.v, zero)
				t.Dev.Binary(device.Lt, negative, b.v, zero)
				t.Dev.Binary(device.Lt, open, negative, open) // a is 0 and b not negative
				t.Dev.Where(s, open, zero, s)
				t.put(open, negative)
			})
		})
		t.put(zero)
	}, a, b, when(b.need, y))
}

// Neg is -x.
func Neg(t *Tape, x *Tensor) *Tensor { return Scale(t, x, -1) }

// Scale is s x.
func Scale(t *Tape, x *Tensor, s float64) *Tensor { return unary(t, device.Affine, x, s, 0) }

// Exp is e to the power x.
func Exp(t *Tape, x *Tensor) *Tensor { return unary(t, device.Exp, x, 0, 0) }

// Log is the natural logarithm of x.
func Log(t *Tape, x *Tensor) *Tensor { return unary(t, device.Log, x, 0, 0) }

// Sqrt is the square root of x; its gradient at 0 is infinite.
func Sqrt(t *Tape, x *Tensor) *Tensor { return unary(t, device.Sqrt, x, 0, 0) }

// Clamp is min(max(x, lo), hi); one bound is left out by an infinity. The gradient passes where lo <= x <= hi.
func Clamp(t *Tape, x *Tensor, lo, hi float64) *Tensor { return unary(t, device.Clamp, x, lo, hi) }
