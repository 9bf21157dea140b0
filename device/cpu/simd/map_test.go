package simd

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allLevels is plain Go and the levels that this machine has.
func allLevels() []Level { return append([]Level{Generic}, levels()...) }

// sample is every 997th float32 of both signs, and special ones.
func sample() []float32 {
	var x []float32
	for bits := uint32(1); bits < math.Float32bits(float32(math.Inf(1))); bits += 997 {
		x = append(x, math.Float32frombits(bits), -math.Float32frombits(bits))
	}
	return append(x, specials()...)
}

func specials() []float32 {
	inf := float32(math.Inf(1))
	return []float32{0, float32(math.Copysign(0, -1)), 1, -1, inf, -inf, float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32, 0x1p-149, -0x1p-149, 0x1p-126, -0x1p-126}
}

// ulps is how far got is from want in units of want's last place. What is subnormal may be 0, and the other way round.
func ulps(want float64, got float32) float64 {
	g := float64(got)
	switch {
	case want != want && g != g, g == want:
		return 0
	case want != want || g != g:
		return math.Inf(1)
	case math.Abs(want) < 0x1p-126 && math.Abs(g) <= 0x1p-126:
		return 0
	case math.Abs(want) > math.MaxFloat32 && g == math.Copysign(math.Inf(1), want):
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(g-want) / math.Ldexp(1, max(e, -125)-24)
}

// function is a function of one argument in float64, and how Map has it.
type function struct {
	name string
	f    func(x float64) float64
	run  func(m Map[float32], y, x []float32)
	// ulp is the largest error that Map states. tail, if not 0, is that of arguments under -1, and below is what results may
	// be off where they are still smaller than that.
	ulp, tail, below float64
}

func phi64(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

var functions = []function{
	{name: "Affine", f: func(x float64) float64 { return 3 * x }, run: func(m Map[float32], y, x []float32) { m.Affine(y, x, 3, 0) }, ulp: 0.5},
	{name: "Relu", f: func(x float64) float64 { return max(x, 0) }, run: func(m Map[float32], y, x []float32) { m.Relu(y, x) }},
	{name: "LeakyRelu", f: func(x float64) float64 { return max(x, 0) + 0.25*min(x, 0) }, run: func(m Map[float32], y, x []float32) { m.LeakyRelu(y, x, 0.25) }, ulp: 0.5},
	{name: "Clamp", f: func(x float64) float64 { return min(max(x, -0.5), 2) }, run: func(m Map[float32], y, x []float32) { m.Clamp(y, x, -0.5, 2) }},
	{name: "Sqrt", f: math.Sqrt, run: func(m Map[float32], y, x []float32) { m.Sqrt(y, x, 0) }, ulp: 0.5},
	{name: "Recip", f: func(x float64) float64 { return 1 / float64(float32(x+1)) }, run: func(m Map[float32], y, x []float32) { m.Recip(y, x, 1) }, ulp: 0.5},
	{name: "Abs", f: math.Abs, run: func(m Map[float32], y, x []float32) { m.Abs(y, x) }},
	{name: "Floor", f: math.Floor, run: func(m Map[float32], y, x []float32) { m.Floor(y, x) }},
	{name: "Exp", f: math.Exp, run: func(m Map[float32], y, x []float32) { m.Exp(y, x) }, ulp: 1.2},
	{name: "Log", f: math.Log, run: func(m Map[float32], y, x []float32) { m.Log(y, x) }, ulp: 1.2},
	{name: "Sigmoid", f: sigmoid64, run: func(m Map[float32], y, x []float32) { m.Sigmoid(y, x) }, ulp: 2.1},
	{name: "Tanh", f: math.Tanh, run: func(m Map[float32], y, x []float32) { m.Tanh(y, x) }, ulp: 2.3},
	{name: "Erf", f: math.Erf, run: func(m Map[float32], y, x []float32) { m.Erf(y, x) }, ulp: 2.4},
	{name: "Silu", f: func(x float64) float64 { return x * sigmoid64(x) }, run: func(m Map[float32], y, x []float32) { m.Silu(y, x) }, ulp: 2.3, below: 1e-35},
	{name: "Gelu", f: func(x float64) float64 { return max(x, -40) * phi64(x) }, run: func(m Map[float32], y, x []float32) { m.Gelu(y, x) }, ulp: 6.2, tail: 18, below: 1e-8},
	{name: "GeluTanh", f: func(x float64) float64 { x = max(x, -100); return x * sigmoid64(2*geluInner(x)) }, run: func(m Map[float32], y, x []float32) { m.GeluTanh(y, x) }, ulp: 2.6, tail: 39, below: 1e-8},
}

func TestFunctions(t *testing.T) {
	xs := sample()
	ys := make([]float32, len(xs))
	for _, l := range allLevels() {
		for _, f := range functions {
			if f.name == "Gelu" && l == AVX512 {
				f.ulp, f.tail = 1.7, 16
			}
			f.run(Map[float32]{Level: l}, ys, xs)
			var worst [2]float64 // without and with the tail
			for i, x := range xs {
				want := f.f(float64(x))
				if math.Abs(want) < f.below && x < -1 && math.Abs(want-float64(ys[i])) <= f.below {
					continue
				}
				e, k := ulps(want, ys[i]), 0
				if f.tail != 0 && x < -1 {
					k = 1
				}
				if worst[k] = max(worst[k], e); e > max(f.ulp, float64(k)*f.tail) {
					require.Failf(t, "too far", "%s(%v) at %s: want %v, got %v, %.2f ulp off", f.name, x, l, want, ys[i], e)
				}
			}
			t.Logf("%s %s: %.2f %.2f", l, f.name, worst[0], worst[1])
		}
	}
}

// gradients are derivatives, from x and y = f(x), and the largest error in 2^-24 of the larger of result and 1.
var gradients = []struct {
	name string
	f    func(x float64) float64
	run  func(m Map[float32], dx, dy, x, y []float32)
	err  float64
}{
	{"Relu", func(x float64) float64 { return max(x, 0) }, func(m Map[float32], dx, dy, x, y []float32) { m.ReluGrad(dx, dy, y) }, 0},
	{"LeakyRelu", func(x float64) float64 { return max(x, 0) + 0.25*min(x, 0) }, func(m Map[float32], dx, dy, x, y []float32) { m.LeakyReluGrad(dx, dy, x, 0.25) }, 0},
	{"Clamp", func(x float64) float64 { return min(max(x, -1.3), 0.7) }, func(m Map[float32], dx, dy, x, y []float32) { m.ClampGrad(dx, dy, x, -1.3, 0.7) }, 0},
	{"Sigmoid", sigmoid64, func(m Map[float32], dx, dy, x, y []float32) { m.SigmoidGrad(dx, dy, y) }, 2},
	{"Tanh", math.Tanh, func(m Map[float32], dx, dy, x, y []float32) { m.TanhGrad(dx, dy, y) }, 3},
	{"Erf", math.Erf, func(m Map[float32], dx, dy, x, y []float32) { m.ErfGrad(dx, dy, x) }, 3},
	{"Silu", func(x float64) float64 { return x * sigmoid64(x) }, func(m Map[float32], dx, dy, x, y []float32) { m.SiluGrad(dx, dy, x) }, 5},
	{"Gelu", func(x float64) float64 { return x * phi64(x) }, func(m Map[float32], dx, dy, x, y []float32) { m.GeluGrad(dx, dy, x) }, 4},
	{"GeluTanh", func(x float64) float64 { return x * sigmoid64(2*geluInner(x)) }, func(m Map[float32], dx, dy, x, y []float32) { m.GeluTanhGrad(dx, dy, x) }, 6},
}

func TestGradients(t *testing.T) {
	var xs, ones []float32
	for x := float32(-12); x < 12; x += 0.00137 {
		xs, ones = append(xs, x), append(ones, 1)
	}
	ys, dx := make([]float32, len(xs)), make([]float32, len(xs))
	for _, l := range allLevels() {
		for _, g := range gradients {
			for i, x := range xs {
				ys[i] = float32(g.f(float64(x)))
			}
			g.run(Map[float32]{Level: l}, dx, ones, xs, ys)
			worst := 0.0
			for i, x := range xs {
				const h = 1e-4 // of a difference formula of fourth order: an error under 1e-11 where f is smooth
				v := float64(x)
				want := (8*(g.f(v+h)-g.f(v-h)) - g.f(v+2*h) + g.f(v-2*h)) / (12 * h)
				if math.Abs(v) < 3*h || math.Abs(v+1.3) < 3*h || math.Abs(v-0.7) < 3*h {
					continue // kinks
				}
				worst = max(worst, math.Abs(float64(dx[i])-want)/max(math.Abs(want), 1)*0x1p24)
			}
			t.Logf("%s %s: %.2f", l, g.name, worst)
			assert.LessOrEqual(t, worst, g.err+0.01, "%s at %s", g.name, l)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	const n = 4096
	x, y, z, w := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], z[i] = float32(i-n/2)/512, float32(i%7)-3
	}
	for _, l := range allLevels() {
		m := Map[float32]{Level: l}
		for _, k := range []struct {
			name string
			run  func()
		}{
			{"relu", func() { m.Relu(y, x) }}, {"relugrad", func() { m.ReluGrad(y, z, x) }}, {"add", func() { m.Add(y, x, z) }}, {"max", func() { m.Max(y, x, z) }},
			{"exp", func() { m.Exp(y, x) }}, {"log", func() { m.Log(y, x) }}, {"sigmoid", func() { m.Sigmoid(y, x) }}, {"tanh", func() { m.Tanh(y, x) }}, {"erf", func() { m.Erf(y, x) }},
			{"silu", func() { m.Silu(y, x) }}, {"gelu", func() { m.Gelu(y, x) }}, {"gelugrad", func() { m.GeluGrad(y, z, x) }}, {"gelutanh", func() { m.GeluTanh(y, x) }},
			{"gelutanhgrad", func() { m.GeluTanhGrad(y, z, x) }}, {"where", func() { m.Where(y, x, z, w) }},
			{"sum", func() { Sum(l, x) }}, {"dot", func() { Dot(l, x, z) }}, {"largest", func() { Largest(l, x) }}, {"maxabs", func() { MaxAbs(l, x) }}, {"expsum", func() { ExpSum(l, y, x, 8) }},
		} {
			b.Run(fmt.Sprintf("%s/%s", l, k.name), func(b *testing.B) {
				b.ReportMetric(float64(fastest(b, k.run).Nanoseconds())/n, "ns/element")
			})
		}
	}
}
