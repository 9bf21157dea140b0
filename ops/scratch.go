package ops

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// chunkBytes bounds the scratch that composed ops over images take at a time, unless one image needs more.
const chunkBytes = 32 << 20

// chunks cuts n images or rows, each needing perItem bytes of scratch, into parts of fixed size.
func chunks(n, perItem int, f func(lo, n int)) {
	per := max(1, chunkBytes/max(perItem, 1))
	for lo := 0; lo < n; lo += per {
		f(lo, min(per, n-lo))
	}
}

// get takes scratch from the arena; put gives it back.
func (t *Tape) get(typ device.DType, dims ...int) device.View { return t.Arena.Get(typ, dims...) }

func (t *Tape) put(vs ...device.View) {
	for _, v := range vs {
		t.Arena.Put(v)
	}
}

// like takes scratch of v's type and shape.
func (t *Tape) like(v device.View) device.View { return t.get(v.Type, v.Shape()...) }

// dense is v as contiguous elements of type typ, copied into scratch if it is not so already.
func (t *Tape) dense(v device.View, typ device.DType) (c device.View, copied bool) {
	if v.Type == typ && v.Contiguous() {
		return v, false
	}
	c = t.get(typ, v.Shape()...)
	t.Dev.Copy(c, v)
	return c, true
}

// scalar takes scratch of rank 0 and sets it to v.
func (t *Tape) scalar(typ device.DType, v float64) device.View {
	s := t.get(typ)
	t.Dev.Fill(s, v)
	return s
}

// precisely gives f a place of dst's shape and of the type of sums to calculate in step by step: dst itself, or scratch
// that is then rounded once into dst.
func (t *Tape) precisely(dst device.View, f func(s device.View)) {
	typ := accType(dst.Type)
	if typ == dst.Type {
		f(dst)
		return
	}
	s := t.get(typ, dst.Shape()...)
	f(s)
	t.Dev.Copy(dst, s)
	t.put(s)
}

// matMul is the kernel, with a sum over no terms being 0.
func (t *Tape) matMul(y, a, b device.View, alpha, beta float64) {
	if a.D(-1) > 0 {
		t.Dev.MatMul(y, a, b, alpha, beta)
	} else if beta == 0 {
		t.Dev.Fill(y, 0)
	}
}

// accType is the type of statistics, sums and losses over values of type typ: f32, or f64 in f64 networks.
func accType(typ device.DType) device.DType {
	if typ == device.F64 {
		return device.F64
	}
	return device.F32
}

// promote is the type of a result of two arguments: their type if they agree, the real one of a real and an integer,
// else f64 if one is, else f32.
func promote(a, b device.DType) device.DType {
	switch {
	case a == b || b.IsInt() && !a.IsInt():
		return a
	case a.IsInt() && !b.IsInt():
		return b
	}
	return device.Compute(a, b)
}

// when is x if cond, else nil: for the keep of record.
func when(cond bool, x *Tensor) *Tensor {
	if cond {
		return x
	}
	return nil
}

// needs is whether x is there and needs a gradient.
func needs(x *Tensor) bool { return x != nil && x.need }

// valueOf is x's value, the zero View for nil.
func valueOf(x *Tensor) device.View {
	if x == nil {
		return device.View{}
	}
	return x.v
}

// broadcast is the shape that a and b broadcast to.
func broadcast(op string, a, b device.View) []int {
	dims := make([]int, max(a.Rank, b.Rank))
	for i := range dims {
		da, db := 1, 1
		if k := len(dims) - int(a.Rank); i >= k {
			da = a.D(i - k)
		}
		if k := len(dims) - int(b.Rank); i >= k {
			db = b.D(i - k)
		}
		switch {
		case da == db || db == 1:
			dims[i] = da
		case da == 1:
			dims[i] = db
		default:
			fail(op, "a %v, b %v: the shapes do not broadcast", a.Shape(), b.Shape())
		}
	}
	return dims
}

// axisOf counts a negative axis from the last.
func axisOf(op string, v device.View, axis int) int {
	r := int(v.Rank)
	if axis < -r || axis >= r {
		fail(op, "axis %d of x %v", axis, v.Shape())
	}
	if axis < 0 {
		axis += r
	}
	return axis
}

// fail panics with a mistake in a call of op.
func fail(op, format string, args ...any) {
	panic(fmt.Sprintf("ops."+op+": "+format, args...))
}
