package model

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
)

// Layer is a module and its name in a Sequential.
type Layer struct {
	Name string
	Module
}

// Named gives m a name of the caller's choice in a Sequential.
func Named(name string, m Module) Layer { return Layer{name, m} }

// Sequential runs its layers one after the other. A convolution or batch norm and the activation after it run as one
// op, and with a convolution also a max pooling whose windows lie side by side, unless the tape is watched: then each
// layer's output can be seen.
type Sequential struct {
	Layers []Layer
	path   string
}

// NewSequential makes a row of layers. One without a name of its own, by Named, is called by its kind and its number
// among its kind: conv2d_1, relu_1, conv2d_2.
func NewSequential(modules ...Module) *Sequential {
	s := &Sequential{}
	for _, m := range modules {
		s.add(m)
	}
	return s
}

func (s *Sequential) add(m Module) (name string) {
	l, ok := m.(Layer)
	if !ok {
		l.Module = m
	}
	if l.Name == "" {
		kind, n := kindOf(l.Module), 1
		for _, other := range s.Layers {
			if kindOf(other.Module) == kind {
				n++
			}
		}
		l.Name = fmt.Sprintf("%s_%d", kind, n)
	}
	s.Layers = append(s.Layers, l)
	return l.Name
}

// kinder is a module that has a name in layer lists.
type kinder interface{ kind() string }

// kindOf is a module's name in layer lists, or its type's name.
func kindOf(m Module) string {
	if k, ok := m.(kinder); ok {
		return k.kind()
	}
	t := reflect.TypeOf(m)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.ToLower(t.Name())
}

// fuser is a layer that can apply an activation as it writes its output.
type fuser interface {
	forwardAct(t *ops.Tape, x *ops.Tensor, act device.UnOp) *ops.Tensor
}

// run gives the output of layer i, or of it and those after it that are one op with it, and the number of the layer that
// comes next.
func (s *Sequential) run(t *ops.Tape, i int, x *ops.Tensor) (y *ops.Tensor, next int) {
	f, ok := s.Layers[i].Module.(fuser)
	next = i + 1
	if t.Watch != nil || !ok {
		return announced(t, s.path, s.Layers[i], x), next
	}
	act := device.Identity
	if a, ok := s.module(next).(*Activation); ok && a.Op != device.LeakyRelu { // its slope is a parameter
		act = a.Op
		next++
	}
	if c, ok := f.(*Conv2D); ok {
		var pool device.Pool2D
		if m, ok := s.module(next).(*MaxPool2D); ok && m.Params.Tiles() {
			pool = m.Params
			next++
		}
		_, norm := s.module(next).(*BatchNorm)
		return c.forwardPool(t, x, act, pool, norm), next
	}
	return f.forwardAct(t, x, act), next
}

// module is that of layer i, nil if there is no such layer.
func (s *Sequential) module(i int) Module {
	if i >= len(s.Layers) {
		return nil
	}
	return s.Layers[i].Module
}

// Forward implements Module.
func (s *Sequential) Forward(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	if len(s.Layers) == 0 {
		return ops.Reshape(t, x, x.Shape()...) // a handle of its own
	}
	in := x
	for i := 0; i < len(s.Layers); {
		y, next := s.run(t, i, x)
		if x != in {
			t.Release(x)
		}
		x, i = y, next
	}
	return x
}

// announced is the layer's output, told to the tape unless the layer's last child has told it already.
func announced(t *ops.Tape, path string, l Layer, x *ops.Tensor) *ops.Tensor {
	y := l.Module.Forward(t, x)
	if _, ok := l.Module.(*Sequential); ok {
		return y
	}
	return t.Announce(join(path, l.Name), y)
}

// OutShape implements Module.
func (s *Sequential) OutShape(in []int) ([]int, error) {
	for _, l := range s.Layers {
		out, err := l.OutShape(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.Name, err)
		}
		in = out
	}
	return in, nil
}

// Visit implements Module.
func (s *Sequential) Visit(v Visitor) {
	for _, l := range s.Layers {
		v.Child(l.Name, l.Module)
	}
}

func (s *Sequential) locate(path string) { s.path = path }

func (s *Sequential) kind() string { return "sequential" }

// misfit is the error of an input that a layer cannot take. want says which it takes.
func misfit(m kinder, in []int, hint, want string, args ...any) error {
	return fault.Usagef(hint, "%s takes %s, its input is %s", m.kind(), fmt.Sprintf(want, args...), shapeText(in))
}

// shapeText is a shape as people write it: 32x32x3.
func shapeText(shape []int) string {
	if len(shape) == 0 {
		return "a single number"
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(shape), "[]"), " ", "x")
}
