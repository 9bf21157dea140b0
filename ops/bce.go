package ops

import "github.com/acumen-ml/acumen/device"

// BCEWithLogits is the binary cross entropy -target ln p - (1-target) ln(1-p) of p = sigmoid(logits), in a form that
// does not overflow: max(x, 0) - x target + ln(1 + e^-|x|). It is folded by r.
func BCEWithLogits(t *Tape, logits, target *Tensor, r Reduction) *Tensor {
	return pairLoss{
		op: "BCEWithLogits",
		value: func(s, x, target device.View) {
			u := t.like(s)
			t.Dev.Unary(device.Abs, s, x, 0, 0)
			t.Dev.Unary(device.Affine, s, s, -1, 0)
			t.Dev.Unary(device.Exp, s, s, 0, 0)
			t.Dev.Unary(device.Log1p, s, s, 0, 0)
			t.Dev.Binary(device.Mul, u, x, target)
			t.Dev.Binary(device.Sub, s, s, u)
			t.Dev.Unary(device.Relu, u, x, 0, 0)
			t.Dev.Binary(device.Add, s, s, u)
			t.put(u)
		},
		dx: func(s, x, target device.View) {
			t.Dev.Unary(device.Sigmoid, s, x, 0, 0)
			t.Dev.Binary(device.Sub, s, s, target)
		},
		dtarget: func(s, x, _ device.View) { t.Dev.Unary(device.Affine, s, x, -1, 0) },
		factor:  1,
	}.apply(t, logits, target, r)
}
