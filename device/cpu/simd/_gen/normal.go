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
	if b.isa == avx512 {
		a, u := b.piecewise(x, below)
		return b.fnma(a, u, b.max(x, b.f(0)))
	}
	a := b.min(b.abs(x), b.f(far))
	u := b.mul(b.expNegative(b.mul(b.mul(a, a), b.f(-0.5))), b.erfcx(a, 1/math.Sqrt2))
	return b.fnma(a, u, b.max(x, b.f(0)))
}

// geluSlope is Phi(x) + x phi(x): h = Phi(-a) - a phi(a) for x = -a, and 1 - h for x = a.
func (b *body) geluSlope(x val) val {
	var h val
	if b.isa == avx512 {
		_, h = b.piecewise(x, func(a float64) float64 { return below(a) - a*math.Exp(-a*a/2)/(math.Sqrt2*math.SqrtPi) })
	} else {
		a := b.min(b.abs(x), b.f(far))
		e := b.expNegative(b.mul(b.mul(a, a), b.f(-0.5)))
		h = b.mul(e, b.fnma(a, b.f(1/(math.Sqrt2*math.SqrtPi)), b.erfcx(a, 1/math.Sqrt2)))
	}
	return b.choose(b.compare(x, cmpGreater, b.f(0)), b.sub(b.f(1), h), h)
}

// below is Phi(-a).
func below(a float64) float64 { return math.Erfc(a/math.Sqrt2) / 2 }

// Pieces are that wide, a number with few bits, round its multiples; with half a piece at 0 they reach to 6.03.
const (
	pieces     = 32
	pieceWidth = 49.0 / 256
	pieceEnd   = (pieces - 0.5) * pieceWidth
	degree     = 5
)

// piecewise is, for a = |x| up to pieceEnd, polynomials that interpolate f piece by piece, and 0 beyond. Where f falls as
// Phi(-a) does they are within 2e-6 of it, and better by far for small a. The a that it gives back is at most pieceEnd.
func (b *body) piecewise(x val, f func(a float64) float64) (a, y val) {
	full := b.abs(x)
	end := b.f(pieceEnd)
	a = b.min(full, end)
	const magic = 3 << 22 // a sum with it has the rounded number in its lowest bits
	index := b.fma(a, b.f(1/pieceWidth), b.f(magic))
	t := b.fnma(b.sub(index, b.f(magic)), b.f(pieceWidth), a)
	var c [degree + 1][pieces]float32
	for i := range pieces {
		for k, v := range interpolation(func(t float64) float64 { return f(float64(i)*pieceWidth + t) }) {
			c[k][i] = float32(v)
		}
	}
	y = b.lookup(index, c[degree])
	for k := degree - 1; k >= 0; k-- {
		y = b.fma(y, t, b.lookup(index, c[k]))
	}
	return a, b.keep(b.compare(end, cmpNotLess, full), y)
}

// interpolation is the coefficients of the polynomial that meets f at the Chebyshev nodes of a piece, the constant first.
func interpolation(f func(t float64) float64) [degree + 1]float64 {
	var t, d [degree + 1]float64 // nodes, divided differences
	for i := range t {
		t[i] = pieceWidth / 2 * math.Cos(math.Pi*(float64(i)+0.5)/(degree+1))
		d[i] = f(t[i])
	}
	for k := 1; k <= degree; k++ {
		for i := degree; i >= k; i-- {
			d[i] = (d[i] - d[i-1]) / (t[i] - t[i-k])
		}
	}
	var c [degree + 1]float64
	for k := degree; k >= 0; k-- { // c = c (t - t[k]) + d[k]
		for i := degree; i > 0; i-- {
			c[i] = c[i-1] - float64(c[i]*t[k])
		}
		c[0] = d[k] - float64(c[0]*t[k])
	}
	return c
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
