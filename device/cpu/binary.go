package cpu

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
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
		f := binary(mapOf[float32](y, a, b), op)
		p = eachBlock(d, views, mem, func(y, a, b, _, _ []float32) { f(y, a, b) })
	case device.F64:
		f := binary(mapOf[float64](y, a, b), op)
		p = eachBlock(d, views, mem, func(y, a, b, _, _ []float64) { f(y, a, b) })
	default:
		f := binaryInt(op)
		p = eachBlock(d, views, mem, func(y, a, b, _, _ []int64) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = f(a[i], b[i])
			}
		})
	}
	d.enqueue(binaryNames[op], views[:1], views[1:], float64(y.Len()), p)
}

// binary is y[i] = op(a[i], b[i]).
func binary[T float](m simd.Map[T], op device.BinOp) func(y, a, b []T) {
	switch op {
	case device.Add:
		return m.Add
	case device.Sub:
		return m.Sub
	case device.Mul:
		return m.Mul
	case device.Div:
		return m.Div
	case device.Max:
		return m.Max
	case device.Min:
		return m.Min
	case device.Eq:
		return m.Eq
	case device.Lt:
		return m.Lt
	case device.Pow:
		return func(y, a, b []T) {
			a, b = a[:len(y)], b[:len(y)]
			for i := range y {
				y[i] = T(math.Pow(float64(a[i]), float64(b[i])))
			}
		}
	}
	panic(fmt.Sprintf("cpu.Binary: function %d", op))
}

func binaryInt(op device.BinOp) func(a, b int64) int64 {
	truth := func(t bool) int64 {
		if t {
			return 1
		}
		return 0
	}
	switch op {
	case device.Add:
		return func(a, b int64) int64 { return a + b }
	case device.Sub:
		return func(a, b int64) int64 { return a - b }
	case device.Mul:
		return func(a, b int64) int64 { return a * b }
	case device.Div:
		return func(a, b int64) int64 {
			if b == 0 {
				return 0
			}
			return a / b
		}
	case device.Max:
		return func(a, b int64) int64 { return max(a, b) }
	case device.Min:
		return func(a, b int64) int64 { return min(a, b) }
	case device.Eq:
		return func(a, b int64) int64 { return truth(a == b) }
	case device.Lt:
		return func(a, b int64) int64 { return truth(a < b) }
	case device.Pow:
		return powerInt
	}
	panic(fmt.Sprintf("cpu.Binary: function %d", op))
}

// powerInt is a repeated product; a negative exponent gives 0.
func powerInt(a, b int64) int64 {
	if b < 0 {
		return 0
	}
	r := int64(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
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
		m := mapOf[float32](y, cond, a, b)
		p = eachBlock(d, views, mem, func(y, c, a, b, _ []float32) { m.Where(y, c, a, b) })
	case device.F64:
		m := mapOf[float64](y, cond, a, b)
		p = eachBlock(d, views, mem, func(y, c, a, b, _ []float64) { m.Where(y, c, a, b) })
	default:
		p = eachBlock(d, views, mem, func(y, c, a, b, _ []int64) {
			c, a, b = c[:len(y)], a[:len(y)], b[:len(y)]
			for i := range y {
				v := b[i]
				if c[i] != 0 {
					v = a[i]
				}
				y[i] = v
			}
		})
	}
	d.enqueue("Where", views[:1], views[1:], 0, p)
}
