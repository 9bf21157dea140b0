//go:build !linux || race

package cpu

import "math"

// offHeap is the size from which memory lies outside the heap: none.
const offHeap = math.MaxInt

// area is memory outside the heap: there is none.
type area struct{}

func pages(n int) (data []byte, a *area, err error) { return aligned(n), nil, nil }

func (*area) large() {}

func (*area) enlarge() {}

func (*area) free() {}
