package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

type poolArgs struct {
	device.Pool2D
	countPad bool
}

func poolCases(dilated bool) []Case {
	p := func(k, s, pad, dil int32, ceil, countPad bool) poolArgs {
		return poolArgs{device.Pool2D{KernelH: k, KernelW: k, StrideH: s, StrideW: s, PadH: pad, PadW: pad, DilH: dil, DilW: dil, Ceil: ceil}, countPad}
	}
	uneven := p(2, 2, 0, 1, false, true)
	uneven.KernelH, uneven.StrideW, uneven.PadH = 3, 1, 1
	cs := []Case{
		{Name: "2x2", Shapes: shapes(dims(2, 4, 6, 3)), Args: p(2, 2, 0, 1, false, true)}, {Name: "one", Shapes: shapes(dims(1, 1, 1, 1)), Args: p(1, 1, 0, 1, false, true)},
		{Name: "empty", Shapes: shapes(dims(0, 5, 5, 3)), Args: p(2, 2, 0, 1, false, true)}, {Name: "overlap", Shapes: shapes(dims(1, 7, 7, 3)), Args: p(3, 2, 1, 1, false, true)},
		{Name: "ceil", Shapes: shapes(dims(3, 5, 6, 2)), Args: p(2, 2, 0, 1, true, false)}, {Name: "ceil pad", Shapes: shapes(dims(1, 6, 5, 5)), Args: p(3, 2, 1, 1, true, true)},
		{Name: "padding not counted", Shapes: shapes(dims(1, 5, 5, 1)), Args: p(3, 2, 1, 1, false, false)}, {Name: "uneven", Shapes: shapes(dims(2, 5, 7, 3)), Args: uneven},
	}
	if dilated {
		cs = append(cs, Case{Name: "dilated", Shapes: shapes(dims(2, 7, 7, 2)), Args: p(3, 1, 1, 2, false, true)})
	}
	return cs
}

// window calls f with each position of output (oy, ox)'s window that lies in the image of h x w.
func window(p device.Pool2D, h, w, oy, ox int, f func(y, x int)) {
	for ky := range int(p.KernelH) {
		for kx := range int(p.KernelW) {
			y, x := oy*int(p.StrideH)-int(p.PadH)+ky*int(p.DilH), ox*int(p.StrideW)-int(p.PadW)+kx*int(p.DilW)
			if y >= 0 && y < h && x >= 0 && x < w {
				f(y, x)
			}
		}
	}
}

func refMaxPool(c Case, in []*Array) []*Array {
	x, p := in[0], c.Args.(poolArgs).Pool2D
	h, w := x.Shape[1], x.Shape[2]
	oh, ow := p.Out(h, w)
	y, idx := NewArray(x.Shape[0], oh, ow, x.Shape[3]), NewArray(x.Shape[0], oh, ow, x.Shape[3])
	y.fill(func(at []int) float64 {
		best, where := math.Inf(-1), 0
		window(p, h, w, at[1], at[2], func(iy, ix int) {
			if v := x.at(at[0], iy, ix, at[3]); v > best {
				best, where = v, iy*w+ix
			}
		})
		idx.Data[idx.offset(at)] = float64(where)
		return best
	})
	return []*Array{y, idx}
}

func refAvgPool(c Case, in []*Array) []*Array {
	x, a := in[0], c.Args.(poolArgs)
	h, w := x.Shape[1], x.Shape[2]
	oh, ow := a.Out(h, w)
	return []*Array{NewArray(x.Shape[0], oh, ow, x.Shape[3]).fill(func(at []int) float64 {
		s, n := 0.0, 0
		window(a.Pool2D, h, w, at[1], at[2], func(iy, ix int) {
			s += x.at(at[0], iy, ix, at[3])
			n++
		})
		if a.countPad { // what lies in the padding counts, what lies beyond it does not
			extent := func(o, stride, pad, kernel, size int) int {
				return min(o*stride-pad+kernel, size+pad) - (o*stride - pad)
			}
			n = extent(at[1], int(a.StrideH), int(a.PadH), int(a.KernelH), h) * extent(at[2], int(a.StrideW), int(a.PadW), int(a.KernelW), w)
		}
		return s / float64(n)
	})}
}

