package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkMatVec compares with sums in float64. Each of k products and sums is rounded once, by 2^-24 of the largest that a
// partial sum can be.
func checkMatVec(t testing.TB, l Level, r *rand.Rand, rows, k, gap int) {
	ld := k + gap
	x, x2 := guarded(t, k)
	w, w2 := guarded(t, rowsOf(rows, k, ld))
	y, y2 := guarded(t, rows)
	copy(x, random(r, k))
	copy(w, random(r, len(w)))
	copy(x2, x)
	copy(w2, w)
	MatVec(l, y, w, x, ld)
	MatVec(l, y2, w2, x2, ld)
	for i := range rows {
		var want, size float64
		for j := range k {
			p := float64(w[i*ld+j]) * float64(x[j])
			want += p
			size += math.Abs(p)
		}
		require.InDelta(t, want, y[i], size*float64(k)*0x1p-24, "%s: %d x %d, row %d", l, rows, k, i)
	}
	require.Equal(t, y, y2)
}

func TestMatVec(t *testing.T) {
	for _, l := range allLevels() {
		r := rand.New(rand.NewPCG(1, 2))
		MatVec[float32](l, nil, nil, random(r, 3), 3)
		for rows := 1; rows < 10; rows++ {
			for k := 1; k < 50; k++ {
				checkMatVec(t, l, r, rows, k, k%3)
			}
		}
	}
}

func FuzzMatVec(f *testing.F) {
	f.Add(uint8(6), uint16(100), uint8(1))
	f.Fuzz(func(t *testing.T, rows uint8, k uint16, gap uint8) {
		for _, l := range allLevels() {
			checkMatVec(t, l, rand.New(rand.NewPCG(3, uint64(k))), 1+int(rows)%40, 1+int(k)%600, int(gap)%20)
		}
	})
}

func BenchmarkMatVec(b *testing.B) {
	for _, l := range allLevels() {
		for _, n := range []int{64, 1024} {
			w, x, y := make([]float32, n*n), make([]float32, n), make([]float32, n)
			b.Run(fmt.Sprintf("%s/%d", l, n), func(b *testing.B) {
				b.ReportMetric(4*float64(len(w))/fastest(b, func() { MatVec(l, y, w, x, n) }).Seconds()/1e9, "GB/s")
			})
		}
	}
}
