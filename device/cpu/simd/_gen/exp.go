package main

import "math"

// ln2Hi and ln2Lo are ln 2 in two numbers of f32.
const (
	ln2Hi = 0x1.62e43p-1
	ln2Lo = math.Ln2 - ln2Hi
)

// reduced is x = n ln 2 + r with n whole and |r| at most ln(2)/2. n ln2Hi is exact in a fused sum.
func (b *body) reduced(x val) (n, r val) {
	n = b.round(b.mul(x, b.f(math.Log2E)))
	r = b.fnma(n, b.f(ln2Hi), x)
	return n, b.fnma(n, b.f(ln2Lo), r)
}

// expOf is e^r for |r| at most ln(2)/2, to 3.1e-9 before rounding: 1 + r + r^2 q, q by Remez' algorithm.
func (b *body) expOf(r val) val {
	return b.horner(r, 0.0013814466074109077, 0.008368780836462975, 0.04166839271783829, 0.1666651964187622, 0.4999999403953552, 1, 1)
}

// expm1Of is e^r - 1 for |r| at most ln(2)/2, to 2.7e-10 of itself before rounding: r + r^2 q.
func (b *body) expm1Of(r val) val {
	q := b.horner(r, 0.0001996239589061588, 0.0013943308731541038, 0.008333219215273857, 0.04166632518172264, 0.1666666716337204, 0.5)
	return b.fma(b.mul(q, r), r, r)
}

// powerOf2 is 2^k for whole k, as integers, from -126 to 127, and infinity for 128.
func (b *body) powerOf2(k val) val { return b.shl(b.addi(k, b.bits(127)), "$23") }

// exp is e^x for all x.
func (b *body) exp(x val) val {
	x = b.max(b.min(x, b.f(89)), b.f(-104)) // infinity, and less than half of the smallest number
	n, r := b.reduced(x)
	p := b.expOf(r)
	if b.isa == avx512 {
		return b.do("VSCALEFPS", n, p)
	}
	k := b.toInt(n)
	half := b.sar(k, "$1") // 2^n is no number where e^x is infinite or subnormal
	return b.mul(b.mul(p, b.powerOf2(half)), b.powerOf2(b.subi(k, half)))
}

// expNear is e^x, but 1.2e-38 below -87.3 and infinity from 88.4 on: for sums with 1.
func (b *body) expNear(x val) val {
	x = b.max(b.min(x, b.f(88.8)), b.f(-87.3))
	n, r := b.reduced(x)
	return b.scaled(b.expOf(r), n)
}

// expNegative is e^x for x <= 0, but 0 below -87.3 or a little further down. x is not infinite.
func (b *body) expNegative(x val) val {
	if b.isa == avx512 {
		n, r := b.reduced(x)
		return b.scaled(b.expOf(r), n)
	}
	low := b.f(-87.3)
	enough := b.compare(x, cmpNotLess, low)
	n, r := b.reduced(b.max(x, low))
	return b.keep(enough, b.scaled(b.expOf(r), n))
}

// scaled is p 2^n.
func (b *body) scaled(p, n val) val {
	if b.isa == avx512 {
		return b.do("VSCALEFPS", n, p)
	}
	return b.mul(p, b.powerOf2(b.toInt(n)))
}

// sigmoid is 1 / (1 + e^-x).
func (b *body) sigmoid(x val) val { return b.div(b.f(1), b.onePlusExp(x)) }

// onePlusExp is 1 + e^-x.
func (b *body) onePlusExp(x val) val { return b.add(b.expNear(b.neg(x)), b.f(1)) }

func (b *body) neg(x val) val { return b.xor(x, b.bits(1<<31)) }

// tanh is E/(E+2) with E = e^(2|x|) - 1 = 2^n (e^r - 1) + (2^n - 1), with the sign of x.
func (b *body) tanh(x val) val {
	a := b.min(b.mul(b.abs(x), b.f(2)), b.f(40)) // from 20 on the result is 1
	n, r := b.reduced(a)
	two := b.scaled(b.f(1), n)
	e := b.fma(two, b.expm1Of(r), b.sub(two, b.f(1)))
	return b.signed(b.div(e, b.add(e, b.f(2))), x)
}

// signed is y, which is not negative, with the sign of x.
func (b *body) signed(y, x val) val { return b.or(y, b.and(x, b.bits(1<<31))) }

// log is ln x: x = 2^k (1 + f) with 1 + f from the root of 1/2 to that of 2, and ln(1 + f) = f - f^2/2 + f^3 q to 3.1e-8
// of itself, q by Remez' algorithm.
func (b *body) log(x val) val {
	tiny := b.compare(x, cmpLess, b.f(0x1p-126))
	y := b.choose(tiny, b.mul(x, b.f(0x1p23)), x)
	k := b.sar(b.subi(y, b.f(math.Sqrt2/2)), "$23")
	f := b.sub(b.subi(y, b.shl(k, "$23")), b.f(1))
	n := b.sub(b.fromInt(k), b.keep(tiny, b.f(23)))
	p := b.horner(f, 0.08700436353683472, -0.14267486333847046, 0.14914767444133759, -0.1657758504152298, 0.19963063299655914,
		-0.2500133812427521, 0.3333390951156616, -0.5)
	l := b.fma(b.mul(f, f), p, f)
	l = b.fma(n, b.f(ln2Hi), b.fma(n, b.f(ln2Lo), l))
	l = b.choose(b.compare(x, cmpLess, b.f(math.Inf(1))), l, x) // infinity and NaN stay
	l = b.choose(b.compare(x, cmpEq, b.f(0)), b.f(math.Inf(-1)), l)
	return b.choose(b.compare(x, cmpLess, b.f(0)), b.bits(0x7fc00000), l)
}
