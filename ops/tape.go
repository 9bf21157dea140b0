// Package ops is the vocabulary of tensor operations with their gradients. A Tape records what is computed from
// tensors that need gradients, and Backward walks it in reverse. Each op's forward and gradient stand side by side, one
// file per family; an op composes from device.Kernels, and uses a fused kernel where the device has one.
//
// Activations are (N,H,W,C), convolution weights (O,KH,KW,C/groups), linear weights (out,in).
package ops

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// Tensor is a value on a device, perhaps with a gradient. It belongs to the Tape that made it.
type Tensor struct {
	v, g  device.View // g.Mem nil: no gradient yet
	share *int        // how many tensors' gradients lie in g's memory; nil: this one's alone
	base  *Tensor     // whose memory v looks into; nil: its own
	refs  int         // the caller's handle and each node that keeps it
	need  bool        // a gradient is wanted
	leaf  bool        // memory is not the arena's
	accum bool        // g is outside the arena and is added to
	held  bool        // the caller's handle has not been released
	stats *moments    // of v's channels, where the op that wrote v found them; nil: not known
}

// Value is where the tensor's elements lie. It is valid until the tensor is released, or backward has passed it.
func (x *Tensor) Value() device.View { return x.v }

// Grad is where the gradient of a Param lies; the zero View for a tensor without.
func (x *Tensor) Grad() device.View {
	if x.accum {
		return x.g
	}
	return device.View{}
}

// Shape is the extents.
func (x *Tensor) Shape() []int { return x.v.Shape() }

// Dim is the extent of axis i; negative i counts from the last axis.
func (x *Tensor) Dim(i int) int { return x.v.D(i) }

// Rank is the number of axes.
func (x *Tensor) Rank() int { return int(x.v.Rank) }

// Type is the element type.
func (x *Tensor) Type() device.DType { return x.v.Type }

// NeedsGrad reports whether backward will compute a gradient for x.
func (x *Tensor) NeedsGrad() bool { return x.need }

// Leaf is a tensor over memory of the caller's, without gradient: data, labels, frozen parameters.
func Leaf(v device.View) *Tensor { return &Tensor{v: v, refs: 1, leaf: true} }

// Param is a tensor over memory of the caller's whose gradient Backward adds to g. g has v's shape, and v's type or
// f32; whoever begins a step fills it with zeros.
func Param(v, g device.View) *Tensor {
	if !v.SameShape(g) {
		panic(fmt.Sprintf("ops.Param: value %s, gradient %s", v, g))
	}
	return &Tensor{v: v, g: g, refs: 1, leaf: true, need: true, accum: true}
}

type node struct {
	out  *Tensor
	keep []*Tensor
	back func(dy device.View)
}

// Tape is where ops run: a device, a step arena for temporaries, and the record for backward. Train chooses between the
// training and evaluation forms of dropout and batch norm. One goroutine uses a Tape.
type Tape struct {
	Dev   device.Device
	Arena *device.Arena
	Train bool
	// RNG is the I32 view of 4 that Dropout draws from: seed low, seed high, step, micro-batch.
	RNG device.View
	// Watch, if set, is called with each output that a layer of package model announces, and in backward with its
	// gradient: it finds the layer in which numbers went bad.
	Watch func(name string, v device.View, gradient bool)

	nodes  []node
	scope  []*Tensor
	nograd int
	stream uint32
	bound  map[any]*Tensor
}

// NewTape is a Tape on dev with temporaries in arena.
func NewTape(dev device.Device, arena *device.Arena) *Tape { return &Tape{Dev: dev, Arena: arena} }

// Bind makes Bound(key) give x. Models bind their parameters and buffers once.
func (t *Tape) Bind(key any, x *Tensor) {
	if t.bound == nil {
		t.bound = map[any]*Tensor{}
	}
	t.bound[key] = x
}

// Bound is the tensor that was bound to key; it panics if there is none.
func (t *Tape) Bound(key any) *Tensor {
	x, ok := t.bound[key]
	if !ok {
		panic(fmt.Sprintf("ops.Tape: nothing is bound to %v: bind the model before running it", key))
	}
	return x
}

// NoGrad stops recording until undo is called.
func (t *Tape) NoGrad() (undo func()) {
	t.nograd++
	return func() { t.nograd-- }
}

// Release gives the caller's handle on x back. Its memory is used again once backward needs it no more. Releasing is
// optional, since Reset gives back all that is left, but early release is what keeps peak memory low.
func (t *Tape) Release(x *Tensor) {
	if x.leaf && x.base == nil {
		return
	}
	if !x.held {
		panic(fmt.Sprintf("ops.Tape.Release: %s released twice", x.v))
	}
	x.held = false
	t.unref(x)
}

