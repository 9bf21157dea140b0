package cuda

import (
	"errors"
	"fmt"
	"slices"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/cuda/kernels"
	"github.com/acumen-ml/acumen/device"
)

// oldestDriver is the version of the driver's interface that the kernels' machine code and the calls made here need:
// CUDA 12.0, which came with driver 525.
const oldestDriver = 12000

// properties are what is asked of a GPU once.
type properties struct {
	name         string
	memory       int // bytes
	major, minor int // compute capability
	processors   int // streaming multiprocessors
	arch         string
	groups       bool // wgmma
}

// Open makes a handle on the GPU of this number, as CUDA counts those that are visible.
func Open(index int) (*Device, error) {
	g, p, err := find(index)
	if err != nil {
		return nil, err
	}
	d := &Device{index: index, gpu: p}
	d.unpackKernels()
	if d.ctx, err = g.Open(); err != nil {
		return nil, occupied(index, g, err)
	}
	if err := d.setUp(); err != nil {
		d.Close()
		return nil, &device.OpenError{Spec: d.Name(), Reason: err.Error(), Advice: "see `acumen devices`; if it goes on, another program may have the GPU's memory: `nvidia-smi` lists them"}
	}
	return d, nil
}

// find looks a GPU up, and says what is wrong if it cannot be used.
func find(index int) (driver.GPU, properties, error) {
	var p properties
	spec := fmt.Sprintf("cuda:%d", index)
	refuse := func(reason, advice string) (driver.GPU, properties, error) {
		return 0, p, &device.OpenError{Spec: spec, Reason: reason, Advice: advice}
	}
	if reason, advice := missing(); reason != "" {
		return refuse(reason, advice)
	}
	n, err := driver.Count()
	if err != nil {
		return refuse(err.Error(), "see `nvidia-smi`")
	}
	if index >= n {
		if n == 1 {
			return refuse("there is one GPU, cuda:0", "choose it; CUDA_VISIBLE_DEVICES limits which are seen")
		}
		return refuse(fmt.Sprintf("there are %d GPUs, cuda:0 to cuda:%d", n, n-1), "choose one of them; CUDA_VISIBLE_DEVICES limits which are seen")
	}
	g := driver.GPU(index)
	if err := p.ask(g); err != nil {
		return refuse(err.Error(), "see `nvidia-smi`")
	}
	p.groups = hasGroups(p.major, p.minor)
	if mode, err := g.Mode(); err == nil && mode == driver.ModeProhibited {
		return refuse(fmt.Sprintf("%s is in compute mode %s", p.name, mode), "an administrator allows its use by `nvidia-smi -c DEFAULT`")
	}
	for _, file := range kernels.Files() {
		arch, err := kernels.Arch(file, p.major, p.minor)
		if err != nil {
			return refuse(fmt.Sprintf("%s has compute capability %d.%d, for which this program has no kernels: %v", p.name, p.major, p.minor, err),
				"compute capability 7.5 (Turing) is the least; use another GPU, or --device cpu")
		}
		p.arch = arch
	}
	return g, p, nil
}

// missing says why no GPU at all can be used: no driver, none that is new enough, no GPU; and what to do.
func missing() (reason, advice string) {
	if !driver.Built {
		return "this program was built without the CUDA back-end", "use device auto or cpu, or a program built with CUDA"
	}
	if _, err := kernels.Index(); err != nil {
		return err.Error(), "use device cpu, or build with `make cuda`"
	}
	err := driver.Load()
	var e *driver.Error
	if lib := (*driver.NoLibrary)(nil); errors.As(err, &lib) {
		return lib.Error(), "install NVIDIA's driver; in a container, run it with --gpus all and NVIDIA's container toolkit"
	}
	if errors.As(err, &e) {
		switch e.Code {
		case driver.NoDevice:
			if hidden, ok := hiddenDevices(); ok {
				return fmt.Sprintf("CUDA_VISIBLE_DEVICES=%q hides every GPU", hidden), "unset it, or let it name a GPU, such as 0"
			}
			if nodes := deviceNodes(); nodes != "" {
				return "the driver sees no GPU: " + nodes, "let the container or the user have /dev/nvidia0 and /dev/nvidiactl; `nvidia-smi` tells whether the driver works"
			}
			return "the driver sees no GPU", "`nvidia-smi` tells whether the driver works"
		case driver.SystemDriverMismatch:
			return "libcuda.so.1 is of another version than the kernel's driver: " + e.Error(), "restart the machine after an update of the driver, or install the matching version in the container"
		}
	}
	if err != nil {
		return err.Error(), "`nvidia-smi` tells whether the driver works"
	}
	if v := driver.Version(); v < oldestDriver {
		return fmt.Sprintf("the driver is for CUDA %d.%d; this program needs one for CUDA %d.%d or later (525 or later)", v/1000, v%1000/10, oldestDriver/1000, oldestDriver%1000/10),
			"install a newer driver from NVIDIA"
	}
	n, err := driver.Count()
	switch {
	case err != nil:
		return err.Error(), "`nvidia-smi` tells whether the driver works"
	case n == 0:
		if hidden, ok := hiddenDevices(); ok {
			return fmt.Sprintf("CUDA_VISIBLE_DEVICES=%q hides every GPU", hidden), "unset it, or let it name a GPU, such as 0"
		}
		return "the driver sees no GPU", "`nvidia-smi` tells whether the driver works"
	}
	return "", ""
}

