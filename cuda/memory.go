package cuda

import (
	"errors"
	"fmt"
	"slices"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// memory is one allocation.
type memory struct {
	d     *Device
	ptr   driver.Ptr
	size  int
	freed bool
	used  uint64 // the last queued work that reads or writes it
}

// full makes of the driver's or cuBLAS's word that the GPU's memory is full an error that tells who has it; asked is in
// bytes. Any other error stays as it is.
func (d *Device) full(err error, asked int) error {
	var e *driver.Error
	if !errors.As(err, &e) || e.Code != driver.OutOfMemory && e.Name != "CUBLAS_STATUS_ALLOC_FAILED" {
		return err
	}
	o := d.outOfMemory(asked, 0, 0)
	o.Err = err
	if free, total, merr := d.ctx.MemInfo(); merr == nil {
		o.Free, o.Total = free, total
	}
	return o
}

func (d *Device) outOfMemory(asked, free, total int) *device.OutOfMemory {
	return &device.OutOfMemory{Device: d.Name(), Asked: asked, Held: d.live, Own: d.Own(), Free: free, Total: total,
		Advice: "end other programs on this GPU (`nvidia-smi` lists them)"}
}

// Room is the memory that there is for this handle and its user: what is free, and what the handle has for itself.
func (d *Device) Room() (int, error) {
	free, _, err := d.ctx.MemInfo()
	return free + d.Own(), err
}

// Alloc gives bytes bytes of the GPU's memory.
func (d *Device) Alloc(bytes int) (device.Memory, error) {
	if d.rec != nil {
		return nil, d.notWhileCapturing("Alloc")
	}
	if bytes < 0 {
		panic(fmt.Sprintf("cuda.Alloc: %d bytes", bytes))
	}
	if d.dead != nil {
		return nil, d.dead
	}
	ptr, err := d.alloc(bytes)
	if err != nil {
		return nil, err
	}
	d.live += bytes
	return &memory{d: d, ptr: ptr, size: bytes}, nil
}

// alloc is memory that does not count as the caller's.
func (d *Device) alloc(bytes int) (ptr driver.Ptr, err error) {
	n := max(bytes, 1)
	if d.plan != nil {
		ptr, err = d.plan.alloc(d, n)
	} else if ptr, err = d.ctx.Alloc(n); err != nil {
		err = d.full(err, n)
	}
	if err != nil {
		return 0, err
	}
	if d.held.bytes == nil {
		d.held.bytes = map[driver.Ptr]int{}
	}
	d.held.bytes[ptr] = n
	d.held.now += n
	return ptr, nil
}

// held counts what a handle has of the GPU's memory: the caller's and its own.
type held struct {
	bytes map[driver.Ptr]int
	now   int
}

// Own is the memory in bytes that the device has taken for itself: scratch, cuBLAS's workspace, cells for faults.
func (d *Device) Own() int { return d.held.now - d.live }

// Bytes is the size.
func (m *memory) Bytes() int { return m.size }

// Free gives the memory back.
func (m *memory) Free() {
	switch {
	case m.d.rec != nil:
		_ = m.d.notWhileCapturing("Free")
	case m.freed:
		m.d.fail(errors.New("cuda: memory freed twice"))
	default:
		m.freed = true
		m.d.live -= m.size
		if m.d.dead == nil {
			if err := m.d.dealloc(m.ptr); err != nil {
				m.d.fail(err)
			}
		}
	}
}

// dealloc gives back what alloc gave.
func (d *Device) dealloc(p driver.Ptr) error {
	d.held.now -= d.held.bytes[p]
	delete(d.held.bytes, p)
	if d.plan != nil {
		return nil
	}
	return d.ctx.Free(p)
}

// address is where the first element of v lies. A view of memory that does not exist, as dry runs have it, is nowhere.
func address(v device.View) uintptr {
	m, ok := v.Mem.(*memory)
	if !ok {
		return 0
	}
	if m.freed {
		panic("cuda: use of freed memory")
	}
	return uintptr(m.ptr) + uintptr(v.Off*v.Type.Size())
}

// touch notes that queued work uses the memory of these views.
func (d *Device) touch(lists ...[]device.View) {
	d.seq++
	for _, vs := range lists {
		for _, v := range vs {
			if m, ok := v.Mem.(*memory); ok {
				m.used = d.seq
				if d.rec != nil && !slices.Contains(d.rec.uses, m) {
					d.rec.uses = append(d.rec.uses, m)
				}
			}
		}
	}
}
