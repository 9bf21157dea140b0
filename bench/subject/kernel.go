package subject

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// The fused kernels that layers ask a device for, as the files of package ops declare them. Gradients are timed through
// them and not through a tape, since a tape adds the gradient of a parameter to what is there: PyTorch's does not.
type (
	convGrader interface {
		Conv2DGradInput(dx, dy, w device.View, p device.Conv2D) bool
		Conv2DGradWeight(dw, x, dy device.View, p device.Conv2D, beta float64) bool
	}
	poolGrader interface {
		MaxPool2D(y, idx, x device.View, p device.Pool2D) bool
		MaxPool2DGrad(dx, dy, idx device.View, p device.Pool2D) bool
	}
	normGrader interface {
		BatchNormStats(mean, variance, x device.View) bool
		BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool
		BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool
	}
	entropyGrader interface {
		SoftmaxCrossEntropy(loss, dx, x, target device.View, smooth float64) bool
	}
)

// rig is the memory of one kernel's case.
type rig struct {
	dev   device.Device
	c     peer.Case
	mems  []device.Memory
	state device.View
	draws uint32
	err   error // the first one
}

// kernel captures one call of c.
func kernel(dev device.Device, c peer.Case) (*job, error) {
	r := &rig{dev: dev, c: c}
	r.state = r.alloc(device.I32, 4)
	if r.err == nil {
		dev.Fill(r.state, 1)
	}
	step := r.step()
	var g device.Graph
	if r.err == nil {
		g = r.record(step)
	}
	if r.err == nil {
		r.err = dev.Sync()
	}
	if r.err != nil {
		r.free()
		return nil, r.err
	}
	return &job{call: func() error { g.Launch(); return nil }, close: func() error {
		g.Close()
		r.free()
		return nil
	}}, nil
}

func (r *rig) free() {
	for _, m := range r.mems {
		m.Free()
	}
}

func (r *rig) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// need fails where a fused kernel is not there or declines: the case would measure something else.
func (r *rig) need(ok bool, kernel string) {
	if !ok {
		r.fail(lacks("the device has no %s for this case", kernel))
	}
}

func (r *rig) alloc(t device.DType, dims ...int) device.View {
	v := device.Make(nil, t, 0, dims...)
	m, err := r.dev.Alloc(max(v.Bytes(), 1))
	if err != nil {
		r.fail(err)
		return v
	}
	r.mems = append(r.mems, m)
	return device.Make(m, t, 0, dims...)
}

// normal is a view of normally distributed numbers with deviation std.
func (r *rig) normal(std float64, dims ...int) device.View {
	v := r.alloc(device.F32, dims...)
	if r.err == nil {
		r.draws++
		r.dev.Random(v, device.Normal, r.state, r.draws)
		r.dev.Unary(device.Affine, v, v, std, 0)
	}
	return v
}

// full is a view of one number.
func (r *rig) full(x float64, dims ...int) device.View {
	v := r.alloc(device.F32, dims...)
	if r.err == nil {
		r.dev.Fill(v, x)
	}
	return v
}

// record captures step, sized by a dry run as the trainer's steps are.
func (r *rig) record(step func(t *ops.Tape)) device.Graph {
	t := ops.NewTape(r.dev, device.Phantom())
	t.Train = true
	run := func() {
		defer t.NoGrad()()
		step(t)
		t.Reset()
	}
	device.DryRun(r.dev, run)
	arena := r.alloc(device.U8, max(t.Arena.High(), device.Align))
	if r.err != nil {
		return nil
	}
	t.Arena = device.NewArena(arena.Mem)
	g, err := r.dev.Capture(run)
	if err != nil {
		r.fail(err)
	}
	return g
}

// step makes the views of the case and what one call does with them.
func (r *rig) step() func(t *ops.Tape) {
	c := r.c
	switch {
	case c.Kind == "matmul":
		a, b, y := r.normal(1, c.M, c.K), r.normal(1, c.K, c.N), r.alloc(device.F32, c.M, c.N)
		return func(t *ops.Tape) { t.Dev.MatMul(y, a, b, 1, 0) }
	case c.Kind == "linear":
		return r.linear()
	case c.Kind == "conv2d":
		return r.conv2D()
	case c.Op == "batchnorm":
		return r.batchNorm()
	case c.Op == "maxpool":
		return r.maxPool()
	case c.Op == "gelu":
		return r.activation(device.Gelu)
	case c.Op == "relu":
		return r.activation(device.Relu)
	case c.Op == "crossentropy":
		return r.crossEntropy()
	}
	r.fail(lacks("no %s %s", c.Kind, c.Op))
	return nil
}

func (r *rig) linear() func(t *ops.Tape) {
	c := r.c
	x, w := r.normal(1, c.Batch, c.In), r.normal(1/math.Sqrt(float64(c.In)), c.Out, c.In)
	y := r.alloc(device.F32, c.Batch, c.Out)
	if !c.Backward {
		return func(t *ops.Tape) { t.Dev.MatMul(y, x, w.T(), 1, 0) }
	}
	dy, dx, dw := r.normal(1, c.Batch, c.Out), r.alloc(device.F32, c.Batch, c.In), r.alloc(device.F32, c.Out, c.In)
	return func(t *ops.Tape) {
		t.Dev.MatMul(y, x, w.T(), 1, 0)
		t.Dev.MatMul(dw, dy.T(), x, 1, 0)
		t.Dev.MatMul(dx, dy, w, 1, 0)
	}
}

