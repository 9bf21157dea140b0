package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

type normArgs struct{ momentum, eps float64 }

// normCases have inputs x, gamma, beta, running mean and running variance. Variances are From + Spread u > 0.
func normCases() []Case {
	c := func(name string, x []int, affine, eval bool, a normArgs) Case {
		k := x[len(x)-1]
		s := shapes(x, dims(k), dims(k), dims(k), dims(k))
		if !affine {
			s[1], s[2] = nil, nil
		}
		return Case{Name: name, Shapes: s, Const: []int{3, 4}, From: 1.5, Spread: 1, Eval: eval, Args: a}
	}
	usual := normArgs{0.1, 1e-5}
	return []Case{
		c("odd", dims(3, 5, 3, 7), true, false, usual), c("1d", dims(7, 5), true, false, usual), c("two numbers", dims(2, 1, 1, 1), true, false, normArgs{0.1, 0.1}),
		c("tiny eps", dims(3, 3, 3, 2), true, false, normArgs{0.6, 1e-12}), c("no scale", dims(2, 3, 3, 3), false, false, usual),
		c("eval", dims(3, 5, 3, 3), true, true, usual), c("eval 1d", dims(5, 3), true, true, usual), c("eval one", dims(1, 1), true, true, usual),
		c("eval empty", dims(0, 3, 3, 5), true, true, usual), c("eval no scale", dims(2, 3, 5, 1), false, true, usual),
	}
}

func refBatchNorm(c Case, in []*Array) []*Array {
	x, gamma, beta, mean, variance := in[0], in[1], in[2], in[3], in[4]
	a, k := c.Args.(normArgs), len(x.Shape)-1
	channels := x.Shape[k]
	m, v := append([]float64{}, mean.Data...), append([]float64{}, variance.Data...)
	nextM, nextV := NewArray(channels), NewArray(channels)
	if !c.Eval {
		n := len(x.Data) / channels
		for ch := range channels {
			s, q := 0.0, 0.0
			for i := ch; i < len(x.Data); i += channels {
				s += x.Data[i]
			}
			m[ch] = s / float64(n)
			for i := ch; i < len(x.Data); i += channels {
				q += (x.Data[i] - m[ch]) * (x.Data[i] - m[ch])
			}
			v[ch] = q / float64(n)
			nextM.Data[ch] = (1-a.momentum)*mean.Data[ch] + a.momentum*m[ch]
			nextV.Data[ch] = (1-a.momentum)*variance.Data[ch] + a.momentum*q/float64(n-1)
		}
	}
	y := NewArray(x.Shape...)
	for i, xv := range x.Data {
		ch := i % channels
		y.Data[i] = (xv - m[ch]) / math.Sqrt(v[ch]+a.eps)
		if gamma != nil {
			y.Data[i] = y.Data[i]*gamma.Data[ch] + beta.Data[ch]
		}
	}
	if c.Eval {
		return []*Array{y}
	}
	return []*Array{y, nextM, nextV}
}

func buildBatchNorm(t *ops.Tape, c Case, in []*ops.Tensor, f func(s ops.BatchNormState) *ops.Tensor) []*ops.Tensor {
	a := c.Args.(normArgs)
	s := ops.BatchNormState{Momentum: a.momentum, Eps: a.eps, Mean: in[3].Value(), Var: in[4].Value()}
	if c.Eval {
		return one(f(s))
	}
	nm, nv := t.Temp(in[3].Type(), in[3].Shape()...), t.Temp(in[4].Type(), in[4].Shape()...)
	t.Dev.Copy(nm.Value(), s.Mean)
	t.Dev.Copy(nv.Value(), s.Var)
	s.NextMean, s.NextVar = nm.Value(), nv.Value()
	return []*ops.Tensor{f(s), nm, nv}
}

func batchNormRows() []Row {
	// The difference quotient at eps 1e-12 is as smooth as any, since the variances of the cases are near 1/3.
	return []Row{
		{Op: "BatchNorm", Golden: "batch_norm", Cases: normCases(), Ref: refBatchNorm,
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return buildBatchNorm(t, c, in, func(s ops.BatchNormState) *ops.Tensor { return ops.BatchNorm(t, in[0], in[1], in[2], s) })
			}},
		{Op: "BatchNormAct", Golden: "batch_norm_act", Cases: normCases(),
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return buildBatchNorm(t, c, in, func(s ops.BatchNormState) *ops.Tensor {
					return ops.BatchNormAct(t, in[0], in[1], in[2], s, device.Relu)
				})
			},
			Ref: func(c Case, in []*Array) []*Array {
				out := refBatchNorm(c, in)
				for i, v := range out[0].Data {
					out[0].Data[i] = math.Max(v, 0)
				}
				return out
			}},
	}
}
