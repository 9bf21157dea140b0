package simd

import (
	"math"
	"slices"
	"unsafe"
)

// Sum is the sum of x, added up in float64. The order is a function of the length and the level.
func Sum[T Float](l Level, x []T) float64 {
	if v, ok := folded(l, kernelSum, 0, x); ok {
		return v.sum()
	}
	var s [4]float64 // four chains: an addition waits for the one before
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v := (*[4]T)(x[i:])
		s[0] += float64(v[0])
		s[1] += float64(v[1])
		s[2] += float64(v[2])
		s[3] += float64(v[3])
	}
	for _, v := range x[i:] {
		s[0] += float64(v)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// Dot is the sum of the products of x and y, as Sum.
func Dot[T Float](l Level, x, y []T) float64 {
	if v, ok := folded(l, kernelDot, 0, x, y); ok {
		return v.sum()
	}
	var s, t float64
	y = y[:len(x)]
	i := 0
	for ; i+2 <= len(x); i += 2 {
		v, w := (*[2]T)(x[i:]), (*[2]T)(y[i:])
		s += float64(v[0]) * float64(w[0])
		t += float64(v[1]) * float64(w[1])
	}
	for ; i < len(x); i++ {
		s += float64(x[i]) * float64(y[i])
	}
	return s + t
}

// Largest is the maximum of x, NaN if there is one; minus infinity of nothing.
func Largest[T Float](l Level, x []T) T {
	if v, ok := folded(l, kernelLargest, 0, x); ok {
		if v.nan != 0 {
			return T(math.NaN())
		}
		return T(slices.Max(v.floats(l)))
	}
	m := T(math.Inf(-1))
	for _, v := range x {
		if v > m || v != v {
			m = v
			if v != v {
				break
			}
		}
	}
	return m
}

// MaxAbs is the largest |x|, NaN if there is one.
func MaxAbs[T Float](l Level, x []T) T {
	if v, ok := folded(l, kernelMaxAbs, 0, x); ok { // numbers without their sign are in the order of their bits, NaN last
		var bits uint32
		for _, f := range v.floats(l) {
			bits = max(bits, math.Float32bits(f))
		}
		return T(math.Float32frombits(bits))
	}
	m := T(0)
	for _, v := range x {
		if v = T(math.Abs(float64(v))); v > m {
			m = v
		} else if v != v {
			return v
		}
	}
	return m
}

// ExpSum is the sum of e^(x-m), as Sum. If y is not nil, it gets the powers.
func ExpSum[T Float](l Level, y, x []T, m T) float64 {
	if y == nil {
		if v, ok := folded(l, kernelExpSum, m, x); ok {
			return v.sum()
		}
		var sum float64
		for _, v := range x {
			sum += float64(exp(v - m))
		}
		return sum
	}
	if v, ok := folded(l, kernelExpInto, m, y[:len(x)], x); ok {
		return v.sum()
	}
	var sum float64
	for i, v := range x {
		e := exp(v - m)
		y[i] = e
		sum += float64(e)
	}
	return sum
}

// folded runs a kernel that folds; false if there is none.
func folded[T Float](l Level, kernel int, a T, arrays ...[]T) (v vec, ok bool) {
	n := len(arrays[0])
	if l == Generic || !is32[T]() || n == 0 {
		return v, false
	}
	v.n, v.k[0] = n, float32(a)
	for i, x := range arrays {
		v.at[i] = ptr32(x[:n])
	}
	return v, maps(l, kernel, &v)
}

func (v *vec) sum() float64 {
	s := &v.lanes
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// floats is the lanes of f32.
func (v *vec) floats(l Level) []float32 {
	return (*[16]float32)(unsafe.Pointer(&v.lanes))[:l.Panel()/2]
}
