package ops

import "github.com/acumen-ml/acumen/device"

// Reduction says how a loss is folded over its elements or rows.
type Reduction uint8

// The reductions of losses. Losses, and their means and sums, are f32, in f64 networks f64. A mean over nothing is NaN.
const (
	ReduceMean Reduction = iota
	ReduceSum
	ReduceNone
)

// pairLoss is a loss that compares x with target element by element. value writes it to s; dx and dtarget write
// derivatives, which factor multiplies.
type pairLoss struct {
	op                 string
	value, dx, dtarget func(s, x, target device.View)
	factor             float64
}

func (l pairLoss) apply(t *Tape, x, target *Tensor, r Reduction) *Tensor {
	if !x.v.SameShape(target.v) {
		fail(l.op, "x %v, target %v: shapes differ", x.Shape(), target.Shape())
	}
	acc := accType(promote(x.v.Type, target.v.Type))
	factor := 1.0
	var y *Tensor
	if r == ReduceNone {
		y = t.temp(acc, x.Shape()...)
		l.value(y.v, x.v, target.v)
	} else {
		y = t.temp(acc)
		s := t.get(acc, x.Shape()...)
		l.value(s, x.v, target.v)
		t.Dev.Reduce(device.Sum, single(y.v, x.Rank()), s)
		t.put(s)
		if r == ReduceMean {
			factor = 1 / float64(x.v.Len())
			t.Dev.Unary(device.Affine, y.v, y.v, factor, 0)
		}
	}
	return t.record(y, []*Tensor{x, target}, func(dy device.View) {
		s := t.get(acc, dy.Shape()...)
		t.Dev.Unary(device.Affine, s, dy, l.factor*factor, 0)
		hand := func(z *Tensor, derivative func(s, x, target device.View)) {
			t.into(z, func(d device.View) {
				t.precisely(d, func(d device.View) {
					derivative(d, x.v, target.v)
					t.Dev.Binary(device.Mul, d, d, s)
				})
			})
		}
		hand(x, l.dx)
		hand(target, l.dtarget)
		t.put(s)
	}, x, target)
}

// single is a view of one element with rank axes of 1.
func single(v device.View, rank int) device.View {
	for range rank {
		v = v.Unsqueeze(0)
	}
	return v
}
