package model

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// BatchNorm gives each channel (the last axis) zero mean and unit variance over the batch, then scales by gamma and adds
// beta (Ioffe and Szegedy, arXiv 1502.03167). Evaluation uses running statistics, which training moves: running =
// (1 - Momentum) running + Momentum batch. The batch's variance normalises biased and is kept unbiased, as in PyTorch.
type BatchNorm struct {
	Channels      int
	Momentum, Eps float64
	Gamma, Beta   *Param // each (Channels); Gamma nil: fixed at 1
	Mean, Var     *Buffer
}

// NewBatchNorm makes a batch norm with momentum 0.1 and eps 1e-5. Without scale gamma is fixed at 1.
func NewBatchNorm(channels int, scale bool) *BatchNorm {
	shape := []int{channels}
	b := &BatchNorm{Channels: channels, Momentum: 0.1, Eps: 1e-5, Beta: &Param{Shape: shape, Init: Zeros(), Full: true},
		Mean: &Buffer{Shape: shape}, Var: &Buffer{Shape: shape, Fill: 1}}
	if scale {
		b.Gamma = &Param{Shape: shape, Init: Ones(), Full: true}
	}
	return b
}

func (b *BatchNorm) state(t *ops.Tape) ops.BatchNormState {
	return ops.BatchNormState{Mean: t.Bound(b.Mean).Value(), Var: t.Bound(b.Var).Value(),
		NextMean: t.Bound(nextOf{b.Mean}).Value(), NextVar: t.Bound(nextOf{b.Var}).Value(), Momentum: b.Momentum, Eps: b.Eps}
}

// Forward implements Module.
func (b *BatchNorm) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return ops.BatchNorm(t, x, bound(t, b.Gamma), t.Bound(b.Beta), b.state(t))
}

func (b *BatchNorm) forwardAct(t *ops.Tape, x *ops.Tensor, act device.UnOp) *ops.Tensor {
	return ops.BatchNormAct(t, x, bound(t, b.Gamma), t.Bound(b.Beta), b.state(t), act)
}

// OutShape implements Module: it keeps (..., Channels).
func (b *BatchNorm) OutShape(in []int) ([]int, error) {
	if len(in) == 0 || in[len(in)-1] != b.Channels {
		return nil, misfit(b, in, "its channels are those of the layer before it", "(..., %d)", b.Channels)
	}
	return in, nil
}

// Visit implements Module.
func (b *BatchNorm) Visit(v Visitor) {
	if b.Gamma != nil {
		v.Param("gamma", b.Gamma)
	}
	v.Param("beta", b.Beta)
	v.Buffer("running_mean", b.Mean)
	v.Buffer("running_var", b.Var)
}

func (b *BatchNorm) kind() string { return "batchnorm" }
