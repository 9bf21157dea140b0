package simd

//go:noescape
func channelSums_avx512(sum, sq *float64, x, shift *float32, rows, c, stride int)

//go:noescape
func channelSums_avx2(sum, sq *float64, x, shift *float32, rows, c, stride int)

func channelSums32(l Level, sum, sq *float64, x, shift *float32, rows, c, stride int) bool {
	switch l {
	case AVX512:
		channelSums_avx512(sum, sq, x, shift, rows, c, stride)
	case AVX2:
		channelSums_avx2(sum, sq, x, shift, rows, c, stride)
	}
	return l != Generic
}

//go:noescape
func gradSums_avx512(sum, dot *float64, dy, x, mean *float32, rows, c, dyStride, xStride int)

//go:noescape
func gradSums_avx2(sum, dot *float64, dy, x, mean *float32, rows, c, dyStride, xStride int)

func gradSums32(l Level, sum, dot *float64, dy, x, mean *float32, rows, c, dyStride, xStride int) bool {
	switch l {
	case AVX512:
		gradSums_avx512(sum, dot, dy, x, mean, rows, c, dyStride, xStride)
	case AVX2:
		gradSums_avx2(sum, dot, dy, x, mean, rows, c, dyStride, xStride)
	}
	return l != Generic
}

//go:noescape
func normalise_avx512(y, x, mean, scale, shift *float32, rows, c, yStride, xStride, stream int)

//go:noescape
func normalise_avx2(y, x, mean, scale, shift *float32, rows, c, yStride, xStride, stream int)

//go:noescape
func normaliseRelu_avx512(y, x, mean, scale, shift *float32, rows, c, yStride, xStride, stream int)

//go:noescape
func normaliseRelu_avx2(y, x, mean, scale, shift *float32, rows, c, yStride, xStride, stream int)

func normalise32(l Level, y, x, mean, scale, shift *float32, rows, c, yStride, xStride, stream int, relu bool) bool {
	switch {
	case l == AVX512 && relu:
		normaliseRelu_avx512(y, x, mean, scale, shift, rows, c, yStride, xStride, stream)
	case l == AVX512:
		normalise_avx512(y, x, mean, scale, shift, rows, c, yStride, xStride, stream)
	case l == AVX2 && relu:
		normaliseRelu_avx2(y, x, mean, scale, shift, rows, c, yStride, xStride, stream)
	case l == AVX2:
		normalise_avx2(y, x, mean, scale, shift, rows, c, yStride, xStride, stream)
	}
	return l != Generic
}

//go:noescape
func normaliseGrad_avx512(dx, dy, x, mean, k, a, b *float32, rows, c, dxStride, dyStride, xStride, stream int)

//go:noescape
func normaliseGrad_avx2(dx, dy, x, mean, k, a, b *float32, rows, c, dxStride, dyStride, xStride, stream int)

func normaliseGrad32(l Level, dx, dy, x, mean, k, a, b *float32, rows, c, dxStride, dyStride, xStride, stream int) bool {
	switch l {
	case AVX512:
		normaliseGrad_avx512(dx, dy, x, mean, k, a, b, rows, c, dxStride, dyStride, xStride, stream)
	case AVX2:
		normaliseGrad_avx2(dx, dy, x, mean, k, a, b, rows, c, dxStride, dyStride, xStride, stream)
	}
	return l != Generic
}

func fence()
