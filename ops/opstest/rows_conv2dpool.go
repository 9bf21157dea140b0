package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

type convPoolArgs struct {
	device.Conv2D
	act   device.UnOp
	pool  device.Pool2D // zero: none
	stats bool
}

// convPoolCases are those of Conv2D with pooling, with statistics, and with both.
func convPoolCases() []Case {
	windows := func(h, w int32) device.Pool2D {
		return device.Pool2D{KernelH: h, KernelW: w, StrideH: h, StrideW: w, DilH: 1, DilW: 1}
	}
	two, none := windows(2, 2), device.Pool2D{}
	c := func(name string, x, w []int, bias bool, stride, pad, groups int32, act device.UnOp, pool device.Pool2D, stats bool) Case {
		b := dims(w[0])
		if !bias {
			b = nil
		}
		p := device.Conv2D{StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DilH: 1, DilW: 1, Groups: groups}
		return Case{Name: name, Shapes: shapes(x, w, b), Spread: 1, Args: convPoolArgs{p, act, pool, stats}}
	}
	cs := []Case{
		c("pool", dims(3, 5, 7, 3), dims(5, 3, 3, 3), true, 1, 1, 1, device.Identity, two, false),
		c("stats", dims(3, 5, 7, 3), dims(5, 3, 3, 3), true, 1, 1, 1, device.Identity, none, true),
		c("both", dims(3, 5, 7, 3), dims(5, 3, 3, 3), true, 1, 1, 1, device.Identity, two, true),
		c("neither", dims(2, 4, 3, 2), dims(3, 3, 3, 2), true, 1, 1, 1, device.Relu, none, false),
		c("one", dims(1, 1, 1, 1), dims(1, 1, 1, 1), true, 1, 0, 1, device.Identity, windows(1, 1), true),
		c("empty", dims(0, 5, 5, 2), dims(3, 3, 3, 2), true, 1, 0, 1, device.Relu, two, true),
		c("stride", dims(2, 11, 8, 2), dims(3, 3, 3, 2), false, 2, 1, 1, device.Identity, two, true),
		c("groups", dims(2, 6, 7, 6), dims(4, 3, 3, 3), true, 1, 0, 2, device.Relu, two, true),
		c("depthwise", dims(2, 5, 4, 3), dims(3, 3, 3, 1), false, 1, 1, 3, device.Identity, two, true),
		c("1x1", dims(2, 5, 4, 5), dims(7, 1, 1, 5), true, 1, 0, 1, device.Tanh, two, false),
		c("1x1 stats", dims(2, 3, 3, 5), dims(7, 1, 1, 5), true, 1, 0, 1, device.Sigmoid, none, true),
		c("3x2 windows", dims(2, 8, 9, 2), dims(3, 3, 3, 2), true, 1, 1, 1, device.Relu, windows(3, 2), true),
		c("wide", dims(1, 4, 5, 8), dims(9, 2, 2, 8), true, 1, 1, 1, device.Relu, two, true),
		c("gelu", dims(1, 5, 5, 4), dims(3, 3, 3, 4), true, 1, 0, 1, device.Gelu, two, true), // its gradient reads what it was applied to
		c("gelu stats", dims(1, 3, 5, 2), dims(3, 3, 3, 2), true, 1, 1, 1, device.Gelu, none, true),
	}
	eval := c("eval", dims(2, 5, 6, 3), dims(4, 3, 3, 3), true, 1, 1, 1, device.Relu, two, true)
	eval.Eval = true
	return append(cs, eval)
}

// refConv2DPool is y, and where statistics are asked for the mean and the standard deviation of its channels.
func refConv2DPool(c Case, in []*Array) []*Array {
	a := c.Args.(convPoolArgs)
	y := refConv2D(Case{Args: a.Conv2D}, in)[0]
	for i, v := range y.Data {
		switch a.act {
		case device.Relu:
			y.Data[i] = math.Max(v, 0)
		case device.Tanh:
			y.Data[i] = math.Tanh(v)
		case device.Sigmoid:
			y.Data[i] = 1 / (1 + math.Exp(-v))
		case device.Gelu:
			y.Data[i] = v * math.Erfc(-v/math.Sqrt2) / 2
		}
	}
	if a.pool != (device.Pool2D{}) {
		y = refMaxPool(Case{Args: poolArgs{Pool2D: a.pool}}, []*Array{y})[0]
	}
	if !a.stats || c.Eval || len(y.Data) == 0 {
		return []*Array{y}
	}
	channels := y.Shape[3]
	zeros, ones := NewArray(channels), NewArray(channels)
	for i := range ones.Data {
		ones.Data[i] = 1
	}
	norm := refBatchNorm(Case{Args: normArgs{momentum: 1, eps: 1}}, []*Array{y, nil, nil, zeros, ones})
	if len(y.Data) == channels {
		norm[2] = zeros // the variance of a single value is kept as 0
	}
	for i, v := range norm[2].Data {
		norm[2].Data[i] = math.Sqrt(v)
	}
	return []*Array{y, norm[1], norm[2]}
}

func buildConv2DPool(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
	a := c.Args.(convPoolArgs)
	y := ops.Conv2DPool(t, in[0], in[1], in[2], a.Conv2D, a.act, a.pool, a.stats)
	if !a.stats || c.Eval || y.Value().Len() == 0 {
		return one(y)
	}
	// What a batch norm makes of the statistics shows in what it keeps of them. The deviation is no farther off than y.
	typ := accOf(y.Type())
	mean, variance := t.Temp(typ, y.Dim(3)), t.Temp(typ, y.Dim(3))
	t.Dev.Fill(mean.Value(), 0)
	t.Dev.Fill(variance.Value(), 1)
	t.Release(ops.BatchNorm(t, y, nil, nil, ops.BatchNormState{NextMean: mean.Value(), NextVar: variance.Value(), Momentum: 1, Eps: 1}))
	t.Dev.Unary(device.Sqrt, variance.Value(), variance.Value(), 0, 0)
	return []*ops.Tensor{y, mean, variance}
}

func conv2dPoolRows() []Row {
	return []Row{{Op: "Conv2DPool", Golden: "conv2d_pool", Cases: convPoolCases(), Ref: refConv2DPool, Build: buildConv2DPool}}
}
