package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Dropout is y[e] = 0 where u[e] < p, else x[e]/(1-p); u are the numbers of a Uniform draw of y's shape (see
// Kernels.Random) with state and stream, and p is rounded to f32 for the comparison.
func (d *Device) Dropout(y, x, state device.View, stream uint32, p float64) bool {
	if x.Type != y.Type || !x.Contiguous() || !y.Contiguous() || y.Len() == 0 || state.Type != device.I32 || state.Len() != 4 || !state.Contiguous() {
		return false
	}
	switch y.Type {
	case device.F32:
		dropout[float32](d, y, x, state, stream, p)
	case device.F64:
		dropout[float64](d, y, x, state, stream, p)
	default:
		return false
	}
	return true
}

func dropout[T float](d *Device, y, x, state device.View, stream uint32, p float64) {
	const block, some = 4096, 1024 // elements of a part, and how many words there are at a time
	n := y.Len()
	ys, xs, st := slice[T](y)[:n], slice[T](x)[:n], slice[int32](state)[:4]
	scale := T(1 / (1 - p))
	limit := uint32(math.Ceil(float64(float32(p)) * (1 << 24))) // u < p as u = (word >> 8) / 2^24
	m := mapOf[T](y, x)
	d.reserve(4 * some)
	d.enqueue("Dropout", []device.View{y}, []device.View{x, state}, float64(n), phase{
		n: ceil(n, block),
		run: func(part, worker int) {
			key := [2]uint32{uint32(st[0]), uint32(st[1])}
			for lo := part * block; lo < min(n, (part+1)*block); lo += some {
				hi := min(lo+some, n)
				words := scratchOf[uint32](d, worker, hi-lo)
				simd.Philox(simd.Active(), words, [4]uint32{uint32(lo / 4), stream, uint32(st[2]), uint32(st[3])}, key)
				m.Dropout(ys[lo:hi], xs[lo:hi], words, limit, scale)
			}
		},
	})
}
