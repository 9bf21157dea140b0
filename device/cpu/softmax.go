package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// rowsOf is v as rows of its last axis, adjacent elements.
type rowsOf struct{ n, k, ld int }

func newRows(v device.View) (rowsOf, bool) {
	m, k, ld, ok := normRows(v)
	return rowsOf{m, k, ld}, ok
}

// perPart is the number of rows of a part: about n elements.
func (r rowsOf) perPart(n int) int { return max(1, n/r.k) }

// eachRow is a phase that runs f on every row index, a few thousand elements to a part.
func (r rowsOf) eachRow(f func(i int)) phase {
	per := r.perPart(4096)
	return phase{
		n: (r.n + per - 1) / per,
		run: func(part, _ int) {
			for i := part * per; i < min(r.n, (part+1)*per); i++ {
				f(i)
			}
		},
	}
}

// largest is the maximum of x, NaN if there is one.
func largest[T float](x []T) T {
	m := T(math.Inf(-1))
	for _, v := range x {
		if v > m || v != v {
			m = v
		}
	}
	return m
}

// expSum is the sum of e^(x[i]-m); rows are long in language models, so it is in float64.
func expSum[T float](x []T, m T) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(exp(v - m))
	}
	return sum
}

// softmaxRow is y[i] = e^(x[i]-max) / sum; zeros where all x are -Inf.
func softmaxRow[T float](y, x []T) {
	y = y[:len(x)]
	m := largest(x)
	if math.IsInf(float64(m), -1) {
		clear(y)
		return
	}
	var sum float64
	for i, v := range x {
		e := exp(v - m)
		y[i] = e
		sum += float64(e)
	}
	s := T(1 / sum)
	for i := range y {
		y[i] *= s
	}
}

// logSoftmaxRow is y[i] = x[i] - max - ln sum e^(x-max); -Inf where all x are -Inf.
func logSoftmaxRow[T float](y, x []T) {
	y = y[:len(x)]
	m := largest(x)
	if math.IsInf(float64(m), -1) {
		copy(y, x)
		return
	}
	l := T(math.Log(expSum(x, m)))
	for i, v := range x {
		y[i] = v - m - l
	}
}

// rowKernel queues f over the rows of views of one type and shape, y first; false if they are not that.
func rowKernel(d *Device, name string, flops float64, f32 func(i int, r []rowsOf, s [][]float32), f64 func(i int, r []rowsOf, s [][]float64), y device.View, xs ...device.View) bool {
	vs := append([]device.View{y}, xs...)
	rows := make([]rowsOf, len(vs))
	for i, v := range vs {
		var ok bool
		if rows[i], ok = newRows(v); !ok || v.Type != y.Type || !v.SameShape(y) {
			return false
		}
	}
	var p phase
	switch y.Type {
	case device.F32:
		s := make([][]float32, len(vs))
		for i, v := range vs {
			s[i] = slice[float32](v)
		}
		p = rows[0].eachRow(func(i int) { f32(i, rows, s) })
	case device.F64:
		s := make([][]float64, len(vs))
		for i, v := range vs {
			s[i] = slice[float64](v)
		}
		p = rows[0].eachRow(func(i int) { f64(i, rows, s) })
	default:
		return false
	}
	d.enqueue(name, vs[:1], vs[1:], flops*float64(y.Len()), p)
	return true
}

func row[T float](i, v int, r []rowsOf, s [][]T) []T { return s[v][i*r[v].ld:][:r[v].k] }

// Softmax is y = e^x / sum e^x over the last axis; a row of -Inf alone gives zeros.
func (d *Device) Softmax(y, x device.View) bool {
	return rowKernel(d, "Softmax", 5, softmaxOf[float32], softmaxOf[float64], y, x)
}

func softmaxOf[T float](i int, r []rowsOf, s [][]T) { softmaxRow(row(i, 0, r, s), row(i, 1, r, s)) }

// SoftmaxGrad is dx = y (dy - sum dy y) over the last axis, y = Softmax(x).
func (d *Device) SoftmaxGrad(dx, dy, y device.View) bool {
	return rowKernel(d, "SoftmaxGrad", 4, softmaxGradOf[float32], softmaxGradOf[float64], dx, dy, y)
}

func softmaxGradOf[T float](i int, r []rowsOf, s [][]T) {
	dx, dy, y := row(i, 0, r, s), row(i, 1, r, s), row(i, 2, r, s)
	dx, y = dx[:len(dy)], y[:len(dy)]
	var sum float64
	for j, g := range dy {
		sum += float64(g) * float64(y[j])
	}
	t := T(sum)
	for j, g := range dy {
		dx[j] = y[j] * (g - t)
	}
}

// LogSoftmax is y = x - ln sum e^x over the last axis; a row of -Inf alone stays.
func (d *Device) LogSoftmax(y, x device.View) bool {
	return rowKernel(d, "LogSoftmax", 5, logSoftmaxOf[float32], logSoftmaxOf[float64], y, x)
}

func logSoftmaxOf[T float](i int, r []rowsOf, s [][]T) {
	logSoftmaxRow(row(i, 0, r, s), row(i, 1, r, s))
}

// LogSoftmaxGrad is dx = dy - e^y sum dy over the last axis, y = LogSoftmax(x).
func (d *Device) LogSoftmaxGrad(dx, dy, y device.View) bool {
	return rowKernel(d, "LogSoftmaxGrad", 5, logSoftmaxGradOf[float32], logSoftmaxGradOf[float64], dx, dy, y)
}

func logSoftmaxGradOf[T float](i int, r []rowsOf, s [][]T) {
	dx, dy, y := row(i, 0, r, s), row(i, 1, r, s), row(i, 2, r, s)
	var sum float64
	for _, g := range dy {
		sum += float64(g)
	}
	t := T(sum)
	dx, y = dx[:len(dy)], y[:len(dy)]
	for j, g := range dy {
		dx[j] = g - exp(y[j])*t
	}
}
