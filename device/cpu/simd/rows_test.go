package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func checkSumRows(t testing.TB, l Level, r *rand.Rand, rows, c, gap int) {
	n := rowsOf(rows, c, c+gap)
	x, x2 := guarded(t, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	copy(x2, x)
	wide := func(s []float32) []float64 { // sums between pages without access, too
		if c == 0 {
			return nil
		}
		return unsafe.Slice((*float64)(unsafe.Pointer(&s[0])), c)
	}
	s, s2 := guarded(t, 2*c)
	want := make([]float64, c)
	for j := range want {
		want[j] = float64(j)
		wide(s)[j], wide(s2)[j] = float64(j), float64(j)
	}
	SumRows(Generic, want, x, rows, c+gap)
	for i, sum := range [][]float64{wide(s), wide(s2)} {
		SumRows(l, sum, [][]float32{x, x2}[i], rows, c+gap)
		for j := range want {
			require.Equal(t, math.Float64bits(want[j]), math.Float64bits(sum[j]), "%s: %d rows of %d, column %d", l, rows, c, j)
		}
	}
}

func TestSumRows(t *testing.T) {
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for c := range 80 {
			checkSumRows(t, l, r, c%5, c, c%3)
		}
	}
}

func FuzzSumRows(f *testing.F) {
	f.Add(uint8(3), uint16(24), uint8(1))
	f.Fuzz(func(t *testing.T, rows uint8, c uint16, gap uint8) {
		for _, l := range levels() {
			checkSumRows(t, l, rand.New(rand.NewPCG(1, 2)), int(rows), int(c)%300, int(gap)%20)
		}
	})
}

func BenchmarkSumRows(b *testing.B) {
	for _, l := range allLevels() {
		for _, c := range []int{10, 20, 50, 64, 500} {
			rows := 16384 / c
			x, sum := make([]float32, rows*c), make([]float64, c)
			b.Run(fmt.Sprintf("%s/%d", l, c), func(b *testing.B) {
				b.ReportMetric(4*float64(len(x))/fastest(b, func() { SumRows(l, sum, x, rows, c) }).Seconds()/1e9, "GB/s")
			})
		}
	}
}
