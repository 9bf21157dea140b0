package cpu

import "github.com/acumen-ml/acumen/device"

// epilogue reports whether activate serves act.
func epilogue(act device.UnOp) bool {
	switch act {
	case device.Identity, device.Relu, device.Sigmoid, device.Tanh:
		return true
	}
	return false
}

// activate is: x[i] = act(x[i]), for an act that epilogue names.
func activate[T float](act device.UnOp, x []T) {
	switch act {
	case device.Relu:
		for i, v := range x {
			x[i] = max(v, 0)
		}
	case device.Sigmoid:
		for i, v := range x {
			x[i] = 1 / (1 + exp(-v))
		}
	case device.Tanh:
		for i, v := range x {
			x[i] = tanh(v)
		}
	}
}
