//go:build !linux

package simd

import "testing"

// guarded is two slices of n elements; only on Linux there is no access around them.
func guarded(_ testing.TB, n int) (atEnd, atStart []float32) {
	return make([]float32, n), make([]float32, n)
}
