package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for rows := range 26 {
		for cols := range 26 {
			if rows == 0 || cols == 0 {
				Transpose[float32](Active(), nil, nil, rows, cols, 1, 1)
				continue
			}
			ss, ds := cols+r.IntN(3), rows+r.IntN(3)
			src := random(r, (rows-1)*ss+cols)
			want, got := make([]float32, (cols-1)*ds+rows), make([]float32, (cols-1)*ds+rows)
			Transpose(Generic, want, src, rows, cols, ds, ss)
			require.Equal(t, src[(rows-1)*ss], want[rows-1])
			for _, l := range levels() {
				clear(got)
				Transpose(l, got, src, rows, cols, ds, ss)
				require.Equal(t, want, got, "%s: %d x %d", l, rows, cols)
			}
		}
	}
}

// FuzzTranspose places both matrices against pages without access.
func FuzzTranspose(f *testing.F) {
	f.Add(uint8(8), uint8(17), uint8(0), uint8(3), true)
	f.Add(uint8(1), uint8(64), uint8(2), uint8(0), false)
	f.Fuzz(func(t *testing.T, rows, cols, wideS, wideD uint8, atEnd bool) {
		n, m := 1+int(rows)%70, 1+int(cols)%70
		ss, ds := m+int(wideS)%9, n+int(wideD)%9
		src, src2 := guarded(t, (n-1)*ss+m)
		dst, dst2 := guarded(t, (m-1)*ds+n)
		if !atEnd {
			src, dst = src2, dst2
		}
		copy(src, random(rand.New(rand.NewPCG(5, uint64(rows))), len(src)))
		want := make([]float32, len(dst))
		Transpose(Generic, want, src, n, m, ds, ss)
		for _, l := range levels() {
			clear(dst)
			Transpose(l, dst, src, n, m, ds, ss)
			require.Equal(t, want, dst)
		}
	})
}

func BenchmarkTranspose(b *testing.B) {
	for _, n := range []int{32, 256} {
		b.Run(fmt.Sprintf("32x%d", n), func(b *testing.B) {
			src, dst := make([]float32, 32*n), make([]float32, 32*n)
			best := time.Hour
			for b.Loop() {
				start := time.Now()
				for range 8 {
					Transpose(Active(), dst, src, 32, n, 32, n)
				}
				best = min(best, time.Since(start))
			}
			b.ReportMetric(best.Seconds()*1e9/float64(8*32*n), "ns/element")
		})
	}
}
