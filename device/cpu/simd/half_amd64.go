package simd

//go:noescape
func fromF16_avx512(wide *float32, narrow *uint16, n int)

//go:noescape
func fromF16_avx2(wide *float32, narrow *uint16, n int)

//go:noescape
func fromBF16_avx512(wide *float32, narrow *uint16, n int)

//go:noescape
func fromBF16_avx2(wide *float32, narrow *uint16, n int)

//go:noescape
func toF16_avx512(wide *float32, narrow *uint16, n int)

//go:noescape
func toF16_avx2(wide *float32, narrow *uint16, n int)

//go:noescape
func toBF16_avx512(wide *float32, narrow *uint16, n int)

//go:noescape
func toBF16_avx2(wide *float32, narrow *uint16, n int)

func half32(l Level, kernel int, wide *float32, narrow *uint16, n int) {
	switch {
	case l == AVX512 && kernel == halfFromF16:
		fromF16_avx512(wide, narrow, n)
	case l == AVX512 && kernel == halfFromBF16:
		fromBF16_avx512(wide, narrow, n)
	case l == AVX512 && kernel == halfToF16:
		toF16_avx512(wide, narrow, n)
	case l == AVX512:
		toBF16_avx512(wide, narrow, n)
	case kernel == halfFromF16:
		fromF16_avx2(wide, narrow, n)
	case kernel == halfFromBF16:
		fromBF16_avx2(wide, narrow, n)
	case kernel == halfToF16:
		toF16_avx2(wide, narrow, n)
	default:
		toBF16_avx2(wide, narrow, n)
	}
}
