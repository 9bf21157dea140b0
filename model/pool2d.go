package model

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// pool is what the poolings with a window share.
type pool struct{ Params device.Pool2D }

func newPool(p device.Pool2D) pool {
	for _, d := range []struct {
		v   *int32
		def int32
	}{{&p.StrideH, p.KernelH}, {&p.StrideW, p.KernelW}, {&p.DilH, 1}, {&p.DilW, 1}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return pool{p}
}

func (p pool) outShape(m kinder, in []int) ([]int, error) {
	if len(in) != 3 {
		return nil, misfit(m, in, "pool before flattening", "pictures (H,W,C)")
	}
	oh, ow := p.Params.Out(in[0], in[1])
	if oh < 1 || ow < 1 {
		return nil, misfit(m, in, "use a smaller window, or leave this layer out", "at least the %dx%d pixels of its window", p.Params.KernelH, p.Params.KernelW)
	}
	return []int{oh, ow, in[2]}, nil
}

// Visit implements Module: there is nothing to tell.
func (pool) Visit(Visitor) {}

// MaxPool2D gives the largest number of each channel under a window: (N,H,W,C) to (N,OH,OW,C).
type MaxPool2D struct{ pool }

// NewMaxPool2D makes a maximum pooling. Zero strides mean the kernel's size, zero dilations 1.
func NewMaxPool2D(p device.Pool2D) *MaxPool2D { return &MaxPool2D{newPool(p)} }

// Forward implements Module.
func (m *MaxPool2D) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return ops.MaxPool2D(t, x, m.Params)
}

// OutShape implements Module.
func (m *MaxPool2D) OutShape(in []int) ([]int, error) { return m.outShape(m, in) }

func (m *MaxPool2D) kind() string { return "maxpool" }

// AvgPool2D gives the mean of each channel under a window: (N,H,W,C) to (N,OH,OW,C).
type AvgPool2D struct {
	pool
	CountPad bool // padding counts as pixels of 0
}

// NewAvgPool2D makes a mean pooling; zeros in p are as in NewMaxPool2D.
func NewAvgPool2D(p device.Pool2D, countPad bool) *AvgPool2D { return &AvgPool2D{newPool(p), countPad} }

// Forward implements Module.
func (a *AvgPool2D) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return ops.AvgPool2D(t, x, a.Params, a.CountPad)
}

// OutShape implements Module.
func (a *AvgPool2D) OutShape(in []int) ([]int, error) { return a.outShape(a, in) }

func (a *AvgPool2D) kind() string { return "avgpool" }

// AdaptivePool2D pools to a fixed size, its windows as even as can be: (N,H,W,C) to (N,Size[0],Size[1],C). Size 1x1 is
// global pooling.
type AdaptivePool2D struct {
	Size [2]int // height, width
	Max  bool   // the largest number, else the mean
}

// NewAdaptivePool2D makes a pooling to h x w, of the largest number or of the mean.
func NewAdaptivePool2D(h, w int, max bool) *AdaptivePool2D {
	return &AdaptivePool2D{Size: [2]int{h, w}, Max: max}
}

// Forward implements Module.
func (a *AdaptivePool2D) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	global := a.Size == [2]int{1, 1}
	switch {
	case global && a.Max:
		return ops.GlobalMaxPool2D(t, x)
	case global:
		return ops.GlobalAvgPool2D(t, x)
	case a.Max:
		return ops.AdaptiveMaxPool2D(t, x, a.Size[0], a.Size[1])
	}
	return ops.AdaptiveAvgPool2D(t, x, a.Size[0], a.Size[1])
}

// OutShape implements Module.
func (a *AdaptivePool2D) OutShape(in []int) ([]int, error) {
	if len(in) != 3 {
		return nil, misfit(a, in, "pool before flattening", "pictures (H,W,C)")
	}
	return []int{a.Size[0], a.Size[1], in[2]}, nil
}

// Visit implements Module: there is nothing to tell.
func (a *AdaptivePool2D) Visit(Visitor) {}

func (a *AdaptivePool2D) kind() string {
	name := "avgpool"
	if a.Max {
		name = "maxpool"
	}
	if a.Size == [2]int{1, 1} {
		return "global_" + name
	}
	return "adaptive_" + name
}
