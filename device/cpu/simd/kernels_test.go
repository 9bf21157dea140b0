package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// mapCase is a kernel of Map with arguments a, b and c.
type mapCase struct {
	name string
	run  func(m Map[float32], y, a, b, c []float32)
	// tol bounds |got - twin| in units of the largest of |twin|, |a| and 1, 0 for the same numbers: roundings, as many as Map
	// states for functions and gradients.
	tol float64
}

// exact kernels do as the twin does; others round once where it does twice, or have another polynomial.
var mapCases = []mapCase{
	{"fill", func(m Map[float32], y, a, b, c []float32) { m.Fill(y, 2.5) }, 0},
	{"affine", func(m Map[float32], y, a, b, c []float32) { m.Affine(y, a, 2.5, 3) }, 3e-7},
	{"relu", func(m Map[float32], y, a, b, c []float32) { m.Relu(y, a) }, 0},
	{"leakyRelu", func(m Map[float32], y, a, b, c []float32) { m.LeakyRelu(y, a, 0.1) }, 0},
	{"clamp", func(m Map[float32], y, a, b, c []float32) { m.Clamp(y, a, -0.3, 0.7) }, 0},
	{"sqrt", func(m Map[float32], y, a, b, c []float32) { m.Sqrt(y, a, 0.5) }, 0},
	{"recip", func(m Map[float32], y, a, b, c []float32) { m.Recip(y, a, 0.5) }, 0},
	{"abs", func(m Map[float32], y, a, b, c []float32) { m.Abs(y, a) }, 0},
	{"floor", func(m Map[float32], y, a, b, c []float32) { m.Floor(y, a) }, 0},
	{"exp", func(m Map[float32], y, a, b, c []float32) { m.Exp(y, a) }, 3e-7},
	{"log", func(m Map[float32], y, a, b, c []float32) { m.Log(y, a) }, 3e-7},
	{"sigmoid", func(m Map[float32], y, a, b, c []float32) { m.Sigmoid(y, a) }, 3e-7},
	{"tanh", func(m Map[float32], y, a, b, c []float32) { m.Tanh(y, a) }, 3e-7},
	{"erf", func(m Map[float32], y, a, b, c []float32) { m.Erf(y, a) }, 3e-7},
	{"silu", func(m Map[float32], y, a, b, c []float32) { m.Silu(y, a) }, 3e-7},
	{"gelu", func(m Map[float32], y, a, b, c []float32) { m.Gelu(y, a) }, 5e-7},
	{"geluTanh", func(m Map[float32], y, a, b, c []float32) { m.GeluTanh(y, a) }, 5e-7},
	{"reluGrad", func(m Map[float32], y, a, b, c []float32) { m.ReluGrad(y, a, b) }, 0},
	{"leakyReluGrad", func(m Map[float32], y, a, b, c []float32) { m.LeakyReluGrad(y, a, b, 0.1) }, 0},
	{"clampGrad", func(m Map[float32], y, a, b, c []float32) { m.ClampGrad(y, a, b, -0.3, 0.7) }, 0},
	{"sqrtGrad", func(m Map[float32], y, a, b, c []float32) { m.SqrtGrad(y, a, b) }, 0},
	{"recipGrad", func(m Map[float32], y, a, b, c []float32) { m.RecipGrad(y, a, b) }, 0},
	{"sigmoidGrad", func(m Map[float32], y, a, b, c []float32) { m.SigmoidGrad(y, a, b) }, 5e-7},
	{"tanhGrad", func(m Map[float32], y, a, b, c []float32) { m.TanhGrad(y, a, b) }, 5e-7},
	{"erfGrad", func(m Map[float32], y, a, b, c []float32) { m.ErfGrad(y, a, b) }, 5e-7},
	{"siluGrad", func(m Map[float32], y, a, b, c []float32) { m.SiluGrad(y, a, b) }, 5e-7},
	{"geluGrad", func(m Map[float32], y, a, b, c []float32) { m.GeluGrad(y, a, b) }, 1e-6},
	{"geluTanhGrad", func(m Map[float32], y, a, b, c []float32) { m.GeluTanhGrad(y, a, b) }, 1e-6},
	{"add", func(m Map[float32], y, a, b, c []float32) { m.Add(y, a, b) }, 0},
	{"sub", func(m Map[float32], y, a, b, c []float32) { m.Sub(y, a, b) }, 0},
	{"mul", func(m Map[float32], y, a, b, c []float32) { m.Mul(y, a, b) }, 0},
	{"div", func(m Map[float32], y, a, b, c []float32) { m.Div(y, a, b) }, 0},
	{"max", func(m Map[float32], y, a, b, c []float32) { m.Max(y, a, b) }, 0},
	{"min", func(m Map[float32], y, a, b, c []float32) { m.Min(y, a, b) }, 0},
	{"eq", func(m Map[float32], y, a, b, c []float32) { m.Eq(y, a, b) }, 0},
	{"lt", func(m Map[float32], y, a, b, c []float32) { m.Lt(y, a, b) }, 0},
	{"uniform", func(m Map[float32], y, a, b, c []float32) { m.Uniform(y, bitsOf(b)) }, 0},
	{"dropout", func(m Map[float32], y, a, b, c []float32) { m.Dropout(y, a, bitsOf(b), 0x3f0000, 1.5) }, 0},
	{"where", func(m Map[float32], y, a, b, c []float32) { m.Where(y, a, b, c) }, 0},
	{"centre", func(m Map[float32], y, a, b, c []float32) { m.Centre(y, a, 1.5, 0.25) }, 0},
	{"softmaxGrad", func(m Map[float32], y, a, b, c []float32) { m.SoftmaxGrad(y, a, b, 0.3) }, 0},
	{"logSoftmaxGrad", func(m Map[float32], y, a, b, c []float32) { m.LogSoftmaxGrad(y, a, b, 0.3) }, 5e-7},
}

