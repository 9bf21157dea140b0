package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/ops"
)

type sliceArgs struct{ start, stop, step []int }

type padArgs struct {
	pairs [][2]int
	value float64
}

func shapeRows() []Row {
	rs := func(name string, shape, to []int) Case { return Case{Name: name, Shapes: shapes(shape), Args: to} }
	sl := func(name string, shape []int, start, stop, step []int) Case {
		return Case{Name: name, Shapes: shapes(shape), Args: sliceArgs{start, stop, step}}
	}
	pd := func(name string, shape []int, value float64, pairs ...[2]int) Case {
		return Case{Name: name, Shapes: shapes(shape), Args: padArgs{pairs, value}}
	}
	gt := func(name string, x, index []int, axis, n int) Case {
		return Case{Name: name, Shapes: shapes(x, index), Int: []int{0, n}, Args: axis}
	}
	return []Row{
		{Op: "Reshape", Golden: "reshape",
			Cases: []Case{rs("flatten", dims(3, 5, 7), dims(3, 35)), rs("one", dims(1), dims(1, 1)), rs("empty", dims(0, 3), dims(3, 0)), rs("infer", dims(3, 10), dims(5, -1)), rs("scalar", dims(1, 1), dims())},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Reshape(t, in[0], c.Args.([]int)...))
			},
			Ref: func(c Case, in []*Array) []*Array {
				to := append([]int{}, c.Args.([]int)...)
				n := 1
				for _, d := range to {
					if d >= 0 {
						n *= d
					}
				}
				for i, d := range to {
					if d < 0 {
						to[i] = len(in[0].Data) / n
					}
				}
				return []*Array{{Shape: to, Data: in[0].Data}}
			}},
		{Op: "Transpose", Golden: "transpose",
			Cases: []Case{rs("matrix", dims(3, 5), dims(1, 0)), rs("one", dims(1, 1), dims(1, 0)), rs("empty", dims(0, 3), dims(1, 0)), rs("images", dims(2, 3, 5, 7), dims(0, 2, 3, 1)), rs("same", dims(3, 3), dims(0, 1))},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Transpose(t, in[0], c.Args.([]int)...))
			},
			Ref: func(c Case, in []*Array) []*Array { return []*Array{in[0].permute(c.Args.([]int))} }},
		{Op: "Slice", Golden: "slice",
			Cases: []Case{sl("middle", dims(5, 7), dims(1, 2), dims(4, 7), nil), sl("one", dims(1), dims(0), dims(1), nil), sl("empty", dims(3, 5), dims(2), dims(2), nil),
				sl("steps", dims(7, 5), dims(0, 1), dims(7, 5), dims(3, 2)), sl("back", dims(7, 3), dims(5), dims(math.MinInt), dims(-2)), sl("from the end", dims(7), dims(-3), dims(7), nil)},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				a := c.Args.(sliceArgs)
				return one(ops.Slice(t, in[0], a.start, a.stop, a.step))
			},
			Ref: refSlice},
		{Op: "Pad", Golden: "pad",
			Cases: []Case{pd("odd", dims(3, 5), 0, [2]int{1, 2}, [2]int{0, 3}), pd("one", dims(1), -2.5, [2]int{1, 0}), pd("empty", dims(0, 3), 1, [2]int{2, 1}, [2]int{0, 0}), pd("crop", dims(5, 5), 7, [2]int{-1, 1}, [2]int{0, -2})},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				a := c.Args.(padArgs)
				return one(ops.Pad(t, in[0], a.pairs, a.value))
			},
			Ref: func(c Case, in []*Array) []*Array {
				a, x := c.Args.(padArgs), in[0]
				y := NewArray(append([]int{}, x.Shape...)...)
				for k, p := range a.pairs {
					y.Shape[k] += p[0] + p[1]
				}
				y = NewArray(y.Shape...)
				from := make([]int, len(x.Shape))
				return []*Array{y.fill(func(at []int) float64 {
					for k := range at {
						from[k] = at[k] - a.pairs[k][0]
						if from[k] < 0 || from[k] >= x.Shape[k] {
							return a.value
						}
					}
					return x.at(from...)
				})}
			}},
		{Op: "Concat", Golden: "concat",
			Cases: []Case{{Name: "odd", Shapes: shapes(dims(3, 5), dims(3, 2)), Args: 1}, {Name: "one", Shapes: shapes(dims(1)), Args: 0}, {Name: "empty part", Shapes: shapes(dims(0, 3), dims(5, 3)), Args: 0},
				{Name: "three", Shapes: shapes(dims(2, 3, 5), dims(2, 1, 5), dims(2, 7, 5)), Args: -2}},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Concat(t, c.Args.(int), in...))
			},
			Ref: refConcat},
		{Op: "Gather", Golden: "gather",
			Cases: []Case{gt("rows", dims(5, 3), dims(3, 3), 0, 5), gt("columns", dims(3, 7), dims(3, 5), 1, 7), gt("one", dims(1), dims(1), 0, 1), gt("empty", dims(3, 5), dims(3, 0), 1, 5), gt("repeated", dims(2, 3, 2), dims(2, 3, 9), -1, 2)},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Gather(t, in[0], in[1], c.Args.(int)))
			},
			Ref: func(c Case, in []*Array) []*Array {
				x, index := in[0], in[1]
				axis := (c.Args.(int) + len(x.Shape)) % len(x.Shape)
				from := make([]int, len(x.Shape))
				return []*Array{NewArray(index.Shape...).fill(func(at []int) float64 {
					copy(from, at)
					from[axis] = int(index.at(at...))
					return x.at(from...)
				})}
			}},
		{Op: "Take", Golden: "take",
			Cases: []Case{gt("rows", dims(5, 3), dims(7), 0, 5), gt("columns", dims(3, 5), dims(3), 1, 5), gt("one", dims(1), dims(1), 0, 1), gt("empty", dims(3, 5), dims(0), 0, 3), gt("matrix of indices", dims(5, 3), dims(3, 3), -1, 3)},
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Take(t, in[0], in[1], c.Args.(int)))
			},
			Ref: func(c Case, in []*Array) []*Array {
				x, index := in[0], in[1]
				axis := (c.Args.(int) + len(x.Shape)) % len(x.Shape)
				shape := append([]int{}, x.Shape[:axis]...)
				shape = append(append(shape, index.Shape...), x.Shape[axis+1:]...)
				from, q := make([]int, len(x.Shape)), len(index.Shape)
				return []*Array{NewArray(shape...).fill(func(at []int) float64 {
					copy(from, at[:axis])
					from[axis] = int(index.at(at[axis : axis+q]...))
					copy(from[axis+1:], at[axis+q:])
					return x.at(from...)
				})}
			}},
	}
}

