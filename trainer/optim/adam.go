package optim

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

type adamKernel interface {
	Adam(w, g, m, v, vmax, hyper device.View, p device.Adam) bool
}

// Update is one step: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, w -= lr/(1-b1^t) m / (sqrt(v/(1-b2^t)) + eps); with
// AMSGrad the largest v so far in place of v.
func (o Adam) Update(t *ops.Tape, s Slots) {
	p := device.Adam{Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, WeightDecay: s.Group.decay(o.WeightDecay), Decoupled: o.Decoupled, AMSGrad: o.AMSGrad}
	if p.Beta1 == 0 {
		p.Beta1 = 0.9
	}
	if p.Beta2 == 0 {
		p.Beta2 = 0.999
	}
	if p.Eps == 0 {
		p.Eps = 1e-8
	}
	var vmax device.View
	if o.AMSGrad {
		vmax = s.States[2]
	}
	hyper, done := scaled(t, s)
	defer done()
	if k, ok := device.As[adamKernel](t.Dev); ok && k.Adam(s.W, s.G, s.States[0], s.States[1], vmax, hyper, p) {
		return
	}
	composeAdam(t, s.W, s.G, s.States[0], s.States[1], vmax, hyper, p)
}

func composeAdam(t *ops.Tape, w, g, m, v, vmax, hyper device.View, p device.Adam) {
	k := &kernels{Device: t.Dev, t: t}
	defer k.done()
	lr, ok, count := at(hyper, device.HyperLR), at(hyper, device.HyperOK), at(hyper, device.HyperStep)
	grad, tmp, next := k.get(w), k.get(w), k.get(w)
	k.Binary(device.Mul, grad, g, at(hyper, device.HyperGradScale))
	k.Copy(next, w)
	if p.WeightDecay != 0 && p.Decoupled {
		k.decayed(next, lr, p.WeightDecay)
	} else if p.WeightDecay != 0 {
		k.axpy(grad, p.WeightDecay, w, 1, tmp)
	}
	m1, v1 := k.get(m), k.get(v)
	k.Copy(m1, m)
	k.axpy(m1, 1-p.Beta1, grad, p.Beta1, tmp)
	k.Binary(device.Mul, grad, grad, grad)
	k.Copy(v1, v)
	k.axpy(v1, 1-p.Beta2, grad, p.Beta2, tmp)

	// 1 - beta^t = -expm1(t ln beta): exact where it is small
	correction := func(beta float64) device.View {
		c := k.get(lr)
		k.Unary(device.Affine, c, count, math.Log(beta), 0)
		k.Unary(device.Expm1, c, c, 0, 0)
		k.Unary(device.Affine, c, c, -1, 0)
		return c
	}
	rate, c2 := correction(p.Beta1), correction(p.Beta2)
	k.Binary(device.Div, rate, lr, rate)
	under := v1
	if p.AMSGrad {
		under = k.get(vmax)
		k.Binary(device.Max, under, vmax, v1)
		k.Where(vmax, ok, under, vmax)
	}
	k.Unary(device.Sqrt, grad, under, 0, 0)
	k.Unary(device.Sqrt, c2, c2, 0, 0)
	k.Binary(device.Div, grad, grad, c2)
	k.Unary(device.Affine, grad, grad, 1, p.Eps)
	k.Binary(device.Div, tmp, m1, grad)
	k.Binary(device.Mul, tmp, tmp, rate)
	k.Binary(device.Sub, next, next, tmp)
	k.Where(w, ok, next, w)
	k.Where(m, ok, m1, m)
	k.Where(v, ok, v1, v)
}
