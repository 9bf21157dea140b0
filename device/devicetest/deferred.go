package devicetest

import (
	"errors"
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// deferredLimit is the memory of a Deferred, in bytes; more is out of memory.
const deferredLimit = 4 << 30

func init() {
	device.Register(device.Backend{
		Name:     "deferred",
		Priority: -1, // never chosen by "auto"
		Open: func(index int, _ device.Options) (device.Device, error) {
			if index > 0 {
				return nil, &device.OpenError{Spec: fmt.Sprintf("deferred:%d", index), Reason: "there is only one", Advice: "write deferred"}
			}
			return NewDeferred(), nil
		},
		List: func() []device.Info {
			return []device.Info{{Name: "deferred", Description: NewDeferred().Describe()}}
		},
	})
}

// Deferred is a device for tests that behaves as a remote, lazy one may: the host cannot read its memory; fresh memory
// holds NaN (every byte 0xff); a call does nothing but queue until a Sync, a Download, a Ticket.Wait or Close drains the
// queue. Launch queues as well: it drains nothing. A Ticket.Poll that finds its read not done lets the device run one
// queued call and gives false, so that Poll takes bounded time, a loop of Polls ends, and every ticket gives false at
// least once unless something else drained the queue. It has no fused kernels, and its arithmetic is plain loops in
// float64, rounded to the type that Compute names and then to the destination's.
//
// It is strict where others may be lenient: a view that reaches outside its Memory, belongs to another device, or is
// written though its elements overlap panics with the kernel's name; use of freed memory is a sticky error.
type Deferred struct {
	queue     []command
	rec       *recording // not nil while capturing
	violation error      // the first call that was not legal while capturing
	err       error      // sticky
	hooks     device.Gate
	live      int
	blocks    int
	closed    bool
}

// command is one queued or recorded call.
type command struct {
	name   string
	views  []device.View // what it touches
	run    func() error
	always bool // runs even after an error: releases and the ends of fetches
}

type recording struct {
	d        *Deferred
	commands []command
	closed   bool
}

type memory struct {
	d        *Deferred
	bytes    []byte
	freed    bool // the host called Free
	released bool // the queue has passed it
}

// NewDeferred opens a Deferred.
func NewDeferred() *Deferred { return &Deferred{} }

// Name is "deferred".
func (d *Deferred) Name() string { return "deferred" }

// Describe is a line about the device for people.
func (d *Deferred) Describe() string { return "slow, lazy device for tests" }

// Pending is the number of calls that are queued and have not run.
func (d *Deferred) Pending() int { return len(d.queue) }

// Hook sets f at the enqueue gate, see device.Hooker.
func (d *Deferred) Hook(f func(device.Call) error) (undo func()) { return d.hooks.Hook(f) }

// Alloc gives memory that is filled with NaN. Over 4 GiB in all is out of memory.
func (d *Deferred) Alloc(bytes int) (device.Memory, error) {
	if err := d.illegal("Alloc"); err != nil {
		return nil, err
	}
	if bytes < 0 {
		return nil, fmt.Errorf("deferred: Alloc of %d bytes", bytes)
	}
	if bytes > deferredLimit-d.live {
		return nil, fmt.Errorf("deferred: out of memory: %d bytes asked for, %d of %d in use", bytes, d.live, deferredLimit)
	}
	m := &memory{d: d, bytes: make([]byte, bytes)}
	m.poison()
	d.live += bytes
	d.blocks++
	return m, nil
}

func (m *memory) poison() {
	for i := range m.bytes {
		m.bytes[i] = 0xff // NaN in every float type
	}
}

// Bytes is the size that was asked for.
func (m *memory) Bytes() int { return len(m.bytes) }

// Free gives the memory back once all calls queued before it have run.
func (m *memory) Free() {
	d := m.d
	if err := d.illegal("Free"); err != nil {
		d.fail(err)
		return
	}
	if m.freed {
		d.fail(fmt.Errorf("deferred: Free: %d bytes were freed before", len(m.bytes)))
		return
	}
	m.freed = true
	d.live -= len(m.bytes)
	d.blocks--
	d.queue = append(d.queue, command{name: "Free", always: true, run: func() error {
		m.poison()
		m.released = true
		return nil
	}})
}

// fail queues an error: what was queued before still runs.
func (d *Deferred) fail(err error) {
	d.queue = append(d.queue, command{run: func() error { return err }})
}

// illegal is for calls that must not be captured: it gives an error while capturing, and keeps the first for Capture.
func (d *Deferred) illegal(call string) error {
	if d.closed {
		panic("deferred." + call + ": the device is closed")
	}
	if d.rec == nil {
		return nil
	}
	err := fmt.Errorf("deferred: %s is not legal while capturing", call)
	if d.violation == nil {
		d.violation = err
	}
	return err
}

// step runs the oldest queued call.
func (d *Deferred) step() {
	c := d.queue[0]
	d.queue[0] = command{}
	d.queue = d.queue[1:]
	if d.err != nil && !c.always {
		return
	}
	for _, v := range c.views {
		if v.Mem.(*memory).released && d.err == nil {
			d.err = fmt.Errorf("deferred: %s: %s lies in memory that was freed", c.name, v)
		}
	}
	if d.err != nil && !c.always {
		return
	}
	if err := c.run(); err != nil && d.err == nil {
		d.err = err
	}
}

// Drain runs all that is queued and leaves a sticky error where it is; while capturing it does nothing. A
// device.Profiler times calls with it.
func (d *Deferred) Drain() {
	if d.rec == nil {
		d.drain()
	}
}

func (d *Deferred) drain() {
	for len(d.queue) > 0 {
		d.step()
	}
	d.queue = nil
}

// Sync runs all that is queued; it returns the first error since the last Sync, and clears it.
func (d *Deferred) Sync() error {
	if err := d.illegal("Sync"); err != nil {
		return err
	}
	d.drain()
	err := d.err
	d.err = nil
	return err
}

// Close runs all that is queued and ends the handle. Memory that is still allocated is an error.
func (d *Deferred) Close() error {
	err := d.Sync()
	if d.rec != nil {
		return err
	}
	d.closed = true
	if d.blocks > 0 {
		err = errors.Join(err, fmt.Errorf("deferred: Close: %d bytes in %d allocations were not freed", d.live, d.blocks))
	}
	return err
}

// Capture records the calls that step makes.
func (d *Deferred) Capture(step func()) (device.Graph, error) {
	if err := d.illegal("Capture"); err != nil {
		return nil, err
	}
	r := &recording{d: d}
	d.rec, d.violation = r, nil
	defer func() { d.rec = nil }() // a panic in step ends the recording too
	step()
	if d.violation != nil {
		return nil, d.violation
	}
	return r, nil
}

// Launch queues the recorded calls.
func (r *recording) Launch() {
	d := r.d
	if d.illegal("Launch") != nil {
		return
	}
	if r.closed {
		panic("deferred.Launch: the graph is closed")
	}
	if d.gate(device.Call{Kernel: "Launch"}) {
		d.queue = append(d.queue, r.commands...)
		d.hooks.After(device.Call{Kernel: "Launch"})
	}
}

// Close releases the recording.
func (r *recording) Close() { r.commands, r.closed = nil, true }

// gate asks the hooks whether a call may pass.
func (d *Deferred) gate(c device.Call) bool {
	err := d.hooks.Before(c)
	if err == nil {
		return true
	}
	if err != device.ErrSkip {
		err = fmt.Errorf("deferred: %w", err)
		if d.rec == nil {
			d.fail(err)
		} else if d.violation == nil {
			d.violation = err
		}
	}
	return false
}

// enqueue passes a call through the gate and queues or records it. It reports whether it did.
func (d *Deferred) enqueue(c device.Call, run func() error) bool {
	if d.closed {
		panic("deferred." + c.Kernel + ": the device is closed")
	}
	if !d.gate(c) {
		return false
	}
	for _, v := range c.Writes {
		d.check(c.Kernel, v)
		for i := range int(v.Rank) {
			if v.Str[i] == 0 && v.Dim[i] > 1 && v.Len() > 0 {
				panic(fmt.Sprintf("deferred.%s: elements of the destination %s overlap", c.Kernel, v))
			}
		}
	}
	for _, v := range c.Reads {
		d.check(c.Kernel, v)
	}
	q := command{name: c.Kernel, views: append(append([]device.View(nil), c.Writes...), c.Reads...), run: run}
	if c.Kernel == "Fetch" {
		q.always = true // its ticket must learn of an error
	}
	if d.rec != nil {
		d.rec.commands = append(d.rec.commands, q)
	} else {
		d.queue = append(d.queue, q)
	}
	d.hooks.After(c)
	return true
}

// check panics if v is not wholly inside memory of d.
func (d *Deferred) check(kernel string, v device.View) {
	m, ok := v.Mem.(*memory)
	if !ok || m.d != d {
		panic(fmt.Sprintf("deferred.%s: %s does not lie in this device's memory", kernel, v))
	}
	lo, hi := reach(v)
	if v.Len() > 0 && (lo < 0 || hi > len(m.bytes)) {
		panic(fmt.Sprintf("deferred.%s: %s reaches bytes %d to %d of %d", kernel, v, lo, hi, len(m.bytes)))
	}
}

// reach is the first byte of a view's elements, and the one past the last, counted in its Memory.
func reach(v device.View) (lo, hi int) {
	lo, hi = v.Off, v.Off+1
	for i := range int(v.Rank) {
		if n := int(v.Dim[i]-1) * int(v.Str[i]); n < 0 {
			lo += n
		} else {
			hi += n
		}
	}
	return lo * v.Type.Size(), hi * v.Type.Size()
}
