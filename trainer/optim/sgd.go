package optim

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

type sgdKernel interface {
	SGD(w, g, buf, hyper device.View, p device.SGD) bool
}

// Update is one step: g' = gradscale g (+ decay w); buf = g' at the first step, then momentum buf + (1-dampening) g';
// w -= lr buf, or with Nesterov lr (g' + momentum buf). Decoupled decay comes first: w *= 1 - lr decay.
func (o SGD) Update(t *ops.Tape, s Slots) {
	p := device.SGD{Momentum: o.Momentum, Dampening: o.Dampening, Nesterov: o.Nesterov, WeightDecay: s.Group.decay(o.WeightDecay), Decoupled: o.Decoupled}
	var buf device.View
	if o.Momentum != 0 {
		buf = s.States[0]
	} else {
		p.Nesterov = false
	}
	hyper, done := scaled(t, s)
	defer done()
	if k, ok := device.As[sgdKernel](t.Dev); ok && k.SGD(s.W, s.G, buf, hyper, p) {
		return
	}
	composeSGD(t, s.W, s.G, buf, hyper, p)
}

func composeSGD(t *ops.Tape, w, g, buf, hyper device.View, p device.SGD) {
	k := &kernels{Device: t.Dev, t: t}
	defer k.done()
	lr, ok := at(hyper, device.HyperLR), at(hyper, device.HyperOK)
	step, tmp, next := k.get(w), k.get(w), k.get(w) // step: g', then what lr multiplies
	k.Binary(device.Mul, step, g, at(hyper, device.HyperGradScale))
	k.Copy(next, w)
	if p.WeightDecay != 0 && p.Decoupled {
		k.decayed(next, lr, p.WeightDecay)
	} else if p.WeightDecay != 0 {
		k.axpy(step, p.WeightDecay, w, 1, tmp)
	}
	if buf.Valid() {
		b, first, one := k.get(w), k.get(lr), k.get(lr)
		k.Unary(device.Affine, b, buf, p.Momentum, 0)
		k.axpy(b, 1-p.Dampening, step, 1, tmp)
		k.Fill(one, 1)
		k.Binary(device.Eq, first, at(hyper, device.HyperStep), one)
		k.Where(b, first, step, b)
		if p.Nesterov {
			k.axpy(step, p.Momentum, b, 1, tmp)
		} else {
			k.Copy(step, b)
		}
		k.Where(buf, ok, b, buf)
	}
	k.Binary(device.Mul, step, step, lr)
	k.Binary(device.Sub, next, next, step)
	k.Where(w, ok, next, w)
}

// decayed is w *= 1 - lr decay.
func (k *kernels) decayed(w, lr device.View, decay float64) {
	f := k.get(lr)
	k.Unary(device.Affine, f, lr, -decay, 1)
	k.Binary(device.Mul, w, w, f)
}
