package main

import "math"

// erfcx is t P(t) with t = 1/(1+z/2), times e^(-z^2) half the complementary error function of z = a s >= 0: half the P of
// package simd's normalCDF32. s is a constant.
func (b *body) erfcx(a val, s float64) val {
	t := b.div(b.f(1), b.fma(a, b.f(s/2), b.f(1)))
	p := []float64{-0.05906921564659239, 0.2845761687659992, -0.48720230010054766, 0.2780697876932815, -0.026627384852620985,
		0.20268755428767446, 0.2431036011285053, 0.28237532904327894, 0.28208641678578106}
	for i := range p {
		p[i] /= 2
	}
	return b.mul(b.horner(t, p...), t)
}

// far bounds |x| for the functions of the normal distribution: e^(-far^2/2) is 0.
const far = 20

// gelu is x Phi(x), which is max(x, 0) - |x| Phi(-|x|).
func (b *body) gelu(x val) val {
	a := b.min(b.abs(x), b.f(far))
	u := b.mul(b.expNegative(b.mul(b.mul(a, a), b.f(-0.5))), b.erfcx(a, 1/math.Sqrt2))
	return b.fnma(a, u, b.max(x, b.f(0)))
}

// geluSlope is Phi(x) + x phi(x): h = Phi(-a) - a phi(a) for x = -a, and 1 - h for x = a.
func (b *body) geluSlope(x val) val {
	a := b.min(b.abs(x), b.f(far))
	e := b.expNegative(b.mul(b.mul(a, a), b.f(-0.5)))
	h := b.mul(e, b.fnma(a, b.f(1/(math.Sqrt2*math.SqrtPi)), b.erfcx(a, 1/math.Sqrt2)))
	return b.choose(b.compare(x, cmpGreater, b.f(0)), b.sub(b.f(1), h), h)
}

// erf is 1 - erfc, but under 1 a polynomial, which keeps the relative precision: 1.2e-9 of itself before rounding, by
// Remez' algorithm.
func (b *body) erf(x val) val {
	a := b.min(b.abs(x), b.f(9)) // from 4 on the result is 1
	s := b.mul(a, a)
	near := b.mul(a, b.horner(s, 7.853861461626366e-05, -0.0008010193705558777, 0.005188327748328447, -0.026853812858462334,
		0.1128358542919159, -0.3761262595653534, 1.1283791065216064))
	u := b.mul(b.expNegative(b.neg(s)), b.erfcx(a, 1))
	distant := b.fnma(u, b.f(2), b.f(1))
	return b.signed(b.choose(b.compare(a, cmpLess, b.f(1)), near, distant), x)
}