// fillRandom fills x with numbers of several sizes, and now and then a special one, or a repeated one.
func fillRandom(r *rand.Rand, x []float32) {
	s := specials()
	for i := range x {
		switch k := r.IntN(40); {
		case k < 2:
			x[i] = s[r.IntN(len(s))]
		case k < 6:
			x[i] = float32(r.IntN(3) - 1)
		default:
			x[i] = float32(r.NormFloat64() * math.Exp2(float64(r.IntN(8)-3)))
		}
	}
}

// same asks that got is want but for tol of it, of scale, or of 1. Infinities and NaN are in the same places, where tol is 0
// or scale is finite: infinity times a subnormal number is not what it is times 0.
func same(t testing.TB, want, got, scale []float32, tol float64, what string) {
	t.Helper()
	for i, w := range want {
		g := got[i]
		if g == w || g != g && w != w || tol > 0 && math.IsInf(float64(scale[i]), 0) {
			continue
		}
		if d := math.Abs(float64(g) - float64(w)); !(d <= tol*max(1, math.Abs(float64(w)), math.Abs(float64(scale[i])))) {
			require.Failf(t, "too far", "%s, element %d: want %v, got %v", what, i, w, g)
		}
	}
}

// checkMap holds a kernel against its twin on n elements between pages without access, and its elements, each taken by
// itself, against those.
func checkMap(t testing.TB, l Level, k mapCase, r *rand.Rand, n int) {
	what := fmt.Sprintf("%s of %d at %s", k.name, n, l)
	var end, start [4][]float32
	for i := range end {
		end[i], start[i] = guarded(t, n)
		fillRandom(r, end[i])
		copy(start[i], end[i])
	}
	want := make([]float32, n)
	m := Map[float32]{Level: l}
	k.run(Map[float32]{}, want, end[1], end[2], end[3])
	for _, x := range [][4][]float32{end, start} {
		m.Stream = !m.Stream
		k.run(m, x[0], x[1], x[2], x[3])
		same(t, want, x[0], x[1], k.tol, what)
	}
	require.Equal(t, bitsOf(end[0]), bitsOf(start[0]), "%s: other bits at another place", what)
	one := make([]float32, 1)
	for i := 0; i < n; i += 1 + n/20 {
		k.run(m, one, end[1][i:i+1], end[2][i:i+1], end[3][i:i+1])
		require.Equal(t, bitsOf(end[0][i:i+1]), bitsOf(one), "%s: element %d has other bits alone", what, i)
	}
	copy(start[0], start[1])
	k.run(m, start[0], start[0], start[2], start[3])
	require.Equal(t, bitsOf(end[0]), bitsOf(start[0]), "%s: other bits in place", what)
}

