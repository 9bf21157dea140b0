package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// checkHalf converts n elements there and back between pages without access, and each by itself: the same bits.
func checkHalf(t testing.TB, l Level, r *rand.Rand, n int) {
	from := []func(Level, []float32, []uint16) bool{FromF16, FromBF16}
	to := []func(Level, []uint16, []float32) bool{ToF16, ToBF16}
	for k := range from {
		w, w2 := guarded(t, n)
		h, h2 := guarded(t, (n+1)/2)
		a, b := shorts(h, n, true), shorts(h2, n, false)
		for i := range w {
			w[i] = float32(r.NormFloat64())
			w2[i] = w[i]
		}
		require.True(t, to[k](l, a, w))
		require.True(t, to[k](l, b, w2))
		require.Equal(t, a, b)
		one := make([]uint16, 1)
		for i := range a {
			require.True(t, to[k](l, one, w[i:i+1]))
			require.Equal(t, one[0], a[i])
		}
		require.True(t, from[k](l, w, a))
		require.True(t, from[k](l, w2, b))
		require.Equal(t, bitsOf(w), bitsOf(w2))
		require.True(t, to[k](l, b, w))
		require.Equal(t, a, b, "what 16 bits can hold comes back")
	}
}

// shorts is the first or the last n numbers of 16 bits of x.
func shorts(x []float32, n int, last bool) []uint16 {
	if n == 0 {
		return nil
	}
	all := unsafe.Slice((*uint16)(unsafe.Pointer(&x[0])), 2*len(x))
	if last {
		return all[len(all)-n:]
	}
	return all[:n]
}

func TestHalf(t *testing.T) {
	require.False(t, FromF16(Generic, nil, nil))
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 70 {
			checkHalf(t, l, r, n)
		}
	}
}

func FuzzHalf(f *testing.F) {
	f.Add(uint64(1), uint16(24))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		for _, l := range levels() {
			checkHalf(t, l, rand.New(rand.NewPCG(seed, 2)), int(n)%300)
		}
	})
}

func BenchmarkHalf(b *testing.B) {
	const n = 4096
	w, h := make([]float32, n), make([]uint16, n)
	for _, l := range levels() {
		for name, f := range map[string]func(){
			"fromf16": func() { FromF16(l, w, h) }, "frombf16": func() { FromBF16(l, w, h) }, "tof16": func() { ToF16(l, h, w) }, "tobf16": func() { ToBF16(l, h, w) },
		} {
			b.Run(fmt.Sprintf("%s/%s", l, name), func(b *testing.B) {
				b.ReportMetric(float64(fastest(b, f).Nanoseconds())/n, "ns/element")
			})
		}
	}
}
