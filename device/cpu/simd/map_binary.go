package simd

// Add is a + b.
func (m Map[T]) Add(y, a, b []T) {
	if m.run(kernelAdd, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

// Sub is a - b.
func (m Map[T]) Sub(y, a, b []T) {
	if m.run(kernelSub, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] - b[i]
	}
}

// Mul is a b.
func (m Map[T]) Mul(y, a, b []T) {
	if m.run(kernelMul, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] * b[i]
	}
}

// Div is a / b.
func (m Map[T]) Div(y, a, b []T) {
	if m.run(kernelDiv, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] / b[i]
	}
}

// Max is the larger of a and b; NaN if either is.
func (m Map[T]) Max(y, a, b []T) {
	if m.run(kernelMax, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = max(a[i], b[i])
	}
}

// Min is the smaller of a and b; NaN if either is.
func (m Map[T]) Min(y, a, b []T) {
	if m.run(kernelMin, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = min(a[i], b[i])
	}
}

// Eq is 1 where a = b, else 0.
func (m Map[T]) Eq(y, a, b []T) {
	if m.run(kernelEq, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		v := T(0)
		if a[i] == b[i] {
			v = 1
		}
		y[i] = v
	}
}

// Lt is 1 where a < b, else 0.
func (m Map[T]) Lt(y, a, b []T) {
	if m.run(kernelLt, len(y), 0, 0, y, a, b) {
		return
	}
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		v := T(0)
		if a[i] < b[i] {
			v = 1
		}
		y[i] = v
	}
}
