package cpu

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Fill sets every element to v.
func (d *Device) Fill(y device.View, v float64) {
	views, mem := operands("Fill", y)
	var p phase
	switch y.Type {
	case device.F64, device.I32, device.U8:
		m := mapOf[float64](y)
		p = eachBlock(d, views, mem, func(y, _, _, _, _ []float64) { m.Fill(y, v) })
	default:
		m, v := mapOf[float32](y), float32(v)
		p = eachBlock(d, views, mem, func(y, _, _, _, _ []float32) { m.Fill(y, v) })
	}
	d.enqueue("Fill", views, nil, 0, p)
}

// mapOf is the kernels that write y, of which they may read what is of its size.
func mapOf[T float](y device.View, reads ...device.View) simd.Map[T] {
	stream := streams(y)
	for _, x := range reads { // what is written in place is in the caches already
		stream = stream && (x.Mem != y.Mem || x.Off != y.Off)
	}
	return simd.Map[T]{Level: levelFor[T](), Stream: stream}
}

// Iota sets every element to start + step i, i its index along axis.
func (d *Device) Iota(y device.View, axis int, start, step float64) {
	if axis < 0 {
		axis += int(y.Rank)
	}
	if axis < 0 || axis >= int(y.Rank) {
		panic(fmt.Sprintf("cpu.Iota: axis %d of %s", axis, y))
	}
	views, mem := operands("Iota", y)
	// A second "view" that has stride 1 along the axis and 0 along all others counts the index.
	count := y
	count.Off = 0
	clear(count.Str[:])
	count.Str[axis] = 1
	n := newNest(y, count)
	m := &mem
	d.reserve(block * 8)
	p := n.phase(d, func(worker int, at *[maxOperands]int, c int) {
		buf := scratchOf[float64](d, worker, block)
		for lo := 0; lo < c; lo += block {
			w := min(block, c-lo)
			for i := range w {
				buf[i] = start + step*float64(at[1]+(lo+i)*n.inner(1))
			}
			store(&m[0], at[0]+lo*n.inner(0), n.inner(0), buf[:w])
		}
	})
	d.enqueue("Iota", views, nil, 0, p)
}

// Unary is y = op(x; a, b).
func (d *Device) Unary(op device.UnOp, y, x device.View, a, b float64) {
	views, mem := operands("Unary."+op.String(), y, x)
	var p phase
	if c := types(y, x); c == device.F32 {
		f := unary(mapOf[float32](y, x), op, a, b)
		p = eachBlock(d, views, mem, func(y, x, _, _, _ []float32) { f(y, x) })
	} else { // integers too: they are exact in f64
		f := unary(mapOf[float64](y, x), op, a, b)
		p = eachBlock(d, views, mem, func(y, x, _, _, _ []float64) { f(y, x) })
	}
	d.enqueue(unaryNames[op], views[:1], views[1:], float64(y.Len()), p)
}

var unaryNames, gradNames = func() (u, g []string) {
	for op := range device.UnOp(device.UnOps()) {
		u, g = append(u, "Unary."+op.String()), append(g, "UnaryGrad."+op.String())
	}
	return
}()

// unary is y[i] = op(x[i]).
func unary[T float](m simd.Map[T], op device.UnOp, a, b float64) func(y, x []T) {
	ta, tb := T(a), T(b)
	switch op {
	case device.Identity:
		return func(y, x []T) { copy(y, x) }
	case device.Affine:
		return func(y, x []T) { m.Affine(y, x, ta, tb) }
	case device.Relu:
		return m.Relu
	case device.LeakyRelu:
		return func(y, x []T) { m.LeakyRelu(y, x, ta) }
	case device.Clamp:
		return func(y, x []T) { m.Clamp(y, x, ta, tb) }
	case device.Sqrt:
		return func(y, x []T) { m.Sqrt(y, x, ta) }
	case device.Recip:
		return func(y, x []T) { m.Recip(y, x, ta) }
	case device.Abs:
		return m.Abs
	case device.Floor:
		return m.Floor
	case device.Exp:
		return m.Exp
	case device.Log:
		return m.Log
	case device.Sigmoid:
		return m.Sigmoid
	case device.Silu:
		return m.Silu
	case device.Tanh:
		return m.Tanh
	case device.Erf:
		return m.Erf
	case device.Gelu:
		return m.Gelu
	case device.GeluTanh:
		return m.GeluTanh
	}
	f := unary64(op)
	return func(y, x []T) {
		for i, v := range x[:len(y)] {
			y[i] = T(f(float64(v)))
		}
	}
}