// Reset ends a step: it gives back all handles, drops what was recorded, and starts the random streams anew.
func (t *Tape) Reset() {
	for i := len(t.nodes) - 1; i >= 0; i-- {
		t.drop(&t.nodes[i])
	}
	t.nodes = t.nodes[:0]
	for _, x := range t.scope {
		if x.held {
			t.Release(x)
		}
	}
	clear(t.scope)
	t.scope = t.scope[:0]
	t.stream = 0
}

func (x *Tensor) root() *Tensor {
	for x.base != nil {
		x = x.base
	}
	return x
}

func (t *Tape) unref(x *Tensor) {
	x = x.root()
	if x.refs--; x.refs > 0 {
		return
	}
	if x.stats != nil {
		t.put(x.stats.mean, x.stats.variance)
		x.stats = nil
	}
	if !x.leaf {
		t.Arena.Put(x.v)
	}
}

// Temp is a fresh tensor without gradient in the step arena, held by the caller, whose value the caller writes by kernel
// calls: input batches are made so. Its contents are undefined.
func (t *Tape) Temp(typ device.DType, dims ...int) *Tensor { return t.temp(typ, dims...) }

// temp is a fresh output tensor, held by the caller.
func (t *Tape) temp(typ device.DType, dims ...int) *Tensor {
	return t.own(&Tensor{v: t.get(typ, dims...)})
}

// alias is a tensor that shows x's memory as v, held by the caller.
func (t *Tape) alias(x *Tensor, v device.View) *Tensor { return t.own(&Tensor{v: v, base: x.root()}) }

func (t *Tape) own(x *Tensor) *Tensor {
	x.held = true
	x.root().refs++
	t.scope = append(t.scope, x)
	return x
}

// wants reports whether any of xs needs a gradient and recording is on.
func (t *Tape) wants(xs ...*Tensor) bool {
	if t.nograd > 0 {
		return false
	}
	for _, x := range xs {
		if x != nil && x.need {
			return true
		}
	}
	return false
}

// record makes back the gradient of out, if from (the inputs) want one. back is called with the gradient of out and
// hands on gradients by the functions of gradient.go. keep names the tensors whose values back reads, out among them
// if it is one; nil ones are passed over.
func (t *Tape) record(out *Tensor, from []*Tensor, back func(dy device.View), keep ...*Tensor) *Tensor {
	if !t.wants(from...) {
		return out
	}
	out.need = true
	n := node{out: out, back: back}
	for _, k := range keep {
		if k != nil {
			k.root().refs++
			n.keep = append(n.keep, k)
		}
	}
	t.nodes = append(t.nodes, n)
	return out
}

func (t *Tape) drop(n *node) {
	t.dropGrad(n.out)
	for _, k := range n.keep {
		t.unref(k)
	}
	*n = node{}
}

// Backward adds to every Param that loss depends on the gradient of seed times loss. seed is a view that broadcasts to
// loss, commonly one device scalar: 1, or the loss scale. Values and gradients are freed as they are passed, handles of
// recorded tensors included: read what is still wanted (metrics) before. The record is empty afterwards.
func (t *Tape) Backward(loss *Tensor, seed device.View) {
	if !loss.need {
		panic("ops.Tape.Backward: the loss depends on no parameter, or was computed under NoGrad")
	}
	t.accumulate(loss, func(g device.View, beta float64) {
		if beta != 0 {
			panic("ops.Tape.Backward: the loss is a parameter")
		}
		t.Dev.Copy(g, seed)
	})
	for i := len(t.nodes) - 1; i >= 0; i-- {
		n := &t.nodes[i]
		out := n.out
		if out.g.Mem != nil {
			n.back(out.g)
		}
		t.drop(n)
		if out.held {
			t.Release(out)
		}
	}
	t.nodes = t.nodes[:0]
}

// nextStream is a number for one use of randomness in a step; the same use gets the same number in every step.
func (t *Tape) nextStream() uint32 {
	t.stream++
	return t.stream
}

// Announce tells Watch, if set, about x, the output of the layer called name, and about its gradient once backward
// reaches it. It returns x, or a tensor that takes x's place and handle.
func (t *Tape) Announce(name string, x *Tensor) *Tensor {
	if t.Watch == nil {
		return x
	}
	t.Watch(name, x.v, false)
	y := t.alias(x, x.v)
	t.record(y, []*Tensor{x}, func(dy device.View) {
		t.Watch(name, dy, true)
		t.pass(y, x, dy)
	})
	if x.held {
		t.Release(x)
	}
	return y
}
