package simd

//go:noescape
func sumRows_avx512(sum *float64, x *float32, rows, c, stride int)

//go:noescape
func sumRows_avx2(sum *float64, x *float32, rows, c, stride int)

func sumRows32(l Level, sum *float64, x *float32, rows, c, stride int) bool {
	switch l {
	case AVX512:
		sumRows_avx512(sum, x, rows, c, stride)
	case AVX2:
		sumRows_avx2(sum, x, rows, c, stride)
	}
	return l != Generic
}
