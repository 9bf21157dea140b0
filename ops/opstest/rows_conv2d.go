package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// convCases are pictures (N,H,W,C), weights (O,KH,KW,C/groups) and perhaps a bias (O).
func convCases() []Case {
	p := func(stride, pad, dil, groups int32) device.Conv2D {
		return device.Conv2D{StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DilH: dil, DilW: dil, Groups: groups}
	}
	c := func(name string, x, w []int, bias bool, p device.Conv2D) Case {
		b := dims(w[0])
		if !bias {
			b = nil
		}
		return Case{Name: name, Shapes: shapes(x, w, b), Spread: 1, Args: p}
	}
	odd := p(1, 0, 1, 1)
	odd.StrideW, odd.PadH, odd.DilW = 2, 2, 3
	return []Case{
		c("odd", dims(3, 5, 7, 3), dims(5, 3, 3, 3), true, p(1, 1, 1, 1)), c("one", dims(1, 1, 1, 1), dims(1, 1, 1, 1), true, p(1, 0, 1, 1)),
		c("empty", dims(0, 5, 5, 2), dims(3, 3, 3, 2), true, p(1, 0, 1, 1)), c("stride", dims(2, 7, 8, 2), dims(3, 3, 3, 2), false, p(2, 1, 1, 1)),
		c("dilated", dims(1, 7, 7, 2), dims(2, 3, 3, 2), true, p(1, 2, 2, 1)), c("groups", dims(2, 5, 5, 6), dims(4, 3, 3, 3), true, p(1, 0, 1, 2)),
		c("depthwise", dims(2, 5, 4, 3), dims(3, 3, 3, 1), false, p(1, 1, 1, 3)), c("1x1", dims(2, 3, 3, 5), dims(7, 1, 1, 5), true, p(1, 0, 1, 1)),
		c("uneven", dims(2, 5, 9, 2), dims(3, 3, 2, 2), true, odd), c("first layer", dims(2, 9, 9, 1), dims(3, 5, 5, 1), true, p(1, 2, 1, 1)),
		c("wide", dims(1, 4, 4, 16), dims(17, 3, 3, 16), true, p(1, 1, 1, 1)),
	}
}

func refConv2D(c Case, in []*Array) []*Array {
	p, x, w, b := c.Args.(device.Conv2D), in[0], in[1], in[2]
	h, wd, kh, kw := x.Shape[1], x.Shape[2], w.Shape[1], w.Shape[2]
	oh, ow := p.Out(h, wd, kh, kw)
	per, outs := w.Shape[3], w.Shape[0]/int(p.Groups)
	return []*Array{NewArray(x.Shape[0], oh, ow, w.Shape[0]).fill(func(at []int) float64 {
		n, oy, ox, o := at[0], at[1], at[2], at[3]
		s := 0.0
		if b != nil {
			s = b.at(o)
		}
		for ky := range kh {
			for kx := range kw {
				iy, ix := oy*int(p.StrideH)-int(p.PadH)+ky*int(p.DilH), ox*int(p.StrideW)-int(p.PadW)+kx*int(p.DilW)
				if iy < 0 || iy >= h || ix < 0 || ix >= wd {
					continue
				}
				s = plusDot(s, w.from(o, ky, kx, 0)[:per], x.from(n, iy, ix, o/outs*per))
			}
		}
		return s
	})}
}

func conv2dRows() []Row {
	return []Row{
		{Op: "Conv2D", Golden: "conv2d", Cases: convCases(), Ref: refConv2D,
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Conv2D(t, in[0], in[1], in[2], c.Args.(device.Conv2D)))
			}},
		{Op: "Conv2DAct", Golden: "conv2d_act", Cases: convCases(),
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Conv2DAct(t, in[0], in[1], in[2], c.Args.(device.Conv2D), convAct(c)))
			},
			Ref: func(c Case, in []*Array) []*Array {
				y := refConv2D(c, in)
				for i, v := range y[0].Data {
					if convAct(c) == device.Tanh {
						y[0].Data[i] = math.Tanh(v)
					} else {
						y[0].Data[i] = math.Max(v, 0)
					}
				}
				return y
			}},
	}
}

func convAct(c Case) device.UnOp {
	if c.Name == "groups" || c.Name == "1x1" {
		return device.Tanh
	}
	return device.Relu
}
