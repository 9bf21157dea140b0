package simd

//go:noescape
func philox_avx512(out *uint32, n int, counter *[4]uint32, keys *[20]uint32)

//go:noescape
func philox_avx2(out *uint32, n int, counter *[4]uint32, keys *[20]uint32)

func philox32(l Level, out *uint32, n int, counter *[4]uint32, keys *[20]uint32) {
	if l == AVX512 {
		philox_avx512(out, n, counter, keys)
	} else {
		philox_avx2(out, n, counter, keys)
	}
}
