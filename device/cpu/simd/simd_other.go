//go:build !amd64

package simd

func detect() Level { return Generic }

func tile32(*Tile[float32], Level) bool { return false }
