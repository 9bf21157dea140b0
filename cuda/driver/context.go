//go:build cuda

package driver

// #cgo noescape acu_enter
// #cgo nocallback acu_enter
// #include "driver.h"
import "C"
import (
	"runtime"
	"unsafe"

	"gorgonia.org/cu"
)

// Context is a hold on a GPU's primary context. Any goroutine may use it.
type Context struct {
	gpu    GPU
	device cu.Device
	c      C.acu_context
	closed bool
}

// GPU is the device of the context.
func (c *Context) GPU() GPU { return c.gpu }

// Close gives the context up. The last Close of a GPU destroys what is still allocated in it. A second one does nothing.
func (c *Context) Close() error {
	opened.Lock()
	defer opened.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	opened.of[c.gpu].n--
	return wrap("cuDevicePrimaryCtxRelease", c.device.ReleasePrimaryCtx())
}

// Enter ties the goroutine to its thread and makes the context current there. Calls nest; each that succeeds needs a
// Leave. The methods of this package enter by themselves: it is for calls of other packages. Between two contexts the last
// Enter counts, also after its Leave.
func (c *Context) Enter() error {
	runtime.LockOSThread()
	if r := C.acu_enter(c.c); r != 0 {
		runtime.UnlockOSThread()
		return check("cuCtxSetCurrent", r)
	}
	return nil
}

// Leave undoes the goroutine's last Enter. The context stays current on the thread.
func (c *Context) Leave() { runtime.UnlockOSThread() }

// do runs a call of gorgonia.org/cu in the context.
func (c *Context) do(call string, f func() error) error {
	if err := c.Enter(); err != nil {
		return err
	}
	defer c.Leave()
	return wrap(call, f())
}

// Sync waits for everything that was queued in the context.
func (c *Context) Sync() error { return c.do("cuCtxSynchronize", cu.Synchronize) }

// Alloc takes device memory, aligned to 256 bytes at least.
func (c *Context) Alloc(bytes int) (p Ptr, err error) {
	err = c.do("cuMemAlloc", func() error {
		d, err := cu.MemAlloc(int64(bytes))
		p = Ptr(d)
		return err
	})
	return p, err
}

// Free gives back what Alloc gave.
func (c *Context) Free(p Ptr) error {
	return c.do("cuMemFree", func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

// MemInfo is the device memory that is free, and that there is, in bytes.
func (c *Context) MemInfo() (free, total int, err error) {
	err = c.do("cuMemGetInfo", func() error {
		f, t, err := cu.MemInfo()
		free, total = int(f), int(t)
		return err
	})
	return free, total, err
}

// Pinned takes page-locked host memory: copies to and from it run beside other work. It is not the garbage collector's.
func (c *Context) Pinned(bytes int) ([]byte, error) {
	var at unsafe.Pointer
	if err := check("cuMemHostAlloc", C.acu_pinned(c.c, C.size_t(bytes), &at)); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(at), bytes), nil
}

// FreePinned gives back what Pinned gave: a slice that begins where that began.
func (c *Context) FreePinned(b []byte) error {
	return c.do("cuMemFreeHost", func() error { return cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(b))) })
}
