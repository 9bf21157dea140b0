package devicetest

import (
	"math"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
)

// fold is the reduction of a list as its definition says it.
func fold(op device.RedOp, xs []float64) float64 {
	var sum, squares, magnitude float64
	most, least, at := math.Inf(-1), math.Inf(1), 0
	for i, x := range xs {
		sum += x
		squares += x * x
		magnitude = math.Max(magnitude, math.Abs(x))
		if x > most {
			at = i
		}
		most, least = math.Max(most, x), math.Min(least, x)
	}
	return [...]float64{device.Sum: sum, device.SumSq: squares, device.ReduceMax: most, device.ReduceMin: least, device.ArgMax: float64(at), device.MaxAbs: magnitude}[op]
}

// groups lists, for each element of y, the numbers of x that fold into it, in row-major order.
func groups(y, x device.View, xs []float64) [][]float64 {
	out := make([][]float64, y.Len())
	for e, v := range xs {
		rest, at, step := e, 0, 1
		for i := 1; i <= int(x.Rank); i++ {
			if k := rest % x.D(-i); y.D(-i) > 1 {
				at += k * step
			}
			rest /= x.D(-i)
			step *= y.D(-i)
		}
		out[at] = append(out[at], v)
	}
	return out
}

func testReduce(r *rig) {
	for op := range device.RedOp(device.RedOps()) {
		for k, mix := range append(mixes, [2]device.DType{device.I32, device.I32}, [2]device.DType{device.U8, device.I32}, [2]device.DType{device.U8, device.F32}) {
			for i, s := range []struct{ x, y []int }{
				{nil, nil}, {[]int{1}, []int{1}}, {[]int{7}, []int{1}}, {[]int{7}, []int{7}}, {[]int{3, 5}, []int{1, 5}}, {[]int{3, 5}, []int{3, 1}},
				{[]int{3, 5}, []int{1, 1}}, {[]int{4, 3, 5}, []int{1, 3, 1}}, {[]int{4, 3, 5}, []int{4, 1, 5}}, {[]int{2, 3, 2, 3}, []int{1, 3, 2, 1}},
				{[]int{300, 3}, []int{1, 3}}, {[]int{3, 300}, []int{3, 1}}, {[]int{5, 0}, []int{5, 0}}, {[]int{0, 3}, []int{0, 1}}, {[]int{2, 5, 1000}, []int{2, 1, 1}},
			} {
				x, xs := r.normal(layout(i+k)%layouts, mix[0], s.x...)
				to := mix[1]
				if op == device.ArgMax {
					to = device.I32
				}
				y := r.place(layout(i+2*k)%layouts, to, s.y...)
				r.d.Reduce(op, y, x)
				want := make([]float64, y.Len())
				most := 1.0
				for e, g := range groups(y, x, xs) {
					want[e] = fold(op, g)
					most = max(most, float64(len(g)))
				}
				// sums of n terms of size 1 in f32: rounding errors add up as a random walk at worst
				worse := 1.0
				if op <= device.SumSq && to != device.F16 && to != device.BF16 {
					worse = 2 * math.Sqrt(most)
				}
				r.same(to, want, r.get(y), worse, "Reduce.%s %s from %s", op, y, x)
				r.untouched(y, "Reduce")
			}
			r.free()
		}
	}
	x, xs := r.normal(plain, device.F32, 1, 6, 6, 2)
	w := x.Window(2, 2, 2, 2, 1, 1) // pooling is a reduction of windows
	y := r.place(plain, device.F32, 1, 3, 3, 1, 1, 2)
	r.d.Reduce(device.ReduceMax, y, w)
	for i, g := range r.get(y) {
		h, v, c := i/6*2, i/2%3*2, i%2
		at := func(h, v int) float64 { return xs[(h*6+v)*2+c] }
		assert.Equal(r.t, max(at(h, v), at(h, v+1), at(h+1, v), at(h+1, v+1)), g)
	}
}

func testReduceSpecial(r *rig) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		op   device.RedOp
		x    []float64
		want float64
	}{
		{device.Sum, []float64{1, nan, 2}, nan}, {device.Sum, []float64{inf, 1}, inf}, {device.Sum, []float64{inf, -inf}, nan}, {device.SumSq, []float64{-inf}, inf},
		{device.ReduceMax, []float64{1, nan, 2}, nan}, {device.ReduceMax, []float64{nan, 1}, nan}, {device.ReduceMax, []float64{-inf, -inf}, -inf},
		{device.ReduceMax, []float64{-3, -2}, -2}, {device.ReduceMin, []float64{3, 2}, 2}, {device.ReduceMin, []float64{inf, inf}, inf},
		{device.ReduceMin, []float64{1, nan}, nan}, {device.ReduceMin, []float64{nan, -inf}, nan}, {device.MaxAbs, []float64{-4, 3}, 4}, {device.MaxAbs, []float64{1, nan, 9}, nan},
		{device.MaxAbs, []float64{-inf, 1}, inf}, {device.ArgMax, []float64{1, 3, 3}, 1}, {device.ArgMax, []float64{5, nan, 9, nan}, 1},
		{device.ArgMax, []float64{nan, inf}, 0}, {device.ArgMax, []float64{-inf, -inf}, 0}, {device.ArgMax, []float64{-2, -1, -3}, 1},
	} {
		for _, typ := range floats {
			x := r.put(r.place(plain, typ, len(c.x)), c.x)
			to := typ
			if c.op == device.ArgMax {
				to = device.I32
			}
			y := r.place(plain, to, 1)
			r.d.Reduce(c.op, y, x)
			got := r.get(y)[0]
			assert.True(r.t, got == c.want || got != got && c.want != c.want, "%s of %v in %s gives %v, want %v", c.op, c.x, typ, got, c.want)
		}
	}
	x := r.put(r.place(plain, device.I32, 3), []float64{math.MaxInt32, 1, 5})
	y := r.place(plain, device.I32, 1)
	r.d.Reduce(device.Sum, y, x)
	assert.Equal(r.t, []float64{math.MaxInt32}, r.get(y), "integers saturate")
}

func testReduceEmpty(r *rig) {
	x := r.place(plain, device.F32, 2, 0)
	for _, op := range []device.RedOp{device.Sum, device.SumSq, device.MaxAbs} {
		y := r.place(strided, device.F32, 2, 1)
		r.d.Reduce(op, y, x)
		assert.Equal(r.t, []float64{0, 0}, r.get(y), op)
		r.untouched(y, "Reduce")
	}
	for _, op := range []device.RedOp{device.ReduceMax, device.ReduceMin, device.ArgMax} {
		typ := device.F32
		if op == device.ArgMax {
			typ = device.I32
		}
		y, none := r.place(plain, typ, 2, 1), r.place(plain, typ, 1, 0)
		r.panics("Reduce", func() { r.d.Reduce(op, y, x) }, []int{2, 1}, []int{2, 0})
		r.d.Reduce(op, none, x.Slice(0, 0, 1, 1)) // nothing is asked for
	}
}
