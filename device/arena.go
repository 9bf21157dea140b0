package device

import (
	"fmt"
	"slices"
)

// Align is the alignment of arena views, in bytes.
const Align = 256

type span struct{ off, n int }

// Arena hands out parts of one Memory by address-ordered first fit and merges what comes back. Where a view lies
// depends only on which views are live, so a step that starts and ends with nothing live gets the same addresses every
// time: that is what makes it possible to capture it.
type Arena struct {
	mem   Memory
	limit int
	free  []span
	live  int
	high  int
	// Poison, if set, is called with each view that is given back: tests fill it with NaN, so that a stale read shows.
	Poison func(View)
}

// NewArena is an arena over all of mem.
func NewArena(mem Memory) *Arena {
	return &Arena{mem: mem, limit: mem.Bytes(), free: []span{{0, mem.Bytes()}}}
}

// Phantom is an arena over memory that does not exist, without limit: for dry runs, whose calls are dropped.
func Phantom() *Arena {
	const all = 1 << 50
	return &Arena{mem: phantom{}, limit: all, free: []span{{0, all}}}
}

type phantom struct{}

func (phantom) Bytes() int { return 1 << 50 }
func (phantom) Free()      {}

func blockBytes(t DType, n int) int { return max((n*t.Size()+Align-1)/Align*Align, Align) }

// Get takes a contiguous view of the given type and shape. It panics if the arena is full: arenas are sized by a dry
// run of the same step.
func (a *Arena) Get(t DType, dims ...int) View {
	n := 1
	for _, d := range dims {
		n *= d
	}
	b := blockBytes(t, n)
	for i := range a.free {
		s := &a.free[i]
		if s.n < b {
			continue
		}
		off := s.off
		s.off += b
		s.n -= b
		if s.n == 0 {
			a.free = slices.Delete(a.free, i, i+1)
		}
		a.live += b
		a.high = max(a.high, off+b)
		return Make(a.mem, t, off/t.Size(), dims...)
	}
	panic(fmt.Sprintf("device.Arena: %d bytes wanted for %s%v, %d of %d in use", b, t, dims, a.live, a.limit))
}

// Put gives back a view that Get gave. A second Put of the same view panics.
func (a *Arena) Put(v View) {
	if a.Poison != nil {
		a.Poison(v)
	}
	off, b := v.Off*v.Type.Size(), blockBytes(v.Type, v.Len())
	i, _ := slices.BinarySearchFunc(a.free, off, func(s span, off int) int { return s.off - off })
	if i > 0 && a.free[i-1].off+a.free[i-1].n > off || i < len(a.free) && a.free[i].off < off+b {
		panic(fmt.Sprintf("device.Arena: %s at byte %d given back twice", v, off))
	}
	a.live -= b
	a.free = slices.Insert(a.free, i, span{off, b})
	if i+1 < len(a.free) && off+b == a.free[i+1].off {
		a.free[i].n += a.free[i+1].n
		a.free = slices.Delete(a.free, i+1, i+2)
	}
	if i > 0 && a.free[i-1].off+a.free[i-1].n == off {
		a.free[i-1].n += a.free[i].n
		a.free = slices.Delete(a.free, i, i+1)
	}
}

// Live is the number of bytes that are out.
func (a *Arena) Live() int { return a.live }

// High is the largest number of bytes that was ever needed, from address 0 on: the size of a Memory that would do.
func (a *Arena) High() int { return a.high }
