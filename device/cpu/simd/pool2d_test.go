package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func asInts(x []float32) []int32 { return unsafe.Slice((*int32)(unsafe.Pointer(&x[0])), len(x)) }

// checkPool holds the kernels of pooling against their twins: n windows of kh x kw taps, sw apart, over c channels.
func checkPool(t *testing.T, l Level, n, kh, kw, sw, c, gap int, atEnd bool) {
	r := rand.New(rand.NewPCG(uint64(n*kh*kw), uint64(c)))
	pixel := c + gap
	width := (n-1)*sw + kw
	w := Windows{
		N: n, C: c, YStep: c + gap/2, XStep: sw * pixel,
		TapsH: kh, TapsW: kw, StepH: width * pixel, StepW: pixel,
		Place: r.IntN(1000), PlaceStep: sw, PlaceH: width, PlaceW: 1,
	}
	what := fmt.Sprintf("%s: %+v", l, w)
	extentX, extentY := (kh*width-1)*pixel+c, (n-1)*w.YStep+c
	x := fenced(t, r, extentX, atEnd)
	for i := range x {
		switch x[i] = float32(int(2 * x[i])); r.IntN(20) { // equals are common
		case 0:
			x[i] = float32(math.NaN())
		case 1:
			x[i] = float32(math.Inf(-1))
		}
	}
	index := func() []int32 {
		raw := fenced(t, r, n*c, atEnd)
		s := make([]int32, len(raw)) // of another type, as guarded as raw
		if len(raw) > 0 {
			s = asInts(raw)
		}
		for i := range s {
			s[i] = -7
		}
		return s
	}
	y, z := fenced(t, r, extentY, atEnd), make([]float32, extentY)
	at, want := index(), make([]int32, n*c)
	copy(z, y)
	MaxPool(Generic, z, want, x, &w)
	MaxPool(l, y, at, x, &w)
	close32(t, z, y, 0, what)
	require.Equal(t, want, append([]int32{}, at...), what)
	y2 := fenced(t, r, extentY, atEnd)
	copy(y2, z) // also what lies between pixels
	MaxPool(l, y2, nil, x, &w)
	close32(t, z, y2, 0, what)

	dy := fenced(t, r, extentY, atEnd)
	dx, dz := fenced(t, r, extentX, atEnd), make([]float32, extentX)
	for _, add := range []bool{true, false} {
		if !add && sw < kw {
			continue
		}
		for _, stream := range []bool{false, true} {
			copy(dz, dx)
			MaxPoolGrad(Generic, dz, dy, want, &w, add, false)
			MaxPoolGrad(l, dx, dy, at, &w, add, stream)
			close32(t, dz, dx, 0, what)
			AvgPoolGrad(Generic, dz, dy, &w, 0.3, add, false)
			AvgPoolGrad(l, dx, dy, &w, 0.3, add, stream)
			close32(t, dz, dx, 0, what)
		}
	}
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	copy(z, y)
	AvgPool(Generic, z, x, &w, 0.3)
	AvgPool(l, y, x, &w, 0.3)
	close32(t, z, y, 0, what)
	Fence(l)
}

func TestPool(t *testing.T) {
	for _, l := range levels() {
		for c := 1; c < 140; c++ {
			checkPool(t, l, 1+c%4, 1+c%3, 1+c%5, 1+c%6, c, c%7, c%2 == 0)
		}
		checkPool(t, l, 3, 2, 2, 2, 64, 0, false)
		AvgPool[float32](l, nil, nil, &Windows{}, 1)
		require.Panics(t, func() {
			AvgPool(l, make([]float32, 3), make([]float32, 7), &Windows{N: 1, C: 4, TapsH: 1, TapsW: 2, StepW: 4}, 1)
		})
	}
}

func FuzzPool(f *testing.F) {
	f.Add(uint8(3), uint8(2), uint8(2), uint8(2), uint8(20), uint8(0), true)
	f.Fuzz(func(t *testing.T, n, kh, kw, sw, c, gap uint8, atEnd bool) {
		for _, l := range levels() {
			checkPool(t, l, 1+int(n)%9, 1+int(kh)%5, 1+int(kw)%5, 1+int(sw)%6, 1+int(c), int(gap)%40, atEnd)
		}
	})
}

// BenchmarkPool tells GB/s of what lies in the second cache: of x, with 2 x 2 taps.
func BenchmarkPool(b *testing.B) {
	for _, l := range append([]Level{Generic}, levels()...) {
		for _, c := range []int{6, 24, 64, 256} {
			n := 16384 / c
			x, y, at := make([]float32, 4*n*c), make([]float32, n*c), make([]int32, n*c)
			w := Windows{N: n, C: c, YStep: c, XStep: 2 * c, TapsH: 2, TapsW: 2, StepH: 2 * n * c, StepW: c, PlaceStep: 2, PlaceH: 2 * n, PlaceW: 1}
			for _, k := range []struct {
				name string
				run  func()
			}{
				{"max", func() { MaxPool(l, y, at, x, &w) }},
				{"maxgrad", func() { MaxPoolGrad(l, x, y, at, &w, false, false) }},
				{"avg", func() { AvgPool(l, y, x, &w, 0.25) }},
				{"avggrad", func() { AvgPoolGrad(l, x, y, &w, 0.25, false, false) }},
			} {
				b.Run(fmt.Sprintf("%s/%s/%d", l, k.name, c), func(b *testing.B) {
					b.ReportMetric(float64(4*len(x))/fastest(b, k.run).Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
