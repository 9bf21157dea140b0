package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

const optimBlock = 8192 // elements of a part

// flat reports whether all views that are there are contiguous, of w's type and length.
func flat(w device.View, vs ...device.View) bool { return vectors(w.Type, w.Len(), append(vs, w)...) }

// hyperOf reads the scalars of an optimiser; false for a view that does not hold them.
func hyperOf(v device.View) (func() [device.HyperLen]float64, bool) {
	if v.Len() != device.HyperLen || !v.Contiguous() {
		return nil, false
	}
	switch v.Type {
	case device.F32:
		s := slice[float32](v)[:device.HyperLen]
		return func() (h [device.HyperLen]float64) {
			for i, x := range s {
				h[i] = float64(x)
			}
			return h
		}, true
	case device.F64:
		s := slice[float64](v)[:device.HyperLen]
		return func() [device.HyperLen]float64 { return [device.HyperLen]float64(s) }, true
	}
	return nil, false
}

// SGD is one update of w from g, flat: g' = gradscale g + decay w; buf = momentum buf + (1-dampening) g', g' at step 1;
// w -= lr (g' + momentum buf if Nesterov, else buf). Decoupled decay is w *= 1 - lr decay beforehand. buf may be
// absent without momentum. Nothing is written if the scalar ok is 0. hyper is laid out as device.HyperLR and so on.
func (d *Device) SGD(w, g, buf, hyper device.View, p device.SGD) bool {
	hyp, ok := hyperOf(hyper)
	if !ok || !flat(w, g, buf) || w.Len() == 0 || p.Momentum != 0 && !buf.Valid() {
		return false
	}
	switch w.Type {
	case device.F32:
		sgd[float32](d, w, g, buf, hyper, hyp, p)
	case device.F64:
		sgd[float64](d, w, g, buf, hyper, hyp, p)
	default:
		return false
	}
	return true
}

func sgd[T float](d *Device, w, g, buf, hyper device.View, hyp func() [device.HyperLen]float64, p device.SGD) {
	n := w.Len()
	ws, gs := slice[T](w)[:n], slice[T](g)[:n]
	l := levelFor[T]()
	var bs []T
	writes, reads := []device.View{w}, []device.View{w, g, hyper}
	if p.Momentum != 0 {
		bs = slice[T](buf)[:n]
		writes, reads = append(writes, buf), append(reads, buf)
	}
	d.enqueue("SGD", writes, reads, 4*float64(n), phase{
		n: ceil(n, optimBlock),
		run: func(part, _ int) {
			h := hyp()
			if h[device.HyperOK] == 0 {
				return
			}
			lo, hi := part*optimBlock, min(n, (part+1)*optimBlock)
			s := simd.SGD[T]{Shrink: 1, Scale: T(h[device.HyperGradScale]), Decay: T(p.WeightDecay), LR: T(h[device.HyperLR]),
				Momentum: T(p.Momentum), Damp: T(1 - p.Dampening), First: h[device.HyperStep] <= 1, Nesterov: p.Nesterov}
			if p.Decoupled {
				s.Shrink, s.Decay = T(1-h[device.HyperLR]*p.WeightDecay), 0
			}
			var b []T
			if bs != nil {
				b = bs[lo:hi]
			}
			s.Run(l, ws[lo:hi], b, gs[lo:hi])
		},
	})
}

// Adam is one update of w from g, flat, with the moments m and v and, for AMSGrad, vmax: m = beta1 m + (1-beta1) g',
// v = beta2 v + (1-beta2) g'^2, w -= lr/(1-beta1^t) m / (sqrt(v)/sqrt(1-beta2^t) + eps), t the step (Kingma and Ba,
// algorithm 1, in PyTorch's order of operations). Nothing is written if the scalar ok is 0.
func (d *Device) Adam(w, g, m, v, vmax, hyper device.View, p device.Adam) bool {
	hyp, ok := hyperOf(hyper)
	if !ok || !m.Valid() || !v.Valid() || !flat(w, g, m, v, vmax) || w.Len() == 0 || p.AMSGrad && !vmax.Valid() {
		return false
	}
	switch w.Type {
	case device.F32:
		adam[float32](d, w, g, m, v, vmax, hyper, hyp, p)
	case device.F64:
		adam[float64](d, w, g, m, v, vmax, hyper, hyp, p)
	default:
		return false
	}
	return true
}

func adam[T float](d *Device, w, g, m, v, vmax, hyper device.View, hyp func() [device.HyperLen]float64, p device.Adam) {
	n := w.Len()
	ws, gs, ms, vs := slice[T](w)[:n], slice[T](g)[:n], slice[T](m)[:n], slice[T](v)[:n]
	l := levelFor[T]()
	var xs []T
	writes, reads := []device.View{w, m, v}, []device.View{w, g, m, v, hyper}
	if p.AMSGrad {
		xs = slice[T](vmax)[:n]
		writes, reads = append(writes, vmax), append(reads, vmax)
	}
	d.enqueue("Adam", writes, reads, 12*float64(n), phase{
		n: ceil(n, optimBlock),
		run: func(part, _ int) {
			h := hyp()
			if h[device.HyperOK] == 0 {
				return
			}
			lo, hi := part*optimBlock, min(n, (part+1)*optimBlock)
			lr, t := h[device.HyperLR], h[device.HyperStep]
			s := simd.Adam[T]{Shrink: 1, Scale: T(h[device.HyperGradScale]), Decay: T(p.WeightDecay), Rate: T(lr / (1 - math.Pow(p.Beta1, t))),
				Root: T(math.Sqrt(1 - math.Pow(p.Beta2, t))), Eps: T(p.Eps), C1: T(1 - p.Beta1), B2: T(p.Beta2), C2: T(1 - p.Beta2)}
			if p.Decoupled {
				s.Shrink, s.Decay = T(1-lr*p.WeightDecay), 0
			}
			var top []T
			if xs != nil {
				top = xs[lo:hi]
			}
			s.Run(l, ws[lo:hi], ms[lo:hi], vs[lo:hi], top, gs[lo:hi])
		},
	})
}
