// Package model holds layers, networks made of them, and where their numbers lie on a device. A Module has names,
// shapes and initialisers; NewStorage gives a Network its memory, and Storage.Bind ties it to a tape.
//
// Activations are (N,H,W,C), convolution weights (O,KH,KW,C/groups), linear weights (out,in).
package model

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
)

// Param is a tensor that training changes.
type Param struct {
	Shape  []int
	Init   Initializer
	Frozen bool          // never trained, whatever the trainer's groups say
	Full   bool          // read in f32 where other weights are read in half precision
	Value  *tensor.Dense // float32 or float64, row by row; nil before Init
}

// Buffer is a tensor that forward changes in training and reads in evaluation: a running statistic.
type Buffer struct {
	Shape []int
	Fill  float64       // the value at the start
	Value *tensor.Dense // float32 or float64; nil before Init
}

// Module is a layer, or several put together.
type Module interface {
	// Forward computes the module's output from x. The result is a handle of its own that the caller releases; x stays
	// the caller's, all else that was made inside is released.
	Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor
	// OutShape is the output's shape for an input of shape in, both without the batch axis. An input that does not fit
	// is an error that shows both shapes.
	OutShape(in []int) ([]int, error)
	// Visit tells v the module's own parameters, buffers and children, always in the same order.
	Visit(v Visitor)
}

// Visitor is told what a Module holds. Names are joined by dots into paths: conv2d_1.weight.
type Visitor interface {
	Param(name string, p *Param)
	Buffer(name string, b *Buffer)
	Child(name string, m Module)
}

// NamedParam is a parameter and its path in the network.
type NamedParam struct {
	Path string
	*Param
}

// NamedBuffer is a buffer and its path in the network.
type NamedBuffer struct {
	Path string
	*Buffer
}

// Network is a module with what is needed to feed it, name it and make it again.
type Network struct {
	Module
	Name    string
	Input   [3]int // height, width, channels of a picture
	Classes int    // extent of the output
	// Spec is the text from which FromSpec makes the network again, without weights; empty if it was put together in Go.
	Spec string

	params  []NamedParam
	buffers []NamedBuffer
}

// located is a module that announces its children's outputs under paths, and so must know its own.
type located interface{ locate(path string) }

// NewNetwork makes a network of m, which reads pictures of input (height, width, channels) and gives classes numbers
// for each. An output of another shape is an error, and so are two tensors of one path or one tensor at two paths.
func NewNetwork(name string, m Module, input [3]int, classes int) (*Network, error) {
	if err := checkEnds(name, input, classes); err != nil {
		return nil, err
	}
	out, err := m.OutShape(input[:])
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	if !slices.Equal(out, []int{classes}) {
		return nil, fault.Usagef(fmt.Sprintf("let the last layer be linear with %d outputs", classes), "model %s: the output has shape %v, %d classes need %v", name, out, classes, []int{classes})
	}
	n := &Network{Module: m, Name: name, Input: input, Classes: classes}
	c := collector{net: n, at: map[any]string{}, paths: map[string]bool{}}
	c.module("", m)
	if c.err != nil {
		return nil, fmt.Errorf("model %s: %w", name, c.err)
	}
	return n, nil
}

// checkEnds checks the size of a network's pictures and the number of its classes.
func checkEnds(name string, input [3]int, classes int) error {
	if min(input[0], input[1], input[2], classes) < 1 {
		return fault.Usagef("all of them are at least 1", "model %s: pictures of %s and %d classes", name, shapeText(input[:]), classes)
	}
	return checkSize(fmt.Sprintf("model %s: its input", name), input[:])
}

// checkSize refuses shapes of more elements than a device.View can stride over.
func checkSize(what string, shape []int) error {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	if n > math.MaxInt32 {
		return fault.Usagef("make it smaller", "%s of %s has over %d elements", what, shapeText(shape), math.MaxInt32)
	}
	return nil
}

// collector walks a module tree and lists what it finds.
type collector struct {
	net    *Network
	prefix string
	at     map[any]string
	paths  map[string]bool
	err    error
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func (c *collector) module(path string, m Module) {
	if l, ok := m.(located); ok {
		l.locate(path)
	}
	saved := c.prefix
	c.prefix = path
	m.Visit(c)
	c.prefix = saved
}

func (c *collector) add(name string, key any) (path string) {
	path = join(c.prefix, name)
	if other, ok := c.at[key]; ok && c.err == nil {
		c.err = fault.Usagef("make a layer for each place", "%s is the same tensor as %s", path, other)
	}
	if c.paths[path] && c.err == nil {
		c.err = fault.Usagef("give each layer its own name", "two tensors are called %s", path)
	}
	c.at[key], c.paths[path] = path, true
	return path
}

func (c *collector) Param(name string, p *Param) {
	path := c.add(name, p)
	if err := checkSize("parameter "+path, p.Shape); err != nil && c.err == nil {
		c.err = err
	}
	c.net.params = append(c.net.params, NamedParam{path, p})
}

func (c *collector) Buffer(name string, b *Buffer) {
	c.net.buffers = append(c.net.buffers, NamedBuffer{c.add(name, b), b})
}

func (c *collector) Child(name string, m Module) { c.module(join(c.prefix, name), m) }

// Forward computes the output (N, Classes) of pictures x (N, H, W, C).
func (n *Network) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return announced(t, "", Layer{n.Name, n.Module}, x)
}

// Params is all parameters in the order in which the modules name them. The slice is the network's.
func (n *Network) Params() []NamedParam { return n.params }

// Buffers is all buffers, in order. The slice is the network's.
func (n *Network) Buffers() []NamedBuffer { return n.buffers }

// Param is the parameter at path, nil if there is none.
func (n *Network) Param(path string) *Param {
	for _, p := range n.params {
		if p.Path == path {
			return p.Param
		}
	}
	return nil
}

// NumParams is the number of numbers that are trained: those of frozen parameters do not count.
func (n *Network) NumParams() int {
	sum := 0
	for _, p := range n.params {
		if !p.Frozen {
			sum += elements(p.Shape)
		}
	}
	return sum
}

// Init draws every parameter anew and resets every buffer, as float32. The numbers of a parameter depend on seed, its
// path and its shape only: another layer added does not change them.
func (n *Network) Init(seed uint64) {
	for _, p := range n.params {
		h := fnv.New64a()
		h.Write([]byte(p.Path))
		values := make([]float32, elements(p.Shape))
		p.Init(values, p.Shape, newRand(seed, h.Sum64()))
		p.Value = tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(values))
	}
	for _, b := range n.buffers {
		values := make([]float32, elements(b.Shape))
		for i := range values {
			values[i] = float32(b.Fill)
		}
		b.Value = tensor.New(tensor.WithShape(b.Shape...), tensor.WithBacking(values))
	}
}

// Initialised reports whether every parameter and buffer has values.
func (n *Network) Initialised() bool {
	for _, p := range n.params {
		if p.Value == nil {
			return false
		}
	}
	for _, b := range n.buffers {
		if b.Value == nil {
			return false
		}
	}
	return true
}

// elements is the number of elements of a shape.
func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
