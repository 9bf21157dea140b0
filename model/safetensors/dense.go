package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// FromDense is d as F64, F32, I64, I32 or U8, whichever its elements are; others are an error. Data is d's own memory
// where that is as the file is.
func FromDense(d *tensor.Dense) (Tensor, error) {
	if d.RequiresIterator() {
		d = d.Materialize().(*tensor.Dense)
	}
	t := Tensor{Shape: append([]int{}, d.Shape()...)}
	if d.DataOrder().IsColMajor() {
		return t, fault.Usagef("give the elements row by row", "safetensors: elements lie column by column")
	}
	switch x := d.Data().(type) {
	case []float64:
		t.DType, t.Data = F64, encode(x, binary.LittleEndian.AppendUint64, math.Float64bits)
	case []float32:
		t.DType, t.Data = F32, encode(x, binary.LittleEndian.AppendUint32, math.Float32bits)
	case []int64:
		t.DType, t.Data = I64, encode(x, binary.LittleEndian.AppendUint64, func(v int64) uint64 { return uint64(v) })
	case []int32:
		t.DType, t.Data = I32, encode(x, binary.LittleEndian.AppendUint32, func(v int32) uint32 { return uint32(v) })
	case []uint8:
		t.DType, t.Data = U8, x
	case float64: // Data of a scalar is the number itself
		t.DType, t.Data = F64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))
	case float32:
		t.DType, t.Data = F32, binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))
	case int64:
		t.DType, t.Data = I64, binary.LittleEndian.AppendUint64(nil, uint64(x))
	case int32:
		t.DType, t.Data = I32, binary.LittleEndian.AppendUint32(nil, uint32(x))
	case uint8:
		t.DType, t.Data = U8, []byte{x}
	default:
		return t, fault.Usagef("use float32", "safetensors: elements of type %s cannot be stored", d.Dtype())
	}
	return t, nil
}

func encode[E, B any](x []E, put func([]byte, B) []byte, bits func(E) B) []byte {
	if size := int(unsafe.Sizeof(*new(E))); len(x) > 0 && littleEndian() {
		return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), size*len(x))
	}
	b := make([]byte, 0, 8*len(x))
	for _, v := range x {
		b = put(b, bits(v))
	}
	return b
}

// littleEndian reports whether memory is as the file is.
func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// Dense is t's elements as float64, float32 (of F32, F16 and BF16), int64, int32 or uint8, in t.Data itself where that
// can be. t must have come from Read or be as Write wants it. A tensor without elements is an error: package tensor has
// none.
func (t Tensor) Dense() (*tensor.Dense, error) {
	n, size := len(t.Data), t.DType.Size()
	if want, ok := byteLen(t.DType, t.Shape); !ok || size == 0 || want != int64(n) {
		return nil, fault.Usagef(damaged, "safetensors: %d bytes for %s%v", n, t.DType, t.Shape)
	}
	if n == 0 {
		return nil, fault.Usagef("leave it out", "safetensors: a tensor of shape %v has no elements", t.Shape)
	}
	var backing any
	switch le := binary.LittleEndian; t.DType {
	case F64:
		backing = decode(t, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case F32:
		backing = decode(t, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case F16:
		backing = decode(t, func(b []byte) float32 { return device.F16ToF32(le.Uint16(b)) })
	case BF16:
		backing = decode(t, func(b []byte) float32 { return device.BF16ToF32(le.Uint16(b)) })
	case I64:
		backing = decode(t, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case I32:
		backing = decode(t, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case U8:
		backing = t.Data
	default:
		panic(fmt.Sprintf("safetensors: type %s", t.DType))
	}
	if len(t.Shape) == 0 {
		return scalar(backing), nil
	}
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(backing)), nil
}

func scalar(backing any) *tensor.Dense {
	d := tensor.New(tensor.WithShape(1), tensor.WithBacking(backing))
	return tensor.New(tensor.FromScalar(d.Get(0)))
}

func decode[E any](t Tensor, get func([]byte) E) []E {
	size := t.DType.Size()
	p, e := unsafe.Pointer(&t.Data[0]), *new(E)
	if unsafe.Sizeof(e) == uintptr(size) && littleEndian() && uintptr(p)%unsafe.Alignof(e) == 0 {
		return unsafe.Slice((*E)(p), len(t.Data)/size)
	}
	x := make([]E, len(t.Data)/size)
	for i := range x {
		x[i] = get(t.Data[i*size:])
	}
	return x
}
