package cuda

import (
	"errors"
	"fmt"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// scratch is a block of memory for what kernels need beside their operands. Kernels say what they need before they pass
// the gate, so that a dry run of a step finds it, as does a recording; it grows only when nothing is being captured.
type scratch struct {
	ptr    driver.Ptr
	bytes  int
	wanted int
	old    []driver.Ptr // smaller blocks, which graphs captured with them still use
}

// smallScratch is there from the start: most steps need no more.
const smallScratch = 8 << 20

// reserve says that a kernel will need bytes of scratch. It belongs before enqueue.
func (d *Device) reserve(bytes int) { d.scratch.wanted = max(d.scratch.wanted, bytes) }

// borrow is scratch of at least bytes, for the kernels of one call. All calls share it: they run one after the other.
func (d *Device) borrow(bytes int) (uintptr, error) {
	if bytes > d.scratch.bytes {
		if d.pass != queueing {
			return 0, fmt.Errorf("%d bytes of scratch are needed, %d were reserved", bytes, d.scratch.bytes)
		}
		d.reserve(bytes)
		if err := d.scratch.fit(d); err != nil {
			return 0, err
		}
	}
	return uintptr(d.scratch.ptr), nil
}

// fit makes the scratch as large as was asked for.
func (s *scratch) fit(d *Device) error {
	if s.wanted = max(s.wanted, smallScratch); s.wanted <= s.bytes {
		return nil
	}
	ptr, err := d.alloc(s.wanted)
	if err != nil {
		return device.WantedFor("scratch of kernels", err)
	}
	if s.bytes > 0 {
		s.old = append(s.old, s.ptr)
	}
	s.ptr, s.bytes = ptr, s.wanted
	return nil
}

func (s *scratch) free(d *Device) error {
	if s.bytes > 0 {
		s.old = append(s.old, s.ptr)
	}
	var errs []error
	for _, p := range s.old {
		errs = append(errs, d.dealloc(p))
	}
	*s = scratch{}
	return errors.Join(errs...)
}
