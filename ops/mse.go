package ops

import "github.com/acumen-ml/acumen/device"

// MSELoss is (x - target)^2, folded by r.
func MSELoss(t *Tape, x, target *Tensor, r Reduction) *Tensor {
	return pairLoss{
		op: "MSELoss",
		value: func(s, x, target device.View) {
			t.Dev.Binary(device.Sub, s, x, target)
			t.Dev.Binary(device.Mul, s, s, s)
		},
		dx:      func(s, x, target device.View) { t.Dev.Binary(device.Sub, s, x, target) },
		dtarget: func(s, x, target device.View) { t.Dev.Binary(device.Sub, s, target, x) },
		factor:  2,
	}.apply(t, x, target, r)
}
