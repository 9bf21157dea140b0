package model

import (
	"maps"
	"math"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/device"
)

// layerKind is a kind of layer that lists may name.
type layerKind struct {
	short string   // the option that a plain value sets
	keys  []string // all options; name is one of every kind
	build func(o *options) Module
}

// kinds is all kinds of layers by name. residual is made by listBuilder.
var kinds = map[string]layerKind{
	"conv2d":           {"out", []string{"out", "kernel", "stride", "pad", "dilation", "groups", "bias", "init"}, buildConv2D},
	"linear":           {"out", []string{"out", "bias", "init"}, buildLinear},
	"batchnorm":        {"", []string{"momentum", "eps", "scale"}, buildBatchNorm},
	"dropout":          {"p", []string{"p"}, func(o *options) Module { return NewDropout(o.number("p", 0.5, 0, 1)) }},
	"maxpool":          {"kernel", []string{"kernel", "stride", "pad", "dilation", "ceil"}, func(o *options) Module { return NewMaxPool2D(poolParams(o)) }},
	"avgpool":          {"kernel", []string{"kernel", "stride", "pad", "ceil", "count_pad"}, func(o *options) Module { return NewAvgPool2D(poolParams(o), o.yes("count_pad", true)) }},
	"global_avgpool":   {"", nil, func(*options) Module { return NewAdaptivePool2D(1, 1, false) }},
	"global_maxpool":   {"", nil, func(*options) Module { return NewAdaptivePool2D(1, 1, true) }},
	"adaptive_avgpool": {"size", []string{"size"}, func(o *options) Module { return buildAdaptive(o, false) }},
	"adaptive_maxpool": {"size", []string{"size"}, func(o *options) Module { return buildAdaptive(o, true) }},
	"flatten":          {"", nil, func(*options) Module { return NewFlatten() }},
	"relu":             {"", nil, func(*options) Module { return NewActivation(device.Relu) }},
	"sigmoid":          {"", nil, func(*options) Module { return NewActivation(device.Sigmoid) }},
	"tanh":             {"", nil, func(*options) Module { return NewActivation(device.Tanh) }},
	"gelu":             {"", nil, func(*options) Module { return NewActivation(device.Gelu) }},
	"gelu_tanh":        {"", nil, func(*options) Module { return NewActivation(device.GeluTanh) }},
	"silu":             {"", nil, func(*options) Module { return NewActivation(device.Silu) }},
	"leaky_relu":       {"slope", []string{"slope"}, func(o *options) Module { return NewLeakyRelu(o.number("slope", 0.01, 0, math.Inf(1))) }},
	"scale":            {"factor", []string{"factor"}, buildScale},
	"subsample":        {"out", []string{"out", "stride"}, func(o *options) Module { return NewSubsample(o.whole("stride", 2, 1), o.needed("out")) }},
	"residual":         {"", []string{"body", "shortcut"}, nil},
}

var kindNames = slices.Sorted(maps.Keys(kinds))

func buildConv2D(o *options) Module {
	if len(o.in) != 3 {
		o.failAt(nil, "put convolutions before flatten", "it takes pictures (H,W,C), its input is %s", shapeText(o.in))
		return nil
	}
	out, one := o.needed("out"), [2]int{1, 1}
	kernel, stride, dil := o.pair("kernel", [2]int{3, 3}, 1), o.pair("stride", one, 1), o.pair("dilation", one, 1)
	var pad [2]int
	if n := o.nodes["pad"]; n != nil && n.Value == "same" {
		for i := range pad {
			if pad[i] = dil[i] * (kernel[i] - 1) / 2; kernel[i]%2 == 0 {
				o.fail("pad", "use an odd kernel, or pad: 1", "pad: same needs a kernel of odd size, not %dx%d", kernel[0], kernel[1])
			}
		}
	} else {
		pad = o.pair("pad", pad, 0)
	}
	groups := o.whole("groups", 1, 1)
	if o.in[2]%groups != 0 || out%groups != 0 {
		o.fail("groups", "choose a divisor of both", "groups: %d does not divide %d input channels and %d outputs", groups, o.in[2], out)
	}
	bias, init := o.yes("bias", true), o.initializer()
	if o.err != nil {
		return nil
	}
	return NewConv2D(o.in[2], out, kernel, device.Conv2D{StrideH: int32(stride[0]), StrideW: int32(stride[1]), PadH: int32(pad[0]), PadW: int32(pad[1]),
		DilH: int32(dil[0]), DilW: int32(dil[1]), Groups: int32(groups)}, bias, init)
}

func buildLinear(o *options) Module {
	if len(o.in) != 1 {
		o.failAt(nil, "put flatten before it", "it takes rows, its input is %s", shapeText(o.in))
		return nil
	}
	out, bias, init := o.needed("out"), o.yes("bias", true), o.initializer()
	if o.err != nil {
		return nil
	}
	return NewLinear(o.in[0], out, bias, init)
}

func buildBatchNorm(o *options) Module {
	b := NewBatchNorm(o.in[len(o.in)-1], o.yes("scale", true))
	b.Momentum, b.Eps = o.number("momentum", b.Momentum, 0, 1), o.number("eps", b.Eps, 0, math.Inf(1))
	return b
}

func buildScale(o *options) Module {
	if !o.has("factor") {
		o.failAt(nil, "write {scale: 0.125}", "factor is missing")
	}
	return NewScale(o.number("factor", 1, math.Inf(-1), math.Inf(1)))
}

func buildAdaptive(o *options, max bool) Module {
	size := o.pair("size", [2]int{1, 1}, 1)
	return NewAdaptivePool2D(size[0], size[1], max)
}

func poolParams(o *options) device.Pool2D {
	k := o.pair("kernel", [2]int{2, 2}, 1)
	s, p, d := o.pair("stride", k, 1), o.pair("pad", [2]int{}, 0), o.pair("dilation", [2]int{1, 1}, 1)
	if 2*p[0] > k[0] || 2*p[1] > k[1] {
		o.fail("pad", "pad by at most half the window", "pad: %v under a window of %v", p, k)
	}
	return device.Pool2D{KernelH: int32(k[0]), KernelW: int32(k[1]), StrideH: int32(s[0]), StrideW: int32(s[1]),
		PadH: int32(p[0]), PadW: int32(p[1]), DilH: int32(d[0]), DilW: int32(d[1]), Ceil: o.yes("ceil", false)}
}

// residual makes a residual block of a list, or of the lists body and shortcut.
func (b listBuilder) residual(o *options, value *yaml.Node) Module {
	body, at := value, ""
	if value == nil || value.Kind != yaml.SequenceNode {
		at = ".body"
		if body = o.nodes["body"]; body == nil {
			o.failAt(value, "write {residual: [...]}, or body and shortcut, each a list of layers", "body is missing")
			return nil
		}
	}
	r := &Residual{}
	inner := b
	inner.where = b.where + ".residual" + at
	seq, _, err := inner.list(body, o.in)
	if err != nil {
		o.err = err
		return nil
	}
	r.Body = seq
	if n := o.nodes["shortcut"]; n != nil {
		inner.where = b.where + ".residual.shortcut"
		if seq, _, err = inner.list(n, o.in); err != nil {
			o.err = err
			return nil
		}
		r.Shortcut = seq
	}
	return r
}
