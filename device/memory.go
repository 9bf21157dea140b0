package device

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// OutOfMemory is the error of a device that does not have the memory that it was asked for. All numbers are bytes.
type OutOfMemory struct {
	Device string // its name
	Asked  int    // 0: a library of the device asked, and does not say
	For    string // what it was for, as far as that is known
	Held   int    // what the handle's user has
	Own    int    // what the handle has taken for itself: scratch, workspaces of libraries
	Free   int    // what nobody has
	Total  int    // what there is; 0 if the device does not say
	Advice string // the device's own way out
	Err    error  // the driver's, or nil
}

// Error is one line: what was asked for, and who has the memory.
func (e *OutOfMemory) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: out of memory", e.Device)
	switch {
	case e.Asked > 0:
		fmt.Fprintf(&b, ": %s (%d bytes) wanted", Size(e.Asked), e.Asked)
		if e.For != "" {
			b.WriteString(" for " + e.For)
		}
	case e.For != "":
		b.WriteString(": none left for " + e.For)
	}
	fmt.Fprintf(&b, "; %s are free", Size(e.Free))
	if e.Total > 0 {
		fmt.Fprintf(&b, " of %s", Size(e.Total))
	}
	fmt.Fprintf(&b, ", %s are in use here", Size(e.Held))
	if e.Own > 0 {
		fmt.Fprintf(&b, ", %s are scratch and workspaces", Size(e.Own))
	}
	if n := e.Others(); n > 0 {
		fmt.Fprintf(&b, ", %s are the driver's and other programs'", Size(n))
	}
	if e.Asked == 0 && e.Err != nil {
		fmt.Fprintf(&b, " (%v)", e.Err)
	}
	return b.String()
}

// Hint is the way out.
func (e *OutOfMemory) Hint() string {
	const less = "take a smaller batch (trainer.batch) or more micro-batches (trainer.micro_batches: auto finds how many), or read the data ahead (data.resident: 0)"
	if e.Advice == "" {
		return less
	}
	return less + "; or " + e.Advice
}

// Unwrap is the driver's error.
func (e *OutOfMemory) Unwrap() error { return e.Err }

// Others is what the driver and other programs have, as far as the device tells.
func (e *OutOfMemory) Others() int { return max(e.Total-e.Free-e.Held-e.Own, 0) }

// Room is what there would be for the handle if its user had nothing.
func (e *OutOfMemory) Room() int { return e.Free + e.Held + e.Own }

// WantedFor tells an OutOfMemory in err's chain, which does not know it yet, what the memory was for. It belongs before
// err is put into words.
func WantedFor(what string, err error) error {
	if full, ok := errors.AsType[*OutOfMemory](err); ok && full.For == "" {
		full.For = what
	}
	return err
}

// Room is the memory in bytes that there is for d and its user: what nobody has, and what d has taken for itself. ok is
// false for a device without memory of its own, such as the CPU, whose limit is the system's. A device that has a Room has
// a Twin.
func Room(d Device) (bytes int, ok bool, err error) {
	r, ok := As[interface {
		Room() (int, error)
		Twin() (Planned, error)
	}](d)
	if !ok {
		return 0, false, nil
	}
	bytes, err = r.Room()
	return bytes, true, err
}

// Size is an amount of memory for people: 1.9 GiB.
func Size(bytes int) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if float64(bytes) >= u.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/u.size), ".0") + " " + u.name
		}
	}
	return strconv.Itoa(bytes) + " bytes"
}