func (r *rig) conv2D() func(t *ops.Tape) {
	c := r.c
	pad := int32(c.Kernel / 2)
	p := device.Conv2D{StrideH: 1, StrideW: 1, PadH: pad, PadW: pad, DilH: 1, DilW: 1, Groups: 1}
	x := r.normal(1, c.Batch, c.Size, c.Size, c.In) // (N,H,W,C)
	w := r.normal(1/math.Sqrt(float64(c.Kernel*c.Kernel*c.In)), c.Out, c.Kernel, c.Kernel, c.In)
	if !c.Backward {
		return func(t *ops.Tape) { t.Release(ops.Conv2D(t, ops.Leaf(x), ops.Leaf(w), nil, p)) }
	}
	dy := r.normal(1, c.Batch, c.Size, c.Size, c.Out)
	dx, dw := r.alloc(device.F32, x.Shape()...), r.alloc(device.F32, w.Shape()...)
	k, ok := device.As[convGrader](r.dev)
	r.need(ok, "gradient of a convolution")
	return func(t *ops.Tape) {
		t.Release(ops.Conv2D(t, ops.Leaf(x), ops.Leaf(w), nil, p))
		r.need(k.Conv2DGradWeight(dw, x, dy, p, 0) && k.Conv2DGradInput(dx, dy, w, p), "gradient of a convolution")
	}
}

// picture is (N,H,W,C) of the case.
func (r *rig) picture() device.View { return r.normal(1, r.c.Batch, r.c.Size, r.c.Size, r.c.In) }

func (r *rig) batchNorm() func(t *ops.Tape) {
	n := r.c.In
	x, gamma, beta := r.picture(), r.full(1, n), r.full(0, n)
	mean, variance := r.full(0, n), r.full(1, n)
	if !r.c.Backward {
		state := ops.BatchNormState{Mean: mean, Var: variance, NextMean: mean, NextVar: variance, Momentum: 0.1, Eps: 1e-5}
		return func(t *ops.Tape) { t.Release(ops.BatchNorm(t, ops.Leaf(x), ops.Leaf(gamma), ops.Leaf(beta), state)) }
	}
	dx, dy, y := r.alloc(device.F32, x.Shape()...), r.picture(), r.alloc(device.F32, x.Shape()...)
	dgamma, dbeta := r.alloc(device.F32, n), r.alloc(device.F32, n)
	k, ok := device.As[normGrader](r.dev)
	r.need(ok, "batch norm")
	return func(t *ops.Tape) {
		ok := k.BatchNormStats(mean, variance, x)
		t.Dev.Unary(device.Sqrt, variance, variance, 1e-5, 0)
		t.Dev.Unary(device.Recip, variance, variance, 0, 0)
		ok = ok && k.BatchNormApply(y, x, mean, variance, gamma, beta, device.Identity)
		r.need(ok && k.BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, variance, gamma), "batch norm")
	}
}

func (r *rig) maxPool() func(t *ops.Tape) {
	k := int32(r.c.Kernel)
	p := device.Pool2D{KernelH: k, KernelW: k, StrideH: k, StrideW: k, DilH: 1, DilW: 1}
	x := r.picture()
	if !r.c.Backward {
		return func(t *ops.Tape) { t.Release(ops.MaxPool2D(t, ops.Leaf(x), p)) }
	}
	oh, ow := p.Out(r.c.Size, r.c.Size)
	dy, dx := r.normal(1, r.c.Batch, oh, ow, r.c.In), r.alloc(device.F32, x.Shape()...)
	y, idx := r.alloc(device.F32, dy.Shape()...), r.alloc(device.I32, dy.Shape()...)
	f, ok := device.As[poolGrader](r.dev)
	r.need(ok, "max pool")
	return func(*ops.Tape) { r.need(f.MaxPool2D(y, idx, x, p) && f.MaxPool2DGrad(dx, dy, idx, p), "max pool") }
}

// activation is its forward or its gradient by itself, as peers time them.
func (r *rig) activation(op device.UnOp) func(t *ops.Tape) {
	x, y := r.picture(), r.picture()
	if !r.c.Backward {
		return func(t *ops.Tape) { t.Dev.Unary(op, y, x, 0, 0) }
	}
	dx, dy := r.alloc(device.F32, x.Shape()...), r.picture()
	return func(t *ops.Tape) { t.Dev.UnaryGrad(op, dx, dy, x, y, 0, 0) }
}

// crossEntropy is the mean loss and the gradient of the logits.
func (r *rig) crossEntropy() func(t *ops.Tape) {
	n, k := r.c.Batch, r.c.In
	x, dx := r.normal(1, n, k), r.alloc(device.F32, n, k)
	rows, loss, target := r.alloc(device.F32, n), r.alloc(device.F32, 1), r.alloc(device.I32, n)
	if r.err == nil {
		var b []byte
		for i := range n {
			b = binary.LittleEndian.AppendUint32(b, uint32(i%k))
		}
		r.dev.Upload(target, b)
	}
	f, ok := device.As[entropyGrader](r.dev)
	r.need(ok, "softmax with cross entropy")
	if !r.c.Backward {
		r.fail(fmt.Errorf("the cross entropy is timed with its gradient"))
	}
	return func(t *ops.Tape) {
		r.need(f.SoftmaxCrossEntropy(rows, dx, x, target, 0.2), "softmax with cross entropy")
		t.Dev.Reduce(device.Sum, loss, rows)
		t.Dev.Unary(device.Affine, loss, loss, 1/float64(n), 0)
		t.Dev.Unary(device.Affine, dx, dx, 1/float64(n), 0)
	}
}
