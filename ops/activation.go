package ops

import "github.com/acumen-ml/acumen/device"

// Sigmoid is 1 / (1 + e^-x).
func Sigmoid(t *Tape, x *Tensor) *Tensor { return unary(t, device.Sigmoid, x, 0, 0) }

// Tanh is the hyperbolic tangent of x.
func Tanh(t *Tape, x *Tensor) *Tensor { return unary(t, device.Tanh, x, 0, 0) }

// Relu is max(x, 0); its gradient at 0 is 0.
func Relu(t *Tape, x *Tensor) *Tensor { return unary(t, device.Relu, x, 0, 0) }

// LeakyRelu is x where x > 0, else slope x; its gradient at 0 is slope.
func LeakyRelu(t *Tape, x *Tensor, slope float64) *Tensor {
	return unary(t, device.LeakyRelu, x, slope, 0)
}

// Gelu is x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, arXiv 1606.08415).
func Gelu(t *Tape, x *Tensor) *Tensor { return unary(t, device.Gelu, x, 0, 0) }

// GeluTanh is the approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) of Gelu, of the same paper.
func GeluTanh(t *Tape, x *Tensor) *Tensor { return unary(t, device.GeluTanh, x, 0, 0) }

// Silu is x sigmoid(x).
func Silu(t *Tape, x *Tensor) *Tensor { return unary(t, device.Silu, x, 0, 0) }

// activated is act(f), where f can join an activation to its op. In backward such an op keeps y and not what act was
// applied to, so acts whose derivative needs that stand alone if there is a backward.
func activated(t *Tape, op string, act device.UnOp, f func(act device.UnOp) *Tensor, from ...*Tensor) *Tensor {
	switch act {
	case device.Affine, device.LeakyRelu, device.Clamp:
		fail(op, "activation %s has parameters", act)
	}
	if readsX, _ := act.GradReads(); !readsX || !t.wants(from...) {
		return f(act)
	}
	x := f(device.Identity)
	y := unary(t, act, x, 0, 0)
	t.Release(x)
	return y
}

// actGrad is the gradient of out to what its activation was applied to: in the memory of out's gradient where that is
// free, else in scratch, which the caller puts back.
func (t *Tape) actGrad(out *Tensor, act device.UnOp) (dz device.View, scratch bool) {
	dz = out.g
	if act == device.Identity {
		return dz, false
	}
	if scratch = !out.alone(); scratch {
		dz = t.like(out.g)
	}
	t.Dev.UnaryGrad(act, dz, out.g, device.View{}, out.v, 0, 0)
	return dz, scratch
}
