//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func TestReduceParams(t *testing.T) {
	// twins of structs in axes.cuh, reduce.cu, gather.cu, softmax.cu and crossentropy.cu
	for want, got := range map[uintptr]uintptr{
		100: unsafe.Sizeof(axes{}), 288: unsafe.Sizeof(reduceParams{}), 280: unsafe.Sizeof(gatherParams{}), 192: unsafe.Sizeof(sortParams{}),
		304: unsafe.Sizeof(scatterParams{}), 80: unsafe.Sizeof(softmaxParams{}), 104: unsafe.Sizeof(crossEntropyParams{}),
	} {
		require.Equal(t, want, got)
	}
}

// folded is the reduction along the axes in which y's extent is 1, of numbers in row-major order of x.
func folded(op device.RedOp, x []float64, dims, to []int) []float64 {
	n := 1
	for _, d := range to {
		n *= d
	}
	out, seen := make([]float64, n), make([]int, n)
	for i, v := range x {
		at, step, rest := 0, 1, i
		for a := len(dims) - 1; a >= 0; a-- {
			if to[a] > 1 {
				at += rest % dims[a] * step
			}
			rest /= dims[a]
			step *= to[a]
		}
		first := seen[at] == 0
		switch op {
		case device.Sum:
			out[at] += v
		case device.SumSq:
			out[at] += v * v
		case device.ReduceMax:
			if first || v > out[at] {
				out[at] = v
			}
		case device.ReduceMin:
			if first || v < out[at] {
				out[at] = v
			}
		case device.MaxAbs:
			out[at] = max(out[at], math.Abs(v))
		}
		seen[at]++
	}
	if op != device.ArgMax {
		return out
	}
	most := folded(device.ReduceMax, x, dims, to)
	clear(seen)
	for i := range out {
		out[i] = -1
	}
	for i, v := range x {
		at, step, rest := 0, 1, i
		for a := len(dims) - 1; a >= 0; a-- {
			if to[a] > 1 {
				at += rest % dims[a] * step
			}
			rest /= dims[a]
			step *= to[a]
		}
		if out[at] < 0 && v == most[at] {
			out[at] = float64(seen[at])
		}
		seen[at]++
	}
	return out
}

// reduceShapes go by every path: rows for some lanes, for a block and in chunks, columns with and without packs, of few and
// many rows, with an outer axis, and folded axes that do not merge.
var reduceShapes = []struct{ x, y []int }{
	{[]int{1}, []int{1}}, {[]int{300, 2}, []int{300, 1}}, {[]int{70, 10}, []int{70, 1}}, {[]int{33, 64}, []int{33, 1}}, {[]int{5, 1001}, []int{5, 1}}, {[]int{3, 2000}, []int{3, 1}},
	{[]int{2, 20000}, []int{2, 1}}, {[]int{70003}, []int{1}}, {[]int{40, 32, 32}, []int{1, 1, 1}}, {[]int{700, 3}, []int{1, 3}}, {[]int{700, 64}, []int{1, 64}}, {[]int{4096, 16}, []int{1, 16}},
	{[]int{50, 200}, []int{1, 200}}, {[]int{9, 300, 8}, []int{9, 1, 8}}, {[]int{9, 4, 24}, []int{9, 1, 24}}, {[]int{6, 3, 5, 7}, []int{1, 3, 1, 7}}, {[]int{6, 3, 5, 7}, []int{6, 1, 5, 1}},
	{[]int{3, 7, 2, 8}, []int{1, 7, 1, 8}}, {[]int{200, 5}, []int{200, 5}}, {[]int{2, 3, 2, 2, 3, 2, 2, 3}, []int{2, 1, 2, 1, 3, 1, 2, 1}},
}

func TestReducePaths(t *testing.T) {
	e := newElements(t)
	for k, types := range [][2]device.DType{{device.F32, device.F32}, {device.F16, device.F16}, {device.BF16, device.F32}, {device.F64, device.F64}, {device.I32, device.I32}, {device.U8, device.F32}, {device.F16, device.F64}} {
		for i, s := range reduceShapes {
			for op := range device.RedOp(device.RedOps()) {
				off := (i + k + int(op)) % 3 // packs are read from offset 0 only
				x := e.normal(types[0], off, s.x...)
				if op == device.ArgMax && i%2 == 0 { // many are largest
					x = e.put(types[0], off, func(i int) float64 { return float64(i * 5 % 3) }, s.x...)
				}
				to := types[1]
				if op == device.ArgMax {
					to = device.I32
				}
				y := e.blank(to, off, s.y...)
				xs := e.get(x)
				want := folded(op, xs, s.x, s.y)
				e.everywhere(func() { e.d.Reduce(op, y, x) }, y)
				n := float64(x.Len()) / float64(max(1, y.Len()))
				magnitude := 1.0
				if op == device.Sum && n > 1 { // sums of either sign: the error is one of the sizes of the terms
					magnitude = 2 * math.Sqrt(n)
				}
				for i, w := range want {
					if to.IsInt() {
						want[i] = min(max(w, math.MinInt32), math.MaxInt32)
					} else if to == device.F16 && w >= 65520 {
						want[i] = math.Inf(1)
					}
				}
				units := 4.0 // chains of at most some 16 terms, and trees
				if to == device.F64 {
					units = 64 // the loop here, of up to 70003 terms, is no better itself
				}
				e.near(to, units*magnitude, want, e.get(y), fmt.Sprintf("%s of %s to %s", op, x, y))
			}
			e.free()
		}
	}
}

