package vectors

import (
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/acumen-ml/acumen/device"
)

// numbers of a case that are drawn; those at the edges come before.
const drawn = 1000

// function is a case of vector_f32 or vector_f64: its name, the number in the kernel, the bound for each type, where
// inputs are drawn, and the reference.
type function struct {
	name string
	op   int32
	ulps int
	draw func(r *rand.Rand) [3]float64
	f    func(a, b, c float64) float64
	// edges are tried too: zeros, infinities, NaN, the largest and smallest numbers. For functions of one argument.
	edges bool
	// near bounds the error by so many units of a number of size 1, for functions that are made of others.
	near float64
}

func one(f func(float64) float64) func(a, b, c float64) float64 {
	return func(a, _, _ float64) float64 { return f(a) }
}

// between draws a from an interval.
func between(lo, hi float64) func(*rand.Rand) [3]float64 {
	return func(r *rand.Rand) [3]float64 { return [3]float64{lo + (hi-lo)*r.Float64()} }
}

// scaled draws numbers of any of these exponents; both signs if signed.
func scaled(lo, hi int, signed bool) func(*rand.Rand) [3]float64 {
	return func(r *rand.Rand) (x [3]float64) {
		for i := range x {
			x[i] = math.Ldexp(1+r.Float64(), lo+r.IntN(hi-lo+1))
			if signed && r.IntN(2) == 1 {
				x[i] = -x[i]
			}
		}
		return x
	}
}

func f32Cases() []*Case {
	all := []function{
		{"f32 exp", 0, 2, between(-104, 89), one(math.Exp), true, 0},
		{"f32 expm1", 1, 1, between(-20, 89), one(math.Expm1), true, 0},
		{"f32 log", 2, 1, scaled(-149, 126, false), one(math.Log), true, 0},
		{"f32 log1p", 3, 1, scaled(-30, 60, false), one(math.Log1p), true, 0},
		{"f32 sqrt", 4, 0, scaled(-149, 126, false), one(math.Sqrt), true, 0},
		{"f32 tanh", 5, 2, scaled(-12, 4, true), one(math.Tanh), true, 0},
		{"f32 erf", 6, 2, scaled(-12, 2, true), one(math.Erf), true, 0},
		{"f32 erfc", 7, 4, between(-4, 9), one(math.Erfc), true, 0},
		{"f32 floor", 8, 0, scaled(-3, 25, true), one(math.Floor), true, 0},
		{"f32 abs", 9, 0, scaled(-149, 126, true), one(math.Abs), true, 0},
		{"f32 pow", 10, 8, func(r *rand.Rand) [3]float64 { return [3]float64{8 * r.Float64(), 4 * r.NormFloat64()} }, func(a, b, _ float64) float64 { return math.Pow(a, b) }, false, 0},
		{"f32 fma", 11, 0, scaled(-30, 30, true), fma32, false, 0},
		{"f32 division", 12, 0, scaled(-30, 30, true), func(a, b, _ float64) float64 { return a / b }, false, 0},
		{"f32 quick division", 13, 2, func(r *rand.Rand) [3]float64 { return [3]float64{1, math.Ldexp(1+r.Float64(), r.IntN(126))} }, func(a, b, _ float64) float64 { return a / b }, false, 0},
		{"f32 min", 14, 0, scaled(-2, 2, true), func(a, b, _ float64) float64 { return math.Min(a, b) }, false, 0},
		{"f32 max", 15, 0, scaled(-2, 2, true), func(a, b, _ float64) float64 { return math.Max(a, b) }, false, 0},
		{"f32 product", 16, 0, scaled(-30, 30, true), func(a, b, _ float64) float64 { return a * b }, false, 0},
		{"f32 sum", 17, 0, scaled(-10, 10, true), func(a, b, _ float64) float64 { return a + b }, false, 0},
		{"f32 sigmoid", 18, 0, between(-30, 30), one(sigmoid), false, 4},
		{"f32 normal cdf", 19, 0, between(-8, 8), one(normalCDF), false, 4},
		{"f32 gelu", 20, 0, between(-8, 8), one(func(x float64) float64 { return x * normalCDF(x) }), false, 4},
		{"f32 gelu derivative", 21, 0, between(-8, 8), one(func(x float64) float64 { return normalCDF(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) }), false, 8},
		{"f32 gelu_tanh", 22, 0, between(-8, 8), one(func(x float64) float64 { return x * sigmoid(2*geluInner(x)) }), false, 8},
		{"f32 gelu_tanh derivative", 23, 0, between(-8, 8), one(geluTanhGrad), false, 8},
		{"f32 silu", 24, 0, between(-30, 30), one(func(x float64) float64 { return x * sigmoid(x) }), false, 4},
		{"f32 silu derivative", 25, 0, between(-30, 30), one(func(x float64) float64 { s := sigmoid(x); return s + x*s*(1-s) }), false, 16},
		{"f32 quick exp", 26, 0, between(-12, 0), one(math.Exp), false, 4},
		{"f32 short normal cdf", 27, 0, between(-8, 8), one(normalCDF), false, 24}, // 2e-6 and some
	}
	var cases []*Case
	for _, f := range all {
		cases = append(cases, f.build("vector_f32", device.F32))
	}
	return cases
}