func refSlice(c Case, in []*Array) []*Array {
	a, x := c.Args.(sliceArgs), in[0]
	picks := make([][]int, len(x.Shape)) // which indices of each axis are kept
	for k, n := range x.Shape {
		start, stop, step := 0, n, 1
		if k < len(a.start) {
			start, stop = a.start[k], a.stop[k]
			if a.step != nil {
				step = a.step[k]
			}
			if start < 0 {
				start += n
			}
			if stop == math.MinInt {
				stop = -1
			} else if stop < 0 {
				stop += n
			}
		}
		for i := start; step > 0 && i < min(stop, n) || step < 0 && i > stop; i += step {
			picks[k] = append(picks[k], i)
		}
	}
	shape := make([]int, len(picks))
	for k := range picks {
		shape[k] = len(picks[k])
	}
	from := make([]int, len(picks))
	return []*Array{NewArray(shape...).fill(func(at []int) float64 {
		for k := range at {
			from[k] = picks[k][at[k]]
		}
		return x.at(from...)
	})}
}

func refConcat(c Case, in []*Array) []*Array {
	axis := (c.Args.(int) + len(in[0].Shape)) % len(in[0].Shape)
	shape := append([]int{}, in[0].Shape...)
	for _, x := range in[1:] {
		shape[axis] += x.Shape[axis]
	}
	from := make([]int, len(shape))
	return []*Array{NewArray(shape...).fill(func(at []int) float64 {
		copy(from, at)
		for _, x := range in {
			if from[axis] < x.Shape[axis] {
				return x.at(from...)
			}
			from[axis] -= x.Shape[axis]
		}
		return math.NaN()
	})}
}
