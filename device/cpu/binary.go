package cpu

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
)

var binaryNames = func() (s []string) {
	for op := range device.BinOp(device.BinOps()) {
		s = append(s, "Binary."+op.String())
	}
	return
}()

// Binary is y = op(a, b).
func (d *Device) Binary(op device.BinOp, y, a, b device.View) {
	views, mem := operands(binaryNames[op], y, a, b)
	var p phase
	switch types(y, a, b) {
	case device.F32:
		f := binary[float32](op)
		p = eachBlock(d, views, mem, func(y, a, b, _, _ []float32) { f(y, a, b) })
	case device.F64:
		f := binary[float64](op)
		p = eachBlock(d, views, mem, func(y, a, b, _, _ []float64) { f(y, a, b) })
	default:
		f := binary[int64](op)
		p = eachBlock(d, views, mem, func(y, a, b, _, _ []int64) { f(y, a, b) })
	}
	d.enqueue(binaryNames[op], views[:1], views[1:], float64(y.Len()), p)
}

// binary is y[i] = op(a[i], b[i]).
func binary[C number](op device.BinOp) func(y, a, b []C) {
	switch op {
	case device.Add:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = a[i] + b[i]
			}
		}
	case device.Sub:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = a[i] - b[i]
			}
		}
	case device.Mul:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = a[i] * b[i]
			}
		}
	case device.Max:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = max(a[i], b[i])
			}
		}
	case device.Min:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = min(a[i], b[i])
			}
		}
	case device.Eq:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				v := C(0)
				if a[i] == b[i] {
					v = 1
				}
				y[i] = v
			}
		}
	case device.Lt:
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				v := C(0)
				if a[i] < b[i] {
					v = 1
				}
				y[i] = v
			}
		}
	case device.Div, device.Pow:
		f := divide[C]
		if op == device.Pow {
			f = power[C]
		}
		return func(y, a, b []C) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = f(a[i], b[i])
			}
		}
	}
	panic(fmt.Sprintf("cpu.Binary: function %d", op))
}

func isInt[C number]() bool {
	var c C
	_, ok := any(c).(int64)
	return ok
}

func divide[C number](a, b C) C {
	if b == 0 && isInt[C]() {
		return 0
	}
	return a / b
}

// power of integers is a repeated product; a negative exponent gives 0.
func power[C number](a, b C) C {
	if !isInt[C]() {
		return C(math.Pow(float64(a), float64(b)))
	}
	if b < 0 {
		return 0
	}
	r := C(1)
	for n := int64(b); n > 0; n >>= 1 {
		if n&1 == 1 {
			r *= a
		}
		a *= a
	}
	return r
}

// Where is y = a where cond is not 0, else b.
func (d *Device) Where(y, cond, a, b device.View) {
	views, mem := operands("Where", y, cond, a, b)
	var p phase
	switch types(views...) {
	case device.F32:
		p = eachBlock(d, views, mem, func(y, c, a, b, _ []float32) { where(y, c, a, b) })
	case device.F64:
		p = eachBlock(d, views, mem, func(y, c, a, b, _ []float64) { where(y, c, a, b) })
	default:
		p = eachBlock(d, views, mem, func(y, c, a, b, _ []int64) { where(y, c, a, b) })
	}
	d.enqueue("Where", views[:1], views[1:], 0, p)
}

func where[C number](y, c, a, b []C) {
	c, a, b = c[:len(y)], a[:len(y)], b[:len(y)]
	for i := range y {
		v := b[i]
		if c[i] != 0 {
			v = a[i]
		}
		y[i] = v
	}
}
