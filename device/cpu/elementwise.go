package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/acumen-ml/acumen/device"
)

// Fill sets every element to v.
func (d *Device) Fill(y device.View, v float64) {
	views, mem := operands("Fill", y)
	var p phase
	switch y.Type {
	case device.F64, device.I32, device.U8:
		p = eachBlock(d, views, mem, func(y, _, _, _, _ []float64) { fill(y, v) })
	default:
		v := float32(v)
		p = eachBlock(d, views, mem, func(y, _, _, _, _ []float32) { fill(y, v) })
	}
	d.enqueue("Fill", views, nil, 0, p)
}

func fill[C number](y []C, v C) {
	if v == 0 {
		clear(y)
		return
	}
	for i := range y {
		y[i] = v
	}
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
		f := unary[float32](op, a, b)
		p = eachBlock(d, views, mem, func(y, x, _, _, _ []float32) { f(y, x) })
	} else { // integers too: they are exact in f64
		f := unary[float64](op, a, b)
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
func unary[T float](op device.UnOp, a, b float64) func(y, x []T) {
	ta, tb := T(a), T(b)
	switch op {
	case device.Identity:
		return func(y, x []T) { copy(y, x) }
	case device.Affine:
		return func(y, x []T) {
			x = x[:len(y)]
			for i := range y {
				y[i] = T(ta*x[i]) + tb
			}
		}
	case device.Relu:
		return func(y, x []T) {
			x = x[:len(y)]
			for i, v := range x { // max, unlike a branch, costs the same whatever the signs
				y[i] = max(v, 0)
			}
		}
	case device.LeakyRelu:
		return func(y, x []T) {
			x = x[:len(y)]
			for i, v := range x {
				y[i] = max(v, 0) + T(ta*min(v, 0))
			}
		}
	case device.Clamp:
		return func(y, x []T) {
			x = x[:len(y)]
			for i, v := range x {
				y[i] = min(max(v, ta), tb)
			}
		}
	case device.Recip:
		return func(y, x []T) {
			x = x[:len(y)]
			for i, v := range x {
				y[i] = 1 / (v + ta)
			}
		}
	case device.Exp:
		return mapped[T](exp32, math.Exp)
	case device.Sigmoid:
		return mapped[T](func(x float32) float32 { return 1 / (1 + exp32(-x)) }, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) })
	case device.Silu:
		return mapped[T](func(x float32) float32 { return x / (1 + exp32(-x)) }, func(x float64) float64 { return x / (1 + math.Exp(-x)) })
	case device.Tanh:
		return mapped[T](tanh32, math.Tanh)
	case device.Gelu:
		return mapped[T](func(x float32) float32 { return x * normalCDF32(x) }, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) })
	case device.GeluTanh: // 1/2 (1 + tanh u) is the sigmoid of 2u, without cancellation
		return mapped[T](func(x float32) float32 {
			x = max(x, -100) // 0, and 0 times infinity at minus infinity
			return x / (1 + exp32(-2*geluInner(x)))
		}, func(x float64) float64 {
			x = max(x, -100)
			return x / (1 + math.Exp(-2*geluInner(x)))
		})
	}
	f := unary64(op, a)
	return mapped[T](func(x float32) float32 { return float32(f(float64(x))) }, f)
}

// mapped is y[i] = f(x[i]) with the function of the type: one call for an element, where a generic one would make two.
func mapped[T float](f32 func(float32) float32, f64 func(float64) float64) func(y, x []T) {
	return func(y, x []T) {
		if sizeOf[T]() == 8 {
			mapOf(*(*[]float64)(unsafe.Pointer(&y)), *(*[]float64)(unsafe.Pointer(&x)), f64)
		} else {
			mapOf(*(*[]float32)(unsafe.Pointer(&y)), *(*[]float32)(unsafe.Pointer(&x)), f32)
		}
	}
}

func mapOf[F float](y, x []F, f func(F) F) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = f(v)
	}
}

