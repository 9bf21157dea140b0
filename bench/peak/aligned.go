package peak

import "unsafe"

// aligned is n zeros at an address that is a multiple of 64.
func aligned(n int) []float32 {
	v := make([]float32, n+16)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(v))) % 64 / 4)
	return v[off : off+n : off+n]
}
