//go:build !amd64

package simd

func winograd32(Level, Transform, *float32, *float32, *Tiles, int, int, *float32) bool { return false }
