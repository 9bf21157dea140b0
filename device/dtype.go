package device

// DType is the element type of a View.
type DType uint8

// The element types. F32 is the working type; F64 serves gradient checks; F16 and BF16 are storage and product types
// with f32 arithmetic; U8 and I32 hold data, labels, indices and counters.
const (
	F32 DType = iota
	F64
	F16
	BF16
	U8
	I32
)

var (
	dtypeSize = [...]int{F32: 4, F64: 8, F16: 2, BF16: 2, U8: 1, I32: 4}
	dtypeName = [...]string{F32: "f32", F64: "f64", F16: "f16", BF16: "bf16", U8: "u8", I32: "i32"}
)

// Size is the number of bytes of one element.
func (t DType) Size() int { return dtypeSize[t] }

// String is the type's name in configurations, checkpoints and messages: f32, f64, f16, bf16, u8, i32.
func (t DType) String() string {
	if int(t) < len(dtypeName) {
		return dtypeName[t]
	}
	return "dtype?"
}

// IsInt reports whether t is an integer type.
func (t DType) IsInt() bool { return t == U8 || t == I32 }

// Compute is the type that a kernel over views of the given types calculates in: f64 if any is f64, i32 if all are
// integers, else f32.
func Compute(types ...DType) DType {
	ints := true
	for _, t := range types {
		if t == F64 {
			return F64
		}
		ints = ints && t.IsInt()
	}
	if ints {
		return I32
	}
	return F32
}
