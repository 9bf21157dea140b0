package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// epilogue reports whether activate serves act.
func epilogue(act device.UnOp) bool {
	switch act {
	case device.Identity, device.Relu, device.Sigmoid, device.Tanh, device.Gelu, device.GeluTanh, device.Silu:
		return true
	}
	return false
}

// activate is: x[i] = act(x[i]), for an act that epilogue names.
func activate[T float](act device.UnOp, x []T) {
	m := simd.Map[T]{Level: levelFor[T]()}
	switch act {
	case device.Relu:
		m.Relu(x, x)
	case device.Sigmoid:
		m.Sigmoid(x, x)
	case device.Tanh:
		m.Tanh(x, x)
	case device.Gelu:
		m.Gelu(x, x)
	case device.GeluTanh:
		m.GeluTanh(x, x)
	case device.Silu:
		m.Silu(x, x)
	}
}