// occupied explains why the context of a GPU could not be had.
func occupied(index int, g driver.GPU, err error) error {
	o := &device.OpenError{Spec: fmt.Sprintf("cuda:%d", index), Reason: err.Error(), Advice: "see `nvidia-smi`"}
	var e *driver.Error
	if errors.As(err, &e) && e.Code == driver.DevicesUnavailable {
		mode, _ := g.Mode()
		o.Reason = fmt.Sprintf("another process has the GPU (compute mode %s): %v", mode, err)
		o.Advice = "end that process (`nvidia-smi` lists it), or let an administrator allow sharing by `nvidia-smi -c DEFAULT`"
	}
	return o
}

func (p *properties) ask(g driver.GPU) (err error) {
	if p.name, err = g.Name(); err != nil {
		return err
	}
	if p.memory, err = g.Memory(); err != nil {
		return err
	}
	if p.major, p.minor, err = g.Capability(); err != nil {
		return err
	}
	p.processors, err = g.Attribute(driver.MultiprocessorCount)
	return err
}

// setUp makes all that a handle needs, so that later nothing but launches is asked of the driver.
func (d *Device) setUp() error {
	var err error
	if d.stream, err = d.ctx.NewStream(); err != nil {
		return err
	}
	if d.faults, err = newFaults(d); err != nil {
		return err
	}
	if d.staging, err = newStaging(d); err != nil {
		return err
	}
	if err := d.readyTickets(); err != nil {
		return err
	}
	if err := d.scratch.fit(d); err != nil {
		return err
	}
	if err := d.loadKernels(); err != nil {
		return err
	}
	if d.blas, err = newBlas(d); err != nil {
		return err
	}
	return d.stream.Sync()
}

// unpackKernels begins to unpack the images that loadKernels takes, beside each other and beside what the driver does.
func (d *Device) unpackKernels() {
	var files []string
	for _, k := range kernelTable {
		if !slices.Contains(files, k.file) {
			files = append(files, k.file)
			go kernels.Image(k.file, d.gpu.major, d.gpu.minor)
		}
	}
}

func (d *Device) loadKernels() error {
	modules := map[string]*driver.Module{}
	d.function = make([]*driver.Function, len(kernelTable))
	for i, k := range kernelTable {
		m := modules[k.file]
		if m == nil {
			image, _, err := kernels.Image(k.file, d.gpu.major, d.gpu.minor)
			if err != nil {
				return err
			}
			if m, err = d.ctx.LoadModule(image); err != nil {
				return fmt.Errorf("kernels of %s: %w", k.file, err)
			}
			modules[k.file] = m
			d.modules = append(d.modules, m)
		}
		var err error
		if d.function[i], err = m.Function(k.name); err != nil {
			return err
		}
		if slices.Contains(largeShared, k.file) {
			if err := d.function[i].SetMaxShared(sharedLimit(d.gpu.major, d.gpu.minor)); err != nil {
				return err
			}
		}
	}
	return nil
}

// list tells which GPUs there are, or why none can be used.
func list() []device.Info {
	if reason, advice := missing(); reason != "" {
		return []device.Info{{Name: "cuda:0", Reason: reason, Advice: advice}}
	}
	n, _ := driver.Count()
	var all []device.Info
	for i := range n {
		info := device.Info{Name: fmt.Sprintf("cuda:%d", i)}
		if _, p, err := find(i); err != nil {
			info.Reason = err.Error()
			var o *device.OpenError
			if errors.As(err, &o) {
				info.Reason, info.Advice = o.Reason, o.Advice
			}
		} else {
			info.Description = p.describe()
		}
		all = append(all, info)
	}
	return all
}

// Describe is the GPU, its memory, the driver and cuBLAS.
func (d *Device) Describe() string { return d.gpu.describe() }

func (p *properties) describe() string {
	v := driver.Version()
	s := fmt.Sprintf("%s %d GiB, driver %sCUDA %d.%d, kernels for %s", p.name, (p.memory+1<<29)>>30, kernelModule(), v/1000, v%1000/10, p.arch)
	b, err := driver.LoadBlas()
	switch {
	case err != nil:
		return s + ", no cuBLAS: products by kernels of acumen"
	case !b.Fuses():
		return s + ", cuBLAS " + b.Version() + " without cublasLt: bias and ReLU by kernels of acumen"
	}
	return s + ", cuBLAS " + b.Version() + " with cublasLt"
}
