package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// hostBytes is the elements of d, which must have the given shape, as a device keeps them in type t: d's own memory where
// that is so already.
func hostBytes(d *tensor.Dense, shape []int, t device.DType) ([]byte, error) {
	if d == nil {
		return nil, fault.Usagef("initialise or load the network first", "it has no values")
	}
	if !slices.Equal([]int(d.Shape()), shape) {
		return nil, fault.Usagef("the values belong to another model", "shape %v, want %v", []int(d.Shape()), shape)
	}
	if d.RequiresIterator() {
		d = d.Materialize().(*tensor.Dense)
	}
	if d.DataOrder().IsColMajor() {
		return nil, fault.Usagef("give the elements row by row", "the elements lie column by column")
	}
	if x, ok := d.Data().([]float32); ok && t == device.F32 && len(x) > 0 && binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)), nil // memory is as the device's
	}
	b := make([]byte, 0, elements(shape)*t.Size())
	switch x := d.Data().(type) {
	case []float32:
		for _, f := range x {
			b = appendNumber(b, float64(f), t)
		}
	case []float64:
		for _, f := range x {
			b = appendNumber(b, f, t)
		}
	default:
		return nil, fault.Usagef("use float32 or float64", "elements of type %s", d.Dtype())
	}
	return b, nil
}

func appendNumber(dst []byte, f float64, t device.DType) []byte {
	switch t {
	case device.F64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	case device.F32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f)))
	}
	panic(fmt.Sprintf("model: no weights of type %s", t))
}

// hostDense makes a tensor of the elements in b, which are of type t: float64 for f64, else float32.
func hostDense(b []byte, shape []int, t device.DType) *tensor.Dense {
	n := elements(shape)
	if t == device.F64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}