// unary64 is functions that are rare: they are computed one by one, in float64.
func unary64(op device.UnOp) func(x float64) float64 {
	switch op {
	case device.Expm1:
		return math.Expm1
	case device.Log1p:
		return math.Log1p
	case device.Sign:
		return sign
	case device.IsFinite:
		return func(x float64) float64 {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return 0
			}
			return 1
		}
	}
	panic(fmt.Sprintf("cpu.Unary: function %d", op))
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // 0 or NaN
}

// UnaryGrad is dx = dy op'(x), given y = op(x).
func (d *Device) UnaryGrad(op device.UnOp, dx, dy, x, y device.View, a, b float64) {
	readsX, readsY := op.GradReads()
	src, of := []device.View{dy}, device.View{}
	if readsX {
		of = x
	} else if readsY {
		of = y
	}
	if readsX || readsY {
		src = append(src, of)
	}
	views, mem := operands(gradNames[op], dx, src...)
	var p phase
	if types(views...) == device.F32 {
		f := unaryGrad(mapOf[float32](dx, views[1:]...), op, a, b)
		p = eachBlock(d, views, mem, func(dx, dy, v, _, _ []float32) { f(dx, dy, v) })
	} else {
		f := unaryGrad(mapOf[float64](dx, views[1:]...), op, a, b)
		p = eachBlock(d, views, mem, func(dx, dy, v, _, _ []float64) { f(dx, dy, v) })
	}
	d.enqueue(gradNames[op], views[:1], views[1:], 2*float64(dx.Len()), p)
}

// unaryGrad is dx[i] = dy[i] op'; v is x or y, as GradReads says.
func unaryGrad[T float](m simd.Map[T], op device.UnOp, a, b float64) func(dx, dy, v []T) {
	ta, tb := T(a), T(b)
	switch op {
	case device.Identity:
		return func(dx, dy, _ []T) { copy(dx, dy) }
	case device.Affine:
		return func(dx, dy, _ []T) { m.Affine(dx, dy, ta, 0) }
	case device.Sign, device.Floor, device.IsFinite:
		return func(dx, _, _ []T) { clear(dx) }
	case device.Relu:
		return m.ReluGrad
	case device.LeakyRelu:
		return func(dx, dy, x []T) { m.LeakyReluGrad(dx, dy, x, ta) }
	case device.Clamp:
		return func(dx, dy, x []T) { m.ClampGrad(dx, dy, x, ta, tb) }
	case device.Exp:
		return m.Mul
	case device.Log:
		return m.Div
	case device.Sqrt:
		return m.SqrtGrad
	case device.Recip:
		return m.RecipGrad
	case device.Sigmoid:
		return m.SigmoidGrad
	case device.Silu:
		return m.SiluGrad
	case device.Tanh:
		return m.TanhGrad
	case device.Erf:
		return m.ErfGrad
	case device.Gelu:
		return m.GeluGrad
	case device.GeluTanh:
		return m.GeluTanhGrad
	}
	f := unaryGrad64(op)
	return func(dx, dy, v []T) {
		dy, v = dy[:len(dx)], v[:len(dx)]
		for i, g := range dy {
			dx[i] = T(float64(g) * f(float64(v[i])))
		}
	}
}

// unaryGrad64 is as unary64.
func unaryGrad64(op device.UnOp) func(v float64) float64 {
	switch op {
	case device.Expm1: // of y
		return func(y float64) float64 { return y + 1 }
	case device.Log1p:
		return func(x float64) float64 { return 1 / (1 + x) }
	case device.Abs:
		return sign
	}
	panic(fmt.Sprintf("cpu.UnaryGrad: function %d", op))
}