// refAdaptive folds the windows from floor(o n/out) to ceil((o+1) n/out).
func refAdaptive(out func(Case, *Array) [2]int, start float64, f func(acc, v float64) float64, mean bool) func(Case, []*Array) []*Array {
	return func(c Case, in []*Array) []*Array {
		x, o := in[0], out(c, in[0])
		return []*Array{NewArray(x.Shape[0], o[0], o[1], x.Shape[3]).fill(func(at []int) float64 {
			acc, n := start, 0
			for y := at[1] * x.Shape[1] / o[0]; y < ((at[1]+1)*x.Shape[1]+o[0]-1)/o[0]; y++ {
				for z := at[2] * x.Shape[2] / o[1]; z < ((at[2]+1)*x.Shape[2]+o[1]-1)/o[1]; z++ {
					acc = f(acc, x.at(at[0], y, z, at[3]))
					n++
				}
			}
			if mean {
				acc /= float64(n)
			}
			return acc
		})}
	}
}

func pool2dRows() []Row {
	adaptive := func() []Case {
		return []Case{{Name: "odd", Shapes: shapes(dims(2, 7, 5, 3)), Args: [2]int{3, 2}}, {Name: "one", Shapes: shapes(dims(1, 1, 1, 1)), Args: [2]int{1, 1}}, {Name: "empty", Shapes: shapes(dims(0, 5, 5, 3)), Args: [2]int{2, 2}},
			{Name: "larger", Shapes: shapes(dims(1, 2, 3, 5)), Args: [2]int{4, 5}}, {Name: "even", Shapes: shapes(dims(3, 4, 6, 1)), Args: [2]int{2, 3}}}
	}
	global := func() []Case {
		return []Case{{Name: "odd", Shapes: shapes(dims(3, 5, 7, 3))}, {Name: "one", Shapes: shapes(dims(1, 1, 1, 1))}, {Name: "empty", Shapes: shapes(dims(0, 3, 3, 2))}}
	}
	given := func(c Case, _ *Array) [2]int { return c.Args.([2]int) }
	whole := func(Case, *Array) [2]int { return [2]int{1, 1} }
	plus := func(a, v float64) float64 { return a + v }
	return []Row{
		{Op: "MaxPool2D", Golden: "max_pool2d", Cases: poolCases(true),
			Ref: func(c Case, in []*Array) []*Array { return refMaxPool(c, in)[:1] },
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.MaxPool2D(t, in[0], c.Args.(poolArgs).Pool2D))
			}},
		{Op: "MaxPool2DWithIndices", Golden: "max_pool2d", Cases: poolCases(true), Ref: refMaxPool,
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				y, idx := ops.MaxPool2DWithIndices(t, in[0], c.Args.(poolArgs).Pool2D)
				return []*ops.Tensor{y, idx}
			}},
		{Op: "AvgPool2D", Golden: "avg_pool2d", Cases: poolCases(false), Ref: refAvgPool,
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				a := c.Args.(poolArgs)
				return one(ops.AvgPool2D(t, in[0], a.Pool2D, a.countPad))
			}},
		{Op: "AdaptiveAvgPool2D", Golden: "adaptive_avg_pool2d", Cases: adaptive(), Ref: refAdaptive(given, 0, plus, true),
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				o := c.Args.([2]int)
				return one(ops.AdaptiveAvgPool2D(t, in[0], o[0], o[1]))
			}},
		{Op: "AdaptiveMaxPool2D", Golden: "adaptive_max_pool2d", Cases: adaptive(), Ref: refAdaptive(given, math.Inf(-1), math.Max, false),
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				o := c.Args.([2]int)
				return one(ops.AdaptiveMaxPool2D(t, in[0], o[0], o[1]))
			}},
		{Op: "GlobalAvgPool2D", Golden: "global_avg_pool2d", Cases: global(), Ref: refAdaptive(whole, 0, plus, true),
			Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor { return one(ops.GlobalAvgPool2D(t, in[0])) }},
		{Op: "GlobalMaxPool2D", Golden: "global_max_pool2d", Cases: global(), Ref: refAdaptive(whole, math.Inf(-1), math.Max, false),
			Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor { return one(ops.GlobalMaxPool2D(t, in[0])) }},
	}
}
