//go:build cuda

package driver

// #include "driver.h"
import "C"
import (
	"encoding/hex"
	"strings"
	"sync"
	"unsafe"

	"gorgonia.org/cu"
)

// Count is the number of GPUs that this process sees.
func Count() (int, error) {
	if err := Load(); err != nil {
		return 0, err
	}
	n, err := cu.NumDevices()
	return n, wrap("cuDeviceGetCount", err)
}

// device gives the driver's handle. gorgonia.org/cu would pass any number on.
func (g GPU) device() (cu.Device, error) {
	d, err := cu.GetDevice(int(g))
	return d, wrap("cuDeviceGet", err)
}

// Name is the model: "NVIDIA H100 80GB HBM3".
func (g GPU) Name() (string, error) {
	d, err := g.device()
	if err != nil {
		return "", err
	}
	s, err := d.Name()
	return s, wrap("cuDeviceGetName", err)
}

// Attribute asks for a number of CUdevice_attribute.
func (g GPU) Attribute(a int) (int, error) {
	d, err := g.device()
	if err != nil {
		return 0, err
	}
	v, err := d.Attribute(cu.DeviceAttribute(a))
	return v, wrap("cuDeviceGetAttribute", err)
}

// Capability is the compute capability, 9 and 0 for sm_90.
func (g GPU) Capability() (major, minor int, err error) {
	if major, err = g.Attribute(CapabilityMajor); err == nil {
		minor, err = g.Attribute(CapabilityMinor)
	}
	return major, minor, err
}

// Memory is the size of the GPU's memory in bytes.
func (g GPU) Memory() (int, error) {
	d, err := g.device()
	if err != nil {
		return 0, err
	}
	n, err := d.TotalMem()
	return int(n), wrap("cuDeviceTotalMem", err)
}

// Mode is who may use the GPU.
func (g GPU) Mode() (ComputeMode, error) {
	m, err := g.Attribute(ComputeModeAttribute)
	return ComputeMode(m), err
}

// UUID is the GPU's identity as nvidia-smi writes it, and whether it is a part of a GPU that MIG has cut up: then the
// identity is that of the part.
func (g GPU) UUID() (id string, mig bool, err error) {
	d, err := g.device()
	if err != nil {
		return "", false, err
	}
	var part [16]byte
	whole, errWhole := d.UUID()
	switch r := C.acu_uuid(C.CUdevice(d), (*C.uchar)(&part[0])); {
	case r == NotFound && errWhole == nil: // drivers before 11.4, which do not tell parts apart
		part = whole
	case r != 0:
		return "", false, check("cuDeviceGetUuid_v2", r)
	}
	mig = errWhole == nil && part != whole
	if !mig { // newer drivers may give the part's identity under both names
		name, err := g.Name()
		if err != nil {
			return "", false, err
		}
		mig = strings.Contains(name, " MIG ")
	}
	h := hex.EncodeToString(part[:])
	id = h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	if mig {
		return "MIG-" + id, true, nil
	}
	return "GPU-" + id, false, nil
}

// PCI is the GPU's bus address: "0000:65:00.0".
func (g GPU) PCI() (string, error) {
	d, err := g.device()
	if err != nil {
		return "", err
	}
	var b [32]byte
	err = check("cuDeviceGetPCIBusId", C.acu_pci(C.CUdevice(d), (*C.char)(unsafe.Pointer(&b[0])), C.int(len(b))))
	s, _, _ := strings.Cut(string(b[:]), "\x00")
	return s, err
}

// opened counts, for each GPU, how often its primary context is held. The id changes when it was given up in between:
// then it is another context, though its address may be the same.
var opened = struct {
	sync.Mutex
	last uint64
	of   map[GPU]*holders
}{of: map[GPU]*holders{}}

type holders struct {
	n  int
	id uint64
}

// Open retains the GPU's primary context, the one that libraries such as cuBLAS use too.
func (g GPU) Open() (*Context, error) {
	d, err := g.device()
	if err != nil {
		return nil, err
	}
	opened.Lock()
	defer opened.Unlock()
	handle, err := d.RetainPrimaryCtx()
	if err != nil {
		return nil, wrap("cuDevicePrimaryCtxRetain", err)
	}
	h := opened.of[g]
	if h == nil {
		h = &holders{}
		opened.of[g] = h
	}
	if h.n == 0 {
		opened.last++
		h.id = opened.last
	}
	h.n++
	c := &Context{gpu: g, device: d}
	c.c.handle = *(*C.CUcontext)(unsafe.Pointer(&handle))
	c.c.id = C.ulonglong(h.id)
	return c, nil
}

// gorgonia.org/cu hides its handles of contexts and functions: each is a struct of one pointer. This does not compile
// where that is no longer so.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(cu.CUContext{})-unsafe.Sizeof(C.CUcontext(nil))]
	_ = [1]struct{}{}[unsafe.Sizeof(cu.Function{})-unsafe.Sizeof(C.CUfunction(nil))]
)
