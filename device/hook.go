package device

import "errors"

// Phase tells when in the life of a kernel call a hook sees it.
type Phase uint8

// A hook is called Before a call is queued or recorded, and After that: on a device that runs calls at once the time
// between the two is the kernel's.
const (
	Before Phase = iota
	After
)

// Call is one pass through a device's enqueue gate. Every kernel, fused or not, every copy and every Launch passes it.
// The slices are valid only during the hook.
type Call struct {
	Kernel string // "MatMul", "Unary.relu", "Upload", "Fetch", "Launch", "Conv2D" ...
	Phase  Phase
	Writes []View
	Reads  []View
	Flops  float64 // floating-point operations, where the kernel knows them, else 0
}

// ErrSkip, returned by a hook Before, drops the call: nothing is queued, and it is no error. A dry run is a step whose
// calls are all skipped.
var ErrSkip = errors.New("skip this call")

// Hooker is the ability to watch, drop or fail calls at the enqueue gate. An error that a hook returns Before becomes
// the device's sticky error, wrapped with the kernel's name; while capturing it becomes Capture's. Errors returned
// After are ignored. Hooks run in the order in which they were set; undo removes this one.
type Hooker interface {
	Hook(f func(Call) error) (undo func())
}

// Hook sets f on d and panics if d has no hooks, which no device of this project lacks.
func Hook(d Device, f func(Call) error) (undo func()) {
	h, ok := As[Hooker](d)
	if !ok {
		panic("device.Hook: " + d.Name() + " has no hook")
	}
	return h.Hook(f)
}

// DryRun runs f while every call on d is dropped. With an arena made by Phantom it finds what memory f needs.
func DryRun(d Device, f func()) {
	defer Hook(d, func(c Call) error {
		if c.Phase == Before {
			return ErrSkip
		}
		return nil
	})()
	f()
}
