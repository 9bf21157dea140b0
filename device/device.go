// Package device is the seam between what is computed and what computes it. A Device owns memory and runs the kernels
// of the small set Kernels on strided views; what a device can do beyond that is asked for with As. Nothing above this
// package names a back-end: Open picks one of those that package device/all registers.
package device

// Device is one handle on a computing device: its own stream of queued work, recorder, hooks and sticky error. One
// goroutine uses a handle at a time; several handles may be open, and those of one GPU share its memory.
//
// Kernel calls may run at once or later. An error of a queued call is kept: later calls do nothing, and the next Sync
// returns it. After such an error the contents of all memory that was being written are undefined.
type Device interface {
	// Name is "cpu" or "cuda:0": what Open accepts.
	Name() string
	// Alloc gives memory that lives until its Free. It is not legal while capturing. Out of memory is an error that
	// says what was asked for and what is in use. The contents are undefined.
	Alloc(bytes int) (Memory, error)
	// Upload copies src, dst.Bytes() of them in row-major order and little-endian, into a contiguous dst. src may be
	// reused on return. Not legal while capturing, as are Download, Fetch, Sync and Launch.
	Upload(dst View, src []byte)
	// Download waits for all that is queued and copies the contiguous src into dst, src.Bytes() long. It returns the
	// sticky error if there is one, and leaves it for Sync to clear.
	Download(dst []byte, src View) error
	// Fetch queues a read of the contiguous src and does not wait. The number of tickets in flight is not limited, but
	// one that was waited for is used again, so that a steady state allocates nothing.
	Fetch(src View) Ticket
	// Sync waits for all that is queued; it returns the first error since the last Sync, and clears it.
	Sync() error
	// Capture runs step once on the host and records the kernel calls it makes; nothing executes until Launch. Calls
	// that are not legal inside make Capture return an error that names the first. If step panics, recording ends and
	// the panic goes on.
	Capture(step func()) (Graph, error)
	// Close drains and releases the handle. It is an error if memory is still allocated, and says how much.
	Close() error
	Kernels
}

// Graph is a recorded list of kernel calls.
type Graph interface {
	// Launch queues the calls again, on the same addresses.
	Launch()
	// Close releases the recording; a queued Launch still completes.
	Close()
}

// Ticket is a read under way. After Wait, or a Poll that gave true, it must not be used again.
type Ticket interface {
	// Poll copies the bytes into dst and gives true if they are there; it never blocks.
	Poll(dst []byte) (bool, error)
	// Wait blocks until the bytes are there and copies them into dst.
	Wait(dst []byte) error
}

// As finds an ability of a device: a fused kernel, a hook, a description. It looks at d, then, as errors.As does, at
// what d wraps (Unwrap() Device).
func As[T any](d Device) (T, bool) {
	for d != nil {
		if t, ok := d.(T); ok {
			return t, true
		}
		u, ok := d.(interface{ Unwrap() Device })
		if !ok {
			break
		}
		d = u.Unwrap()
	}
	var none T
	return none, false
}

// Unfused hides every fused kernel of d: only the methods of Device and its hook can be seen. Composed forms are
// tested against fused ones with it.
func Unfused(d Device) Device { return unfused{d} }

type unfused struct{ Device }

func (u unfused) Hook(f func(Call) error) (undo func()) {
	if h, ok := As[Hooker](u.Device); ok {
		return h.Hook(f)
	}
	panic("device.Unfused: " + u.Name() + " has no hook")
}

// Drain waits for queued calls where the device has such a method, as Profiler wants.
func (u unfused) Drain() {
	if q, ok := As[drainer](u.Device); ok {
		q.Drain()
	}
}

// Describe is a line about the device for people: model, threads or memory, instruction set or driver version.
func (u unfused) Describe() string { return Describe(u.Device) }

// Describe is a line about d for people, d.Name() if the device has nothing to add.
func Describe(d Device) string {
	if k, ok := As[interface{ Describe() string }](d); ok {
		return k.Describe()
	}
	return d.Name()
}
