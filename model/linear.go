package model

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Linear is y = x W' + b: x (N, In), W (Out, In), y (N, Out).
type Linear struct {
	In, Out      int
	Weight, Bias *Param // Bias nil: none
}

// NewLinear makes a linear layer. init nil starts weight and bias from ±1/sqrt(in), as PyTorch does; with an init for
// the weight the bias starts from 0.
func NewLinear(in, out int, bias bool, init Initializer) *Linear {
	l := &Linear{In: in, Out: out}
	l.Weight, l.Bias = weights([]int{out, in}, bias, init)
	return l
}

// weights makes the parameters of a layer whose weight has shape (out, ..., in).
func weights(shape []int, bias bool, init Initializer) (w, b *Param) {
	first := Zeros()
	if init == nil {
		in, _ := fans(shape)
		init, first = FanIn(), Uniform(1/math.Sqrt(in))
	}
	w = &Param{Shape: shape, Init: init}
	if bias {
		b = &Param{Shape: shape[:1:1], Init: first}
	}
	return w, b
}

// bound is the tape's tensor for p, nil for nil.
func bound(t *ops.Tape, p *Param) *ops.Tensor {
	if p == nil {
		return nil
	}
	return t.Bound(p)
}

// visitWeights names a weight and a bias that may be nil.
func visitWeights(v Visitor, w, b *Param) {
	v.Param("weight", w)
	if b != nil {
		v.Param("bias", b)
	}
}

// Forward implements Module.
func (l *Linear) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return ops.Linear(t, x, t.Bound(l.Weight), bound(t, l.Bias))
}

func (l *Linear) forwardAct(t *ops.Tape, x *ops.Tensor, act device.UnOp) *ops.Tensor {
	return ops.LinearAct(t, x, t.Bound(l.Weight), bound(t, l.Bias), act)
}

// OutShape implements Module: (In) to (Out).
func (l *Linear) OutShape(in []int) ([]int, error) {
	if len(in) != 1 {
		return nil, misfit(l, in, "put a flatten layer before it", "rows of %d", l.In)
	}
	if in[0] != l.In {
		return nil, misfit(l, in, "the layer's inputs are what the layer before it gives", "rows of %d", l.In)
	}
	return []int{l.Out}, nil
}

// Visit implements Module.
func (l *Linear) Visit(v Visitor) { visitWeights(v, l.Weight, l.Bias) }

// MultiplyAdds is In Out.
func (l *Linear) MultiplyAdds([]int) int { return l.In * l.Out }

func (l *Linear) kind() string { return "linear" }
