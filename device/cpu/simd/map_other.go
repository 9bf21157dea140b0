//go:build !amd64

package simd

func maps(Level, int, *vec) bool { return false }
