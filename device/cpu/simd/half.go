package simd

// Conversions between float32 and numbers of 16 bits, whose definition is package device's: x has as many elements as y.
// They are vector kernels only, and report false at Generic. AVX2 takes F16C for granted, which every processor with AVX2
// and FMA has.

// FromF16 is y[i] = x[i], an IEEE 754 binary16.
func FromF16(l Level, y []float32, x []uint16) bool { return halves(l, halfFromF16, y, x) }

// FromBF16 is y[i] = x[i], a bfloat16.
func FromBF16(l Level, y []float32, x []uint16) bool { return halves(l, halfFromBF16, y, x) }

// ToF16 is y[i] = x[i] rounded to the nearest binary16, ties to even; NaN is a quiet one of the same sign.
func ToF16(l Level, y []uint16, x []float32) bool { return halves(l, halfToF16, x, y) }

// ToBF16 is y[i] = x[i] rounded to the nearest bfloat16, ties to even; NaN stays NaN.
func ToBF16(l Level, y []uint16, x []float32) bool { return halves(l, halfToBF16, x, y) }

const (
	halfFromF16 = iota
	halfFromBF16
	halfToF16
	halfToBF16
)

// halves runs a kernel on whole vectors, and on what is left in a place where it is one.
func halves(l Level, kernel int, wide []float32, narrow []uint16) bool {
	if l == Generic {
		return false
	}
	lanes := l.Panel() / 2
	n := len(wide) / lanes
	narrow = narrow[:len(wide)]
	if n > 0 {
		half32(l, kernel, &wide[0], &narrow[0], n)
	}
	wide, narrow = wide[n*lanes:], narrow[n*lanes:]
	if len(wide) == 0 {
		return true
	}
	var w [16]float32
	var h [16]uint16
	copy(w[:], wide)
	copy(h[:], narrow)
	half32(l, kernel, &w[0], &h[0], 1)
	if kernel == halfFromF16 || kernel == halfFromBF16 {
		copy(wide, w[:])
	} else {
		copy(narrow, h[:])
	}
	return true
}