func bitsOf(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}

func TestMap(t *testing.T) {
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for _, k := range mapCases {
			for _, n := range []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 200, 1000} {
				checkMap(t, l, k, r, n)
			}
		}
	}
}

func FuzzMap(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint16(24))
	f.Add(uint64(218), uint8(144), uint16(170)) // the largest number times a derivative of 0
	f.Fuzz(func(t *testing.T, seed uint64, kernel uint8, n uint16) {
		for _, l := range levels() {
			checkMap(t, l, mapCases[int(kernel)%len(mapCases)], rand.New(rand.NewPCG(seed, 2)), int(n)%600)
		}
	})
}

// checkFold holds all folds against plain loops on n elements between pages without access.
func checkFold(t testing.TB, l Level, r *rand.Rand, n int) {
	what := fmt.Sprintf("%d at %s", n, l)
	x, x2 := guarded(t, n)
	y, y2 := guarded(t, n)
	e, e2 := guarded(t, n)
	for i := range x {
		x[i], y[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
	}
	for try := range 3 {
		copy(x2, x)
		copy(y2, y)
		for i, s := range [][3][]float32{{x, y, e}, {x2, y2, e2}} {
			what := fmt.Sprintf("%s, try %d, %d", what, try, i)
			m, a := Largest(Generic, s[0]), MaxAbs(Generic, s[0])
			same(t, []float32{m, a}, []float32{Largest(l, s[0]), MaxAbs(l, s[0])}, make([]float32, 2), 0, what)
			if m != m || math.IsInf(float64(a), 0) {
				continue
			}
			require.InDelta(t, Sum(Generic, s[0]), Sum(l, s[0]), 1e-12*float64(n)*float64(a), what)
			require.InDelta(t, Dot(Generic, s[0], s[1]), Dot(l, s[0], s[1]), 1e-12*float64(n)*float64(a), what)
			want := make([]float32, n)
			sum := ExpSum(Generic, want, s[0], m)
			require.InEpsilon(t, 1+sum, 1+ExpSum(l, s[2], s[0], m), 3e-7, what) // errors of e^x
			require.Equal(t, ExpSum(l, s[2], s[0], m), ExpSum(l, nil, s[0], m), what)
			same(t, want, s[2], want, 3e-7, what)
		}
		if n > 0 { // more and more special ones
			x[r.IntN(n)] = specials()[r.IntN(len(specials()))]
		}
	}
	require.Equal(t, bitsOf(e), bitsOf(e2), what)
}

func TestFold(t *testing.T) {
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 140 {
			checkFold(t, l, r, n)
		}
		checkFold(t, l, r, 3000)
	}
	nan := float32(math.NaN())
	for _, l := range allLevels() {
		require.True(t, math.IsNaN(float64(Largest(l, []float32{1, nan, 2}))), l)
		require.True(t, math.IsNaN(float64(MaxAbs(l, []float32{1, float32(math.Copysign(float64(nan), -1)), 2}))), l)
		require.Equal(t, float32(math.Inf(-1)), Largest[float32](l, nil), l)
		require.Equal(t, float32(-3), Largest(l, []float32{-4, -3, -5}), l)
	}
}

func FuzzFold(f *testing.F) {
	f.Add(uint64(1), uint16(24))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		for _, l := range levels() {
			checkFold(t, l, rand.New(rand.NewPCG(seed, 2)), int(n)%600)
		}
	})
}
