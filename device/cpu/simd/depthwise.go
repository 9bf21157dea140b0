package simd

// DepthwiseAdd adds to each row of y that of x times w, element by element:
//
//	y[i yStride + j] += x[i xStride + j] w[j]      j < len(w)
func DepthwiseAdd[T Float](l Level, y, x, w []T, rows, yStride, xStride int) {
	c := len(w)
	if rows == 0 || c == 0 {
		return
	}
	y, x = y[:(rows-1)*yStride+c], x[:(rows-1)*xStride+c]
	if is32[T]() && depthwiseAdd32(l, ptr32(y), ptr32(x), ptr32(w), rows, c, yStride, xStride) {
		return
	}
	for i := range rows {
		y, x := y[i*yStride:][:c], x[i*xStride:][:c]
		for j, v := range w {
			y[j] += x[j] * v
		}
	}
}

// DepthwiseSum adds to w the products of the rows of x and y, element by element, row after row:
//
//	w[j] += x[i xStride + j] y[i yStride + j]      j < len(w)
func DepthwiseSum[T Float](l Level, w, x, y []T, rows, xStride, yStride int) {
	c := len(w)
	if rows == 0 || c == 0 {
		return
	}
	y, x = y[:(rows-1)*yStride+c], x[:(rows-1)*xStride+c]
	if is32[T]() && depthwiseSum32(l, ptr32(w), ptr32(x), ptr32(y), rows, c, xStride, yStride) {
		return
	}
	for i := range rows {
		y, x := y[i*yStride:][:c], x[i*xStride:][:c]
		for j, v := range x {
			w[j] += v * y[j]
		}
	}
}
