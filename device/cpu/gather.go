package cpu

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// tableRows checks the shapes of Gather (y[i...] = x[idx[i...]]) and gives the views of one row.
func tableRows(kernel string, rows, table, idx device.View) (row, entry device.View) {
	r := int(idx.Rank)
	ok := table.Rank >= 1 && int(rows.Rank) == r+int(table.Rank)-1 && idx.Type.IsInt()
	for a := 0; ok && a < r; a++ {
		ok = rows.Dim[a] == idx.Dim[a]
	}
	for a := 1; ok && a < int(table.Rank); a++ {
		ok = rows.Dim[r+a-1] == table.Dim[a]
	}
	if !ok {
		panic(fmt.Sprintf("cpu.%s: rows %s, table %s, indices %s", kernel, rows, table, idx))
	}
	tail := func(v device.View, from int) device.View {
		w := device.View{Mem: v.Mem, Type: v.Type, Rank: v.Rank - uint8(from)}
		copy(w.Dim[:], v.Dim[from:v.Rank])
		copy(w.Str[:], v.Str[from:v.Rank])
		return w
	}
	return tail(rows, r), tail(table, 1)
}

// indexWalk is where row i and its index lie.
type indexWalk struct {
	axes   // strX: of the rows, strY: of the indices
	rows0  int
	idx0   int
	count  int
	values typed
}

func newIndexWalk(rows, idx device.View) indexWalk {
	w := indexWalk{rows0: rows.Off, idx0: idx.Off, count: idx.Len(), values: typedOf(idx)}
	for a := range int(idx.Rank) {
		w.axes = w.add(int(idx.Dim[a]), int(rows.Str[a]), int(idx.Str[a]))
	}
	return w
}

func (w *indexWalk) row(i int) (at, index int) {
	x, y := w.at(i)
	if w.values.typ == device.U8 {
		return w.rows0 + x, int(w.values.u8[w.idx0+y])
	}
	return w.rows0 + x, int(w.values.i32[w.idx0+y])
}

// Gather is y[i...] = x[idx[i...]].
func (d *Device) Gather(y, x, idx device.View) {
	to, from := tableRows("Gather", y, x, idx)
	walk := newIndexWalk(y, idx)
	n, entries, stride, x0 := newNest(to, from), x.D(0), int(x.Str[0]), x.Off
	mem := [2]typed{typedOf(y), typedOf(x)}
	size := max(1, to.Len())
	group := max(1, partSize/size)
	d.reserve(block * 8)
	one := n.whole(d, func(worker int, at *[maxOperands]int, base [2]int, count int) {
		buf := scratchOf[float64](d, worker, block)
		a, b, sa, sb := base[0]+at[0], base[1]+at[1], n.inner(0), n.inner(1)
		if same(&mem[0], &mem[1], a, b, sa, sb, count) {
			return
		}
		for lo := 0; lo < count; lo += block {
			w := min(block, count-lo)
			store(&mem[0], a+lo*sa, sa, load(&mem[1], b+lo*sb, sb, w, buf))
		}
	})
	p := phase{n: ceil(walk.count, group), run: func(part, worker int) {
		for i := part * group; i < min(walk.count, (part+1)*group); i++ {
			at, k := walk.row(i)
			if k < 0 || k >= entries {
				d.fail(fmt.Errorf("Gather: index %d at place %d is not in 0..%d", k, i, entries-1))
				continue
			}
			one(worker, [2]int{at, x0 + k*stride})
		}
	}}
	if y.Len() == 0 {
		p = phase{}
	}
	d.enqueue("Gather", []device.View{y}, []device.View{x, idx}, 0, p)
}

// same copies f32, i32 or u8 as they are, if both views have one type; else it does nothing.
func same(y, x *typed, a, b, sa, sb, count int) bool {
	if y.typ != x.typ {
		return false
	}
	switch y.typ {
	case device.F32:
		copyStrided(y.f32, x.f32, a, b, sa, sb, count)
	case device.I32:
		copyStrided(y.i32, x.i32, a, b, sa, sb, count)
	case device.U8:
		copyStrided(y.u8, x.u8, a, b, sa, sb, count)
	default:
		return false
	}
	return true
}

