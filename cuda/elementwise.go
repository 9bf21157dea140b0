package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

var (
	kIota            = kernel("elementwise", "iota")
	unaryPaths       = f32Paths("elementwise", "unary")
	kUnaryDouble     = kernel("elementwise", "unary_double")
	unaryGradPaths   = f32Paths("elementwise", "unary_grad")
	kUnaryGradDouble = kernel("elementwise", "unary_grad_double")
)

type iotaParams struct {
	fault       uintptr
	start, step float64
	nest        nest
}

// Iota sets every element to start + step i, i its index along axis.
func (d *Device) Iota(y device.View, axis int, start, step float64) {
	if axis < 0 {
		axis += int(y.Rank)
	}
	if axis < 0 || axis >= int(y.Rank) {
		panic(fmt.Sprintf("cuda.Iota: axis %d of %s", axis, y))
	}
	views := operands("Iota", y)
	d.enqueue("Iota", views, nil, 0, func() error {
		count := y // not memory: its offsets are the index
		clear(count.Str[:])
		count.Str[axis] = 1
		p := iotaParams{d.fault(), start, step, newNest(y, count)}
		if p.nest.n == 0 {
			return nil
		}
		return launch(d, kIota, d.spread(y.Len(), 256), 256, 0, &p)
	})
}

var unaryNames, gradNames = func() (u, g []string) {
	for op := range device.UnOp(device.UnOps()) {
		u, g = append(u, "Unary."+op.String()), append(g, "UnaryGrad."+op.String())
	}
	return
}()

type unaryParams struct {
	fault uintptr
	a, b  float64
	op    int32
	_     int32
	nest  nest
}

// Unary is y = op(x; a, b).
func (d *Device) Unary(op device.UnOp, y, x device.View, a, b float64) {
	views := operands(unaryNames[op], y, x)
	d.enqueue(unaryNames[op], views[:1], views[1:], float64(y.Len()), func() error {
		p := unaryParams{fault: d.fault(), a: a, b: b, op: int32(op), nest: newNest(views...)}
		if p.nest.n == 0 {
			return nil
		}
		id, threads := kUnaryDouble, y.Len() // integers too: they are exact in f64
		if compute(views...) == device.F32 {
			id, threads = unaryPaths.choose(&p.nest, 2)
		}
		return launch(d, id, d.spread(threads, 256), 256, 0, &p)
	})
}

// UnaryGrad is dx = dy op'(x), given y = op(x).
func (d *Device) UnaryGrad(op device.UnOp, dx, dy, x, y device.View, a, b float64) {
	src := []device.View{dy}
	if readsX, readsY := op.GradReads(); readsX {
		src = append(src, x)
	} else if readsY {
		src = append(src, y)
	}
	views := operands(gradNames[op], dx, src...)
	d.enqueue(gradNames[op], views[:1], views[1:], 2*float64(dx.Len()), func() error {
		p := unaryParams{fault: d.fault(), a: a, b: b, op: int32(op), nest: newNest(dx, views[1], views[len(views)-1])}
		if p.nest.n == 0 {
			return nil
		}
		id, threads := kUnaryGradDouble, dx.Len()
		if compute(views...) == device.F32 {
			id, threads = unaryGradPaths.choose(&p.nest, 3)
		}
		return launch(d, id, d.spread(threads, 256), 256, 0, &p)
	})
}
