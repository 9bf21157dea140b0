package simd

//go:noescape
func maps_avx512(kernel int, v *vec)

//go:noescape
func maps_avx2(kernel int, v *vec)

// maps runs a kernel of Map, if there are any of l.
func maps(l Level, kernel int, v *vec) bool {
	switch l {
	case AVX512:
		maps_avx512(kernel, v)
	case AVX2:
		maps_avx2(kernel, v)
	}
	return l != Generic
}
