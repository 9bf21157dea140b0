package main

import (
	"math"
	"slices"
)

// unary is a kernel from array 1 to array 0.
func unary(name string, f func(b *body, x val) val) kernel {
	return kernel{name, func(b *body) []val { return []val{f(b, b.load(1))} }}
}

// binary is a kernel from arrays 1 and 2 to array 0.
func binary(name string, f func(b *body, x, y val) val) kernel {
	return kernel{name, func(b *body) []val { return []val{f(b, b.load(1), b.load(2))} }}
}

// truth is 1 where mask holds, else 0.
func (b *body) truth(mask val) val { return b.keep(mask, b.f(1)) }

// twoOverRootPi and sqrt2OverPi are constants of the error function and of GELU's approximation.
const (
	twoOverRootPi = 2 / math.SqrtPi
	sqrt2OverPi   = math.Sqrt2 / math.SqrtPi
	cubic         = 0.044715
)

// geluTanhExp is e^(-2u), u = sqrt(2/pi) (x + cubic x^3); s is x^2.
func (b *body) geluTanhExp(x, s val) val {
	return b.expNear(b.mul(x, b.fma(s, b.f(-2*sqrt2OverPi*cubic), b.f(-2*sqrt2OverPi))))
}

// propagated is f, a maximum or minimum that keeps a NaN of y, with those of x.
func (b *body) propagated(f, x val) val { return b.choose(b.compare(x, cmpOrdered, x), f, x) }

func (b *body) clamped(x val) val { return b.min(b.max(x, b.param(0)), b.param(1)) }