func copyStrided[T any](y, x []T, a, b, sa, sb, count int) {
	if sa == 1 && sb == 1 {
		copy(y[a:a+count], x[b:])
		return
	}
	for range count {
		y[a] = x[b]
		a += sa
		b += sb
	}
}

// whole is all of a small nest on one worker, its views beginning at base.
func (n nest) whole(d *Device, f func(worker int, at *[maxOperands]int, base [2]int, count int)) func(worker int, base [2]int) {
	inner, rows := n.dim[n.rank-1], 1
	for _, d := range n.dim[:n.rank-1] {
		rows *= d
	}
	cursors := make([]cursor, len(d.perWorker))
	return func(worker int, base [2]int) {
		at := &cursors[worker].at
		for row := range rows {
			*at = n.off
			rest := row
			for a := n.rank - 2; a >= 0; a-- {
				q := rest % n.dim[a]
				rest /= n.dim[a]
				for i := range n.k {
					at[i] += q * n.str[i][a]
				}
			}
			f(worker, at, base, inner)
		}
	}
}

// ScatterAdd is y[idx[i...]] += x[i...], in the order of i. What different rows add to lies apart only by column, so the
// columns are shared out, never the rows.
func (d *Device) ScatterAdd(y, x, idx device.View) {
	from, to := tableRows("ScatterAdd", x, y, idx)
	walk := newIndexWalk(x, idx)
	n, entries, stride, y0 := newNest(to, from), y.D(0), int(y.Str[0]), y.Off
	mem := [2]typed{typedOf(y), typedOf(x)}
	d.reserve(2 * block * 8)
	inner := n.dim[n.rank-1]
	const width = 256
	parts := max(1, (inner+width-1)/width)
	p := phase{n: parts, run: func(part, worker int) {
		for i := range walk.count {
			at, k := walk.row(i)
			if k < 0 || k >= entries {
				d.fail(fmt.Errorf("ScatterAdd: index %d at place %d is not in 0..%d", k, i, entries-1))
				continue
			}
			n.addRow(d, worker, &mem, y0+k*stride, at, part*width, width)
		}
	}}
	if x.Len() == 0 {
		p = phase{}
	}
	d.enqueue("ScatterAdd", []device.View{y}, []device.View{x, idx}, float64(x.Len()), p)
}

// addRow adds columns lo to lo+width-1 of the innermost axis of the row at x to the entry at y.
func (n *nest) addRow(d *Device, worker int, mem *[2]typed, y, x, lo, width int) {
	inner, rows := n.dim[n.rank-1], 1
	for _, e := range n.dim[:n.rank-1] {
		rows *= e
	}
	count, sy, sx := min(width, inner-lo), n.inner(0), n.inner(1)
	buf, add := scratchOf[float64](d, worker, 2*block), simd.Map[float32]{Level: levelFor[float32]()}
	for row := range rows {
		a, b, rest := y+lo*sy, x+lo*sx, row
		for k := n.rank - 2; k >= 0; k-- {
			q := rest % n.dim[k]
			rest /= n.dim[k]
			a += q * n.str[0][k]
			b += q * n.str[1][k]
		}
		if mem[0].typ == device.F32 && mem[1].typ == device.F32 && sy == 1 && sx == 1 {
			y := mem[0].f32[a : a+count] // a sum of two f32 has one rounding, as that of the f64 that holds it
			add.Add(y, y, mem[1].f32[b:b+count])
			continue
		}
		ys, xs := load(&mem[0], a, sy, count, buf[:block]), load(&mem[1], b, sx, count, buf[block:])
		sum := buf[:count] // f64 holds the sum of two f32 before the one rounding
		for i := range sum {
			sum[i] = ys[i] + xs[i]
		}
		store(&mem[0], a, sy, sum)
	}
}
