package simd

//go:noescape
func winogradData_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradData_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradResult_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradResult_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradGrad_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradGrad_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradFilter_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradFilter_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradFilterGrad_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

//go:noescape
func winogradFilterGrad_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol int, low int)

// winograd32 runs a transform to rows x rows pixels on the vector kernels of l, if there are any.
func winograd32(l Level, w Transform, dst, src *float32, t *Tiles, rows, low int) bool {
	if l == Generic {
		return false
	}
	n, c, next, col, skip := t.N, t.C, 4*t.To.Next, 4*t.To.Col, 4*(t.To.Row-rows*t.To.Col)
	from, srcRow, srcCol := 4*t.From.Next, 4*t.From.Row, 4*t.From.Col
	switch {
	case w == WinogradData && l == AVX512:
		winogradData_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradData && l == AVX2:
		winogradData_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradResult && l == AVX512:
		winogradResult_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradResult && l == AVX2:
		winogradResult_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradGrad && l == AVX512:
		winogradGrad_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradGrad && l == AVX2:
		winogradGrad_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradFilter && l == AVX512:
		winogradFilter_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradFilter && l == AVX2:
		winogradFilter_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradFilterGrad && l == AVX512:
		winogradFilterGrad_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	case w == WinogradFilterGrad && l == AVX2:
		winogradFilterGrad_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low)
	}
	return true
}
