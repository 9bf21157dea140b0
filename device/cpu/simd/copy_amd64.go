package simd

//go:noescape
func copyRows_avx512(dst, src *float32, n, size, dstStride, srcStride int)

//go:noescape
func copyRows_avx2(dst, src *float32, n, size, dstStride, srcStride int)

func copyRows32(l Level, dst, src *float32, n, size, dstStride, srcStride int) bool {
	switch l {
	case AVX512:
		copyRows_avx512(dst, src, n, size, dstStride, srcStride)
	case AVX2:
		copyRows_avx2(dst, src, n, size, dstStride, srcStride)
	default:
		return false
	}
	return true
}
