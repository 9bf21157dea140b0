package ops

import "github.com/acumen-ml/acumen/device"

// L1Loss is |x - target|, folded by r; its gradient is 0 where the two are equal.
func L1Loss(t *Tape, x, target *Tensor, r Reduction) *Tensor {
	of := func(f device.UnOp) func(s, x, target device.View) {
		return func(s, x, target device.View) {
			t.Dev.Binary(device.Sub, s, x, target)
			t.Dev.Unary(f, s, s, 0, 0)
		}
	}
	sign := of(device.Sign)
	return pairLoss{
		op:      "L1Loss",
		value:   of(device.Abs),
		dx:      sign,
		dtarget: func(s, x, target device.View) { sign(s, target, x) },
		factor:  1,
	}.apply(t, x, target, r)
}
