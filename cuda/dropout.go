package cuda

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

var kDropout = [...]kernelID{device.F32: kernel("dropout", "dropout_f32"), device.F64: kernel("dropout", "dropout_f64"),
	device.F16: kernel("dropout", "dropout_f16"), device.BF16: kernel("dropout", "dropout_bf16")}

type dropoutParams struct {
	fault, x, state, y uintptr
	n                  int64
	scale              float64
	limit, stream      uint32
	aligned            int32
	_                  int32
}

// randomState reports whether v holds the state that numbers are drawn from.
func randomState(v device.View) bool {
	return v.Valid() && v.Type == device.I32 && v.Len() == 4 && v.Contiguous()
}

// Dropout is y[e] = 0 where u[e] < p, else x[e]/(1-p); u are the numbers of a Uniform draw of y's shape (see
// Kernels.Random) with state and stream, and p is rounded to f32 for the comparison.
func (d *Device) Dropout(y, x, state device.View, stream uint32, p float64) bool {
	if x.Type != y.Type || !isFloat(y.Type) || !x.SameShape(y) || !x.Contiguous() || !y.Contiguous() || y.Len() == 0 || !randomState(state) {
		return false
	}
	n, v := y.Len(), max(4, 16/y.Type.Size())
	d.enqueue("Dropout", []device.View{y}, []device.View{x, state}, float64(n), func() error {
		flat := func(v device.View) device.View { return v.Reshape(n) }
		q := dropoutParams{fault: d.fault(), x: address(x), state: address(state), y: address(y), n: int64(n), scale: 1 / (1 - p),
			limit:  uint32(math.Ceil(float64(float32(p)) * (1 << 24))), // u < p as u = (word >> 8) / 2^24
			stream: stream, aligned: aligned(v, flat(x), flat(y))}
		return launch(d, kDropout[y.Type], d.spread((n+v-1)/v, 256), 256, 0, &q)
	})
	return true
}
