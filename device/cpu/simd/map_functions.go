package simd

import "math"

// Exp is e^x: 1.2.
func (m Map[T]) Exp(y, x []T) {
	if !m.run(kernelExp, len(y), 0, 0, y, x) {
		each(y, x, exp32, math.Exp)
	}
}

// Log is ln x: 1.2.
func (m Map[T]) Log(y, x []T) {
	if !m.run(kernelLog, len(y), 0, 0, y, x) {
		each(y, x, func(x float32) float32 { return float32(math.Log(float64(x))) }, math.Log)
	}
}

// Sigmoid is 1 / (1 + e^-x): 2.1.
func (m Map[T]) Sigmoid(y, x []T) {
	if !m.run(kernelSigmoid, len(y), 0, 0, y, x) {
		each(y, x, func(x float32) float32 { return 1 / (1 + exp32(-x)) }, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) })
	}
}

// Tanh is the hyperbolic tangent: 2.3.
func (m Map[T]) Tanh(y, x []T) {
	if !m.run(kernelTanh, len(y), 0, 0, y, x) {
		each(y, x, tanh32, math.Tanh)
	}
}

// Erf is the error function: 2.4.
func (m Map[T]) Erf(y, x []T) {
	if !m.run(kernelErf, len(y), 0, 0, y, x) {
		each(y, x, func(x float32) float32 { return float32(math.Erf(float64(x))) }, math.Erf)
	}
}

// Silu is x / (1 + e^-x): 2.3, and 1e-35 where |y| is less.
func (m Map[T]) Silu(y, x []T) {
	if !m.run(kernelSilu, len(y), 0, 0, y, x) {
		each(y, x, func(x float32) float32 { return x / (1 + exp32(-x)) }, func(x float64) float64 { return x / (1 + math.Exp(-x)) })
	}
}

// Gelu is x Phi(x), Phi the normal distribution function; 0 at minus infinity. For x >= -1: 6.2; below, where |y| > 1e-8: 18,
// for e^(-x^2/2) has the rounding of its exponent; further down 1e-8. In AVX-512, which has tables of polynomials: 1.7 and 16.
func (m Map[T]) Gelu(y, x []T) {
	if !m.run(kernelGelu, len(y), 0, 0, y, x) {
		each(y, x, func(x float32) float32 { return max(x, -far32) * normalCDF32(x) }, func(x float64) float64 {
			x = max(x, -far64)
			return x / 2 * math.Erfc(-x/math.Sqrt2)
		})
	}
}

// Beyond these the normal distribution function is 0 or 1, and its density 0.
const far32, far64 = 20, 40

// GeluTanh is x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3): x times the sigmoid of 2u, without cancellation.
// For x >= -1: 2.6; below as Gelu: 39.
func (m Map[T]) GeluTanh(y, x []T) {
	if !m.run(kernelGeluTanh, len(y), 0, 0, y, x) {
		for i, v := range x[:len(y)] {
			v = max(v, -100) // the result is 0, and 0 times infinity at minus infinity
			y[i] = v / (1 + exp(-2*geluInner(v)))
		}
	}
}

// sqrt2OverPi is the square root of 2/pi.
const sqrt2OverPi = math.Sqrt2 / math.SqrtPi

func geluInner[T Float](x T) T { return sqrt2OverPi * (x + 0.044715*x*x*x) }

// Gradients have errors of up to 4 units of 2^-24 of dy or of the result, whichever is larger.

// ReluGrad is dy where y > 0, else 0.
func (m Map[T]) ReluGrad(dx, dy, y []T) {
	if !m.run(kernelReluGrad, len(dx), 0, 0, dx, dy, y) {
		positive(dx, dy, y)
	}
}

