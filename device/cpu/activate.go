package cpu

import (
	"math"
	"unsafe"

	"github.com/acumen-ml/acumen/device"
)

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
			if v < 0 {
				x[i] = 0
			}
		}
	case device.Sigmoid:
		for i, v := range x {
			x[i] = 1 / (1 + exp(-v))
		}
	case device.Tanh:
		for i, v := range x {
			x[i] = T(math.Tanh(float64(v)))
		}
	}
}

// exp is e^x, in float32 to 1.2e-7 of its value.
func exp[T float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(exp32(float32(x)))
	}
	return T(math.Exp(float64(x)))
}

// exp32 is e^x: x = n ln 2 + r with |r| <= ln(2)/2, and Taylor's sum for e^r, whose first dropped term is under 6e-9.
func exp32(x float32) float32 {
	const (
		log2e = 1 / math.Ln2
		hi    = 0x1.62ep-1 // the first bits of ln 2: n hi is exact
		lo    = math.Ln2 - hi
		magic = 3 << 22 // added and taken away, it rounds to a whole number
	)
	if !(x > -87 && x < 88) {
		return float32(math.Exp(float64(x)))
	}
	n := float32(float32(x*log2e)+magic) - magic
	r := float32(x-n*hi) - n*lo
	p := float32(1.0 / 5040)
	p = p*r + 1.0/720
	p = p*r + 1.0/120
	p = p*r + 1.0/24
	p = p*r + 1.0/6
	p = p*r + 0.5
	p = p*r + 1
	p = p*r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}
