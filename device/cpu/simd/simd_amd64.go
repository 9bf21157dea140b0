package simd

import "golang.org/x/sys/cpu"

//go:generate go run ./_gen

func detect() Level {
	x := cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA || !x.HasBMI2:
		return Generic
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return AVX512
	}
	return AVX2
}

//go:noescape
func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// hasFarCaches: on Intel's server processors, all of whose cores share a third level, a line from there took 110 to 170 ns. AMD's is
// shared by a few cores and near. An Intel processor of another kind is taken for one of these.
func hasFarCaches() bool {
	_, b, c, d := cpuid(0, 0)
	return b == 0x756e6547 && d == 0x49656e69 && c == 0x6c65746e // GenuineIntel
}

func hasDots() bool { return cpu.X86.HasAVX512BF16 && detect() == AVX512 }

//go:noescape
func tile_avx512(t *Tile[float32])

//go:noescape
func tile_avx2(t *Tile[float32])

// tile32 runs t on the vector kernels of l, if there are any.
func tile32(t *Tile[float32], l Level) bool {
	switch l {
	case AVX512:
		tile_avx512(t)
	case AVX2:
		tile_avx2(t)
	default:
		return false
	}
	return true
}

//go:noescape
func matVec32(y, w, x *float32, rows, k, ld int)

//go:noescape
func transpose32(dst, src *float32, rows, cols, dstStride, srcStride int)
