package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCopyRows(t *testing.T) {
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for size := range 150 {
			for n := range 4 {
				checkCopyRows(t, l, r, n, size, size+r.IntN(3), size+r.IntN(3))
			}
		}
		checkCopyRows(t, l, r, 2, 3000, 3001, 3000)
		checkCopyRows(t, l, r, 3, 7, 7, 0) // the same row again and again
	}
}

func checkCopyRows(t *testing.T, l Level, r *rand.Rand, n, size, dstStride, srcStride int) {
	extent := func(stride int) int {
		if n == 0 {
			return 0
		}
		return (n-1)*stride + size
	}
	dst, dst2 := guarded(t, extent(dstStride))
	src, src2 := guarded(t, extent(srcStride))
	for i := range src {
		src[i] = float32(r.NormFloat64())
	}
	copy(src2, src)
	want := make([]float32, len(dst))
	CopyRows(Generic, want, src, n, size, dstStride, srcStride)
	CopyRows(l, dst, src, n, size, dstStride, srcStride)
	CopyRows(l, dst2, src2, n, size, dstStride, srcStride)
	require.Equal(t, want, append([]float32{}, dst...), "%s: %d rows of %d, %d and %d apart", l, n, size, dstStride, srcStride)
	require.Equal(t, want, append([]float32{}, dst2...), "%s: %d rows of %d, %d and %d apart", l, n, size, dstStride, srcStride)
}

func FuzzCopyRows(f *testing.F) {
	f.Add(uint8(3), uint16(24), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, n uint8, size uint16, dst, src uint8) {
		for _, l := range levels() {
			s := int(size) % 600
			checkCopyRows(t, l, rand.New(rand.NewPCG(1, 2)), int(n)%20, s, s+int(dst), s+int(src))
		}
	})
}

func BenchmarkCopyRows(b *testing.B) {
	for _, l := range append([]Level{Generic}, levels()...) {
		for _, size := range []int{3, 16, 24, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", l, size), func(b *testing.B) {
				n := 4096 / size // 16 KiB each
				dst, src := make([]float32, n*(size+32)), make([]float32, n*(size+32))
				best := fastest(b, func() { CopyRows(l, dst, src, n, size, size+8, size+32) })
				b.ReportMetric(4*float64(n*size)/best.Seconds()/1e9, "GB/s")
			})
		}
	}
}

// fastest is the time of the fastest of many runs of f: what f takes, whatever else the machine does.
func fastest(b *testing.B, f func()) time.Duration {
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		for range 8 {
			f()
		}
		best = min(best, time.Since(start))
	}
	return best / 8
}