func unary64(op device.UnOp, a float64) func(x float64) float64 {
	switch op {
	case device.Expm1:
		return math.Expm1
	case device.Log:
		return math.Log
	case device.Log1p:
		return math.Log1p
	case device.Sqrt:
		return func(x float64) float64 { return math.Sqrt(x + a) }
	case device.Abs:
		return math.Abs
	case device.Sign:
		return sign
	case device.Erf:
		return math.Erf
	case device.Floor:
		return math.Floor
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

// sqrt2OverPi is the square root of 2/pi.
const sqrt2OverPi = math.Sqrt2 / math.SqrtPi

func geluInner[T float](x T) T { return sqrt2OverPi * (x + 0.044715*x*x*x) }

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
		f := unaryGrad[float32](op, a, b)
		p = eachBlock(d, views, mem, func(dx, dy, v, _, _ []float32) { f(dx, dy, v) })
	} else {
		f := unaryGrad[float64](op, a, b)
		p = eachBlock(d, views, mem, func(dx, dy, v, _, _ []float64) { f(dx, dy, v) })
	}
	d.enqueue(gradNames[op], views[:1], views[1:], 2*float64(dx.Len()), p)
}

// unaryGrad is dx[i] = dy[i] op'; v is x or y, as GradReads says.
func unaryGrad[T float](op device.UnOp, a, b float64) func(dx, dy, v []T) {
	ta, tb := T(a), T(b)
	switch op {
	case device.Identity:
		return func(dx, dy, _ []T) { copy(dx, dy) }
	case device.Affine:
		return func(dx, dy, _ []T) {
			for i, g := range dy[:len(dx)] {
				dx[i] = ta * g
			}
		}
	case device.Sign, device.Floor, device.IsFinite:
		return func(dx, _, _ []T) { clear(dx) }
	case device.Relu:
		return positive[T]
	case device.Exp:
		return func(dx, dy, y []T) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, g := range dy {
				dx[i] = g * y[i]
			}
		}
	case device.Silu:
		return func(dx, dy, x []T) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, g := range dy {
				s := 1 / (1 + exp(-x[i]))
				dx[i] = g * s * (1 + x[i]*(1-s))
			}
		}
	case device.Gelu:
		return func(dx, dy, x []T) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, g := range dy {
				v := x[i]
				dx[i] = g * (normalCDF(v) + v*exp(-v*v/2)*(1/(math.SqrtPi*math.Sqrt2)))
			}
		}
	case device.GeluTanh:
		return func(dx, dy, x []T) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, g := range dy {
				v := min(max(x[i], -100), 100) // beyond, the derivative is 0 or 1
				s := 1 / (1 + exp(-2*geluInner(v)))
				dx[i] = g * (s + 2*v*s*(1-s)*sqrt2OverPi*(1+3*0.044715*v*v))
			}
		}
	case device.LeakyRelu:
		return func(dx, dy, x []T) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, g := range dy {
				if !(x[i] > 0) {
					g *= ta
				}
				dx[i] = g
			}
		}
	case device.Clamp:
		return func(dx, dy, x []T) {
			dy, x = dy[:len(dx)], x[:len(dx)]
			for i, g := range dy {
				if x[i] < ta || x[i] > tb {
					g = 0
				}
				dx[i] = g
			}
		}
	case device.Sigmoid:
		return func(dx, dy, y []T) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, g := range dy {
				dx[i] = g * y[i] * (1 - y[i])
			}
		}
	case device.Tanh:
		return func(dx, dy, y []T) {
			dy, y = dy[:len(dx)], y[:len(dx)]
			for i, g := range dy {
				dx[i] = g * (1 - y[i]*y[i])
			}
		}
	}
	f := unaryGrad64(op, a)
	return func(dx, dy, v []T) {
		dy, v = dy[:len(dx)], v[:len(dx)]
		for i, g := range dy {
			dx[i] = T(float64(g) * f(float64(v[i])))
		}
	}
}

func unaryGrad64(op device.UnOp, a float64) func(v float64) float64 {
	switch op {
	case device.Expm1: // of y
		return func(y float64) float64 { return y + 1 }
	case device.Log:
		return func(x float64) float64 { return 1 / x }
	case device.Log1p:
		return func(x float64) float64 { return 1 / (1 + x) }
	case device.Sqrt: // of y
		return func(y float64) float64 { return 1 / (2 * y) }
	case device.Recip: // of y
		return func(y float64) float64 { return -y * y }
	case device.Abs:
		return sign
	case device.Erf:
		return func(x float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) }
	}
	panic(fmt.Sprintf("cpu.UnaryGrad: function %d", op))
}
