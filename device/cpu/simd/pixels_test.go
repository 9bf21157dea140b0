package simd

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// checkPixels asks for the same bits on all levels, of n pixels.
func checkPixels(t *testing.T, l Level, n, channels int, atEnd bool) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(channels)))
	scale, bias := random(r, channels), random(r, channels)
	size := n * channels
	words := fenced(t, r, (size+3)/4, atEnd)
	var x []byte
	if size > 0 {
		all := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 4*len(words))
		if x = all[:size]; atEnd {
			x = all[len(all)-size:]
		}
	}
	y, want := fenced(t, r, size, atEnd), make([]float32, size)
	Numbers(NewPixels(Generic, scale, bias), want, x)
	Numbers(NewPixels(l, scale, bias), y, x)
	require.Equal(t, want, append([]float32{}, y...), "%s: %d pixels of %d", l, n, channels)
	for i, b := range x {
		require.Equal(t, float32(float32(b)*scale[i%channels])+bias[i%channels], want[i])
	}
}

func TestPixels(t *testing.T) {
	for _, l := range levels() {
		for n := range 80 {
			checkPixels(t, l, n, 1+n%5, n%2 == 0)
		}
		checkPixels(t, l, 1000, 3, false)
	}
}

func FuzzPixels(f *testing.F) {
	f.Add(uint8(3), uint8(20), true)
	f.Fuzz(func(t *testing.T, n, channels uint8, atEnd bool) {
		for _, l := range levels() {
			checkPixels(t, l, int(n), 1+int(channels)%20, atEnd)
		}
	})
}

func BenchmarkPixels(b *testing.B) {
	x, y := make([]byte, 3072), make([]float32, 3072)
	for _, l := range append([]Level{Generic}, levels()...) {
		p := NewPixels(l, []float32{1, 2, 3}, []float32{4, 5, 6})
		b.Run(l.String(), func(b *testing.B) {
			b.ReportMetric(float64(len(x))/fastest(b, func() { Numbers(p, y, x) }).Seconds()/1e9, "Gelement/s")
		})
	}
}
