//go:build !amd64

package simd

func depthwiseAdd32(Level, *float32, *float32, *float32, int, int, int, int) bool { return false }

func depthwiseSum32(Level, *float32, *float32, *float32, int, int, int, int) bool { return false }
