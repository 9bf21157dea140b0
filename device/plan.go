package device

import (
	"slices"
	"strings"
)

// Peaks are what a device can do at most, by its maker's data: for estimates.
type Peaks struct {
	Memory    int     // bytes
	Bandwidth float64 // of its memory, bytes a second
	// Floating-point operations a second: f32 outside of matrix units, and products of f32 rounded to TF32 and of f16 or
	// bf16 in them, with f32 sums; 0 where there are none.
	F32, TF32, F16 float64
}

// Planned is a device that is not there: calls are checked and seen by hooks, memory is counted, nothing is computed and
// everything that is read is 0. It chooses kernels and needs memory as the true device does.
type Planned interface {
	Device
	// Peaks are those of the device that is planned for.
	Peaks() Peaks
	// Own is the memory in bytes that the device takes for itself so far: scratch, workspaces of libraries.
	Own() int
	// Limit says how much memory there is in all, for the device itself too. At first it is what an idle device of the
	// model has for one program.
	Limit(bytes int)
}

// Models names the devices that Plan knows.
func Models() []string {
	var names []string
	for _, b := range backends() {
		if b.Models != nil {
			names = append(names, b.Models()...)
		}
	}
	slices.Sort(names)
	return names
}

// Plan gives a device that is not there, of a model that Models names.
func Plan(model string) (Planned, error) {
	for _, b := range backends() {
		if b.Models != nil && slices.Contains(b.Models(), model) {
			return b.Plan(model)
		}
	}
	return nil, &OpenError{model, "no such device is known", "known: " + strings.Join(Models(), ", ")}
}

// Twin gives a device that is not there of the same kind as d, which has taken for itself what d has by now, and has no
// limit; nil if d's back-end makes none.
func Twin(d Device) (Planned, error) {
	if t, ok := As[interface{ Twin() (Planned, error) }](d); ok {
		return t.Twin()
	}
	return nil, nil
}
