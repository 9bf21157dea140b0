// Package cpu is the Go back-end: blocked loops on a pool of threads, with vector kernels of package simd where the
// processor has them. Results do not depend on the number
// of threads: work is cut by shape alone.
package cpu

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

func init() {
	device.Register(device.Backend{
		Name: "cpu",
		Open: func(index int, o device.Options) (device.Device, error) {
			if index > 0 {
				return nil, &device.OpenError{Spec: fmt.Sprintf("cpu:%d", index), Reason: "there is one CPU device", Advice: "write cpu, and set the number of threads with threads"}
			}
			if why, advice := refused(); why != "" {
				return nil, &device.OpenError{Spec: "cpu", Reason: why, Advice: advice}
			}
			return Open(o), nil
		},
		List: func() []device.Info {
			if why, advice := refused(); why != "" {
				return []device.Info{{Name: "cpu", Reason: why, Advice: advice}}
			}
			return []device.Info{{Name: "cpu", Description: describe(runtime.GOMAXPROCS(0))}}
		},
	})
}

// refused says which switch in the environment cannot be served, and what to do about it.
func refused() (why, advice string) {
	if why := simd.Refused(); why != "" {
		return why, "set it to generic, avx2, avx512 or amx, as far as the processor goes, or unset it"
	}
	if _, why := winogradOff(); why != "" {
		return why, "set it to on or off, or unset it"
	}
	return "", ""
}

// Device is a handle on the CPU: a pool of threads and what is recorded. Calls run at once.
type Device struct {
	pool *pool
	gate device.Gate
	live int // bytes
	mems map[*memory]struct{}

	mu  sync.Mutex // guards err: kernels fail on any thread
	err error

	rec     *graph
	illegal error // the first call that may not be captured, or a hook's error while capturing

	perWorker []scratch
	common    scratch // of all
	tickets   []*ticket
	copying   byteCopy
	bf16      bool  // products round their factors, see BF16Products
	plan      *plan // nil: memory is there, and calls compute

	noWinograd bool // convolutions are sums over taps
	split      bool // products are made of parts of their factors wherever they can be: for tests
}

// Open makes a device. Options.Threads 0 takes GOMAXPROCS. It is device.Open that refuses values of ACUMEN_SIMD and
// ACUMEN_WINOGRAD that cannot be served.
func Open(o device.Options) *Device {
	n := o.Threads
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	off, _ := winogradOff()
	d := &Device{pool: newPool(n), perWorker: make([]scratch, n), mems: map[*memory]struct{}{}, noWinograd: off}
	d.copying.phase = phase{n, d.copying.run}
	return d
}

// Name is "cpu".
func (d *Device) Name() string { return "cpu" }

// Describe is the processor's name, the number of threads and the instruction set.
func (d *Device) Describe() string { return describe(len(d.perWorker)) }

func describe(threads int) string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	s := "s"
	if threads == 1 {
		s = ""
	}
	level := simd.Active().String()
	if simd.MatrixUnit() {
		level += ", amx"
	}
	return fmt.Sprintf("%s, %d thread%s, %s", model, threads, s, level)
}

// fail keeps the first error until Sync. Kernels may call it on any thread.
func (d *Device) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
}

func (d *Device) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Sync returns the first error since the last Sync. Nothing is ever queued.
func (d *Device) Sync() error {
	if d.rec != nil {
		return d.notWhileCapturing("Sync")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.err
	d.err = nil
	return err
}

// Close stops the threads and gives back what is still allocated.
func (d *Device) Close() error {
	if d.plan == nil {
		d.pool.close()
	}
	for i := range d.perWorker {
		d.perWorker[i].drop()
	}
	d.common.drop()
	for m := range d.mems {
		m.drop()
	}
	if d.live != 0 {
		return fmt.Errorf("cpu: closed with %d bytes still allocated", d.live)
	}
	return nil
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

// phase is a part of a kernel. Its parts 0 to n-1 run side by side, on the worker that run is told; phases run one after
// the other. What the parts are must follow from shapes alone, so that results do not depend on the threads.
type phase struct {
	n   int
	run func(part, worker int)
}

// enqueue passes a kernel through the gate and runs its phases, or records them. run must hold all it needs: a replay
// allocates nothing.
func (d *Device) enqueue(kernel string, writes, reads []device.View, flops float64, phases ...phase) {
	if d.rec == nil && d.failed() != nil {
		return
	}
	if d.gate.Watched() {
		c := device.Call{Kernel: kernel, Writes: writes, Reads: reads, Flops: flops}
		if !d.before(c) {
			return
		}
		defer d.gate.After(c)
	}
	if d.plan != nil {
		return
	}
	if d.rec != nil {
		d.rec.phases = append(d.rec.phases, phases...)
		d.rec.uses(writes)
		d.rec.uses(reads)
		return
	}
	used(writes)
	used(reads)
	for i := range phases {
		d.pool.run(&phases[i])
	}
}
