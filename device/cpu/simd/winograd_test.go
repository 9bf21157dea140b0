package simd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzWinograd compares the transforms with their definition, both operands against a page without access.
func FuzzWinograd(f *testing.F) {
	for c := range uint8(70) {
		f.Add(c, c%4, c%3, c%2, c%2 == 0, c%5 == 0)
	}
	f.Fuzz(func(t *testing.T, channels, many, wideTo, wideFrom uint8, atEnd, backward bool) {
		r := rand.New(rand.NewPCG(uint64(channels), uint64(many)))
		c, n := 1+int(channels), 1+int(many)%9
		for w, matrix := range winogradMatrix {
			to, from := len(matrix), len(matrix[0])
			pixelTo, pixelFrom := c+int(wideTo)%20, c+int(wideFrom)%20
			tiles := Tiles{N: n, C: c, Low: 0,
				To:   Steps{Next: pixelTo, Row: to * n * pixelTo, Col: n * pixelTo}, // grid by grid
				From: Steps{Next: from * pixelFrom, Row: n * from * pixelFrom, Col: pixelFrom}}
			src := fenced(t, r, (from*from*n-1)*pixelFrom+c, atEnd)
			if backward {
				tiles.From.At = (n*from*(from-1) + from - 1) * pixelFrom
				tiles.From.Row, tiles.From.Col = -tiles.From.Row, -tiles.From.Col
			}
			src[r.IntN(len(src))] = float32(math.NaN())
			src[r.IntN(len(src))] = float32(math.Inf(1))
			want := fenced(t, r, (to*to*n-1)*pixelTo+c, atEnd)
			start := append([]float32(nil), want...)
			Winograd(Generic, Transform(w), want, src, &tiles)
			for _, l := range levels() {
				got := fenced(t, r, len(want), atEnd)
				copy(got, start)
				Winograd(l, Transform(w), got, src, &tiles)
				for i := range want {
					if want[i] == want[i] || got[i] == got[i] {
						require.Equal(t, want[i], got[i], "%s, transform %d, element %d", l, w, i)
					}
				}
			}
		}
	})
}

// A convolution by the transforms is the sum of its taps, and their gradients are its gradients.
func TestWinogradConvolves(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	grid := func(n int) Steps { return Steps{Row: n, Col: 1} }
	do := func(w Transform, src []float32, from, to int) []float32 {
		dst := make([]float32, to*to)
		Winograd(Generic, w, dst, src, &Tiles{N: 1, C: 1, To: grid(to), From: grid(from), Low: float32(math.Inf(-1))})
		return dst
	}
	times := func(x, y []float32) []float32 {
		z := make([]float32, len(x))
		for i := range x {
			z[i] = x[i] * y[i]
		}
		return z
	}
	d, g, dy := random(16), random(9), random(4)
	y, dg := make([]float32, 4), make([]float32, 9)
	for i := range 4 {
		for k := range 9 {
			x := d[(i/2+k/3)*4+i%2+k%3]
			y[i] += x * g[k]
			dg[k] += x * dy[i]
		}
	}
	data := do(WinogradData, d, 4, 4)
	// Sums of nine products of order 1 in another order.
	assert.InDeltaSlice(t, y, do(WinogradResult, times(do(WinogradFilter, g, 3, 4), data), 4, 2), 5e-6)
	assert.InDeltaSlice(t, dg, do(WinogradFilterGrad, times(do(WinogradGrad, dy, 2, 4), data), 4, 3), 5e-6)
}

func TestWinogradChecks(t *testing.T) {
	x, y := make([]float32, 16), make([]float32, 16)
	tiles := Tiles{N: 1, C: 1, To: Steps{Row: 4, Col: 1}, From: Steps{At: 1, Row: 4, Col: 1}}
	assert.Panics(t, func() { Winograd(Active(), WinogradData, y, x, &tiles) })
	tiles.From.At, tiles.To.Next, tiles.N = 0, -1, 2
	assert.Panics(t, func() { Winograd(Active(), WinogradData, y, x, &tiles) })
	assert.NotPanics(t, func() { Winograd(Active(), WinogradData, nil, nil, &Tiles{}) })
}
