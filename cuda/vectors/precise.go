package vectors

import (
	"math"
	"math/big"
)

// References of functions of f64: package math is off by some units itself. These are calculated with 250 bits and rounded
// once. Where a result is infinite, NaN or a zero, package math says it.
const precision = 250

func wide(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }
func zero() *big.Float          { return new(big.Float).SetPrec(precision) }

func rounded(x *big.Float) float64 {
	y, _ := x.Float64()
	return y
}

// expOf is e^x: the series for x/2^k, squared k times.
func expOf(x *big.Float) *big.Float {
	k := max(0, x.MantExp(nil)+12)
	r := zero().SetMantExp(x, -k)
	sum, term := wide(1), wide(1)
	for n := 1; term.Sign() != 0 && term.MantExp(nil) > sum.MantExp(nil)-precision; n++ {
		term.Mul(term, r)
		term.Quo(term, wide(float64(n)))
		sum.Add(sum, term)
	}
	for range k {
		sum.Mul(sum, sum)
	}
	return sum
}

// logOf is ln x for x > 0, by Halley's method: each step trebles the number of right digits.
func logOf(x *big.Float) *big.Float {
	m := zero()
	e := x.MantExp(m)
	y := wide(math.Log(rounded(m)) + float64(e)*math.Ln2)
	for range 3 {
		t := expOf(y)
		d := zero().Quo(zero().Sub(x, t), zero().Add(x, t))
		y.Add(y, d.Add(d, d))
	}
	return y
}

// plain reports whether x is a number other than 0 whose e^x is neither infinite nor 0.
func plain(x float64) bool { return x != 0 && math.Abs(x) < 800 }

func exp(x float64) float64 {
	if !plain(x) || x > 710 {
		return math.Exp(x)
	}
	return rounded(expOf(wide(x)))
}

func expm1(x float64) float64 {
	switch {
	case !plain(x) || x > 710:
		return math.Expm1(x)
	case math.Abs(x) < 1e-30:
		return x
	}
	return rounded(zero().Sub(expOf(wide(x)), wide(1)))
}

func log(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) || x == 1 {
		return math.Log(x)
	}
	return rounded(logOf(wide(x)))
}

func log1p(x float64) float64 {
	switch {
	case !(x > -1) || math.IsInf(x, 1):
		return math.Log1p(x)
	case math.Abs(x) < 1e-30:
		return x
	}
	return rounded(logOf(zero().Add(wide(x), wide(1))))
}

func tanh(x float64) float64 {
	switch {
	case math.Abs(x) > 300 || x != x:
		return math.Tanh(x)
	case math.Abs(x) < 1e-30:
		return x
	}
	t := expOf(wide(2 * x))
	return rounded(zero().Quo(zero().Sub(t, wide(1)), zero().Add(t, wide(1))))
}

// pow is a^b for a > 0.
func pow(a, b, _ float64) float64 { return rounded(expOf(zero().Mul(wide(b), logOf(wide(a))))) }