// elementwise are the kernels of Map; see map.go of package simd for what they are.
var elementwise = []kernel{
	{"fill", func(b *body) []val { return []val{b.param(0)} }},
	unary("affine", func(b *body, x val) val { return b.fma(x, b.param(0), b.param(1)) }),
	unary("relu", func(b *body, x val) val { return b.max(x, b.f(0)) }),
	unary("leakyRelu", func(b *body, x val) val {
		return b.fma(b.min(x, b.f(0)), b.param(0), b.max(x, b.f(0)))
	}),
	unary("clamp", func(b *body, x val) val { return b.clamped(x) }),
	unary("sqrt", func(b *body, x val) val { return b.sqrt(b.add(x, b.param(0))) }),
	unary("recip", func(b *body, x val) val { return b.div(b.f(1), b.add(x, b.param(0))) }),
	unary("abs", func(b *body, x val) val { return b.abs(x) }),
	unary("floor", func(b *body, x val) val { return b.floor(x) }),
	unary("exp", func(b *body, x val) val { return b.exp(x) }),
	unary("log", func(b *body, x val) val { return b.log(x) }),
	unary("sigmoid", func(b *body, x val) val { return b.sigmoid(x) }),
	unary("tanh", func(b *body, x val) val { return b.tanh(x) }),
	unary("erf", func(b *body, x val) val { return b.erf(x) }),
	unary("silu", func(b *body, x val) val { return b.div(x, b.onePlusExp(x)) }),
	unary("gelu", func(b *body, x val) val { return b.gelu(x) }),
	unary("geluTanh", func(b *body, x val) val {
		x = b.max(x, b.f(-100)) // the result is 0, and 0 times infinity at minus infinity
		return b.div(x, b.add(b.geluTanhExp(x, b.mul(x, x)), b.f(1)))
	}),

	binary("reluGrad", func(b *body, dy, y val) val { return b.keep(b.compare(y, cmpGreater, b.f(0)), dy) }),
	binary("leakyReluGrad", func(b *body, dy, x val) val {
		return b.choose(b.compare(x, cmpGreater, b.f(0)), dy, b.mul(dy, b.param(0)))
	}),
	binary("clampGrad", func(b *body, dy, x val) val {
		return b.keep(b.compare(b.clamped(x), cmpSame, x), dy)
	}),
	binary("sqrtGrad", func(b *body, dy, y val) val { return b.div(dy, b.add(y, y)) }),
	binary("recipGrad", func(b *body, dy, y val) val { return b.mul(dy, b.mul(b.neg(y), y)) }),
	binary("sigmoidGrad", func(b *body, dy, y val) val { return b.mul(b.mul(dy, y), b.sub(b.f(1), y)) }),
	binary("tanhGrad", func(b *body, dy, y val) val { return b.mul(dy, b.fnma(y, y, b.f(1))) }),
	binary("erfGrad", func(b *body, dy, x val) val {
		a := b.min(b.abs(x), b.f(far))
		return b.mul(dy, b.mul(b.expNegative(b.neg(b.mul(a, a))), b.f(twoOverRootPi)))
	}),
	binary("siluGrad", func(b *body, dy, x val) val {
		x = b.min(b.max(x, b.f(-87)), b.f(87)) // so that e is a number, and not 0
		e := b.expNear(b.neg(x))
		s := b.div(b.f(1), b.add(e, b.f(1)))
		return b.mul(b.mul(dy, s), b.fma(x, b.mul(e, s), b.f(1))) // e s is 1-s without cancellation
	}),
	binary("geluGrad", func(b *body, dy, x val) val { return b.mul(dy, b.geluSlope(x)) }),
	binary("geluTanhGrad", func(b *body, dy, x val) val {
		x = b.min(b.max(x, b.f(-10)), b.f(10)) // beyond, the derivative is 0 or 1
		sq := b.mul(x, x)
		e := b.geluTanhExp(x, sq)
		s := b.div(b.f(1), b.add(e, b.f(1)))
		inner := b.mul(x, b.fma(sq, b.f(6*sqrt2OverPi*cubic), b.f(2*sqrt2OverPi))) // twice x u'
		return b.mul(dy, b.fma(b.mul(s, b.mul(e, s)), inner, s))
	}),

	binary("add", func(b *body, x, y val) val { return b.add(x, y) }),
	binary("sub", func(b *body, x, y val) val { return b.sub(x, y) }),
	binary("mul", func(b *body, x, y val) val { return b.mul(x, y) }),
	binary("div", func(b *body, x, y val) val { return b.div(x, y) }),
	binary("max", func(b *body, x, y val) val { return b.propagated(b.max(y, x), x) }),
	binary("min", func(b *body, x, y val) val { return b.propagated(b.min(y, x), x) }),
	binary("eq", func(b *body, x, y val) val { return b.truth(b.compare(x, cmpEq, y)) }),
	binary("lt", func(b *body, x, y val) val { return b.truth(b.compare(x, cmpLess, y)) }),
	// of random words, whose upper 24 bits count
	unary("uniform", func(b *body, u val) val { return b.mul(b.fromInt(b.shr(u, "$8")), b.f(0x1p-24)) }),
	binary("dropout", func(b *body, x, u val) val {
		kept := b.compare(b.fromInt(b.shr(u, "$8")), cmpNotLess, b.param(1))
		return b.keep(kept, b.mul(x, b.param(0)))
	}),

	// rows of softmax
	{"centre", func(b *body) []val { return []val{b.sub(b.sub(b.load(1), b.param(0)), b.param(1))} }},
	{"softmaxGrad", func(b *body) []val { return []val{b.mul(b.load(2), b.sub(b.load(1), b.param(0)))} }},
	{"logSoftmaxGrad", func(b *body) []val { return []val{b.fnma(b.exp(b.load(2)), b.param(0), b.load(1))} }},
	{"where", func(b *body) []val {
		return []val{b.choose(b.compare(b.load(1), cmpNotEq, b.f(0)), b.load(2), b.load(3))}
	}},
}

func mapFile(i isa) *file {
	f := newVectors("Functions of elements, updates and sums, see map.go, optim.go and fold.go.", i)
	for _, k := range slices.Concat(elementwise, optimisers) {
		f.elementwise(k)
	}
	for _, k := range folds {
		f.fold(k)
	}
	return f.finish("maps")
}

func mapNumbers() *file {
	var names []string
	for _, k := range slices.Concat(elementwise, optimisers) {
		names = append(names, k.name)
	}
	for _, k := range folds {
		names = append(names, k.name)
	}
	return kernelNumbers(names)
}
