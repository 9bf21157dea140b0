package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
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
		n: ceil(r.n, per),
		run: func(part, _ int) {
			for i := part * per; i < min(r.n, (part+1)*per); i++ {
				f(i)
			}
		},
	}
}

// softmaxRow is y[i] = e^(x[i]-max) / sum; zeros where all x are -Inf.
func softmaxRow[T float](l simd.Level, y, x []T) {
	m := simd.Largest(l, x)
	if math.IsInf(float64(m), -1) {
		clear(y)
		return
	}
	sum := simd.ExpSum(l, y, x, m)
	simd.Map[T]{Level: l}.Affine(y, y, T(1/sum), 0)
}

// logSoftmaxRow is y[i] = x[i] - max - ln sum e^(x-max); -Inf where all x are -Inf.
func logSoftmaxRow[T float](l simd.Level, y, x []T) {
	m := simd.Largest(l, x)
	if math.IsInf(float64(m), -1) {
		copy(y, x)
		return
	}
	simd.Map[T]{Level: l}.Centre(y, x, m, T(math.Log(simd.ExpSum(l, nil, x, m))))
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

func softmaxOf[T float](i int, r []rowsOf, s [][]T) {
	softmaxRow(levelFor[T](), row(i, 0, r, s), row(i, 1, r, s))
}

// SoftmaxGrad is dx = y (dy - sum dy y) over the last axis, y = Softmax(x).
func (d *Device) SoftmaxGrad(dx, dy, y device.View) bool {
	return rowKernel(d, "SoftmaxGrad", 4, softmaxGradOf[float32], softmaxGradOf[float64], dx, dy, y)
}

func softmaxGradOf[T float](i int, r []rowsOf, s [][]T) {
	dx, dy, y := row(i, 0, r, s), row(i, 1, r, s), row(i, 2, r, s)
	l := levelFor[T]()
	simd.Map[T]{Level: l}.SoftmaxGrad(dx, dy, y, T(simd.Dot(l, dy, y)))
}

// LogSoftmax is y = x - ln sum e^x over the last axis; a row of -Inf alone stays.
func (d *Device) LogSoftmax(y, x device.View) bool {
	return rowKernel(d, "LogSoftmax", 5, logSoftmaxOf[float32], logSoftmaxOf[float64], y, x)
}

func logSoftmaxOf[T float](i int, r []rowsOf, s [][]T) {
	logSoftmaxRow(levelFor[T](), row(i, 0, r, s), row(i, 1, r, s))
}

// LogSoftmaxGrad is dx = dy - e^y sum dy over the last axis, y = LogSoftmax(x).
func (d *Device) LogSoftmaxGrad(dx, dy, y device.View) bool {
	return rowKernel(d, "LogSoftmaxGrad", 5, logSoftmaxGradOf[float32], logSoftmaxGradOf[float64], dx, dy, y)
}

func logSoftmaxGradOf[T float](i int, r []rowsOf, s [][]T) {
	dx, dy, y := row(i, 0, r, s), row(i, 1, r, s), row(i, 2, r, s)
	l := levelFor[T]()
	simd.Map[T]{Level: l}.LogSoftmaxGrad(dx, dy, y, T(simd.Sum(l, dy)))
}
