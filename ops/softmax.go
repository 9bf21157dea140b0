package ops

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

type softmaxer interface {
	Softmax(y, x device.View) bool
	SoftmaxGrad(dx, dy, y device.View) bool
}

type logSoftmaxer interface {
	LogSoftmax(y, x device.View) bool
	LogSoftmaxGrad(dx, dy, y device.View) bool
}

// Softmax is e^x / sum e^x over an axis. Where all x are -Inf (a row fully masked) it is 0.
func Softmax(t *Tape, x *Tensor, axis int) *Tensor {
	last := toLast("Softmax", x.v, axis)
	y := t.temp(x.v.Type, x.Shape()...)
	softmax(t, last(y.v), last(x.v))
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.into(x, func(dx device.View) { softmaxGrad(t, last(dx), last(dy), last(y.v)) })
	}, y)
}

// toLast is a function that moves axis to the end; it is its own inverse, since it swaps the two.
func toLast(op string, x device.View, axis int) func(v device.View) device.View {
	axis = axisOf(op, x, axis)
	perm := make([]int, x.Rank)
	for i := range perm {
		perm[i] = i
	}
	end := len(perm) - 1
	perm[axis], perm[end] = end, axis
	return func(v device.View) device.View { return v.Permute(perm...) }
}

// folding is scratch for one number for each row of v.
func (t *Tape) folding(v device.View) device.View {
	dims := v.Shape()
	dims[len(dims)-1] = 1
	return t.get(accType(v.Type), dims...)
}

// lowest is the most negative finite number of a type of sums.
func lowest(typ device.DType) float64 {
	if typ == device.F64 {
		return -math.MaxFloat64
	}
	return -math.MaxFloat32
}

// shifted writes x - m to s, m being the largest of each row of x, and gives sum e^(x-m), at least 1, as scratch. With
// e set, s is e^(x-m).
func (t *Tape) shifted(s, x device.View, e bool) (sum device.View) {
	m := t.folding(x)
	t.Dev.Reduce(device.ReduceMax, m, x)
	t.Dev.Unary(device.Clamp, m, m, lowest(m.Type), math.Inf(1)) // -Inf less -Inf would be NaN
	t.Dev.Binary(device.Sub, s, x, m)
	powers := s
	if !e {
		powers = t.like(s)
	}
	t.Dev.Unary(device.Exp, powers, s, 0, 0)
	sum = m
	t.Dev.Reduce(device.Sum, sum, powers)
	if !e {
		t.put(powers)
	}
	t.Dev.Unary(device.Clamp, sum, sum, 1, math.Inf(1)) // under 1 only where all are -Inf: a largest x counts e^0
	return sum
}

// softmax is Softmax over the last axis.
func softmax(t *Tape, y, x device.View) {
	if k, ok := device.As[softmaxer](t.Dev); x.Len() == 0 || ok && k.Softmax(y, x) {
		return
	}
	t.precisely(y, func(s device.View) {
		sum := t.shifted(s, x, true)
		t.Dev.Binary(device.Div, s, s, sum)
		t.put(sum)
	})
}

// softmaxGrad is dx = y (dy - sum dy y).
func softmaxGrad(t *Tape, dx, dy, y device.View) {
	if k, ok := device.As[softmaxer](t.Dev); y.Len() == 0 || ok && k.SoftmaxGrad(dx, dy, y) {
		return
	}
	t.precisely(dx, func(s device.View) {
		sum := t.folding(y)
		t.Dev.Binary(device.Mul, s, dy, y)
		t.Dev.Reduce(device.Sum, sum, s)
		t.Dev.Binary(device.Sub, s, dy, sum)
		t.Dev.Binary(device.Mul, s, s, y)
		t.put(sum)
	})
}

// LogSoftmax is x - ln sum e^x over an axis. Where all x are -Inf it is -Inf.
func LogSoftmax(t *Tape, x *Tensor, axis int) *Tensor {
	last := toLast("LogSoftmax", x.v, axis)
	y := t.temp(x.v.Type, x.Shape()...)
	logSoftmax(t, last(y.v), last(x.v))
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.into(x, func(dx device.View) { logSoftmaxGrad(t, last(dx), last(dy), last(y.v)) })
	}, y)
}

// logSoftmax is LogSoftmax over the last axis.
func logSoftmax(t *Tape, y, x device.View) {
	if k, ok := device.As[logSoftmaxer](t.Dev); x.Len() == 0 || ok && k.LogSoftmax(y, x) {
		return
	}
	t.precisely(y, func(s device.View) {
		sum := t.shifted(s, x, false)
		t.Dev.Unary(device.Log, sum, sum, 0, 0)
		t.Dev.Binary(device.Sub, s, s, sum)
		t.put(sum)
	})
}

// logSoftmaxGrad is dx = dy - e^y sum dy.
func logSoftmaxGrad(t *Tape, dx, dy, y device.View) {
	if k, ok := device.As[logSoftmaxer](t.Dev); y.Len() == 0 || ok && k.LogSoftmaxGrad(dx, dy, y) {
		return
	}
	t.precisely(dx, func(s device.View) {
		sum := t.folding(y)
		t.Dev.Reduce(device.Sum, sum, dy)
		t.Dev.Unary(device.Exp, s, y, 0, 0)
		t.Dev.Binary(device.Mul, s, s, sum)
		t.Dev.Binary(device.Sub, s, dy, s)
		t.put(sum)
	})
}
