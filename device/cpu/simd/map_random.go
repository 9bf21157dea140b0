package simd

import "unsafe"

// Uniform is u/2^24 of the upper 24 bits u of random words: from 0 to below 1, and exact.
func (m Map[T]) Uniform(y []T, words []uint32) {
	if m.run(kernelUniform, len(y), 0, 0, y, bitsAs[T](words)) {
		return
	}
	for i, w := range words[:len(y)] {
		y[i] = T(w>>8) * (1.0 / (1 << 24))
	}
}

// Dropout is 0 where the upper 24 bits of a random word are below limit, else x scale. limit is at most 2^24.
func (m Map[T]) Dropout(y, x []T, words []uint32, limit uint32, scale T) {
	if m.run(kernelDropout, len(y), scale, T(limit), y, x, bitsAs[T](words)) {
		return
	}
	x, words = x[:len(y)], words[:len(y)]
	for i, v := range x {
		pair := [2]T{v * scale, 0} // chosen by an index: a branch on random bits is missed half of the time
		y[i] = pair[(words[i]>>8-limit)>>31]
	}
}

// bitsAs is x for a kernel, which knows only float32.
func bitsAs[T Float](x []uint32) []T {
	if !is32[T]() {
		return nil
	}
	return *(*[]T)(unsafe.Pointer(&x))
}
