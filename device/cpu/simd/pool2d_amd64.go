package simd

//go:noescape
func maxPool_avx512(y, x *float32, w *windows32)

//go:noescape
func maxPool_avx2(y, x *float32, w *windows32)

//go:noescape
func maxPoolIndex_avx512(y *float32, index *int32, x *float32, w *windows32)

//go:noescape
func maxPoolIndex_avx2(y *float32, index *int32, x *float32, w *windows32)

func maxPool32(l Level, y *float32, index *int32, x *float32, w *windows32) {
	switch {
	case l == AVX512 && index != nil:
		maxPoolIndex_avx512(y, index, x, w)
	case l == AVX512:
		maxPool_avx512(y, x, w)
	case index != nil:
		maxPoolIndex_avx2(y, index, x, w)
	default:
		maxPool_avx2(y, x, w)
	}
}

//go:noescape
func maxPoolGrad_avx512(y *float32, index *int32, x *float32, w *windows32)

//go:noescape
func maxPoolGrad_avx2(y *float32, index *int32, x *float32, w *windows32)

func maxPoolGrad32(l Level, dy *float32, index *int32, dx *float32, w *windows32) {
	if l == AVX512 {
		maxPoolGrad_avx512(dy, index, dx, w)
	} else {
		maxPoolGrad_avx2(dy, index, dx, w)
	}
}

//go:noescape
func avgPool_avx512(y, x *float32, w *windows32)

//go:noescape
func avgPool_avx2(y, x *float32, w *windows32)

func avgPool32(l Level, y, x *float32, w *windows32) {
	if l == AVX512 {
		avgPool_avx512(y, x, w)
	} else {
		avgPool_avx2(y, x, w)
	}
}

//go:noescape
func avgPoolGrad_avx512(y, x *float32, w *windows32)

//go:noescape
func avgPoolGrad_avx2(y, x *float32, w *windows32)

func avgPoolGrad32(l Level, dy, dx *float32, w *windows32) {
	if l == AVX512 {
		avgPoolGrad_avx512(dy, dx, w)
	} else {
		avgPoolGrad_avx2(dy, dx, w)
	}
}
