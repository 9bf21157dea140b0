package cuda

import (
	"fmt"
	"unsafe"

	"github.com/acumen-ml/acumen/cuda/driver"
)

// faultCell is the twin of struct Fault in kernel.cuh.
type faultCell struct {
	code, set           uint32
	index, place, limit int64
}

const faultBytes = int(unsafe.Sizeof(faultCell{}))

// faults is the cell in which kernels report that a call failed, such as an index outside of a table. Kernels do nothing
// while it is set, so that what was queued behind the call has no effect; the host reads it when it waits.
type faults struct {
	cell  driver.Ptr
	host  []byte // pinned
	names []string
}

func newFaults(d *Device) (*faults, error) {
	f := &faults{}
	var err error
	if f.cell, err = d.alloc(faultBytes); err != nil {
		return nil, err
	}
	if f.host, err = d.ctx.Pinned(faultBytes); err != nil {
		return f, err
	}
	return f, f.clear(d)
}

// code is the number by which a kernel reports for the call of this name.
func (f *faults) code(name string) uint32 {
	for i, n := range f.names {
		if n == name {
			return uint32(i + 1)
		}
	}
	f.names = append(f.names, name)
	return uint32(len(f.names))
}

// fetch queues a copy of the cell into pinned memory.
func (f *faults) fetch(d *Device, to []byte) error {
	return d.stream.Download(unsafe.Pointer(&to[0]), f.cell, faultBytes)
}

// decode is the error that a copy of the cell tells of, nil if none.
func (f *faults) decode(b []byte) error {
	c := (*faultCell)(unsafe.Pointer(&b[0]))
	if c.code == 0 {
		return nil
	}
	return fmt.Errorf("%s: index %d at place %d is not in 0..%d", f.names[c.code-1], c.index, c.place, c.limit-1)
}

// look waits for the stream and tells what was reported.
func (f *faults) look(d *Device) error {
	if err := f.fetch(d, f.host); err != nil {
		return err
	}
	if err := d.stream.Sync(); err != nil {
		return err
	}
	return f.decode(f.host)
}

// clear makes kernels work again.
func (f *faults) clear(d *Device) error { return d.stream.Set(f.cell, 0, faultBytes) }

func (f *faults) close(d *Device) error {
	if f.host != nil {
		if err := d.ctx.FreePinned(f.host); err != nil {
			return err
		}
	}
	return d.dealloc(f.cell)
}

// fault is the address of the cell, the first field of every kernel's parameters.
func (d *Device) fault() uintptr { return uintptr(d.faults.cell) }
