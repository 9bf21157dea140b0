package model

import "github.com/acumen-ml/acumen/ops"

// Dropout sets each number to 0 with probability P in training and divides the others by 1 - P.
type Dropout struct {
	keepsShape
	P float64
}

// NewDropout makes a dropout layer of probability p, 0 <= p < 1.
func NewDropout(p float64) *Dropout { return &Dropout{P: p} }

// Forward implements Module.
func (d *Dropout) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor { return ops.Dropout(t, x, d.P) }

func (d *Dropout) kind() string { return "dropout" }

// keepsShape is the half of a Module that has no parameters and gives what shape it gets.
type keepsShape struct{}

// OutShape implements Module: the shape stays.
func (keepsShape) OutShape(in []int) ([]int, error) { return in, nil }

// Visit implements Module: there is nothing to tell.
func (keepsShape) Visit(Visitor) {}
