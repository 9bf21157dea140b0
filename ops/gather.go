package ops

import "github.com/acumen-ml/acumen/device"

// Gather is torch.gather: y has index's shape, and y[i,j,k] = x[index[i,j,k],j,k] for axis 0, so for the other axes.
// index (I32) has x's rank and is nowhere longer than x but along axis. An index outside x is an error at the next Sync.
func Gather(t *Tape, x, index *Tensor, axis int) *Tensor {
	axis = axisOf("Gather", x.v, axis)
	fits := x.v.Rank == index.v.Rank && index.v.Type.IsInt()
	for i := range min(x.Rank(), index.Rank()) {
		fits = fits && (i == axis || index.Dim(i) <= x.Dim(i))
	}
	if !fits {
		fail("Gather", "x %v, index %s, axis %d: want whole numbers, one for each element of the result", x.Shape(), index.v, axis)
	}
	y := t.temp(x.v.Type, index.Shape()...)
	pos := t.places(x.v, index.v, axis)
	flat, copied := t.dense(x.v, x.v.Type)
	t.Dev.Gather(y.v.Reshape(y.v.Len()), flat.Reshape(flat.Len()), pos)
	t.putIf(copied, flat)
	t.put(pos)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		pos := t.places(x.v, index.v, axis)
		t.scatter(x, func(dx device.View) {
			t.Dev.ScatterAdd(dx.Reshape(dx.Len()), dy.Reshape(dy.Len()), pos)
		})
		t.put(pos)
	}, index)
}

// places is scratch, one number for each element of index: the row-major position in x that it picks along axis, -1 for
// an index outside x, which must not pick an element of another row.
func (t *Tape) places(x, index device.View, axis int) device.View {
	pos := t.get(device.I32, index.Shape()...)
	strides := device.Make(nil, x.Type, 0, x.Shape()...).Str
	step := t.scalar(device.I32, float64(strides[axis]))
	t.Dev.Binary(device.Mul, pos, index, step)
	t.put(step)
	for i := range int(index.Rank) {
		if i == axis || index.D(i) == 1 {
			continue
		}
		along := t.get(device.I32, index.D(i))
		t.Dev.Iota(along, 0, 0, float64(strides[i]))
		v := along
		for range int(index.Rank) - 1 - i {
			v = v.Unsqueeze(int(v.Rank))
		}
		t.Dev.Binary(device.Add, pos, pos, v)
		t.put(along)
	}
	out := t.get(device.U8, index.Shape()...)
	none, limit := t.scalar(device.I32, -1), t.scalar(device.I32, float64(x.D(axis)-1))
	t.Dev.Binary(device.Lt, out, limit, index)
	t.Dev.Where(pos, out, none, pos)
	t.Dev.Fill(limit, 0)
	t.Dev.Binary(device.Lt, out, index, limit)
	t.Dev.Where(pos, out, none, pos)
	t.put(out, none, limit)
	return pos.Reshape(pos.Len())
}

// scatter gives f the gradient of x to add to by ScatterAdd; half-precision sums are made in f32.
func (t *Tape) scatter(x *Tensor, f func(dx device.View)) {
	if !needs(x) {
		return
	}
	if accType(x.v.Type) != x.v.Type {
		t.into(x, func(dx device.View) {
			t.precisely(dx, func(s device.View) {
				t.Dev.Fill(s, 0)
				f(s)
			})
		})
		return
	}
	t.accumulate(x, func(dx device.View, beta float64) {
		if beta == 0 {
			t.Dev.Fill(dx, 0)
		}
		f(dx)
	})
}

// Take is numpy.take: index, of any shape, picks slices of x along axis, and its axes stand in y where that axis stood
// in x: y = x[:, index] for axis 1. An index outside x, negative ones included, is an error at the next Sync.
func Take(t *Tape, x, index *Tensor, axis int) *Tensor {
	axis = axisOf("Take", x.v, axis)
	if !index.v.Type.IsInt() {
		fail("Take", "x %v, index %s: want whole numbers", x.Shape(), index.v)
	}
	dims := append(append(x.Shape()[:axis:axis], index.Shape()...), x.Shape()[axis+1:]...)
	// front puts the n axes at axis first.
	front := func(v device.View, n int) device.View {
		perm := make([]int, 0, v.Rank)
		for i := range n {
			perm = append(perm, axis+i)
		}
		for i := range int(v.Rank) {
			if i < axis || i >= axis+n {
				perm = append(perm, i)
			}
		}
		return v.Permute(perm...)
	}
	y := t.temp(x.v.Type, dims...)
	t.Dev.Gather(front(y.v, index.Rank()), front(x.v, 1), index.v)
	return t.record(y, []*Tensor{x}, func(dy device.View) {
		t.scatter(x, func(dx device.View) { t.Dev.ScatterAdd(front(dx, 1), front(dy, index.Rank()), index.v) })
	}, index)
}