func f64Cases() []*Case {
	all := []function{
		{"f64 exp", 0, 1, between(-745, 709), one(exp), true, 0},
		{"f64 expm1", 1, 1, between(-40, 709), one(expm1), true, 0},
		{"f64 log", 2, 1, scaled(-1022, 1022, false), one(log), true, 0},
		{"f64 log1p", 3, 1, scaled(-60, 200, false), one(log1p), true, 0},
		{"f64 sqrt", 4, 0, scaled(-1022, 1022, false), one(math.Sqrt), true, 0},
		{"f64 tanh", 5, 2, scaled(-20, 4, true), one(tanh), true, 0},
		{"f64 erf", 6, 3, scaled(-20, 2, true), one(math.Erf), true, 0},
		{"f64 erfc", 7, 6, between(-5, 26), one(math.Erfc), true, 0},
		{"f64 floor", 8, 0, scaled(-3, 55, true), one(math.Floor), true, 0},
		{"f64 abs", 9, 0, scaled(-1022, 1022, true), one(math.Abs), true, 0},
		{"f64 pow", 10, 2, func(r *rand.Rand) [3]float64 { return [3]float64{8*r.Float64() + 1e-9, 4 * r.NormFloat64()} }, pow, false, 0},
		{"f64 fma", 11, 0, scaled(-30, 30, true), math.FMA, false, 0},
		{"f64 division", 12, 0, scaled(-30, 30, true), func(a, b, _ float64) float64 { return a / b }, false, 0},
		{"f64 product", 13, 0, scaled(-30, 30, true), func(a, b, _ float64) float64 { return a * b }, false, 0},
		{"f64 sum", 14, 0, scaled(-10, 10, true), func(a, b, _ float64) float64 { return a + b }, false, 0},
		{"f64 sinpi", 15, 4, between(-2, 2), one(func(x float64) float64 { s, _ := sincosPi(x); return s }), false, 0},
		{"f64 cospi", 16, 4, between(-2, 2), one(func(x float64) float64 { _, c := sincosPi(x); return c }), false, 0},
	}
	var cases []*Case
	for _, f := range all {
		cases = append(cases, f.build("vector_f64", device.F64))
	}
	return cases
}

// build draws the inputs, and computes from these as the type holds them.
func (f function) build(kernel string, typ device.DType) *Case {
	c := &Case{Name: f.name, Ulps: f.ulps, kernel: kernel, op: f.op, out: outF32}
	if typ == device.F64 {
		c.out = outF64
	}
	var xs [][3]float64
	if f.edges {
		for _, x := range edges(typ) {
			xs = append(xs, [3]float64{x})
		}
	}
	for r := draws(f.name); len(xs) < drawn; {
		xs = append(xs, f.draw(r))
	}
	unit := map[device.DType]float64{device.F32: 0x1p-23, device.F64: 0x1p-52}[typ]
	for _, x := range xs {
		for k := range x {
			if typ == device.F32 {
				x[k] = float64(float32(x[k]))
			}
			c.in[k] = appendFloat(c.in[k], typ, x[k])
		}
		y := f.f(x[0], x[1], x[2])
		c.want = appendFloat(c.want, typ, y)
		if f.near > 0 {
			c.bound = append(c.bound, f.near*unit*max(1, math.Abs(y)))
		}
	}
	c.n = len(xs)
	c.spread()
	return c
}

// spread sets the launch of a kernel that loops over elements.
func (c *Case) spread() { c.block, c.grid = 128, uint32(min(8, (c.n+127)/128)) }

func appendFloat(b []byte, typ device.DType, x float64) []byte {
	if typ == device.F32 {
		return le.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return le.AppendUint64(b, math.Float64bits(x))
}

// edges are the numbers at which functions break.
func edges(typ device.DType) []float64 {
	least, normal, most := float64(math.SmallestNonzeroFloat32), 0x1p-126, float64(math.MaxFloat32)
	if typ == device.F64 {
		least, normal, most = math.SmallestNonzeroFloat64, 0x1p-1022, math.MaxFloat64
	}
	xs := []float64{0, least, 3 * least, normal, normal - least, most, math.Inf(1), 1, 0.5, 2, 1.5, 10, 100}
	for _, x := range xs[:len(xs):len(xs)] {
		xs = append(xs, -x)
	}
	return append(xs, math.Copysign(0, -1), math.NaN())
}

// fma32 is the exact a b + c, rounded to f32 once.
func fma32(a, b, c float64) float64 {
	x := func(v float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(v) }
	y, _ := x(0).Add(x(0).Mul(x(a), x(b)), x(c)).Float32()
	return float64(y)
}

func sigmoid(x float64) float64   { return 1 / (1 + math.Exp(-x)) }
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
func geluInner(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

func geluTanhGrad(x float64) float64 {
	t := math.Tanh(geluInner(x))
	return (1+t)/2 + x/2*(1-t*t)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
}

// sincosPi reduces to an eighth of a turn, exactly, before pi comes in.
func sincosPi(x float64) (s, c float64) {
	q := math.Round(2 * x)
	s, c = math.Sincos(math.Pi * (x - q/2))
	switch (int(q)%4 + 4) % 4 {
	case 1:
		s, c = c, -s
	case 2:
		s, c = -s, -c
	case 3:
		s, c = -c, s
	}
	return s, c
}
