package bundle

import (
	"errors"
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// The fused kernels that are measured. A device that lacks or declines one fails the stage: then what is measured is not
// what trains.
type (
	convolver interface {
		Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool
		Conv2DGradInput(dx, dy, w device.View, p device.Conv2D) bool
		Conv2DGradWeight(dw, x, dy device.View, p device.Conv2D, beta float64) bool
	}
	normer interface {
		BatchNormStats(mean, variance, x device.View) bool
		BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool
		BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool
	}
	pooler interface {
		MaxPool2D(y, idx, x device.View, p device.Pool2D) bool
		MaxPool2DGrad(dx, dy, idx device.View, p device.Pool2D) bool
	}
	loser interface {
		SoftmaxCrossEntropy(loss, dx, x, target device.View, smooth float64) bool
	}
	updater interface {
		SGD(w, g, buf, hyper device.View, p device.SGD) bool
		Adam(w, g, m, v, vmax, hyper device.View, p device.Adam) bool
	}
	augmenter interface {
		Augment(y, pictures, idx, state device.View, p device.Augment) bool
	}
)

var errDeclined = errors.New("the device declines it")

// fused gives the device's fused kernels of one kind.
func fused[K any](b *bench) (K, error) {
	k, ok := device.As[K](b.d)
	if !ok {
		return k, fmt.Errorf("device %s has no such kernel", b.d.Name())
	}
	return k, nil
}

// accepted makes a call of one that says whether it is taken.
func accepted(f func() bool) func() error {
	return func() error {
		if !f() {
			return errDeclined
		}
		return nil
	}
}

var dtypes = map[string]device.DType{"f16": device.F16, "bf16": device.BF16, "f32": device.F32, "tf32": device.F32}

// views makes views of random numbers, all or an error.
type views struct {
	b   *bench
	err error
}

func (v *views) of(typ device.DType, dims ...int) (view device.View) {
	if v.err == nil {
		view, v.err = v.b.random(typ, dims...)
	}
	return view
}

// kernelCalls take memory for a case and give its call.
var kernelCalls = map[string]func(b *bench, c speedCase) (func() error, error){
	"conv": convCall, "conv_dx": convCall, "conv_dw": convCall,
	"norm": normCall, "norm_grad": normCall, "gelu": geluCall, "gelu_grad": geluCall,
	"pool": poolCall, "pool_grad": poolCall, "loss": lossCall, "sgd": updateCall, "adam": updateCall,
	"augment": augmentCall, "copy": copyCall, "product": productCall,
}

func convCall(b *bench, c speedCase) (func() error, error) {
	k, err := fused[convolver](b)
	if err != nil {
		return nil, err
	}
	v, typ := views{b: b}, dtypes[c.Type]
	h, w := c.out()
	p := device.Conv2D{StrideH: int32(c.Stride), StrideW: int32(c.Stride), PadH: int32(c.Pad), PadW: int32(c.Pad), DilH: 1, DilW: 1, Groups: 1}
	x, y := v.of(typ, c.Batch, c.Height, c.Width, c.In), v.of(typ, c.Batch, h, w, c.Out)
	switch c.Kind {
	case "conv_dw":
		dw := v.of(device.F32, c.Out, c.Kernel, c.Kernel, c.In)
		return accepted(func() bool { return k.Conv2DGradWeight(dw, x, y, p, 0) }), v.err
	case "conv_dx":
		weights := v.of(typ, c.Out, c.Kernel, c.Kernel, c.In)
		return accepted(func() bool { return k.Conv2DGradInput(x, y, weights, p) }), v.err
	}
	weights := v.of(typ, c.Out, c.Kernel, c.Kernel, c.In)
	return accepted(func() bool { return k.Conv2D(y, x, weights, device.View{}, p, device.Identity) }), v.err
}

func normCall(b *bench, c speedCase) (func() error, error) {
	k, err := fused[normer](b)
	if err != nil {
		return nil, err
	}
	v, typ := views{b: b}, dtypes[c.Type]
	x, y := v.of(typ, c.Batch, c.Height, c.Width, c.In), v.of(typ, c.Batch, c.Height, c.Width, c.In)
	mean, variance, rstd, gamma, beta := v.of(device.F32, c.In), v.of(device.F32, c.In), v.of(device.F32, c.In), v.of(device.F32, c.In), v.of(device.F32, c.In)
	if c.Kind == "norm" {
		return accepted(func() bool {
			return k.BatchNormStats(mean, variance, x) && k.BatchNormApply(y, x, mean, rstd, gamma, beta, device.Identity)
		}), v.err
	}
	dx := v.of(typ, c.Batch, c.Height, c.Width, c.In)
	return accepted(func() bool { return k.BatchNormGrad(dx, beta, variance, y, x, mean, rstd, gamma) }), v.err
}

func geluCall(b *bench, c speedCase) (func() error, error) {
	v, typ := views{b: b}, dtypes[c.Type]
	x, y := v.of(typ, c.Batch, c.Height, c.Width, c.In), v.of(typ, c.Batch, c.Height, c.Width, c.In)
	if c.Kind == "gelu" {
		return func() error { b.d.Unary(device.Gelu, y, x, 0, 0); return nil }, v.err
	}
	dx := v.of(typ, c.Batch, c.Height, c.Width, c.In)
	return func() error { b.d.UnaryGrad(device.Gelu, dx, y, x, device.View{}, 0, 0); return nil }, v.err
}

func poolCall(b *bench, c speedCase) (func() error, error) {
	k, err := fused[pooler](b)
	if err != nil {
		return nil, err
	}
	v, typ := views{b: b}, dtypes[c.Type]
	n, s := int32(c.Kernel), int32(c.Stride)
	p := device.Pool2D{KernelH: n, KernelW: n, StrideH: s, StrideW: s, DilH: 1, DilW: 1}
	h, w := p.Out(c.Height, c.Width)
	x, y, idx := v.of(typ, c.Batch, c.Height, c.Width, c.In), v.of(typ, c.Batch, h, w, c.In), v.of(device.I32, c.Batch, h, w, c.In)
	if v.err != nil {
		return nil, v.err
	}
	forward := accepted(func() bool { return k.MaxPool2D(y, idx, x, p) })
	if c.Kind == "pool" {
		return forward, nil
	}
	if err := forward(); err != nil { // for the places of the largest
		return nil, err
	}
	dx := v.of(typ, c.Batch, c.Height, c.Width, c.In)
	return accepted(func() bool { return k.MaxPool2DGrad(dx, y, idx, p) }), v.err
}

func lossCall(b *bench, c speedCase) (func() error, error) {
	k, err := fused[loser](b)
	if err != nil {
		return nil, err
	}
	v, typ := views{b: b}, dtypes[c.Type]
	x, dx, loss, target := v.of(typ, c.Batch, c.In), v.of(typ, c.Batch, c.In), v.of(typ, c.Batch), v.of(device.I32, c.Batch)
	return accepted(func() bool { return k.SoftmaxCrossEntropy(loss, dx, x, target, 0) }), v.err
}

func updateCall(b *bench, c speedCase) (func() error, error) {
	k, err := fused[updater](b)
	if err != nil {
		return nil, err
	}
	v := views{b: b}
	w, g, m, second := v.of(device.F32, c.In), v.of(device.F32, c.In), v.of(device.F32, c.In), device.View{}
	hyper := v.of(device.F32, device.HyperLen)
	if c.Kind == "adam" {
		second = v.of(device.F32, c.In)
	}
	if v.err != nil {
		return nil, v.err
	}
	for i, x := range map[int]float64{device.HyperLR: 1e-3, device.HyperGradScale: 1, device.HyperStep: 10, device.HyperOK: 1} {
		b.d.Fill(hyper.At(0, i), x)
	}
	if c.Kind == "adam" {
		b.d.Binary(device.Mul, second, second, second)
		p := device.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
		return accepted(func() bool { return k.Adam(w, g, m, second, device.View{}, hyper, p) }), nil
	}
	p := device.SGD{Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}
	return accepted(func() bool { return k.SGD(w, g, m, hyper, p) }), nil
}

func augmentCall(b *bench, c speedCase) (func() error, error) {
	k, err := fused[augmenter](b)
	if err != nil {
		return nil, err
	}
	v := views{b: b}
	pictures, idx := v.of(device.U8, 4*c.Batch, c.Height, c.Width, c.In), v.of(device.I32, c.Batch)
	y := v.of(dtypes[c.Type], c.Batch, c.Height, c.Width, c.In)
	if v.err != nil {
		return nil, v.err
	}
	b.d.Iota(idx, 0, 0, 3)
	p := device.Augment{Pad: 2, Reflect: true, Flip: true, Cutout: 4, Stream: 9, Scale: [4]float32{1. / 255, 1. / 255, 1. / 255}}
	return accepted(func() bool { return k.Augment(y, pictures, idx, b.state, p) }), nil
}

func copyCall(b *bench, c speedCase) (func() error, error) {
	v, typ := views{b: b}, dtypes[c.Type]
	x, y := v.of(typ, c.In), v.of(typ, c.In)
	return func() error { b.d.Copy(y, x); return nil }, v.err
}

func productCall(b *bench, c speedCase) (func() error, error) {
	v, typ := views{b: b}, dtypes[c.Type]
	x, w, y := v.of(typ, c.Height, c.In), v.of(typ, c.In, c.Out), v.of(typ, c.Height, c.Out)
	return func() error { b.d.MatMul(y, x, w, 1, 0); return nil }, v.err
}
