package cuda

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

var (
	kFill     = kernel("fill", "fill")
	kFillFlat = kernel("fill", "fill_flat")
)

type fillParams struct {
	fault uintptr
	v     float64
	nest  nest
}

type fillFlatParams struct {
	fault, data uintptr
	bytes       int64
	pattern     uint64
}

// Fill sets every element to v.
func (d *Device) Fill(y device.View, v float64) {
	views := operands("Fill", y)
	d.enqueue("Fill", views, nil, 0, func() error {
		n := newNest(views...)
		switch {
		case n.n == 0:
			return nil
		case n.flat(1, y.Type):
			p := fillFlatParams{d.fault(), n.op[0].data, int64(y.Bytes()), pattern(y.Type, v)}
			return launch(d, kFillFlat, d.spread((y.Bytes()+15)/16, 256), 256, 0, &p)
		}
		p := fillParams{d.fault(), v, n}
		return launch(d, kFill, d.spread(y.Len(), 256), 256, 0, &p)
	})
}

// pattern is an element of value v, converted as kernel.cuh does, repeated to eight bytes.
func pattern(t device.DType, v float64) uint64 {
	saturated := func(lo, hi float64) int64 {
		if v != v {
			return 0
		}
		return int64(min(max(v, lo), hi))
	}
	bits := uint64(0)
	switch t {
	case device.F64:
		bits = math.Float64bits(v)
	case device.F32:
		bits = uint64(math.Float32bits(float32(v)))
	case device.F16:
		bits = uint64(device.F64ToF16(v))
	case device.BF16:
		bits = uint64(device.F64ToBF16(v))
	case device.U8:
		bits = uint64(saturated(0, math.MaxUint8))
	case device.I32:
		bits = uint64(uint32(saturated(math.MinInt32, math.MaxInt32)))
	}
	for size := t.Size(); size < 8; size *= 2 {
		bits |= bits << (8 * size)
	}
	return bits
}
