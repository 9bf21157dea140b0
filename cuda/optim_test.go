//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func (e *elements) hyper(typ device.DType, lr, scale, step, ok float64) device.View {
	return e.put(typ, 0, func(i int) float64 { return []float64{lr, scale, step, ok}[i] }, device.HyperLen)
}

const optimSteps = 3

// optimSizes: less than a vector, a tail, many blocks.
var optimSizes = []int{1, 3, 4, 1025, 20001}

func TestSGD(t *testing.T) {
	e := newElements(t)
	const lr, scale = 0.125, 0.5
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, n := range optimSizes {
			for _, p := range []device.SGD{{}, {WeightDecay: 0.1}, {WeightDecay: 0.1, Decoupled: true}, {Momentum: 0.9}, {Momentum: 0.9, Dampening: 0.3, WeightDecay: 0.01},
				{Momentum: 0.8, Nesterov: true, WeightDecay: 0.02}, {Momentum: 0.8, Nesterov: true, WeightDecay: 0.02, Decoupled: true}} {
				w, buf := e.normal(typ, i%2, n), e.normal(typ, 0, n)
				if p.Momentum == 0 {
					buf = device.View{}
				}
				want, b := e.get(w), make([]float64, n)
				var gs, hs []device.View
				for step := range optimSteps {
					g := e.normal(typ, i%3, n)
					gs, hs = append(gs, g), append(hs, e.hyper(typ, lr, scale, float64(step+1), 1))
					for i, v := range e.get(g) {
						v *= scale
						if p.Decoupled {
							want[i] *= 1 - lr*p.WeightDecay
						} else {
							v += p.WeightDecay * want[i]
						}
						b[i] = p.Momentum*b[i] + (1-p.Dampening)*v
						if step == 0 {
							b[i] = v
						}
						switch {
						case p.Momentum == 0:
							want[i] -= lr * v
						case p.Nesterov:
							want[i] -= lr * (v + p.Momentum*b[i])
						default:
							want[i] -= lr * b[i]
						}
					}
				}
				e.everywhere(func() {
					for i := range gs {
						require.True(t, e.gpu.SGD(w, gs[i], buf, hs[i], p))
					}
				}, present(w, buf)...)
				e.near(typ, 4, want, e.get(w), fmt.Sprint(typ, n, p)) // three steps of some roundings each
				if buf.Valid() {
					e.near(typ, 8, b, e.get(buf), fmt.Sprint(typ, n, p))
				}
			}
			e.free()
		}
	}
}

func TestAdam(t *testing.T) {
	e := newElements(t)
	const lr, scale = 0.125, 0.5
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, n := range optimSizes {
			for _, p := range []device.Adam{{}, {WeightDecay: 0.1}, {WeightDecay: 0.1, Decoupled: true}, {AMSGrad: true}, {AMSGrad: true, WeightDecay: 0.1, Decoupled: true}} {
				p.Beta1, p.Beta2, p.Eps = 0.8, 0.95, 1e-3
				zero := func(int) float64 { return 0 }
				w, m, v, vmax := e.normal(typ, 0, n), e.put(typ, i%2, zero, n), e.put(typ, 0, zero, n), e.put(typ, 0, zero, n)
				if !p.AMSGrad {
					vmax = device.View{}
				}
				want, ms, vs, xs := e.get(w), make([]float64, n), make([]float64, n), make([]float64, n)
				var gs, hs []device.View
				for step := range optimSteps {
					g := e.normal(typ, 0, n)
					gs, hs = append(gs, g), append(hs, e.hyper(device.F32, lr, scale, float64(step+1), 1))
					for i, q := range e.get(g) {
						q *= scale
						if p.Decoupled {
							want[i] *= 1 - lr*p.WeightDecay
						} else {
							q += p.WeightDecay * want[i]
						}
						ms[i] = p.Beta1*ms[i] + (1-p.Beta1)*q
						vs[i] = p.Beta2*vs[i] + (1-p.Beta2)*q*q
						xs[i] = max(xs[i], vs[i])
						top := vs[i]
						if p.AMSGrad {
							top = xs[i]
						}
						c1, c2 := 1-math.Pow(p.Beta1, float64(step+1)), 1-math.Pow(p.Beta2, float64(step+1))
						want[i] -= lr / c1 * ms[i] / (math.Sqrt(top)/math.Sqrt(c2) + p.Eps)
					}
				}
				e.everywhere(func() {
					for i := range gs {
						require.True(t, e.gpu.Adam(w, gs[i], m, v, vmax, hs[i], p))
					}
				}, present(w, m, v, vmax)...)
				what := fmt.Sprint(typ, n, p)
				e.near(typ, 8, want, e.get(w), what) // three steps of a dozen roundings each
				e.near(typ, 8, ms, e.get(m), what)
				e.near(typ, 8, vs, e.get(v), what)
				if p.AMSGrad {
					e.near(typ, 8, xs, e.get(vmax), what)
				}
			}
			e.free()
		}
	}
}

func TestOptimisersWriteNothingIfNotOK(t *testing.T) {
	e := newElements(t)
	one := func() device.View { return e.put(device.F32, 0, func(int) float64 { return 1 }, 10) }
	w, g, a, b, c := one(), e.put(device.F32, 0, func(int) float64 { return math.NaN() }, 10), one(), one(), one()
	h := e.hyper(device.F32, 1, 1, 2, 0)
	require.True(t, e.gpu.SGD(w, g, a, h, device.SGD{Momentum: 0.9}))
	require.True(t, e.gpu.Adam(w, g, a, b, c, h, device.Adam{AMSGrad: true}))
	require.NoError(t, e.gpu.Sync())
	for _, v := range []device.View{w, a, b, c} {
		require.Equal(t, e.get(one()), e.get(v))
	}
}

func TestOptimisersDecline(t *testing.T) {
	e := newElements(t)
	w, h, half, none := e.blank(device.F32, 0, 8), e.hyper(device.F32, 1, 1, 1, 1), e.blank(device.F16, 0, 8), device.View{}
	require.False(t, e.gpu.SGD(w, half, none, h, device.SGD{}))
	require.False(t, e.gpu.SGD(half, half, none, h, device.SGD{}))
	require.False(t, e.gpu.SGD(w, w, none, h, device.SGD{Momentum: 0.9}), "momentum without a place for it")
	require.False(t, e.gpu.SGD(w.Slice(0, 0, 4, 2), e.blank(device.F32, 0, 4), none, h, device.SGD{}))
	require.False(t, e.gpu.Adam(w, w, w, w, none, h, device.Adam{AMSGrad: true}))
	require.False(t, e.gpu.Adam(w, w, w, w, none, e.blank(device.F32, 0, 3), device.Adam{}))
	require.False(t, e.gpu.Adam(w, w, w, none, none, h, device.Adam{}))
}
