package device

import (
	"errors"
	"fmt"
)

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

// Gate keeps the hooks of a device and asks them: back-ends have one, through which every call passes. The zero Gate has no
// hooks.
type Gate struct{ hooks []*hook }

type hook struct{ f func(Call) error }

// Hook is Hooker's.
func (g *Gate) Hook(f func(Call) error) (undo func()) {
	h := &hook{f}
	g.hooks = append(g.hooks[:len(g.hooks):len(g.hooks)], h)
	return func() {
		var rest []*hook // a new list: Before may be walking the old one
		for _, x := range g.hooks {
			if x != h {
				rest = append(rest, x)
			}
		}
		g.hooks = rest
	}
}

// Watched reports whether there are hooks: without any, a call need not be described.
func (g *Gate) Watched() bool { return len(g.hooks) > 0 }

// Before asks the hooks whether a call may pass. If one says no, its error comes back with the kernel's name, ErrSkip as it
// is.
func (g *Gate) Before(c Call) error {
	c.Phase = Before
	for _, h := range g.hooks {
		switch err := h.f(c); {
		case errors.Is(err, ErrSkip):
			return ErrSkip
		case err != nil:
			return fmt.Errorf("%s: %w", c.Kernel, err)
		}
	}
	return nil
}

// After tells the hooks that a call has passed.
func (g *Gate) After(c Call) {
	c.Phase = After
	for _, h := range g.hooks {
		_ = h.f(c) // errors after the fact are ignored, as Hooker says
	}
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
