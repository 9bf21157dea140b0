package device

import "math"

// F16ToF32 widens an IEEE 754 binary16, given as its bits; exact.
func F16ToF32(h uint16) float32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	case exp == 0: // zero or subnormal: man * 2^-24 is exact in f32
		f := float32(man) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// F32ToF16 rounds to the nearest IEEE 754 binary16, ties to even; overflow gives infinity.
func F32ToF16(f float32) uint16 {
	u := math.Float32bits(f)
	sign, a := uint16(u>>16)&0x8000, u&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00
	case a >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case a < 0x38800000: // below 2^-14: the unit is 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(a))*(1<<24)))
	}
	a += 0xfff + a>>13&1
	return sign | uint16((a-0x38000000)>>13)
}

// BF16ToF32 widens a bfloat16, given as its bits; exact.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to the nearest bfloat16, ties to even; NaN stays NaN.
func F32ToBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if f != f {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// F64ToF16 rounds once to the nearest IEEE 754 binary16, ties to even; by way of f32 some numbers would be rounded twice.
func F64ToF16(f float64) uint16 { return F32ToF16(toOdd(f)) }

// F64ToBF16 rounds once to the nearest bfloat16, ties to even.
func F64ToBF16(f float64) uint16 { return F32ToBF16(toOdd(f)) }

// toOdd rounds to f32 toward zero and sets the last bit if that lost anything: rounding the result to a shorter type is
// then rounding f once (Boldo and Melquiond, "When double rounding is odd", 2005).
func toOdd(f float64) float32 {
	g := float32(f)
	if float64(g) == f || f != f || math.IsInf(float64(g), 0) {
		return g
	}
	u := math.Float32bits(g)
	if math.Abs(float64(g)) > math.Abs(f) {
		u--
	}
	return math.Float32frombits(u | 1)
}
