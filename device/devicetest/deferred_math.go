package devicetest

import (
	"math"
	"math/big"

	"github.com/acumen-ml/acumen/device"
)

// unary is op(x; a, b) in float64.
func unary(op device.UnOp, x, a, b float64) float64 {
	switch op {
	case device.Identity:
		return x
	case device.Affine:
		return a*x + b
	case device.Exp:
		return math.Exp(x)
	case device.Expm1:
		return math.Expm1(x)
	case device.Log:
		return math.Log(x)
	case device.Log1p:
		return math.Log1p(x)
	case device.Sqrt:
		return math.Sqrt(x + a)
	case device.Recip:
		return 1 / (x + a)
	case device.Abs:
		return math.Abs(x)
	case device.Sign:
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0
	case device.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case device.Tanh:
		return math.Tanh(x)
	case device.Erf:
		return math.Erf(x)
	case device.Relu:
		return max(x, 0)
	case device.LeakyRelu:
		if x > 0 {
			return x
		}
		return a * x
	case device.Gelu:
		return x * phi(x)
	case device.GeluTanh:
		return 0.5 * x * (1 + math.Tanh(geluInner(x)))
	case device.Silu:
		return x / (1 + math.Exp(-x))
	case device.Clamp:
		return min(max(x, a), b)
	case device.Floor:
		return math.Floor(x)
	case device.IsFinite:
		return truth(!math.IsNaN(x) && !math.IsInf(x, 0))
	}
	panic("devicetest: no such unary function")
}

// unaryGrad is dy op'(x; a, b), given y = op(x; a, b).
func unaryGrad(op device.UnOp, dy, x, y, a, b float64) float64 {
	switch op {
	case device.Identity:
		return dy
	case device.Affine:
		return dy * a
	case device.Exp:
		return dy * y
	case device.Expm1:
		return dy * (y + 1)
	case device.Log:
		return dy / x
	case device.Log1p:
		return dy / (1 + x)
	case device.Sqrt:
		return dy / (2 * y)
	case device.Recip:
		return -dy * y * y
	case device.Abs:
		return dy * unary(device.Sign, x, 0, 0)
	case device.Sign, device.Floor, device.IsFinite:
		return 0
	case device.Sigmoid:
		return dy * y * (1 - y)
	case device.Tanh:
		return dy * (1 - y*y)
	case device.Erf:
		return dy * 2 / math.Sqrt(math.Pi) * math.Exp(-x*x)
	case device.Relu:
		if y > 0 {
			return dy
		}
		return 0
	case device.LeakyRelu:
		if x > 0 {
			return dy
		}
		return dy * a
	case device.Gelu:
		return dy * (phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
	case device.GeluTanh:
		t := math.Tanh(geluInner(x))
		return dy * (0.5*(1+t) + 0.5*x*(1-t*t)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x))
	case device.Silu:
		s := 1 / (1 + math.Exp(-x))
		return dy * s * (1 + x*(1-s))
	case device.Clamp:
		if x >= a && x <= b {
			return dy
		}
		return 0
	}
	panic("devicetest: no such unary function")
}

// phi is the standard normal distribution function; erfc keeps its lower tail exact.
func phi(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func geluInner(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// binary64 is op(a, b) in float64.
func binary64(op device.BinOp, a, b float64) float64 {
	switch op {
	case device.Add:
		return a + b
	case device.Sub:
		return a - b
	case device.Mul:
		return a * b
	case device.Div:
		return a / b
	case device.Pow:
		return math.Pow(a, b)
	case device.Max:
		return max(a, b)
	case device.Min:
		return min(a, b)
	case device.Eq:
		return truth(a == b)
	case device.Lt:
		return truth(a < b)
	}
	panic("devicetest: no such binary function")
}

// binaryInt is op(a, b) of integers, powers modulo 2^64.
func binaryInt(op device.BinOp, a, b int64) int64 {
	switch op {
	case device.Div:
		if b == 0 {
			return 0
		}
		return a / b
	case device.Pow:
		if b < 0 {
			return 0
		}
		modulo := new(big.Int).Lsh(big.NewInt(1), 64)
		p := new(big.Int).Exp(big.NewInt(a), big.NewInt(b), modulo)
		return int64(p.Uint64())
	}
	return int64(binary64(op, float64(a), float64(b))) // exact but for products over 2^53, which saturate anyway
}
