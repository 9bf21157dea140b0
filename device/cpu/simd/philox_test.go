package simd

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func checkPhilox(t testing.TB, l Level, r *rand.Rand, n int) {
	c := [4]uint32{r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32()}
	if r.IntN(2) == 0 {
		c[0] = -uint32(r.IntN(40)) // counters pass 2^32
	}
	key := [2]uint32{r.Uint32(), r.Uint32()}
	a, b := guarded(t, n)
	want := make([]uint32, n)
	Philox(Generic, want, c, key)
	for _, x := range [][]float32{a, b} {
		if n == 0 {
			continue
		}
		got := unsafe.Slice((*uint32)(unsafe.Pointer(&x[0])), n)
		Philox(l, got, c, key)
		require.Equal(t, want, append([]uint32{}, got...), "%s: %d words", l, n)
	}
}

func TestPhilox(t *testing.T) {
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 140 {
			checkPhilox(t, l, r, n)
		}
	}
}

func FuzzPhilox(f *testing.F) {
	f.Add(uint64(1), uint16(24))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		for _, l := range levels() {
			checkPhilox(t, l, rand.New(rand.NewPCG(seed, 2)), int(n)%600)
		}
	})
}

func BenchmarkPhilox(b *testing.B) {
	out := make([]uint32, 4096)
	for _, l := range allLevels() {
		b.Run(l.String(), func(b *testing.B) {
			b.ReportMetric(float64(fastest(b, func() { Philox(l, out, [4]uint32{1}, [2]uint32{2, 3}) }).Nanoseconds())/4096, "ns/word")
		})
	}
}
