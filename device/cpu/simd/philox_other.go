//go:build !amd64

package simd

func philox32(Level, *uint32, int, *[4]uint32, *[20]uint32) {
	panic("simd: no vector kernels here")
}
