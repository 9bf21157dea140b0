package ops

import "github.com/acumen-ml/acumen/device"

type dropouter interface {
	Dropout(y, x, state device.View, stream uint32, p float64) bool
}

// Dropout sets each element to 0 with probability p and divides the others by 1-p (Srivastava and others, JMLR 15,
// 2014); in evaluation it is x. An element is dropped where its uniform number of Tape.RNG is under p. No mask is kept:
// backward draws it again.
func Dropout(t *Tape, x *Tensor, p float64) *Tensor {
	if !(p >= 0 && p <= 1) {
		fail("Dropout", "x %v: p = %v is not in [0, 1]", x.Shape(), p)
	}
	stream := t.nextStream() // even if unused: p of one layer does not shift the numbers of the others
	if !t.Train || p == 0 {
		y := t.alias(x, x.v)
		return t.record(y, []*Tensor{x}, func(dy device.View) { t.pass(y, x, dy) })
	}
	if !t.RNG.Valid() {
		fail("Dropout", "x %v: Tape.RNG is not set", x.Shape())
	}
	state := t.RNG
	y := t.temp(x.v.Type, x.Shape()...)
	dropout(t, y.v, x.v, state, stream, p)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.last(y, x, func(dx device.View) { dropout(t, dx, dy, state, stream, p) })
	})
}

func dropout(t *Tape, y, x, state device.View, stream uint32, p float64) {
	if k, ok := device.As[dropouter](t.Dev); ok && k.Dropout(y, x, state, stream, p) {
		return
	}
	u := t.get(device.F32, x.Shape()...)
	limit, zero := t.scalar(device.F32, p), t.scalar(device.F32, 0)
	t.Dev.Random(u, device.Uniform, state, stream)
	t.Dev.Binary(device.Lt, u, u, limit)
	t.Dev.Unary(device.Affine, y, x, 1/(1-p), 0)
	t.Dev.Where(y, u, zero, y)
	t.put(u, limit, zero)
}
