package simd

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDepthwise compares both kernels with their definitions, every operand against a page without access.
func FuzzDepthwise(f *testing.F) {
	for c := range uint8(70) {
		f.Add(c, c%5, c%3, c%2, c%2 == 0)
	}
	f.Fuzz(func(t *testing.T, channels, many, wideY, wideX uint8, atEnd bool) {
		r := rand.New(rand.NewPCG(uint64(channels), uint64(many)))
		c, rows := 1+int(channels), 1+int(many)%20
		ys, xs := c+int(wideY)%20, c+int(wideX)%20
		y, x, w := fenced(t, r, (rows-1)*ys+c, atEnd), fenced(t, r, (rows-1)*xs+c, atEnd), fenced(t, r, c, atEnd)
		for _, l := range levels() {
			want, got := append([]float32(nil), y...), fenced(t, r, len(y), atEnd)
			copy(got, y)
			DepthwiseAdd(Generic, want, x, w, rows, ys, xs)
			DepthwiseAdd(l, got, x, w, rows, ys, xs)
			require.InDeltaSlice(t, want, got, 1e-5) // one product of order 10, fused or not
			want, got = append([]float32(nil), w...), fenced(t, r, c, atEnd)
			copy(got, w)
			DepthwiseSum(Generic, want, x, y, rows, xs, ys)
			DepthwiseSum(l, got, x, y, rows, xs, ys)
			require.InDeltaSlice(t, want, got, 1e-4) // at most 20 products of order 10
		}
	})
}
