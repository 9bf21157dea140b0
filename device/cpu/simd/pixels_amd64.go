package simd

//go:noescape
func pixels_avx512(y *float32, x *byte, scale, bias *float32, n, period int)

//go:noescape
func pixels_avx2(y *float32, x *byte, scale, bias *float32, n, period int)

func pixels32(l Level, y *float32, x *byte, scale, bias *float32, n, period int) {
	if l == AVX512 {
		pixels_avx512(y, x, scale, bias, n, period)
	} else {
		pixels_avx2(y, x, scale, bias, n, period)
	}
}
