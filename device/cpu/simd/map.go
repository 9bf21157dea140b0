package simd

import (
	"math"
	"unsafe"
)

// Map computes functions of elements, on slices of one length that do not overlap, but for a result that is the very
// slice of an argument. Each method says what y[i] is, and for float32 the largest error of any level, in units of the last
// place of y[i], where that is more than the half of one that rounding needs. A result that should be subnormal may be 0. A
// level gives an element the same bits wherever it lies. Gradients are dx[i] = dy[i] f'(x[i]), of x, or of y = f(x) where that
// is enough.
type Map[T Float] struct {
	Level Level
	// Stream asks for stores past the caches, for results that are larger than these.
	Stream bool
}

// vec is the operands of a vector kernel.
type vec struct {
	n      int
	at     [5]*float32 // those that are written come first
	k      [9]float32
	stream int
	nan    int
	lanes  [8]float64 // what a fold comes to in each lane: f64, or twice as many f32
}

// run runs a kernel on the first n elements of arrays; false if there is none.
func (m Map[T]) run(kernel, n int, a, b T, arrays ...[]T) bool {
	return runs(m.Level, kernel, n, m.Stream, []T{a, b}, arrays...)
}

// runs is run with any numbers.
func runs[T Float](l Level, kernel, n int, stream bool, k []T, arrays ...[]T) bool {
	if n == 0 {
		return true
	}
	if l == Generic || !is32[T]() {
		return false
	}
	v := vec{n: n}
	for i, x := range k {
		v.k[i] = float32(x)
	}
	for i, x := range arrays {
		v.at[i] = ptr32(x[:n])
	}
	if stream && uintptr(unsafe.Pointer(v.at[0]))%uintptr(2*l.Panel()) == 0 {
		v.stream = 1
	}
	return maps(l, kernel, &v)
}

// each is y[i] = f(x[i]) with the function of the type: one call for an element, where a generic one would make two.
func each[T Float](y, x []T, f32 func(float32) float32, f64 func(float64) float64) {
	if is32[T]() {
		apply(*(*[]float32)(unsafe.Pointer(&y)), *(*[]float32)(unsafe.Pointer(&x)), f32)
	} else {
		apply(*(*[]float64)(unsafe.Pointer(&y)), *(*[]float64)(unsafe.Pointer(&x)), f64)
	}
}

func apply[T Float](y, x []T, f func(T) T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = f(v)
	}
}

// Fill is a.
func (m Map[T]) Fill(y []T, a T) {
	if a == 0 && !m.Stream {
		clear(y)
		return
	}
	if m.run(kernelFill, len(y), a, 0, y) {
		return
	}
	for i := range y {
		y[i] = a
	}
}

// Affine is a x + b.
func (m Map[T]) Affine(y, x []T, a, b T) {
	if m.run(kernelAffine, len(y), a, b, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = T(a*v) + b
	}
}

// Relu is max(x, 0); NaN stays.
func (m Map[T]) Relu(y, x []T) {
	if m.run(kernelRelu, len(y), 0, 0, y, x) {
		return
	}
	for i, v := range x[:len(y)] { // max, unlike a branch, costs the same whatever the signs
		y[i] = max(v, 0)
	}
}

// LeakyRelu is x where x > 0, else a x.
func (m Map[T]) LeakyRelu(y, x []T, a T) {
	if m.run(kernelLeakyRelu, len(y), a, 0, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = max(v, 0) + T(a*min(v, 0))
	}
}

// Clamp is min(max(x, a), b); NaN stays.
func (m Map[T]) Clamp(y, x []T, a, b T) {
	if m.run(kernelClamp, len(y), a, b, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = min(max(v, a), b)
	}
}

// Sqrt is the square root of x + a.
func (m Map[T]) Sqrt(y, x []T, a T) {
	if m.run(kernelSqrt, len(y), a, 0, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = T(math.Sqrt(float64(v + a)))
	}
}

// Recip is 1 / (x + a).
func (m Map[T]) Recip(y, x []T, a T) {
	if m.run(kernelRecip, len(y), a, 0, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = 1 / (v + a)
	}
}

// Abs is |x|.
func (m Map[T]) Abs(y, x []T) {
	if m.run(kernelAbs, len(y), 0, 0, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = T(math.Abs(float64(v)))
	}
}

// Floor is the largest whole number that is not above x.
func (m Map[T]) Floor(y, x []T) {
	if m.run(kernelFloor, len(y), 0, 0, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = T(math.Floor(float64(v)))
	}
}

// Where is x where c is not 0, else z.
func (m Map[T]) Where(y, c, x, z []T) {
	if m.run(kernelWhere, len(y), 0, 0, y, c, x, z) {
		return
	}
	c, x, z = c[:len(y)], x[:len(y)], z[:len(y)]
	for i := range y {
		v := z[i]
		if c[i] != 0 {
			v = x[i]
		}
		y[i] = v
	}
}
