package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// plan takes the place of memory in a device that is not there.
type plan struct{ limit int }

// plannedDevice is a CPU that is not there: it counts memory, and computes nothing.
type plannedDevice struct{ *Device }

// Twin is a device that is not there of the same kind, without limit. Scratch, of threads and of all together, is
// not counted.
func (d *Device) Twin() (device.Planned, error) {
	return plannedDevice{&Device{perWorker: make([]scratch, 1), plan: &plan{math.MaxInt}}}, nil
}

// Limit sets how much memory there is.
func (d plannedDevice) Limit(bytes int) { d.plan.limit = bytes }

// Peaks are not known.
func (d plannedDevice) Peaks() device.Peaks { return device.Peaks{} }

// Own is 0.
func (d plannedDevice) Own() int { return 0 }

// imaginary is memory that is not there: to kernels it is as that of dry runs.
type imaginary struct {
	d        *Device
	size     int
	borrowed bool
}

func (p *plan) alloc(d *Device, bytes int) (device.Memory, error) {
	if free := max(p.limit-d.live, 0); bytes > free {
		return nil, &device.OutOfMemory{Device: "cpu", Asked: bytes, Held: d.live, Free: free}
	}
	d.live += bytes
	return &imaginary{d: d, size: bytes}, nil
}

// Bytes is the size.
func (m *imaginary) Bytes() int { return m.size }

// Free gives the memory back.
func (m *imaginary) Free() {
	if !m.borrowed {
		m.d.live -= m.size
	}
}
