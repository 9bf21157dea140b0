package simd

import "math"

// SGD is the numbers of an update by stochastic gradient descent. Weights w are first multiplied with Shrink; then
//
//	v = Scale g + Decay w
//	buf = Momentum buf + Damp v, or v if First
//	w -= LR (v + Momentum buf if Nesterov, else buf)
type SGD[T Float] struct {
	Shrink, Scale, Decay, LR, Momentum, Damp T
	First, Nesterov                          bool
}

// Run updates w and buf from g; without buf, which is nil then, w -= LR v.
func (s *SGD[T]) Run(l Level, w, buf, g []T) {
	k := []T{s.Shrink, s.Scale, s.Decay, s.LR, s.Momentum, s.Damp}
	if buf == nil {
		if runs(l, kernelSgd, len(w), false, k, w, g) {
			return
		}
		g = g[:len(w)]
		for i, x := range w {
			x *= s.Shrink
			w[i] = x - s.LR*(s.Scale*g[i]+s.Decay*x)
		}
		return
	}
	kernel := kernelSgdMomentum
	switch {
	case s.First && s.Nesterov:
		kernel = kernelSgdFirstNesterov
	case s.First:
		kernel = kernelSgdFirst
	case s.Nesterov:
		kernel = kernelSgdNesterov
	}
	if runs(l, kernel, len(w), false, k, w, buf, g) {
		return
	}
	buf, g = buf[:len(w)], g[:len(w)]
	for i, x := range w {
		x *= s.Shrink
		v := s.Scale*g[i] + s.Decay*x
		m := v
		if !s.First {
			m = s.Momentum*buf[i] + s.Damp*v
		}
		buf[i] = m
		if s.Nesterov {
			m = v + s.Momentum*m
		}
		w[i] = x - s.LR*m
	}
}

// Adam is the numbers of an update by Adam. Weights w are first multiplied with Shrink; then
//
//	q = Scale g + Decay w
//	m += C1 (q - m)
//	v = B2 v + C2 q^2
//	w -= Rate m / (sqrt(v)/Root + Eps)
//
// or, with vmax, the largest v so far in the root.
type Adam[T Float] struct {
	Shrink, Scale, Decay, Rate, Root, Eps, C1, B2, C2 T
}

// Run updates w, m, v and, if it is not nil, vmax from g.
func (s *Adam[T]) Run(l Level, w, m, v, vmax, g []T) {
	k := []T{s.Shrink, s.Scale, s.Decay, s.Rate, s.Root, s.Eps, s.C1, s.B2, s.C2}
	if vmax == nil {
		if runs(l, kernelAdam, len(w), false, k, w, m, v, g) {
			return
		}
	} else if runs(l, kernelAdamMax, len(w), false, k, w, m, v, vmax, g) {
		return
	}
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i, x := range w {
		x *= s.Shrink
		q := s.Scale*g[i] + s.Decay*x
		a := m[i] + s.C1*(q-m[i])
		b := s.B2*v[i] + s.C2*q*q
		m[i], v[i] = a, b
		if vmax != nil {
			if top := vmax[i]; b < top {
				b = top
			}
			vmax[i] = b
		}
		w[i] = x - s.Rate*(a/(T(math.Sqrt(float64(b)))/s.Root+s.Eps))
	}
}