// Sums of a million terms lose nothing to the number of them, by rows, by columns and all together.
func TestReduceLongSums(t *testing.T) {
	e := newElements(t)
	const n = 1 << 20
	for _, typ := range []device.DType{device.F32, device.F16, device.F64} {
		x := e.put(typ, 0, func(int) float64 { return 0.1 + e.rnd.Float64() }, n/16, 16)
		xs := e.get(x)
		var sum, squares float64
		column := make([]float64, 16)
		for i, v := range xs {
			sum += v
			squares += v * v
			column[i%16] += v
		}
		one, sq, cols, turned := e.blank(device.F32, 0, 1, 1), e.blank(device.F32, 0, 1, 1), e.blank(device.F32, 0, 1, 16), e.blank(device.F32, 0, 16, 1)
		e.everywhere(func() {
			e.d.Reduce(device.Sum, one, x)
			e.d.Reduce(device.SumSq, sq, x)
			e.d.Reduce(device.Sum, cols, x)
			e.d.Reduce(device.Sum, turned, x.T())
		}, one, sq, cols, turned)
		const units = 4 // of 2^-23: some 16 terms one after the other, then trees, then f64
		e.near(device.F32, units, []float64{sum}, e.get(one), "all")
		e.near(device.F32, units, []float64{squares}, e.get(sq), "squares")
		e.near(device.F32, units, column, e.get(cols), "columns")
		e.near(device.F32, units, column, e.get(turned), "columns of the transpose")
		e.free()
	}
}

func TestReduceIntegersAreExact(t *testing.T) {
	e := newElements(t)
	x := e.put(device.I32, 0, func(i int) float64 { return float64((i%3 - 1) * (math.MaxInt32 - i)) }, 3*10001)
	var want, squares float64
	for _, v := range e.get(x) {
		want += v
		squares += v * v
	}
	y, sq, f := e.blank(device.I32, 0, 1), e.blank(device.I32, 0, 1), e.blank(device.F32, 0, 1)
	e.d.Reduce(device.Sum, y, x)
	e.d.Reduce(device.SumSq, sq, x)
	e.d.Reduce(device.SumSq, f, x)
	require.Equal(t, []float64{want}, e.get(y))
	require.Equal(t, []float64{math.MaxInt32}, e.get(sq), "saturates")
	require.InEpsilon(t, squares, e.get(f)[0], 1e-7) // one rounding to f32
	low := e.put(device.I32, 0, func(int) float64 { return math.MinInt32 }, 1)
	e.d.Reduce(device.MaxAbs, f, low)
	require.Equal(t, []float64{1 << 31}, e.get(f))
}

// The first of equal values wins, and the first NaN before all, across lanes, chunks and columns.
func TestArgMaxFirst(t *testing.T) {
	e := newElements(t)
	for _, s := range []struct{ x, y []int }{{[]int{50}, []int{1}}, {[]int{30000}, []int{1}}, {[]int{6000, 4}, []int{1, 4}}, {[]int{6000, 3}, []int{1, 3}}, {[]int{40, 5, 30}, []int{1, 5, 1}}} {
		cols := 1
		if len(s.y) > 1 {
			cols = max(s.y[0], s.y[1])
		}
		for _, top := range []float64{2, math.Inf(1), math.NaN(), math.Inf(-1)} {
			n := 1
			for _, d := range s.x {
				n *= d
			}
			start := n / 3
			x := e.put(device.F32, 0, func(i int) float64 {
				if i >= start && i%2 == start%2 || i >= start+2*n/cols/2 || math.IsInf(top, -1) {
					return top
				}
				return -1
			}, s.x...)
			y, m := e.blank(device.I32, 0, s.y...), e.blank(device.F32, 0, s.y...)
			e.d.Reduce(device.ArgMax, y, x)
			e.d.Reduce(device.ReduceMax, m, x)
			xs, most := e.get(x), e.get(m)
			want := make([]float64, cols)
			for c := range want {
				best, count := math.NaN(), 0
				for i, v := range xs {
					at := 0
					if len(s.x) == 2 {
						at = i % s.x[1]
					} else if len(s.x) == 3 {
						at = i / s.x[2] % s.x[1]
					}
					if at != c {
						continue
					}
					if count == 0 || v > best || v != v && best == best {
						best, want[c] = v, float64(count)
					}
					count++
				}
				require.True(t, most[c] == best || most[c] != most[c] && best != best, "%v: %v and not %v", s, most[c], best)
			}
			require.Equal(t, want, e.get(y), "%v %v", s, top)
		}
		e.free()
	}
}

func TestReducePanics(t *testing.T) {
	e := newElements(t)
	x := e.blank(device.F32, 0, 2, 3)
	require.PanicsWithValue(t, "cuda.Reduce.sum: f32[2 3] to f32[3]: not of one rank", func() { e.d.Reduce(device.Sum, e.blank(device.F32, 0, 3), x) })
	require.PanicsWithValue(t, "cuda.Reduce.sum: f32[2 3] to f32[2 2]: axis 1", func() { e.d.Reduce(device.Sum, e.blank(device.F32, 0, 2, 2), x) })
	require.PanicsWithValue(t, "cuda.Reduce.argmax: f32[2 3] to f32[2 1]: an index is i32", func() { e.d.Reduce(device.ArgMax, e.blank(device.F32, 0, 2, 1), x) })
}
