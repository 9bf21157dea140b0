package ops

import (
	"slices"

	"github.com/acumen-ml/acumen/device"
)

// folded is the shapes of x reduced over axes, none standing for all: full with extents of 1 there, out without those
// axes unless keepDims. n is how many elements fold into one.
func folded(op string, x device.View, keepDims bool, axes []int) (full, out []int, n int) {
	full, n = x.Shape(), 1
	over := make([]bool, x.Rank)
	for _, a := range axes {
		a = axisOf(op, x, a)
		if over[a] {
			fail(op, "axes %v of x %v: axis %d twice", axes, x.Shape(), a)
		}
		over[a] = true
	}
	for i := range full {
		if len(axes) > 0 && !over[i] {
			out = append(out, full[i])
			continue
		}
		n *= full[i]
		full[i] = 1
		if keepDims {
			out = append(out, 1)
		}
	}
	return full, out, n
}

// Sum is the sum of x over axes, over all if none is named. keepDims leaves the axes with extent 1; so for Mean and
// Max. Half-precision terms are added in f32.
func Sum(t *Tape, x *Tensor, keepDims bool, axes ...int) *Tensor {
	full, out, _ := folded("Sum", x.v, keepDims, axes)
	y := t.temp(x.v.Type, out...)
	t.Dev.Reduce(device.Sum, y.v.Reshape(full...), x.v)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.pass(y, x, dy.Reshape(full...).Broadcast(x.Shape()...))
	})
}

// Mean is the mean of x over axes; NaN over no elements.
func Mean(t *Tape, x *Tensor, keepDims bool, axes ...int) *Tensor {
	full, out, n := folded("Mean", x.v, keepDims, axes)
	y := t.temp(x.v.Type, out...)
	t.precisely(y.v.Reshape(full...), func(s device.View) {
		t.Dev.Reduce(device.Sum, s, x.v)
		t.Dev.Unary(device.Affine, s, s, 1/float64(n), 0)
	})
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		s := t.get(accType(dy.Type), full...)
		t.Dev.Unary(device.Affine, s, dy.Reshape(full...), 1/float64(n), 0)
		t.pass(y, x, s.Broadcast(x.Shape()...))
		t.put(s)
	})
}

// Max is the largest element of x over axes; NaN wins. Elements that tie for the largest share the gradient evenly, as
// in torch.amax.
func Max(t *Tape, x *Tensor, keepDims bool, axes ...int) *Tensor {
	full, out, n := folded("Max", x.v, keepDims, axes)
	if n == 0 && !slices.Contains(out, 0) {
		fail("Max", "x %v over axes %v: no elements", x.Shape(), axes)
	}
	y := t.temp(x.v.Type, out...)
	t.Dev.Reduce(device.ReduceMax, y.v.Reshape(full...), x.v)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		top := t.get(device.U8, x.Shape()...)
		t.Dev.Binary(device.Eq, top, x.v, y.v.Reshape(full...))
		s := t.get(accType(dy.Type), full...)
		t.Dev.Reduce(device.Sum, s, top)
		t.Dev.Binary(device.Div, s, dy.Reshape(full...), s)
		t.into(x, func(dx device.View) { t.Dev.Binary(device.Mul, dx, top, s) })
		t.put(top, s)
	}, x, y)
}
