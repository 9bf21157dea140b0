package simd

//go:noescape
func depthwiseAdd_avx512(y, x, w *float32, rows, c, yStride, xStride int)

//go:noescape
func depthwiseAdd_avx2(y, x, w *float32, rows, c, yStride, xStride int)

func depthwiseAdd32(l Level, y, x, w *float32, rows, c, yStride, xStride int) bool {
	switch l {
	case AVX512:
		depthwiseAdd_avx512(y, x, w, rows, c, yStride, xStride)
	case AVX2:
		depthwiseAdd_avx2(y, x, w, rows, c, yStride, xStride)
	}
	return l != Generic
}

//go:noescape
func depthwiseSum_avx512(w, x, y *float32, rows, c, xStride, yStride int)

//go:noescape
func depthwiseSum_avx2(w, x, y *float32, rows, c, xStride, yStride int)

func depthwiseSum32(l Level, w, x, y *float32, rows, c, xStride, yStride int) bool {
	switch l {
	case AVX512:
		depthwiseSum_avx512(w, x, y, rows, c, xStride, yStride)
	case AVX2:
		depthwiseSum_avx2(w, x, y, rows, c, xStride, yStride)
	}
	return l != Generic
}
