package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func (r *rig) hyper(typ device.DType, lr, scale, step, ok float64) device.View {
	return r.with(typ, func(i int) float64 { return []float64{lr, scale, step, ok}[i] }, 4)
}

const (
	optimLen   = 20001
	optimSteps = 3
)

func TestSGD(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, p := range []device.SGD{{}, {WeightDecay: 0.1}, {WeightDecay: 0.1, Decoupled: true}, {Momentum: 0.9}, {Momentum: 0.9, Dampening: 0.3, WeightDecay: 0.01},
			{Momentum: 0.8, Nesterov: true, WeightDecay: 0.02}, {Momentum: 0.8, Nesterov: true, WeightDecay: 0.02, Decoupled: true}} {
			const lr, scale = 0.125, 0.5
			var want []float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				w, buf := r.normal(typ, optimLen), r.normal(typ, optimLen)
				if p.Momentum == 0 {
					buf = device.View{}
				}
				var gs, hs []device.View
				for step := range optimSteps {
					gs, hs = append(gs, r.normal(typ, optimLen)), append(hs, r.hyper(typ, lr, scale, float64(step+1), 1))
				}
				if want == nil {
					want = values(w)
					b := make([]float64, optimLen)
					for step, g := range gs {
						for i, v := range values(g) {
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
				}
				return func() {
					for i := range gs {
						require.True(t, r.d.SGD(w, gs[i], buf, hs[i], p))
					}
				}, []device.View{w}
			})
			near(t, want, got[0], tolerance(typ, 4), fmt.Sprint(typ, p))
		}
	}
}

func TestAdam(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, p := range []device.Adam{{}, {WeightDecay: 0.1}, {WeightDecay: 0.1, Decoupled: true}, {AMSGrad: true}, {AMSGrad: true, WeightDecay: 0.1, Decoupled: true}} {
			const lr, scale = 0.125, 0.5
			p.Beta1, p.Beta2, p.Eps = 0.8, 0.95, 1e-3
			var want []float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				w, m, v, vmax := r.normal(typ, optimLen), r.zeros(typ, optimLen), r.zeros(typ, optimLen), r.zeros(typ, optimLen)
				if !p.AMSGrad {
					vmax = device.View{}
				}
				var gs, hs []device.View
				for step := range optimSteps {
					gs, hs = append(gs, r.normal(typ, optimLen)), append(hs, r.hyper(device.F32, lr, scale, float64(step+1), 1))
				}
				if want == nil {
					want = values(w)
					ms, vs, xs := make([]float64, optimLen), make([]float64, optimLen), make([]float64, optimLen)
					for step, g := range gs {
						for i, q := range values(g) {
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
				}
				return func() {
					for i := range gs {
						require.True(t, r.d.Adam(w, gs[i], m, v, vmax, hs[i], p))
					}
				}, []device.View{w}
			})
			near(t, want, got[0], tolerance(typ, 8), fmt.Sprint(typ, p))
		}
	}
}

func TestOptimisersWriteNothingIfNotOK(t *testing.T) {
	r := newRig(t, 2)
	d := r.d
	one := func() device.View { return r.with(device.F32, func(int) float64 { return 1 }, 10) }
	w, g, a, b, c := one(), r.with(device.F32, func(int) float64 { return math.NaN() }, 10), one(), one(), one()
	h := r.hyper(device.F32, 1, 1, 2, 0)
	require.True(t, d.SGD(w, g, a, h, device.SGD{Momentum: 0.9}))
	require.True(t, d.Adam(w, g, a, b, c, h, device.Adam{AMSGrad: true}))
	require.NoError(t, d.Sync())
	for _, v := range []device.View{w, a, b, c} {
		require.Equal(t, values(one()), values(v))
	}
}

func TestOptimisersDecline(t *testing.T) {
	r := newRig(t, 1)
	d := r.d
	w, h, half := r.zeros(device.F32, 8), r.hyper(device.F32, 1, 1, 1, 1), r.zeros(device.F16, 8)
	require.False(t, d.SGD(w, half, device.View{}, h, device.SGD{}))
	require.False(t, d.SGD(w, w, device.View{}, h, device.SGD{Momentum: 0.9}), "momentum without a place for it")
	require.False(t, d.SGD(w.Slice(0, 0, 4, 2), r.zeros(device.F32, 4), device.View{}, h, device.SGD{}))
	require.False(t, d.Adam(w, w, w, w, device.View{}, h, device.Adam{AMSGrad: true}))
	require.False(t, d.Adam(w, w, w, w, device.View{}, r.zeros(device.F32, 3), device.Adam{}))
}
