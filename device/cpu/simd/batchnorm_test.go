package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// fenced is n random numbers with no access behind them, or before them.
func fenced(t testing.TB, r *rand.Rand, n int, atEnd bool) []float32 {
	end, start := guarded(t, n)
	x := start
	if atEnd {
		x = end
	}
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// rowsOf is the extent of rows of c elements.
func rowsOf(rows, c, stride int) int {
	if rows == 0 {
		return 0
	}
	return (rows-1)*stride + c
}

// checkNorm holds all kernels of batch norm against their twins.
func checkNorm(t *testing.T, l Level, rows, c, gap int, atEnd, stream bool) {
	r := rand.New(rand.NewPCG(uint64(rows), uint64(c)))
	what := fmt.Sprintf("%s: %d rows of %d, gap %d", l, rows, c, gap)
	sx, sy := c+gap, c+gap/2
	x, dy := fenced(t, r, rowsOf(rows, c, sx), atEnd), fenced(t, r, rowsOf(rows, c, sy), atEnd)
	mean, k, a, b := fenced(t, r, c, atEnd), fenced(t, r, c, atEnd), fenced(t, r, c, atEnd), fenced(t, r, c, atEnd)
	if len(x) > 0 {
		x[r.IntN(len(x))] = float32(math.NaN())
	}
	sums := func(l Level) [4][]float64 {
		var s [4][]float64
		for i := range s {
			s[i] = make([]float64, c)
			for j := range s[i] {
				s[i][j] = float64(i + j)
			}
		}
		ChannelSums(l, s[0], s[1], x, mean, rows, sx)
		GradSums(l, s[2], s[3], dy, x, mean, rows, sy, sx)
		return s
	}
	want, got := sums(Generic), sums(l)
	for i := range want {
		// float32 sums of up to 32 squares of order 1 to 10, each with another rounding
		close64(t, want[i], got[i], 1e-5*float64(1+rows), what)
	}
	y, z := fenced(t, r, rowsOf(rows, c, sy), atEnd), make([]float32, rowsOf(rows, c, sy))
	for _, relu := range []bool{false, true} {
		copy(z, y)
		Normalise(Generic, z, x, mean, k, a, rows, sy, sx, relu, false)
		Normalise(l, y, x, mean, k, a, rows, sy, sx, relu, stream)
		close32(t, z, y, 1e-5, what)
	}
	copy(z, y)
	NormaliseGrad(Generic, z, dy, x, mean, k, a, b, rows, sy, sy, sx, false)
	NormaliseGrad(l, y, dy, x, mean, k, a, b, rows, sy, sy, sx, stream)
	close32(t, z, y, 1e-5, what)
}

// close64 asks for numbers within tol, and for NaN in the same places.
func close64(t testing.TB, want, got []float64, tol float64, what string) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		if g := got[i]; w != g && !(math.Abs(w-g) <= tol) && (w == w || g == g) {
			require.Failf(t, "too far", "%s, element %d: want %v, got %v", what, i, w, g)
		}
	}
}

func close32(t testing.TB, want, got []float32, tol float64, what string) {
	t.Helper()
	w, g := make([]float64, len(want)), make([]float64, len(got))
	for i, v := range want {
		w[i] = float64(v)
	}
	for i, v := range got {
		g[i] = float64(v)
	}
	close64(t, w, g, tol, what)
}

func TestNormalise(t *testing.T) {
	for _, l := range levels() {
		for c := 1; c < 140; c++ {
			for _, rows := range []int{0, 1, 2, 33} {
				checkNorm(t, l, rows, c, c%4, c%2 == 0, c%3 == 0)
			}
		}
		checkNorm(t, l, 100, 64, 0, false, true)
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add(uint8(3), uint16(24), uint8(1), true, false)
	f.Fuzz(func(t *testing.T, rows uint8, c uint16, gap uint8, atEnd, stream bool) {
		for _, l := range levels() {
			checkNorm(t, l, int(rows), 1+int(c)%300, int(gap)%20, atEnd, stream)
		}
	})
}

func TestLongRow(t *testing.T) {
	require.Equal(t, 1, Generic.LongRow(3))
	for _, l := range levels() {
		for c := 1; c < 3000; c++ {
			n := l.LongRow(c)
			require.True(t, n == 1 || n*c <= 2048 && n*c%(l.Panel()/2) == 0, "%s %d: %d", l, c, n)
		}
		require.Equal(t, l.Panel()*2, 16*l.LongRow(16))
	}
}

// BenchmarkNormalise tells GB/s of what lies in the second cache.
func BenchmarkNormalise(b *testing.B) {
	const size = 1 << 15
	x, dy, y := make([]float32, size), make([]float32, size), make([]float32, size)
	for _, l := range append([]Level{Generic}, levels()...) {
		for _, c := range []int{24, 64, 256} {
			rows := size / c
			p := make([]float32, c)
			s, q := make([]float64, c), make([]float64, c)
			for _, k := range []struct {
				name    string
				touches int
				run     func()
			}{
				{"sums", 1, func() { ChannelSums(l, s, q, x, p, rows, c) }},
				{"apply", 2, func() { Normalise(l, y, x, p, p, p, rows, c, c, true, false) }},
				{"gradsums", 2, func() { GradSums(l, s, q, dy, x, p, rows, c, c) }},
				{"grad", 3, func() { NormaliseGrad(l, y, dy, x, p, p, p, p, rows, c, c, c, false) }},
			} {
				b.Run(fmt.Sprintf("%s/%s/%d", l, k.name, c), func(b *testing.B) {
					b.ReportMetric(float64(k.touches*rows*c*4)/fastest(b, k.run).Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
