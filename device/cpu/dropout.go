package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
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
	const block = 4096 // a multiple of 4, the numbers of one Philox call
	n := y.Len()
	ys, xs, st := slice[T](y)[:n], slice[T](x)[:n], slice[int32](state)[:4]
	scale := T(1 / (1 - p))
	limit := uint32(math.Ceil(float64(float32(p)) * (1 << 24))) // u < p as u = (word >> 8) / 2^24
	d.enqueue("Dropout", []device.View{y}, []device.View{x, state}, float64(n), phase{
		n: (n + block - 1) / block,
		run: func(part, _ int) {
			key := [2]uint32{uint32(st[0]), uint32(st[1])}
			for e := part * block; e < min(n, (part+1)*block); e += 4 {
				u := device.Philox([4]uint32{uint32(e / 4), stream, uint32(st[2]), uint32(st[3])}, key)
				to := ys[e:min(e+4, n)]
				for i, x := range xs[e:][:len(to)] {
					pair := [2]T{x * scale, 0} // chosen by an index: a branch on random bits is missed half of the time
					to[i] = pair[(u[i&3]>>8-limit)>>31]
				}
			}
		},
	})
}
