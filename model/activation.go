package model

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Activation applies a function to each number.
type Activation struct {
	keepsShape
	Op    device.UnOp // Relu, LeakyRelu, Sigmoid, Tanh, Gelu, GeluTanh or Silu
	Slope float64     // of LeakyRelu below 0
}

// NewActivation makes an activation without parameters: device.Relu, Sigmoid, Tanh, Gelu, GeluTanh or Silu.
func NewActivation(op device.UnOp) *Activation { return &Activation{Op: op} }

// NewLeakyRelu makes a leaky ReLU: x where x > 0, else slope x.
func NewLeakyRelu(slope float64) *Activation {
	return &Activation{Op: device.LeakyRelu, Slope: slope}
}

// Forward implements Module.
func (a *Activation) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	switch a.Op {
	case device.Relu:
		return ops.Relu(t, x)
	case device.LeakyRelu:
		return ops.LeakyRelu(t, x, a.Slope)
	case device.Sigmoid:
		return ops.Sigmoid(t, x)
	case device.Tanh:
		return ops.Tanh(t, x)
	case device.Gelu:
		return ops.Gelu(t, x)
	case device.GeluTanh:
		return ops.GeluTanh(t, x)
	case device.Silu:
		return ops.Silu(t, x)
	}
	panic(fmt.Sprintf("model.Activation: %s is no activation", a.Op))
}

func (a *Activation) kind() string { return a.Op.String() }

// Scale multiplies by a fixed number: logits get the size that suits the loss.
type Scale struct {
	keepsShape
	Factor float64
}

// NewScale makes a layer that multiplies by factor.
func NewScale(factor float64) *Scale { return &Scale{Factor: factor} }

// Forward implements Module.
func (s *Scale) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor { return ops.Scale(t, x, s.Factor) }

func (s *Scale) kind() string { return "scale" }
