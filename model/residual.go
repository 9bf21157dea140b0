package model

import (
	"fmt"
	"slices"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
)

// Residual is y = Body(x) + Shortcut(x) (He, Zhang, Ren, Sun, arXiv 1512.03385).
type Residual struct {
	Body     Module
	Shortcut Module // nil: x itself
	path     string
}

// NewResidual makes a residual block; shortcut may be nil.
func NewResidual(body, shortcut Module) *Residual { return &Residual{Body: body, Shortcut: shortcut} }

// Forward implements Module.
func (r *Residual) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	b := announced(t, r.path, Layer{"body", r.Body}, x)
	if r.Shortcut == nil {
		y := ops.Add(t, b, x)
		t.Release(b)
		return y
	}
	s := announced(t, r.path, Layer{"shortcut", r.Shortcut}, x)
	y := ops.Add(t, b, s)
	t.Release(b)
	t.Release(s)
	return y
}

// OutShape implements Module.
func (r *Residual) OutShape(in []int) ([]int, error) {
	body, err := r.Body.OutShape(in)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	shortcut := in
	if r.Shortcut != nil {
		if shortcut, err = r.Shortcut.OutShape(in); err != nil {
			return nil, fmt.Errorf("shortcut: %w", err)
		}
	}
	if !slices.Equal(body, shortcut) {
		return nil, fault.Usagef("give it a shortcut of the body's shape, such as {subsample: {stride: 2, out: 32}}, or a 1x1 convolution with a batch norm",
			"residual adds its body's %s to its shortcut's %s", shapeText(body), shapeText(shortcut))
	}
	return body, nil
}

// Visit implements Module.
func (r *Residual) Visit(v Visitor) {
	v.Child("body", r.Body)
	if r.Shortcut != nil {
		v.Child("shortcut", r.Shortcut)
	}
}

func (r *Residual) locate(path string) { r.path = path }

func (r *Residual) kind() string { return "residual" }

// Subsample is the shortcut without parameters of a residual block that makes pictures smaller and channels more
// (option A of He and others, arXiv 1512.03385, section 3.3): every Stride-th pixel, with channels of 0 put on both
// sides until there are Out.
type Subsample struct{ Stride, Out int }

// NewSubsample makes a subsampling shortcut: (N,H,W,C) to (N, ceil(H/stride), ceil(W/stride), out).
func NewSubsample(stride, out int) *Subsample { return &Subsample{stride, out} }

// Forward implements Module.
func (s *Subsample) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	d := x.Shape() // (N,H,W,C)
	part := ops.Slice(t, x, []int{0, 0, 0}, d[:3], []int{1, s.Stride, s.Stride})
	more := s.Out - d[3]
	y := ops.Pad(t, part, [][2]int{{}, {}, {}, {more / 2, more - more/2}}, 0)
	t.Release(part)
	return y
}

// OutShape implements Module.
func (s *Subsample) OutShape(in []int) ([]int, error) {
	if len(in) != 3 || in[2] > s.Out {
		return nil, misfit(s, in, "let out be at least the channels of its input", "(H,W,C) with C up to %d", s.Out)
	}
	return []int{(in[0] + s.Stride - 1) / s.Stride, (in[1] + s.Stride - 1) / s.Stride, s.Out}, nil
}

// Visit implements Module: there is nothing to tell.
func (s *Subsample) Visit(Visitor) {}

func (s *Subsample) kind() string { return "subsample" }
