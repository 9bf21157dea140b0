package simd

import "unsafe"

// Kernels of this file work on rows of channels: channel j of row i of x is x[i xStride + j], and there are as many
// channels as the parameters have elements. Strides are not negative. Nothing outside the rows is read or written.
//
// Rows that follow each other without gaps may be taken as fewer and longer ones, with parameters that repeat; see
// LongRow.

// LongRow is how many rows of c channels make one that vectors serve well, at most 2048 elements; 1 if none does.
func (l Level) LongRow(c int) int {
	if l == Generic || c <= 0 {
		return 1
	}
	lanes := l.Panel() / 2
	for _, whole := range []int{4 * lanes, 2 * lanes, lanes} {
		if n := whole / gcd(whole, c); n*c <= 2048 {
			return n
		}
	}
	return 1
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// sumRows is how many rows are summed in the type of their elements before the sum goes on in float64. Roundings of so
// few are of the size of the one in the result.
const sumRows = 32

// ChannelSums adds to sum and sq, for each channel, the sums over rows of x - shift and of its square:
//
//	sum[j] += x[i stride + j] - shift[j]
//	sq[j] += (x[i stride + j] - shift[j])^2
//
// With shift near the mean there is no cancellation in the variance that they give.
func ChannelSums[T Float](l Level, sum, sq []float64, x, shift []T, rows, stride int) {
	c := len(shift)
	if rows == 0 || c == 0 {
		return
	}
	sum, sq, x = sum[:c], sq[:c], x[:(rows-1)*stride+c]
	for lo := 0; lo < rows; lo += sumRows {
		n := min(sumRows, rows-lo)
		x := x[lo*stride:]
		if !is32[T]() || !channelSums32(l, &sum[0], &sq[0], ptr32(x), ptr32(shift), n, c, stride) {
			channelSums(sum, sq, x, shift, n, stride)
		}
	}
}

func channelSums[T Float](sum, sq []float64, x, shift []T, rows, stride int) {
	j := 0
	for ; j+4 <= len(shift); j += 4 {
		m := (*[4]T)(shift[j:])
		var s, q [4]T
		for i := range rows {
			p := (*[4]T)(x[i*stride+j:])
			d0, d1, d2, d3 := p[0]-m[0], p[1]-m[1], p[2]-m[2], p[3]-m[3]
			s[0] += d0
			s[1] += d1
			s[2] += d2
			s[3] += d3
			q[0] += d0 * d0
			q[1] += d1 * d1
			q[2] += d2 * d2
			q[3] += d3 * d3
		}
		for k := range 4 {
			sum[j+k] += float64(s[k])
			sq[j+k] += float64(q[k])
		}
	}
	for ; j < len(shift); j++ {
		var s, q T
		for i := range rows {
			d := x[i*stride+j] - shift[j]
			s += d
			q += d * d
		}
		sum[j] += float64(s)
		sq[j] += float64(q)
	}
}

// GradSums adds to sum and dot, for each channel, the sums over rows of dy and of dy (x - mean):
//
//	sum[j] += dy[i dyStride + j]
//	dot[j] += dy[i dyStride + j] (x[i xStride + j] - mean[j])
func GradSums[T Float](l Level, sum, dot []float64, dy, x, mean []T, rows, dyStride, xStride int) {
	c := len(mean)
	if rows == 0 || c == 0 {
		return
	}
	sum, dot, dy, x = sum[:c], dot[:c], dy[:(rows-1)*dyStride+c], x[:(rows-1)*xStride+c]
	for lo := 0; lo < rows; lo += sumRows {
		n := min(sumRows, rows-lo)
		dy, x := dy[lo*dyStride:], x[lo*xStride:]
		if !is32[T]() || !gradSums32(l, &sum[0], &dot[0], ptr32(dy), ptr32(x), ptr32(mean), n, c, dyStride, xStride) {
			gradSums(sum, dot, dy, x, mean, n, dyStride, xStride)
		}
	}
}

func gradSums[T Float](sum, dot []float64, dy, x, mean []T, rows, dyStride, xStride int) {
	j := 0
	for ; j+2 <= len(mean); j += 2 {
		m := (*[2]T)(mean[j:])
		var s0, s1, t0, t1 T
		for i := range rows {
			g, p := (*[2]T)(dy[i*dyStride+j:]), (*[2]T)(x[i*xStride+j:])
			s0 += g[0]
			s1 += g[1]
			t0 += g[0] * (p[0] - m[0])
			t1 += g[1] * (p[1] - m[1])
		}
		sum[j] += float64(s0)
		sum[j+1] += float64(s1)
		dot[j] += float64(t0)
		dot[j+1] += float64(t1)
	}
	for ; j < len(mean); j++ {
		var s, t T
		for i := range rows {
			g := dy[i*dyStride+j]
			s += g
			t += g * (x[i*xStride+j] - mean[j])
		}
		sum[j] += float64(s)
		dot[j] += float64(t)
	}
}

// Normalise is, act being ReLU or nothing,
//
//	y[i yStride + j] = act((x[i xStride + j] - mean[j]) scale[j] + shift[j])
//
// stream asks for stores that pass the caches by, for a y that is larger than they are; then Fence has to follow.
func Normalise[T Float](l Level, y, x, mean, scale, shift []T, rows, yStride, xStride int, relu, stream bool) {
	c := len(mean)
	if rows == 0 || c == 0 {
		return
	}
	y, x, scale, shift = y[:(rows-1)*yStride+c], x[:(rows-1)*xStride+c], scale[:c], shift[:c]
	if l != Generic && is32[T]() {
		normalise32(l, ptr32(y), ptr32(x), ptr32(mean), ptr32(scale), ptr32(shift), rows, c, yStride, xStride, streams(l, y, yStride, stream), relu)
		return
	}
	for i := range rows {
		to, from := y[i*yStride:][:c], x[i*xStride:][:c]
		scale, shift := scale[:c], shift[:c]
		if relu {
			for j, u := range mean {
				to[j] = max((from[j]-u)*scale[j]+shift[j], 0)
			}
			continue
		}
		for j, u := range mean {
			to[j] = (from[j]-u)*scale[j] + shift[j]
		}
	}
}

// NormaliseGrad is
//
//	dx[i dxStride + j] = k[j] dy[i dyStride + j] + a[j] + b[j] (x[i xStride + j] - mean[j])
//
// stream as in Normalise.
func NormaliseGrad[T Float](l Level, dx, dy, x, mean, k, a, b []T, rows, dxStride, dyStride, xStride int, stream bool) {
	c := len(mean)
	if rows == 0 || c == 0 {
		return
	}
	dx, dy, x, k, a, b = dx[:(rows-1)*dxStride+c], dy[:(rows-1)*dyStride+c], x[:(rows-1)*xStride+c], k[:c], a[:c], b[:c]
	if l != Generic && is32[T]() {
		normaliseGrad32(l, ptr32(dx), ptr32(dy), ptr32(x), ptr32(mean), ptr32(k), ptr32(a), ptr32(b), rows, c, dxStride, dyStride, xStride, streams(l, dx, dxStride, stream))
		return
	}
	for i := range rows {
		to, g, from := dx[i*dxStride:][:c], dy[i*dyStride:][:c], x[i*xStride:][:c]
		k, a, b := k[:c], a[:c], b[:c]
		for j, u := range mean {
			to[j] = g[j]*k[j] + (a[j] + (from[j]-u)*b[j])
		}
	}
}

// Fence ends what was streamed: other threads that learn later that it is there find it there.
func Fence(l Level) {
	if l != Generic {
		fence()
	}
}

// streams is 1 if rows may be streamed: they are asked to be, and each begins where a vector may.
func streams[T Float](l Level, y []T, stride int, asked bool) int {
	if vector := uintptr(l.Panel() * 2); asked && uintptr(unsafe.Pointer(&y[0]))%vector == 0 && uintptr(stride)*4%vector == 0 {
		return 1
	}
	return 0
}

func is32[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

func ptr32[T Float](x []T) *float32 { return (*float32)(unsafe.Pointer(&x[0])) }
