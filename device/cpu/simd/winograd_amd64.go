package simd

//go:noescape
func winogradData4_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradData4_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradResult23_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradResult23_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradGrad23_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradGrad23_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilter23_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilter23_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilterGrad23_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilterGrad23_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradData6_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradData6_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradResult43_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradResult43_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradGrad43_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradGrad43_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilter43_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilter43_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilterGrad43_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilterGrad43_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradResult25_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradResult25_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradGrad25_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradGrad25_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilter25_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilter25_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilterGrad25_avx512(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

//go:noescape
func winogradFilterGrad25_avx2(dst, src *float32, n, c, dstNext, dstCol, dstSkip, srcNext, srcRow, srcCol, low int, bias *float32)

// winograd32 runs a transform to rows x rows pixels on the vector kernels of l, if there are any.
func winograd32(l Level, w Transform, dst, src *float32, t *Tiles, rows, low int, bias *float32) bool {
	if l == Generic {
		return false
	}
	n, c, next, col, skip := t.N, t.C, 4*t.To.Next, 4*t.To.Col, 4*(t.To.Row-rows*t.To.Col)
	from, srcRow, srcCol := 4*t.From.Next, 4*t.From.Row, 4*t.From.Col
	switch {
	case w == WinogradData4 && l == AVX512:
		winogradData4_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradData4 && l == AVX2:
		winogradData4_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradResult23 && l == AVX512:
		winogradResult23_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradResult23 && l == AVX2:
		winogradResult23_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradGrad23 && l == AVX512:
		winogradGrad23_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradGrad23 && l == AVX2:
		winogradGrad23_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilter23 && l == AVX512:
		winogradFilter23_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilter23 && l == AVX2:
		winogradFilter23_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilterGrad23 && l == AVX512:
		winogradFilterGrad23_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilterGrad23 && l == AVX2:
		winogradFilterGrad23_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradData6 && l == AVX512:
		winogradData6_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradData6 && l == AVX2:
		winogradData6_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradResult43 && l == AVX512:
		winogradResult43_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradResult43 && l == AVX2:
		winogradResult43_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradGrad43 && l == AVX512:
		winogradGrad43_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradGrad43 && l == AVX2:
		winogradGrad43_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilter43 && l == AVX512:
		winogradFilter43_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilter43 && l == AVX2:
		winogradFilter43_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilterGrad43 && l == AVX512:
		winogradFilterGrad43_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilterGrad43 && l == AVX2:
		winogradFilterGrad43_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradResult25 && l == AVX512:
		winogradResult25_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradResult25 && l == AVX2:
		winogradResult25_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradGrad25 && l == AVX512:
		winogradGrad25_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradGrad25 && l == AVX2:
		winogradGrad25_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilter25 && l == AVX512:
		winogradFilter25_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilter25 && l == AVX2:
		winogradFilter25_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilterGrad25 && l == AVX512:
		winogradFilterGrad25_avx512(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	case w == WinogradFilterGrad25 && l == AVX2:
		winogradFilterGrad25_avx2(dst, src, n, c, next, col, skip, from, srcRow, srcCol, low, bias)
	}
	return true
}
