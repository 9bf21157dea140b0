package devicetest

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
)

// fit broadcasts x to y's shape, or panics with the kernel's name and both shapes.
func fit(kernel string, y, x device.View) device.View {
	k := int(y.Rank) - int(x.Rank)
	ok := k >= 0
	for i := 0; ok && i < int(x.Rank); i++ {
		ok = x.Dim[i] == y.Dim[i+k] || x.Dim[i] == 1
	}
	if !ok {
		panic(fmt.Sprintf("deferred.%s: %s does not broadcast to %s", kernel, x, y))
	}
	return x.BroadcastTo(y)
}

// call is a kernel call with one destination.
func call(kernel string, flops int, y device.View, reads ...device.View) device.Call {
	return device.Call{Kernel: kernel, Writes: []device.View{y}, Reads: reads, Flops: float64(flops)}
}

// Fill sets every element to v.
func (d *Deferred) Fill(y device.View, v float64) {
	d.enqueue(call("Fill", 0, y), func() error {
		x := make([]float64, y.Len())
		for i := range x {
			x[i] = v
		}
		store(y, device.Compute(y.Type), x)
		return nil
	})
}

// Iota sets every element to start + step i, i its index along axis.
func (d *Deferred) Iota(y device.View, axis int, start, step float64) {
	if axis < 0 || axis >= int(y.Rank) {
		panic(fmt.Sprintf("deferred.Iota: axis %d of %s", axis, y))
	}
	inner := 1
	for i := axis + 1; i < int(y.Rank); i++ {
		inner *= y.D(i)
	}
	d.enqueue(call("Iota", y.Len(), y), func() error {
		x := make([]float64, y.Len())
		for i := range x {
			x[i] = start + step*float64(i/inner%y.D(axis))
		}
		store(y, device.Compute(y.Type), x)
		return nil
	})
}

// Copy is y = x.
func (d *Deferred) Copy(y, x device.View) {
	wide := fit("Copy", y, x)
	d.enqueue(call("Copy", 0, y, x), func() error {
		ct := device.Compute(y.Type, x.Type)
		store(y, ct, load(wide, ct))
		return nil
	})
}

// Unary is y = op(x; a, b).
func (d *Deferred) Unary(op device.UnOp, y, x device.View, a, b float64) {
	name := "Unary." + op.String()
	wide := fit(name, y, x)
	d.enqueue(call(name, y.Len(), y, x), func() error {
		ct := device.Compute(y.Type, x.Type)
		s := load(wide, ct)
		for i, x := range s {
			s[i] = unary(op, x, a, b)
		}
		store(y, ct, s)
		return nil
	})
}

// UnaryGrad is dx = dy op'(x; a, b), given y = op(x).
func (d *Deferred) UnaryGrad(op device.UnOp, dx, dy, x, y device.View, a, b float64) {
	name := "UnaryGrad." + op.String()
	reads := []device.View{dy}
	types := []device.DType{dx.Type, dy.Type}
	wide := fit(name, dx, dy)
	needX, needY := op.GradReads()
	if needX {
		reads, types, x = append(reads, x), append(types, x.Type), fit(name, dx, x)
	}
	if needY {
		reads, types, y = append(reads, y), append(types, y.Type), fit(name, dx, y)
	}
	d.enqueue(call(name, dx.Len(), dx, reads...), func() error {
		ct := device.Compute(types...)
		g := load(wide, ct)
		xs, ys := make([]float64, len(g)), make([]float64, len(g))
		if needX {
			xs = load(x, ct)
		}
		if needY {
			ys = load(y, ct)
		}
		for i, dy := range g {
			g[i] = unaryGrad(op, dy, xs[i], ys[i], a, b)
		}
		store(dx, ct, g)
		return nil
	})
}

// Binary is y = op(a, b).
func (d *Deferred) Binary(op device.BinOp, y, a, b device.View) {
	name := "Binary." + op.String()
	wa, wb := fit(name, y, a), fit(name, y, b)
	d.enqueue(call(name, y.Len(), y, a, b), func() error {
		ct := device.Compute(y.Type, a.Type, b.Type)
		s, t := load(wa, ct), load(wb, ct)
		for i := range s {
			if ct == device.I32 {
				s[i] = float64(binaryInt(op, int64(s[i]), int64(t[i])))
			} else {
				s[i] = binary64(op, s[i], t[i])
			}
		}
		store(y, ct, s)
		return nil
	})
}

