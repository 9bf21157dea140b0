//go:build !amd64

package simd

func detect() Level { return Generic }

func hasDots() bool { return false }

func hasFarCaches() bool { return false }

func tile32(*Tile[float32], Level) bool { return false }

func copyRows32(Level, *float32, *float32, int, int, int, int) bool { return false }

func matVec32(_, _, _ *float32, _, _, _ int) { panic("simd: no vector kernels here") }

func transpose32(_, _ *float32, _, _, _, _ int) { panic("simd: no vector kernels here") }
