package cpu

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// dtypeOf is the element type that T is.
func dtypeOf[T float]() device.DType {
	if sizeOf[T]() == 8 {
		return device.F64
	}
	return device.F32
}

// accessors read and write the elements of v's memory, counted from its first, as numbers of type T; writing rounds
// once, and into integers toward zero with saturation.
func accessors[T float](v device.View) (at func(i int) T, to func(i int, x T)) {
	switch v.Type {
	case device.F32:
		s := slice[float32](v)
		return func(i int) T { return T(s[i]) }, func(i int, x T) { s[i] = float32(x) }
	case device.F64:
		s := slice[float64](v)
		return func(i int) T { return T(s[i]) }, func(i int, x T) { s[i] = float64(x) }
	case device.F16:
		s := slice[uint16](v)
		return func(i int) T { return T(device.F16ToF32(s[i])) }, func(i int, x T) { s[i] = device.F64ToF16(float64(x)) }
	case device.BF16:
		s := slice[uint16](v)
		return func(i int) T { return T(device.BF16ToF32(s[i])) }, func(i int, x T) { s[i] = device.F64ToBF16(float64(x)) }
	case device.U8:
		s := slice[uint8](v)
		return func(i int) T { return T(s[i]) }, func(i int, x T) { s[i] = uint8(saturate(float64(x), 0, 255)) }
	case device.I32:
		s := slice[int32](v)
		return func(i int) T { return T(s[i]) }, func(i int, x T) { s[i] = int32(saturate(float64(x), -1<<31, 1<<31-1)) }
	}
	panic(fmt.Sprintf("cpu: no type %d", v.Type))
}
