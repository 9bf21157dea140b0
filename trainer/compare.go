package trainer

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/data"
)

// DeviationKind tells what a Deviation is of.
type DeviationKind string

// What Compare looks at.
const (
	Output        DeviationKind = "output"          // of a layer
	OutputGrad    DeviationKind = "gradient"        // at a layer's output
	ParameterGrad DeviationKind = "weight gradient" // of a parameter
)

// Deviation is how far one array of a training step lies from the same array on another device.
type Deviation struct {
	Name  string // the layer's path, or the parameter's
	Kind  DeviationKind
	Shape []int
	// Error is the largest |a-b| over the largest |b|, b being the reference; infinite if one is finite where the other
	// is not.
	Error float64
}

// seen is an array that was looked at on the reference.
type seen struct {
	name   string
	kind   DeviationKind
	shape  []int
	values []float64
}

// Compare runs forward and backward over the first batch of training on two devices, from the same weights, call by call,
// and compares every layer's output, its gradient, and the gradients of all parameters, in the order in which they
// arise. Both compute in o.Precision. It is an error if the devices do not pass the same layers.
func Compare(ref, dev device.Device, net *model.Network, train data.Set, o Options) ([]Deviation, error) {
	o, err := o.complete(net, train)
	if err != nil {
		return nil, err
	}
	if o, _, err = o.cut(dev, net, train, nil); err != nil { // as dev needs it, on both
		return nil, err
	}
	var want []seen
	if err := watchStep(ref, net, train, o, func(s seen) error {
		want = append(want, s)
		return nil
	}); err != nil {
		return nil, err
	}
	var all []Deviation
	err = watchStep(dev, net, train, o, func(s seen) error {
		i := len(all)
		if i >= len(want) || want[i].name != s.name || want[i].kind != s.kind || len(want[i].values) != len(s.values) {
			return fault.Failuref("report it with the configuration", "%s of %s comes up on %s, not on %s", s.kind, s.name, dev.Name(), ref.Name())
		}
		all = append(all, Deviation{s.name, s.kind, s.shape, deviation(want[i].values, s.values)})
		want[i].values = nil
		return nil
	})
	if err == nil && len(all) < len(want) {
		err = fault.Failuref("report it with the configuration", "%s of %s comes up on %s, not on %s", want[len(all)].kind, want[len(all)].name, ref.Name(), dev.Name())
	}
	return all, err
}

// watchStep hands to see what a step computes, but for the update.
func watchStep(dev device.Device, net *model.Network, train data.Set, o Options, see func(seen) error) (err error) {
	o.NoCapture = true
	e, err := NewEngine(dev, net, train, o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	if err := e.makeRoomToWatch(); err != nil {
		return err
	}
	var failed error
	look := func(name string, kind DeviationKind, v device.View) {
		if failed != nil {
			return
		}
		var x []float64
		if x, failed = e.values(v); failed == nil {
			failed = see(seen{name, kind, v.Shape(), x})
		}
	}
	e.tape.Watch = func(name string, v device.View, gradient bool) {
		kind := Output
		if gradient {
			kind = OutputGrad
		}
		look(name, kind, v)
	}
	if err := e.trainParts(); err != nil {
		return err
	}
	e.tape.Watch = nil
	for _, p := range net.Params() {
		if g, ok := e.store.Grad(p.Path); ok {
			look(p.Path, ParameterGrad, g)
		}
	}
	if failed != nil {
		return failed
	}
	return dev.Sync()
}

// values waits for the device and gives v's elements in row-major order.
func (e *Engine) values(v device.View) ([]float64, error) {
	dense := v
	if !v.Contiguous() || v.Type != device.F64 && v.Type != device.F32 {
		dense = device.Make(nil, e.accType(), 0, v.Shape()...)
		m, err := e.dev.Alloc(max(dense.Bytes(), 1))
		if err != nil {
			return nil, err
		}
		defer m.Free()
		dense.Mem = m
		e.dev.Copy(dense, v)
	}
	b := make([]byte, dense.Bytes())
	if err := e.dev.Download(b, dense); err != nil {
		return nil, fmt.Errorf("reading %s: %w", v, err)
	}
	x := make([]float64, dense.Len())
	for i := range x {
		if dense.Type == device.F64 {
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		} else {
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	}
	return x, nil
}

func deviation(want, got []float64) float64 {
	top, worst := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(got[i] - w)
		switch {
		case got[i] == w || w != w && got[i] != got[i]:
			d = 0
		case d != d || math.IsInf(d, 0):
			return math.Inf(1)
		}
		worst = max(worst, d)
		if !math.IsInf(w, 0) && w == w {
			top = max(top, math.Abs(w))
		}
	}
	if worst == 0 {
		return 0
	}
	return worst / top // infinite where the reference is all zeros
}
