//go:build cuda

package driver

// #cgo noescape acu_launch
// #cgo nocallback acu_launch
// #include "driver.h"
import "C"
import (
	"unsafe"

	"gorgonia.org/cu"
)

// Stream is a queue of work that runs in order. It does not wait for the legacy stream, nor that for it.
type Stream struct {
	ctx *Context
	s   cu.Stream
	h   C.CUstream
}

// NewStream makes a stream.
func (c *Context) NewStream() (*Stream, error) {
	s := &Stream{ctx: c}
	err := c.do("cuStreamCreate", func() (err error) {
		s.s, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.h = C.CUstream(unsafe.Pointer(s.s.C()))
	return s, nil
}

// Close destroys the stream; work that is queued still completes.
func (s *Stream) Close() error { return s.ctx.do("cuStreamDestroy", s.s.Destroy) }

// Launch queues a kernel. Its one parameter is the struct of size bytes at params, which is read before Launch returns.
// Nothing is allocated, and params does not escape.
func (s *Stream) Launch(f *Function, grid, block [3]uint32, shared uint32, params unsafe.Pointer, size uintptr) error {
	r := C.acu_launch(s.ctx.c, s.h, f.h, C.uint(grid[0]), C.uint(grid[1]), C.uint(grid[2]),
		C.uint(block[0]), C.uint(block[1]), C.uint(block[2]), C.uint(shared), params, C.size_t(size))
	if r != 0 {
		return check(C.GoString(C.acu_launch_call())+"("+f.name+")", r)
	}
	return nil
}

// Upload queues a copy of n bytes to the device. Memory that is Pinned must not change until the copy has run; other
// memory may be used again on return.
func (s *Stream) Upload(dst Ptr, src unsafe.Pointer, n int) error {
	return s.ctx.do("cuMemcpyHtoDAsync", func() error { return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), src, int64(n), s.s) })
}

// Download queues a copy of n bytes from the device. Into memory that is Pinned it runs later; into other memory it has
// been made on return.
func (s *Stream) Download(dst unsafe.Pointer, src Ptr, n int) error {
	return s.ctx.do("cuMemcpyDtoHAsync", func() error { return cu.MemcpyDtoHAsync(dst, cu.DevicePtr(src), int64(n), s.s) })
}

// Copy queues a copy of n bytes within the device.
func (s *Stream) Copy(dst, src Ptr, n int) error {
	return s.ctx.do("cuMemcpyDtoDAsync", func() error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), int64(n), s.s)
	})
}

// Set queues the setting of n bytes to b.
func (s *Stream) Set(dst Ptr, b byte, n int) error {
	return s.ctx.do("cuMemsetD8Async", func() error { return cu.MemsetD8Async(cu.DevicePtr(dst), b, int64(n), s.s) })
}

// Sync waits for everything that was queued, and gives the error of any of it.
func (s *Stream) Sync() error { return s.ctx.do("cuStreamSynchronize", s.s.Synchronize) }

// Query reports whether everything that was queued has run.
func (s *Stream) Query() (done bool, err error) {
	return s.ctx.ready("cuStreamQuery", s.s.Query)
}

// Wait makes what is queued from here on wait for the event, on the device.
func (s *Stream) Wait(e *Event) error {
	return s.ctx.do("cuStreamWaitEvent", func() error { return s.s.Wait(e.e, 0) })
}

// ready asks a query. That something is not ready is no error, and asks the driver for no words.
func (c *Context) ready(call string, query func() error) (done bool, err error) {
	err = c.do(call, func() error {
		err := query()
		if done = err == nil; code(err) == NotReady {
			return nil
		}
		return err
	})
	return done, err
}

// Event is a point in a stream.
type Event struct {
	ctx *Context
	e   cu.Event
}

// NewEvent makes an event; one without timing costs less to wait for.
func (c *Context) NewEvent(timing bool) (*Event, error) {
	e, flags := &Event{ctx: c}, cu.DefaultEvent
	if !timing {
		flags = cu.DisableTiming
	}
	err := c.do("cuEventCreate", func() (err error) {
		e.e, err = cu.MakeEvent(flags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Record puts the event behind what is queued in the stream.
func (e *Event) Record(s *Stream) error {
	return e.ctx.do("cuEventRecord", func() error { return e.e.Record(s.s) })
}

// Query reports whether the event has been reached.
func (e *Event) Query() (done bool, err error) {
	return e.ctx.ready("cuEventQuery", e.e.Query)
}

// Sync waits until the event has been reached.
func (e *Event) Sync() error { return e.ctx.do("cuEventSynchronize", e.e.Synchronize) }

// Elapsed is the time on the device between two events with timing that were reached, in milliseconds.
func (e *Event) Elapsed(since *Event) (ms float64, err error) {
	err = e.ctx.do("cuEventElapsedTime", func() (err error) {
		ms, err = since.e.Elapsed(e.e)
		return err
	})
	return ms, err
}

// Close destroys the event.
func (e *Event) Close() error {
	return e.ctx.do("cuEventDestroy", func() error { return cu.DestroyEvent(&e.e) })
}
