package simd

//go:noescape
func tile_pairs_avx512(t *Tile[float32])

//go:noescape
func tile_pairs_avx2(t *Tile[float32])

//go:noescape
func pairRows_avx512(dst, src *float32, n, size, dstStride, srcStride int)

//go:noescape
func pairRows_avx2(dst, src *float32, n, size, dstStride, srcStride int)

//go:noescape
func zipRows_avx512(dst, a, b *float32, n, size, dstStride, srcStride int)

//go:noescape
func zipRows_avx2(dst, a, b *float32, n, size, dstStride, srcStride int)

//go:noescape
func splitRows_avx512(dst, src *float32, n, size, dstStride, srcStride, plane int)

//go:noescape
func zipSplitRows_avx512(dst, a, b *float32, n, size, dstStride, srcStride, plane int)

// tilePairs runs t, of Pairs, on the vector kernels of l, if there are any.
func tilePairs(t *Tile[float32], l Level) bool {
	switch {
	case l == AVX512 && dots:
		tile_pairs_avx512(t)
	case l == AVX2:
		tile_pairs_avx2(t)
	default:
		return false
	}
	return true
}

func pairRows32(l Level, dst, src *float32, n, size, dstStride, srcStride int) bool {
	switch {
	case l == AVX512 && dots:
		pairRows_avx512(dst, src, n, size, dstStride, srcStride)
	case l == AVX2:
		pairRows_avx2(dst, src, n, size, dstStride, srcStride)
	default:
		return false
	}
	return true
}

func zipRows32(l Level, dst, a, b *float32, n, size, dstStride, srcStride int) bool {
	switch {
	case l == AVX512 && dots:
		zipRows_avx512(dst, a, b, n, size, dstStride, srcStride)
	case l == AVX2:
		zipRows_avx2(dst, a, b, n, size, dstStride, srcStride)
	default:
		return false
	}
	return true
}

func splitRows32(l Level, dst, src *float32, n, size, dstStride, srcStride, plane int) bool {
	if l != AVX512 || !dots {
		return false
	}
	splitRows_avx512(dst, src, n, size, dstStride, srcStride, plane)
	return true
}

func zipSplitRows32(l Level, dst, a, b *float32, n, size, dstStride, srcStride, plane int) bool {
	if l != AVX512 || !dots {
		return false
	}
	zipSplitRows_avx512(dst, a, b, n, size, dstStride, srcStride, plane)
	return true
}
