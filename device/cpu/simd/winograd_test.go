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
		bias := fenced(t, r, c, atEnd)
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
			if wideTo%2 == 0 {
				tiles.Bias = bias
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
				for i, v := range want {
					same := v == got[i] || v != v && got[i] != got[i] || math.Abs(float64(v-got[i])) < 1e-4 // at most 36 products up to 64
					require.True(t, same, "%s, transform %d, element %d: %v, not %v", l, w, i, got[i], v)
				}
			}
		}
	})
}

// A convolution by the transforms is the sum of its taps, and their gradients are its gradients.
func TestWinogradConvolves(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		x := make([]float32, n*n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	for _, s := range []struct {
		m, r                                   int
		data, result, grad, filter, filterGrad Transform
	}{
		{2, 3, WinogradData4, WinogradResult23, WinogradGrad23, WinogradFilter23, WinogradFilterGrad23},
		{4, 3, WinogradData6, WinogradResult43, WinogradGrad43, WinogradFilter43, WinogradFilterGrad43},
		{2, 5, WinogradData6, WinogradResult25, WinogradGrad25, WinogradFilter25, WinogradFilterGrad25},
	} {
		size := s.m + s.r - 1
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
		d, g, dy := random(size), random(s.r), random(s.m)
		y, dg := make([]float32, s.m*s.m), make([]float32, s.r*s.r)
		for i := range y {
			for k := range dg {
				x := d[(i/s.m+k/s.r)*size+i%s.m+k%s.r]
				y[i] += x * g[k]
				dg[k] += x * dy[i]
			}
		}
		data := do(s.data, d, size, size)
		// Sums of up to 25 products of order 1 in another order; those of tiles of 6 have terms up to a hundred.
		tol := map[int]float64{4: 5e-6, 6: 2e-4}[size]
		assert.InDeltaSlice(t, y, do(s.result, times(do(s.filter, g, s.r, size), data), size, s.m), tol)
		assert.InDeltaSlice(t, dg, do(s.filterGrad, times(do(s.grad, dy, s.m, size), data), size, s.r), tol)
	}
}

func TestWinogradChecks(t *testing.T) {
	x, y := make([]float32, 16), make([]float32, 16)
	tiles := Tiles{N: 1, C: 1, To: Steps{Row: 4, Col: 1}, From: Steps{At: 1, Row: 4, Col: 1}}
	assert.Panics(t, func() { Winograd(Active(), WinogradData4, y, x, &tiles) })
	tiles.From.At, tiles.To.Next, tiles.N = 0, -1, 2
	assert.Panics(t, func() { Winograd(Active(), WinogradData4, y, x, &tiles) })
	assert.NotPanics(t, func() { Winograd(Active(), WinogradData4, nil, nil, &Tiles{}) })
}