// LeakyReluGrad is dy where x > 0, else a dy.
func (m Map[T]) LeakyReluGrad(dx, dy, x []T, a T) {
	if m.run(kernelLeakyReluGrad, len(dx), a, 0, dx, dy, x) {
		return
	}
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, g := range dy {
		if !(x[i] > 0) {
			g *= a
		}
		dx[i] = g
	}
}

// ClampGrad is 0 where x < a or x > b, else dy.
func (m Map[T]) ClampGrad(dx, dy, x []T, a, b T) {
	if m.run(kernelClampGrad, len(dx), a, b, dx, dy, x) {
		return
	}
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, g := range dy {
		if x[i] < a || x[i] > b {
			g = 0
		}
		dx[i] = g
	}
}

// SqrtGrad is dy / (2 y).
func (m Map[T]) SqrtGrad(dx, dy, y []T) {
	if m.run(kernelSqrtGrad, len(dx), 0, 0, dx, dy, y) {
		return
	}
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, g := range dy {
		dx[i] = g / (2 * y[i])
	}
}

// RecipGrad is -y^2 dy.
func (m Map[T]) RecipGrad(dx, dy, y []T) {
	if m.run(kernelRecipGrad, len(dx), 0, 0, dx, dy, y) {
		return
	}
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, g := range dy {
		dx[i] = -y[i] * y[i] * g
	}
}

// SigmoidGrad is dy y (1 - y).
func (m Map[T]) SigmoidGrad(dx, dy, y []T) {
	if m.run(kernelSigmoidGrad, len(dx), 0, 0, dx, dy, y) {
		return
	}
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, g := range dy {
		dx[i] = g * y[i] * (1 - y[i])
	}
}

// TanhGrad is dy (1 - y^2).
func (m Map[T]) TanhGrad(dx, dy, y []T) {
	if m.run(kernelTanhGrad, len(dx), 0, 0, dx, dy, y) {
		return
	}
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, g := range dy {
		dx[i] = g * (1 - y[i]*y[i])
	}
}

// ErfGrad is dy 2/sqrt(pi) e^(-x^2).
func (m Map[T]) ErfGrad(dx, dy, x []T) {
	if m.run(kernelErfGrad, len(dx), 0, 0, dx, dy, x) {
		return
	}
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, g := range dy {
		dx[i] = g * (2 / math.SqrtPi * exp(-x[i]*x[i])) // the largest g stays finite
	}
}

// SiluGrad is dy s (1 + x (1-s)), s the sigmoid of x.
func (m Map[T]) SiluGrad(dx, dy, x []T) {
	if m.run(kernelSiluGrad, len(dx), 0, 0, dx, dy, x) {
		return
	}
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, g := range dy {
		v := min(max(x[i], -87), 87) // so that e is a number, and not 0
		e := exp(-v)
		s := 1 / (1 + e)
		dx[i] = g * s * (1 + v*(e*s)) // e s is 1-s without cancellation
	}
}

// GeluGrad is dy (Phi(x) + x phi(x)), phi being the derivative of Phi.
func (m Map[T]) GeluGrad(dx, dy, x []T) {
	if m.run(kernelGeluGrad, len(dx), 0, 0, dx, dy, x) {
		return
	}
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, g := range dy {
		v := min(max(x[i], -far64), far64)
		dx[i] = g * (normalCDF(v) + v*exp(-v*v/2)*(1/(math.SqrtPi*math.Sqrt2)))
	}
}

// GeluTanhGrad is the derivative of GeluTanh.
func (m Map[T]) GeluTanhGrad(dx, dy, x []T) {
	if m.run(kernelGeluTanhGrad, len(dx), 0, 0, dx, dy, x) {
		return
	}
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, g := range dy {
		v := min(max(x[i], -10), 10) // beyond, the derivative is 0 or 1
		e := exp(-2 * geluInner(v))
		s := 1 / (1 + e)
		dx[i] = g * (s + 2*v*s*(e*s)*sqrt2OverPi*(1+3*0.044715*v*v)) // e s is 1-s without cancellation
	}
}
