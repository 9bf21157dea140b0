package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options are what Open hands to a back-end.
type Options struct {
	// Threads limits the threads of a CPU back-end; 0 takes GOMAXPROCS. Results do not depend on it.
	Threads int
}

// Info is a device that could be opened, or the reason why one could not.
type Info struct {
	Name        string // "cpu", "cuda:0"
	Description string // one line; empty if the device cannot be used
	Reason      string // why it cannot be used; empty if it can
	Advice      string // what to do about that; may be empty
}

// Backend is a way to make devices, registered once by its package's init.
type Backend struct {
	// Name is what comes before a colon in a device's name: "cpu", "cuda".
	Name string
	// Priority decides the order in which "auto" tries back-ends, highest first; 0 is the CPU's. A negative priority
	// keeps a back-end out of "auto".
	Priority int
	// Open opens one device; index is what follows the colon in its name, or -1.
	Open func(index int, o Options) (Device, error)
	// List tells the devices there are, or one Info with the reason why there are none.
	List func() []Info
	// Models and Plan, if set, name devices that need not be there, and stand for one: see the functions of these names.
	Models func() []string
	Plan   func(model string) (Planned, error)
}

var (
	registryMu sync.Mutex
	registry   []Backend
)

// Register adds a back-end; a second one of the same name panics.
func Register(b Backend) {
	registryMu.Lock()
	defer registryMu.Unlock()
	if slices.ContainsFunc(registry, func(r Backend) bool { return r.Name == b.Name }) {
		panic("device.Register: " + b.Name + " twice")
	}
	registry = append(registry, b)
	slices.SortStableFunc(registry, func(a, b Backend) int { return b.Priority - a.Priority })
}

func backends() []Backend {
	registryMu.Lock()
	defer registryMu.Unlock()
	return slices.Clone(registry)
}

// List tells what all registered back-ends offer, in the order in which "auto" tries them.
func List() []Info {
	var all []Info
	for _, b := range backends() {
		if b.Priority >= 0 {
			all = append(all, b.List()...)
		}
	}
	return all
}

// OpenError says why a device could not be opened and what to do.
type OpenError struct {
	Spec   string // what was asked for
	Reason string
	Advice string
}

// Error is one line: the device and the reason.
func (e *OpenError) Error() string { return fmt.Sprintf("device %q: %s", e.Spec, e.Reason) }

// Hint is the way out.
func (e *OpenError) Hint() string { return e.Advice }

// Open opens the device that spec names: "auto" (the first that works, in order of priority), "cpu", "cuda" (the same
// as "cuda:0") or "cuda:N". Only "auto" ever falls back to another device; the reasons are in List.
func Open(spec string, opts ...Options) (Device, error) {
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	if o.Threads < 0 {
		return nil, &OpenError{spec, fmt.Sprintf("%d threads", o.Threads), "give a positive number of threads, or 0 for all"}
	}
	all := backends()
	if len(all) == 0 {
		return nil, &OpenError{spec, "no back-end is registered", `import _ "github.com/acumen-ml/acumen/device/all"`}
	}
	if spec == "auto" || spec == "" {
		var reasons []string
		for _, b := range all {
			if b.Priority < 0 {
				continue
			}
			d, err := b.Open(-1, o)
			if err == nil {
				return d, nil
			}
			reasons = append(reasons, err.Error())
		}
		return nil, &OpenError{"auto", strings.Join(reasons, "; "), "see `acumen devices`"}
	}
	name, rest, colon := strings.Cut(spec, ":")
	index := -1
	if colon {
		var err error
		if index, err = strconv.Atoi(rest); err != nil || index < 0 {
			return nil, &OpenError{spec, "the part after the colon is not a device number", "write auto, cpu or cuda:0"}
		}
	}
	for _, b := range all {
		if b.Name == name {
			return b.Open(index, o)
		}
	}
	if name == "cuda" {
		return nil, noCUDA(spec)
	}
	return nil, noDevice(spec)
}

// Find tells which device Open would open for spec, as far as can be told without opening it, or why none: the error is an
// *OpenError. It takes nothing of a GPU.
func Find(spec string) (Info, error) {
	all := List()
	name := spec
	switch spec {
	case "auto", "":
		i := slices.IndexFunc(all, func(i Info) bool { return i.Reason == "" })
		if i < 0 {
			return Info{}, &OpenError{"auto", "no device can be used", "see `acumen devices`"}
		}
		return all[i], nil
	case "cuda":
		name = "cuda:0"
	}
	backend, _, _ := strings.Cut(name, ":")
	var near []Info // of the same back-end
	for _, i := range all {
		if i.Name == name && i.Reason != "" {
			return Info{}, unusable(spec, i)
		}
		if i.Name == name {
			return i, nil
		}
		if strings.HasPrefix(i.Name, backend+":") {
			near = append(near, i)
		}
	}
	switch n := len(near); {
	case n == 1 && near[0].Reason != "": // it stands for all
		return Info{}, unusable(spec, near[0])
	case n == 1:
		return Info{}, &OpenError{spec, "there is only " + near[0].Name, "use that one"}
	case n > 1:
		return Info{}, &OpenError{spec, fmt.Sprintf("there are %s to %s", near[0].Name, near[n-1].Name), "choose one of them"}
	}
	if backend == "cuda" {
		return Info{}, noCUDA(spec)
	}
	return Info{}, noDevice(spec)
}

func unusable(spec string, i Info) error {
	advice := i.Advice
	if advice == "" {
		advice = "see `acumen devices`"
	}
	return &OpenError{spec, i.Reason, advice}
}

func noCUDA(spec string) error {
	return &OpenError{spec, "this program was built without the CUDA back-end", "use device auto or cpu, or a program built with CUDA"}
}

func noDevice(spec string) error {
	var names []string
	for _, b := range backends() {
		if b.Priority >= 0 {
			names = append(names, b.Name)
		}
	}
	return &OpenError{spec, "no such device", "known: auto, " + strings.Join(names, ", ") + ", cuda:N"}
}
