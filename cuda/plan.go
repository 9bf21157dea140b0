package cuda

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// model is a GPU as its maker describes it.
type model struct {
	name         string
	major, minor int
	processors   int
	peaks        device.Peaks
}

// known are the GPUs that can be planned for, by NVIDIA's data sheets and architecture papers: memory as drivers report it,
// dense rates (no sparsity) with f32 sums, which graphics cards do at half the rate of f16 sums.
var known = map[string]model{
	"a10":     {"NVIDIA A10", 8, 6, 72, device.Peaks{Memory: 23028 << 20, Bandwidth: 600e9, F32: 31.2e12, TF32: 62.5e12, F16: 125e12}},
	"a100":    {"NVIDIA A100-SXM4-80GB", 8, 0, 108, device.Peaks{Memory: 81920 << 20, Bandwidth: 2039e9, F32: 19.5e12, TF32: 156e12, F16: 312e12}},
	"h100":    {"NVIDIA H100 80GB HBM3", 9, 0, 132, device.Peaks{Memory: 81559 << 20, Bandwidth: 3350e9, F32: 66.9e12, TF32: 494.7e12, F16: 989.4e12}},
	"h200":    {"NVIDIA H200", 9, 0, 132, device.Peaks{Memory: 143771 << 20, Bandwidth: 4800e9, F32: 66.9e12, TF32: 494.7e12, F16: 989.4e12}},
	"l4":      {"NVIDIA L4", 8, 9, 58, device.Peaks{Memory: 23034 << 20, Bandwidth: 300e9, F32: 30.3e12, TF32: 60e12, F16: 121e12}},
	"l40s":    {"NVIDIA L40S", 8, 9, 142, device.Peaks{Memory: 46068 << 20, Bandwidth: 864e9, F32: 91.6e12, TF32: 183e12, F16: 362e12}},
	"t4":      {"Tesla T4", 7, 5, 40, device.Peaks{Memory: 15360 << 20, Bandwidth: 320e9, F32: 8.1e12, F16: 65e12}},
	"rtx3090": {"NVIDIA GeForce RTX 3090", 8, 6, 82, device.Peaks{Memory: 24576 << 20, Bandwidth: 936e9, F32: 35.6e12, TF32: 35.6e12, F16: 71e12}},
	"rtx4060": {"NVIDIA GeForce RTX 4060", 8, 9, 24, device.Peaks{Memory: 8188 << 20, Bandwidth: 272e9, F32: 15.1e12, TF32: 15.1e12, F16: 30.2e12}},
	"rtx4090": {"NVIDIA GeForce RTX 4090", 8, 9, 128, device.Peaks{Memory: 24564 << 20, Bandwidth: 1008e9, F32: 82.6e12, TF32: 82.6e12, F16: 165.2e12}},
	"rtx5090": {"NVIDIA GeForce RTX 5090", 12, 0, 170, device.Peaks{Memory: 32607 << 20, Bandwidth: 1792e9, F32: 104.8e12, TF32: 104.8e12, F16: 209.5e12}},
}

func models() []string { return slices.Sorted(maps.Keys(known)) }

// contextBytes is about what the driver takes of a GPU for a program, kernels included.
const contextBytes = 512 << 20

// plan is what takes the driver's place in a device that is not there.
type plan struct {
	name  string
	peaks device.Peaks
	blas  bool // cuBLAS is there
	fuse  bool // cublasLt is there
	limit int  // bytes
	next  driver.Ptr
}

// plannedDevice is a device that is not there.
type plannedDevice struct{ *Device }

// newPlanned is a GPU of this model, idle. It takes for itself what Open takes.
func newPlanned(name string) (*plannedDevice, error) {
	m := known[name]
	d := &Device{gpu: properties{name: m.name, memory: m.peaks.Memory, major: m.major, minor: m.minor, processors: m.processors, groups: m.major == 9 && m.minor == 0}}
	d.plan = &plan{name: name, peaks: m.peaks, blas: true, fuse: true, limit: m.peaks.Memory - contextBytes, next: 1 << 32}
	d.faults, d.blas = &faults{}, &blas{d: d}
	var err error
	if d.faults.cell, err = d.alloc(faultBytes); err != nil {
		return nil, err
	}
	if err := d.scratch.fit(d); err != nil {
		return nil, err
	}
	if d.blas.workspace, err = d.alloc(blasWorkspace); err != nil {
		return nil, err
	}
	return &plannedDevice{d}, nil
}

// Twin is a device that is not there of the same kind, without limit. It has what this one has for itself.
func (d *Device) Twin() (device.Planned, error) {
	t := &Device{gpu: d.gpu, scratch: scratch{bytes: d.scratch.bytes, wanted: d.scratch.wanted}, held: held{now: d.Own()}}
	t.plan = &plan{name: d.Name(), peaks: device.Peaks{Memory: d.gpu.memory}, blas: d.abilities().blas, fuse: d.abilities().fuse, limit: math.MaxInt, next: 1 << 32}
	if d.plan != nil {
		t.plan.peaks = d.plan.peaks
	}
	t.faults, t.blas = &faults{}, &blas{d: t, tf32: d.blas.tf32}
	return &plannedDevice{t}, nil
}

// Describe is the model's full name.
func (d *plannedDevice) Describe() string { return d.gpu.name }

// Limit sets how much memory there is.
func (d *plannedDevice) Limit(bytes int) { d.plan.limit = bytes }

// Room is the memory that there is for the device and its user.
func (d *plannedDevice) Room() (int, error) { return d.plan.limit - d.live, nil }

// Peaks are those of the GPU that is planned for; of the twin of one that is there only the memory is known.
func (d *plannedDevice) Peaks() device.Peaks { return d.plan.peaks }

// granule is how addresses of allocations are aligned.
const granule = 512

func (p *plan) alloc(d *Device, n int) (driver.Ptr, error) {
	if free := max(p.limit-d.held.now, 0); n > free {
		return 0, d.outOfMemory(n, free, p.peaks.Memory)
	}
	at := p.next
	p.next += driver.Ptr((n + granule - 1) / granule * granule)
	return at, nil
}

// run takes the place of a kernel's launches: all it does is to make the scratch as large as the kernel would find it.
func (p *plan) run(d *Device) func() error {
	return func() error { return d.scratch.fit(d) }
}

func (p *plan) close(d *Device) error {
	err := d.err
	if err == nil && d.live != 0 {
		err = fmt.Errorf("cuda: closed with %d bytes still allocated", d.live)
	}
	return err
}
