package model

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Conv2D is a two-dimensional convolution: x (N,H,W,In), weight (Out,KH,KW,In/groups), y (N,OH,OW,Out).
type Conv2D struct {
	In, Out      int
	Kernel       [2]int // height, width
	Params       device.Conv2D
	Weight, Bias *Param // Bias nil: none
}

// NewConv2D makes a convolution of a kernel of height and width kernel. Zero strides, dilations and groups in p mean 1.
// init is as in NewLinear. Channels that groups do not divide panic.
func NewConv2D(in, out int, kernel [2]int, p device.Conv2D, bias bool, init Initializer) *Conv2D {
	for _, v := range []*int32{&p.StrideH, &p.StrideW, &p.DilH, &p.DilW, &p.Groups} {
		if *v == 0 {
			*v = 1
		}
	}
	g := int(p.Groups)
	if in%g != 0 || out%g != 0 {
		panic(fmt.Sprintf("model.NewConv2D: %d groups do not divide %d inputs and %d outputs", g, in, out))
	}
	c := &Conv2D{In: in, Out: out, Kernel: kernel, Params: p}
	c.Weight, c.Bias = weights([]int{out, kernel[0], kernel[1], in / g}, bias, init)
	return c
}

// Forward implements Module.
func (c *Conv2D) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return ops.Conv2D(t, x, t.Bound(c.Weight), bound(t, c.Bias), c.Params)
}

func (c *Conv2D) forwardAct(t *ops.Tape, x *ops.Tensor, act device.UnOp) *ops.Tensor {
	return ops.Conv2DAct(t, x, t.Bound(c.Weight), bound(t, c.Bias), c.Params, act)
}

// forwardPool is the convolution with what comes after it: an activation, a max pooling unless pool is zero, and a batch
// norm, for which the statistics are wanted.
func (c *Conv2D) forwardPool(t *ops.Tape, x *ops.Tensor, act device.UnOp, pool device.Pool2D, norm bool) *ops.Tensor {
	return ops.Conv2DPool(t, x, t.Bound(c.Weight), bound(t, c.Bias), c.Params, act, pool, norm)
}

// OutShape implements Module: (H,W,In) to (OH,OW,Out).
func (c *Conv2D) OutShape(in []int) ([]int, error) {
	if len(in) != 3 || in[2] != c.In {
		return nil, misfit(c, in, "its input must be pictures of as many channels", "(H,W,%d)", c.In)
	}
	oh, ow := c.Params.Out(in[0], in[1], c.Kernel[0], c.Kernel[1])
	if oh < 1 || ow < 1 {
		return nil, misfit(c, in, "use a smaller kernel, or pad", "at least the %dx%d pixels of its kernel", c.Kernel[0], c.Kernel[1])
	}
	return []int{oh, ow, c.Out}, nil
}

// Visit implements Module.
func (c *Conv2D) Visit(v Visitor) { visitWeights(v, c.Weight, c.Bias) }

// MultiplyAdds is OH OW Out KH KW In/groups, padding counted.
func (c *Conv2D) MultiplyAdds(in []int) int {
	oh, ow := c.Params.Out(in[0], in[1], c.Kernel[0], c.Kernel[1])
	return oh * ow * elements(c.Weight.Shape)
}

func (c *Conv2D) kind() string { return "conv2d" }
