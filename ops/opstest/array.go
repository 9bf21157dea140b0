package opstest

import "math"

// Array is a row-major array on the host.
type Array struct {
	Shape []int
	Data  []float64
	Int   bool // whole numbers, an I32 view on a device: class indices
}

// NewArray is an array of zeros.
func NewArray(shape ...int) *Array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return &Array{Shape: shape, Data: make([]float64, n)}
}

// fill sets each element to f of its index, which f must not keep.
func (g *Array) fill(f func(at []int) float64) *Array {
	at := make([]int, len(g.Shape))
	for i := range g.Data {
		g.Data[i] = f(at)
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < g.Shape[k] {
				break
			}
			at[k] = 0
		}
	}
	return g
}

// at is the element at an index; negative and too large ones are the caller's fault.
func (g *Array) at(index ...int) float64 { return g.Data[g.offset(index)] }

// from is the elements from an index on.
func (g *Array) from(index ...int) []float64 { return g.Data[g.offset(index):] }

// The race detector does not watch the inner loops of references, which one goroutine computes: nearly all of its time went
// into them.

// plusDot is s and then, one after the other, the products of the elements of a with those of b, which may have more.
//
//go:norace
func plusDot(s float64, a, b []float64) float64 {
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

//go:norace
func (g *Array) offset(index []int) int {
	o := 0
	for k, i := range index {
		o = o*g.Shape[k] + i
	}
	return o
}

// broadcast is the element that stands at index at of a larger shape, as numpy broadcasts.
func (g *Array) broadcast(at []int) float64 {
	o := 0
	for k, d := range g.Shape {
		i := at[len(at)-len(g.Shape)+k]
		if d == 1 {
			i = 0
		}
		o = o*d + i
	}
	return g.Data[o]
}

// maxAbs is the largest |element|, NaN ignored.
func (g *Array) maxAbs() float64 {
	m := 0.0
	for _, v := range g.Data {
		m = math.Max(m, math.Abs(v))
	}
	return m
}

func unravel(i int, shape []int) []int {
	at := make([]int, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		at[k], i = i%shape[k], i/shape[k]
	}
	return at
}

// permute is g with its axes in the order perm, as numpy.transpose.
func (g *Array) permute(perm []int) *Array {
	if perm == nil {
		return g
	}
	out := &Array{Shape: make([]int, len(perm)), Data: make([]float64, len(g.Data)), Int: g.Int}
	stride := make([]int, len(perm))
	for i, s := len(perm)-1, 1; i >= 0; i-- {
		stride[i], s = s, s*g.Shape[i]
	}
	for i, p := range perm {
		out.Shape[i] = g.Shape[p]
	}
	for i := range out.Data {
		from := 0
		for k, x := range unravel(i, out.Shape) {
			from += x * stride[perm[k]]
		}
		out.Data[i] = g.Data[from]
	}
	return out
}

func inverse(perm []int) []int {
	if perm == nil {
		return nil
	}
	inv := make([]int, len(perm))
	for i, p := range perm {
		inv[p] = i
	}
	return inv
}

// channelsLast takes axis 1 to the end: (N,C,H,W) to (N,H,W,C). nil for rank 2 and less, where they are the same.
func channelsLast(rank int) []int {
	if rank < 3 {
		return nil
	}
	perm := []int{0}
	for i := 2; i < rank; i++ {
		perm = append(perm, i)
	}
	return append(perm, 1)
}
