package ops

import "github.com/acumen-ml/acumen/device"

// Reshape is x's elements, row by row, in another shape of as many. One extent may be -1: it is what is left. The
// result shows x's memory where x's strides allow it, else it is a copy.
func Reshape(t *Tape, x *Tensor, dims ...int) *Tensor {
	dims = resolve(x.v, dims)
	var y *Tensor
	if x.v.CanReshape(dims...) {
		y = t.alias(x, x.v.Reshape(dims...))
	} else {
		y = t.temp(x.v.Type, dims...)
		t.Dev.Copy(y.v.Reshape(x.Shape()...), x.v)
	}
	return t.record(y, []*Tensor{x}, func(dy device.View) { t.pass(y, x, dy.Reshape(x.Shape()...)) })
}

// resolve is dims with the extent for -1 filled in.
func resolve(v device.View, dims []int) []int {
	out := append([]int{}, dims...)
	open, n := -1, 1
	for i, d := range dims {
		switch {
		case d >= 0:
			n *= d
		case d == -1 && open < 0:
			open = i
		default:
			fail("Reshape", "x %v to %v: only one extent may be -1", v.Shape(), dims)
		}
	}
	if open >= 0 {
		if n == 0 || v.Len()%n != 0 {
			fail("Reshape", "x %v to %v: no extent fits for -1", v.Shape(), dims)
		}
		out[open] = v.Len() / n
		n = v.Len()
	}
	if n != v.Len() {
		fail("Reshape", "x %v to %v: %d elements to %d", v.Shape(), dims, v.Len(), n)
	}
	return out
}

// Transpose reorders the axes: axis i of the result is axis perm[i] of x, which may count from the last. Without perm
// the order is reversed. The result shows x's memory.
func Transpose(t *Tape, x *Tensor, perm ...int) *Tensor {
	r := int(x.v.Rank)
	p := make([]int, r)
	for i := range p {
		p[i] = r - 1 - i
	}
	if len(perm) > 0 {
		if len(perm) != r {
			fail("Transpose", "x %v by %v", x.Shape(), perm)
		}
		for i, a := range perm {
			p[i] = axisOf("Transpose", x.v, a)
		}
	}
	inverse := make([]int, r)
	for i, a := range p {
		inverse[a] = i
	}
	y := t.alias(x, x.v.Permute(p...))
	return t.record(y, []*Tensor{x}, func(dy device.View) { t.pass(y, x, dy.Permute(inverse...)) })
}

// Slice is x[start[0]:stop[0]:step[0], start[1]:...] with numpy's meaning: negative positions count from the end, those
// outside are clipped, a negative step goes backwards (math.MinInt as stop goes on to the first element). Axes beyond
// len(start) are whole; step nil is all 1. The result shows x's memory.
func Slice(t *Tape, x *Tensor, start, stop, step []int) *Tensor {
	if len(start) > x.Rank() || len(stop) != len(start) || step != nil && len(step) != len(start) {
		fail("Slice", "x %v from %v to %v by %v", x.Shape(), start, stop, step)
	}
	show := func(v device.View) device.View {
		for i := range start {
			s := 1
			if step != nil {
				s = step[i]
			}
			if s == 0 {
				fail("Slice", "x %v by %v: step 0", x.Shape(), step)
			}
			v = section(v, i, start[i], stop[i], s)
		}
		return v
	}
	y := t.alias(x, show(x.v))
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.accumulate(x, func(dx device.View, beta float64) {
			if beta == 0 {
				t.Dev.Fill(dx, 0)
				t.Dev.Copy(show(dx), dy)
				return
			}
			d := show(dx)
			t.Dev.Binary(device.Add, d, d, dy)
		})
	})
}

// section is v[start:stop:step] along an axis.
func section(v device.View, axis, start, stop, step int) device.View {
	n := v.D(axis)
	lo, hi := 0, n // where positions are clipped to
	if step < 0 {
		lo, hi = -1, n-1
	}
	clip := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, lo), hi)
	}
	start, stop = clip(start), clip(stop)
	if step > 0 {
		return v.Slice(axis, start, max(0, (stop-start+step-1)/step), step)
	}
	count := max(0, (start-stop-step-1)/-step)
	if count == 0 {
		return v.Slice(axis, 0, 0, 1)
	}
	return v.Slice(axis, start+(count-1)*step, count, -step).Flip(axis)
}

// Pad puts pairs[i][0] elements of value before and pairs[i][1] after those of axis i. Negative numbers take elements
// away.
func Pad(t *Tape, x *Tensor, pairs [][2]int, value float64) *Tensor {
	if len(pairs) != x.Rank() {
		fail("Pad", "x %v by %v: want a pair for each axis", x.Shape(), pairs)
	}
	dims := x.Shape()
	cropped := false
	for i, p := range pairs {
		cropped = cropped || p[0] < 0 || p[1] < 0
		if dims[i] += p[0] + p[1]; dims[i] < 0 {
			fail("Pad", "x %v by %v: nothing is left of axis %d", x.Shape(), pairs, i)
		}
	}
	// kept is the part that x and y have in common: of x with sign -1, of y with sign 1.
	kept := func(v device.View, sign int) device.View {
		for i, p := range pairs {
			n := x.Dim(i) - max(0, -p[0]) - max(0, -p[1])
			v = v.Slice(i, max(0, sign*p[0]), max(0, n), 1)
		}
		return v
	}
	y := t.temp(x.v.Type, dims...)
	t.Dev.Fill(y.v, value)
	t.Dev.Copy(kept(y.v, 1), kept(x.v, -1))
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		if !cropped {
			t.pass(y, x, kept(dy, 1))
			return
		}
		t.into(x, func(dx device.View) {
			t.Dev.Fill(dx, 0)
			t.Dev.Copy(kept(dx, -1), kept(dy, 1))
		})
	})
}

// Concat joins xs along axis; their other extents agree.
func Concat(t *Tape, axis int, xs ...*Tensor) *Tensor {
	if len(xs) == 0 {
		fail("Concat", "nothing to join")
	}
	axis = axisOf("Concat", xs[0].v, axis)
	typ, dims := xs[0].v.Type, xs[0].Shape()
	for _, x := range xs[1:] {
		want := append([]int{}, dims...)
		if x.v.Rank == xs[0].v.Rank {
			want[axis] = x.Dim(axis)
		}
		if !x.v.SameShape(device.Make(nil, typ, 0, want...)) {
			fail("Concat", "%v and %v along axis %d: other extents differ", xs[0].Shape(), x.Shape(), axis)
		}
		typ = promote(typ, x.v.Type)
		dims[axis] += x.Dim(axis)
	}
	y := t.temp(typ, dims...)
	parts := func(v device.View, f func(x *Tensor, part device.View)) {
		lo := 0
		for _, x := range xs {
			f(x, v.Slice(axis, lo, x.Dim(axis), 1))
			lo += x.Dim(axis)
		}
	}
	parts(y.v, func(x *Tensor, part device.View) { t.Dev.Copy(part, x.v) })
	return t.record(y, xs, func(dy device.View) {
		parts(dy, func(x *Tensor, part device.View) { t.pass(y, x, part) })
	})
}
