package optim

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// ClipNorm writes the L2 norm of the gradient to the scalar norm, and to the scalar scale what the flat array g must be
// multiplied with so that its norm is at most max: min(1, max/(norm + 1e-6)) (Pascanu, Mikolov, Bengio, ICML 2013). The
// gradient is unscale times g, and scale counts that in; the zero View for unscale means 1.
func ClipNorm(t *ops.Tape, scale, norm, g, unscale device.View, max float64) {
	sq := t.Arena.Get(norm.Type, 1)
	s := sq.Reshape()
	t.Dev.Reduce(device.SumSq, sq, g)
	t.Dev.Unary(device.Sqrt, norm, s, 0, 0)
	if unscale.Valid() {
		t.Dev.Binary(device.Mul, norm, norm, unscale)
	}
	t.Dev.Unary(device.Recip, s, norm, 1e-6, 0)
	t.Dev.Unary(device.Affine, s, s, max, 0)
	one := t.Arena.Get(norm.Type)
	t.Dev.Fill(one, 1)
	t.Dev.Binary(device.Min, scale, s, one)
	if unscale.Valid() {
		t.Dev.Binary(device.Mul, scale, scale, unscale)
	}
	t.Arena.Put(one)
	t.Arena.Put(sq)
}