// Where is y = a where cond is not 0, else b.
func (d *Deferred) Where(y, cond, a, b device.View) {
	wc, wa, wb := fit("Where", y, cond), fit("Where", y, a), fit("Where", y, b)
	d.enqueue(call("Where", 0, y, cond, a, b), func() error {
		ct := device.Compute(y.Type, cond.Type, a.Type, b.Type)
		c, s, t := load(wc, ct), load(wa, ct), load(wb, ct)
		for i := range s {
			if c[i] == 0 {
				s[i] = t[i]
			}
		}
		store(y, ct, s)
		return nil
	})
}

// Reduce folds x along the axes in which y's extent is 1, in row-major order.
func (d *Deferred) Reduce(op device.RedOp, y, x device.View) {
	name := "Reduce." + op.String()
	ok := y.Rank == x.Rank && (op != device.ArgMax || y.Type == device.I32)
	for i := 0; ok && i < int(y.Rank); i++ {
		ok = y.Dim[i] == 1 || y.Dim[i] == x.Dim[i]
	}
	if !ok {
		panic(fmt.Sprintf("deferred.%s: %s from %s", name, y, x))
	}
	empty := op == device.Sum || op == device.SumSq || op == device.MaxAbs
	if x.Len() == 0 && y.Len() > 0 && !empty {
		panic(fmt.Sprintf("deferred.%s: %s from no elements, %s", name, y, x))
	}
	d.enqueue(call(name, x.Len(), y, x), func() error {
		ct := device.Compute(y.Type, x.Type)
		// target is where in y's row-major order each element of x goes; inside is its place among those that meet there.
		target := device.Make(nil, device.I32, 0, y.Shape()...)
		inside := device.Make(nil, device.I32, 0, x.Shape()...)
		n := int32(1)
		for i := int(x.Rank) - 1; i >= 0; i-- {
			inside.Str[i] = 0
			if y.Dim[i] == 1 {
				target.Str[i], inside.Str[i] = 0, n
				n *= x.Dim[i]
			}
			target.Dim[i] = x.Dim[i]
		}
		to, place := offsets(target), offsets(inside)
		acc, at, seen := make([]float64, y.Len()), make([]float64, y.Len()), make([]bool, y.Len())
		for i, v := range load(x, ct) {
			k := to[i]
			switch op {
			case device.Sum:
				acc[k] += v
			case device.SumSq:
				acc[k] += v * v
			case device.MaxAbs:
				acc[k] = max(acc[k], math.Abs(v))
			case device.ReduceMax:
				if acc[k] = max(v, acc[k]); !seen[k] {
					acc[k] = v
				}
			case device.ReduceMin:
				if acc[k] = min(v, acc[k]); !seen[k] {
					acc[k] = v
				}
			case device.ArgMax:
				if !seen[k] || v > acc[k] || v != v && acc[k] == acc[k] {
					acc[k], at[k] = v, float64(place[i])
				}
			}
			seen[k] = true
		}
		if op == device.ArgMax {
			store(y, device.I32, at)
			return nil
		}
		store(y, ct, acc)
		return nil
	})
}

// offsets lists where a view's elements lie, in row-major order.
func offsets(v device.View) []int {
	out := make([]int, 0, v.Len())
	rows(v, func(at, n, step int) {
		for ; n > 0; n, at = n-1, at+step {
			out = append(out, at)
		}
	})
	return out
}

// Random draws y by kind.
func (d *Deferred) Random(y device.View, kind device.Dist, state device.View, stream uint32) {
	name := "Random." + kind.String()
	whole := kind == device.Bits || kind == device.Permutation
	if state.Type != device.I32 || state.Rank != 1 || state.Dim[0] != 4 || whole && y.Type != device.I32 {
		panic(fmt.Sprintf("deferred.%s: %s from state %s", name, y, state))
	}
	d.enqueue(call(name, 0, y, state), func() error {
		var s [4]uint32 // seed low, seed high, step, micro-batch
		for i, v := range load(state, device.I32) {
			s[i] = uint32(int32(v))
		}
		out := make([]float64, y.Len())
		var w [4]uint32
		for i := range out {
			if i%4 == 0 {
				w = device.Philox([4]uint32{uint32(i / 4), stream, s[2], s[3]}, [2]uint32{s[0], s[1]})
			}
			switch kind {
			case device.Uniform:
				out[i] = float64(device.UniformOf(w[i%4]))
			case device.Normal:
				n0, n1 := device.NormalsOf(w[i%4/2*2], w[i%4/2*2+1])
				if out[i] = n0; i%2 == 1 {
					out[i] = n1
				}
			case device.Bits:
				out[i] = float64(int32(w[i%4]))
			case device.Permutation:
				out[i] = float64(device.PermutationAt(uint32(i), uint32(len(out)), s, stream))
			}
		}
		store(y, device.Compute(y.Type), out)
		return nil
	})
}
