package model

import "github.com/acumen-ml/acumen/ops"

// Flatten makes each example one row: (N,H,W,C) to (N, H W C), channels varying fastest. PyTorch and others keep
// pictures as (C,H,W), so a linear layer's weight from there needs its columns put in the order H,W,C.
type Flatten struct{}

// NewFlatten makes a flatten layer.
func NewFlatten() *Flatten { return &Flatten{} }

// Forward implements Module.
func (*Flatten) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	s := x.Shape()
	return ops.Reshape(t, x, s[0], elements(s[1:]))
}

// OutShape implements Module.
func (*Flatten) OutShape(in []int) ([]int, error) { return []int{elements(in)}, nil }

// Visit implements Module.
func (*Flatten) Visit(Visitor) {}

func (*Flatten) kind() string { return "flatten" }
