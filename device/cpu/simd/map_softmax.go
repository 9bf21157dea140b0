package simd

// Centre is x - a - b, in this order.
func (m Map[T]) Centre(y, x []T, a, b T) {
	if m.run(kernelCentre, len(y), a, b, y, x) {
		return
	}
	for i, v := range x[:len(y)] {
		y[i] = v - a - b
	}
}

// SoftmaxGrad is y (dy - a), the gradient of y = softmax(x) if a is the sum of dy y.
func (m Map[T]) SoftmaxGrad(dx, dy, y []T, a T) {
	if m.run(kernelSoftmaxGrad, len(dx), a, 0, dx, dy, y) {
		return
	}
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, g := range dy {
		dx[i] = y[i] * (g - a)
	}
}

// LogSoftmaxGrad is dy - a e^y, the gradient of y = ln softmax(x) if a is the sum of dy.
func (m Map[T]) LogSoftmaxGrad(dx, dy, y []T, a T) {
	if m.run(kernelLogSoftmaxGrad, len(dx), a, 0, dx, dy, y) {
		return
	}
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, g := range dy {
		dx[i] = g - exp(y[i])*a
	}
}
