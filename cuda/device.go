package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// Device is a handle on one GPU: a stream of queued work, its hooks, its scratch memory and its sticky error. Handles of
// one GPU share its context and memory.
type Device struct {
	index    int
	ctx      *driver.Context
	stream   *driver.Stream
	gpu      properties
	modules  []*driver.Module
	function []*driver.Function // by kernelID

	gate    device.Gate
	err     error // of this handle, until Sync
	dead    error // of the context: no call can succeed any more
	live    int   // bytes that the caller has allocated through this handle
	held    held
	rec     *graph
	illegal error // the first call that may not be captured, or a hook's error while recording
	pass    pass

	seq     uint64 // counts what is queued
	done    uint64 // what is known to have completed
	marks   marks
	faults  *faults
	staging *staging
	tickets []*ticket // all, and those that can be used again
	idle    []*ticket
	scratch scratch
	blas    *blas
	plan    *plan // nil: the GPU is there
}

// Name is "cuda:0".
func (d *Device) Name() string {
	if d.plan != nil {
		return d.plan.name
	}
	return fmt.Sprintf("cuda:%d", d.index)
}

// Hook sets f at the gate that every call passes.
func (d *Device) Hook(f func(device.Call) error) (undo func()) { return d.gate.Hook(f) }

// before asks the hooks; false: the call is dropped.
func (d *Device) before(c device.Call) bool {
	switch err := d.gate.Before(c); {
	case err == nil:
		return true
	case err == device.ErrSkip:
	case d.rec != nil:
		d.refuse(err)
	default:
		d.fail(err)
	}
	return false
}

// fail keeps the first error until Sync. An error of the driver that the context does not survive is kept for good.
func (d *Device) fail(err error) {
	d.lose(err)
	if d.err == nil {
		d.err = err
	}
}

// lose keeps an error that the context does not survive.
func (d *Device) lose(err error) {
	var e *driver.Error
	if errors.As(err, &e) && sticky(e.Code) && d.dead == nil {
		d.dead = err
	}
}

// sticky reports whether after an error of this code every call in the context fails.
func sticky(code int) bool {
	switch code {
	case 214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999: // ECC, NVLink, faults of kernels, lost contexts
		return true
	}
	return false
}

// failed is the error for which calls do nothing.
func (d *Device) failed() error {
	if d.err == nil {
		return d.dead
	}
	return d.err
}

// refuse keeps the first reason why what is being captured cannot be.
func (d *Device) refuse(err error) {
	if d.illegal == nil {
		d.illegal = err
	}
}

// notWhileCapturing is the error of a call that cannot be recorded; Capture returns the first.
func (d *Device) notWhileCapturing(name string) error {
	err := fmt.Errorf("cuda: %s is not legal while capturing", name)
	d.refuse(err)
	return err
}

// enqueue passes a kernel through the gate and queues what run launches. Shapes have been checked before it. run depends
// on nothing that changes: a graph calls it again.
func (d *Device) enqueue(kernel string, writes, reads []device.View, flops float64, run func() error) {
	if d.rec == nil && d.failed() != nil || d.rec != nil && d.illegal != nil {
		return
	}
	c := device.Call{Kernel: kernel, Writes: writes, Reads: reads, Flops: flops}
	if d.gate.Watched() && !d.before(c) {
		return
	}
	d.touch(writes, reads)
	if d.plan != nil {
		run = d.plan.run(d)
	}
	if d.rec != nil {
		d.rec.calls = append(d.rec.calls, recorded{kernel, run})
	} else if err := run(); err != nil {
		d.fail(fmt.Errorf("%s: %w", kernel, err))
	}
	if d.gate.Watched() {
		d.gate.After(c)
	}
}

// kernelID is a kernel's place in kernelTable.
type kernelID int

var kernelTable []struct{ file, name string }

// kernel names a kernel of cuda/kernels; files of this package do so once, in variables.
func kernel(file, name string) kernelID {
	kernelTable = append(kernelTable, struct{ file, name string }{file, name})
	return kernelID(len(kernelTable) - 1)
}

// launch queues a kernel. p is its block of parameters, the twin of the kernel's struct.
func launch[P any](d *Device, k kernelID, grid [3]uint32, threads, shared uint32, p *P) error {
	if d.pass == priming {
		return nil
	}
	return d.stream.Launch(d.function[k], grid, [3]uint32{threads, 1, 1}, shared, unsafe.Pointer(p), unsafe.Sizeof(*p))
}

// spread is a grid of blocks for a loop over n elements by FIRST and STEP: enough to fill the GPU, and no more.
func (d *Device) spread(n, threads int) [3]uint32 {
	return [3]uint32{uint32(max(1, min((n+threads-1)/threads, 16*d.gpu.processors))), 1, 1}
}

// Drain waits for all that is queued and leaves the sticky error alone.
func (d *Device) Drain() {
	if d.rec == nil && d.failed() == nil && d.plan == nil {
		if err := d.stream.Sync(); err != nil {
			d.fail(err)
		}
	}
}

// Sync waits for all that is queued; it returns the first error since the last Sync, and clears it.
func (d *Device) Sync() error {
	if d.rec != nil {
		return d.notWhileCapturing("Sync")
	}
	if d.dead == nil && d.plan == nil {
		seq := d.seq
		if err := d.faults.look(d); err != nil {
			d.fail(err)
		}
		d.done = seq
		if d.dead == nil {
			if err := d.faults.clear(d); err != nil {
				d.fail(err)
			}
		}
	}
	err := d.failed()
	d.err = nil
	return err
}

// Close drains the handle and gives back what it has. After an error that the context does not survive only the host's
// part is freed, since every call would fail, and no leak is reported.
func (d *Device) Close() error {
	if d.plan != nil {
		return d.plan.close(d)
	}
	if d.ctx == nil {
		return nil
	}
	err := d.dead
	if err == nil {
		err = errors.Join(d.err, d.release())
		if err == nil && d.live != 0 {
			err = fmt.Errorf("cuda: closed with %d bytes still allocated", d.live)
		}
	}
	if e := d.ctx.Close(); err == nil {
		err = e
	}
	d.ctx = nil
	return err
}

// release gives back all that the handle made for itself.
func (d *Device) release() error {
	var errs []error
	try := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if d.stream != nil {
		try(d.stream.Sync())
	}
	if d.blas != nil {
		try(d.blas.close())
	}
	try(d.scratch.free(d))
	try(d.marks.close())
	if d.staging != nil {
		try(d.staging.close(d))
	}
	for _, t := range d.tickets {
		try(t.free())
	}
	if d.faults != nil {
		try(d.faults.close(d))
	}
	for _, m := range d.modules {
		try(m.Unload())
	}
	if d.stream != nil {
		try(d.stream.Close())
	}
	d.stream, d.modules, d.tickets, d.idle = nil, nil, nil, nil
	return errors.Join(errs...)
}
