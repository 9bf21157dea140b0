package simd

// CopyRows copies n rows of size elements: row i from src[i srcStride] on to dst[i dstStride] on. Strides are not
// negative, and dst does not overlap src. Nothing outside the rows is read or written. It is
//
//	for i := range n {
//		copy(dst[i*dstStride:][:size], src[i*srcStride:])
//	}
//
// It is meant for short rows, such as the channels of a pixel: a call of copy costs more than one of 64 elements does.
func CopyRows(l Level, dst, src []float32, n, size, dstStride, srcStride int) {
	if n <= 0 || size <= 0 {
		return
	}
	_, _ = dst[:(n-1)*dstStride+size], src[:(n-1)*srcStride+size]
	if n > 1 && size == dstStride && size == srcStride {
		n, size = 1, n*size
	}
	if size > longRow || !copyRows32(l, &dst[0], &src[0], n, size, dstStride, srcStride) {
		copyRows(dst, src, n, size, dstStride, srcStride)
	}
}

// longRow is the most elements of a row that a loop of vectors copies as fast as the runtime does.
const longRow = 2048

func copyRows(dst, src []float32, n, size, dstStride, srcStride int) {
	for i := range n {
		copy(dst[i*dstStride:][:size], src[i*srcStride:])
	}
}
