//go:build !amd64

package simd

func pixels32(Level, *float32, *byte, *float32, *float32, int, int) {
	panic("simd: no vector kernels here")
}
