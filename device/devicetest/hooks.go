package devicetest

import (
	"fmt"
	"slices"

	"github.com/acumen-ml/acumen/device"
)

// Recorder lists what passes a device's enqueue gate.
type Recorder struct {
	// Calls has every call twice, Before and After; a call that another hook dropped has no After.
	Calls []device.Call
	undo  func()
}

// NewRecorder records the calls on d until Stop.
func NewRecorder(d device.Device) *Recorder {
	r := &Recorder{}
	r.undo = device.Hook(d, func(c device.Call) error {
		c.Writes, c.Reads = slices.Clone(c.Writes), slices.Clone(c.Reads) // valid only during the hook
		r.Calls = append(r.Calls, c)
		return nil
	})
	return r
}

// Stop ends the recording.
func (r *Recorder) Stop() { r.undo() }

// Kernels is the names of the calls that went through, in order.
func (r *Recorder) Kernels() []string {
	var names []string
	for _, c := range r.Calls {
		if c.Phase == device.After {
			names = append(names, c.Kernel)
		}
	}
	return names
}

// Count is the number of calls of a kernel that went through.
func (r *Recorder) Count(kernel string) int {
	n := 0
	for _, k := range r.Kernels() {
		if k == kernel {
			n++
		}
	}
	return n
}

// Faulty fails one call on a device.
type Faulty struct {
	// Seen is the number of calls that came to the gate so far.
	Seen int
	undo func()
}

// NewFaulty makes the n-th call on d from now on, counted from 1, fail with err. Calls before and after it pass.
func NewFaulty(d device.Device, n int, err error) *Faulty {
	if err == nil || n < 1 {
		panic(fmt.Sprintf("devicetest.NewFaulty: call %d, error %v", n, err))
	}
	f := &Faulty{}
	f.undo = device.Hook(d, func(c device.Call) error {
		if c.Phase == device.After {
			return nil
		}
		if f.Seen++; f.Seen == n {
			return err
		}
		return nil
	})
	return f
}

// Stop takes the hook away.
func (f *Faulty) Stop() { f.undo() }
