package opstest

import (
	"math"
	"slices"

	"github.com/acumen-ml/acumen/ops"
)

type reduceArgs struct {
	keep bool
	axes []int
}

func reduceCases() []Case {
	var cs []Case
	for _, s := range []struct {
		name  string
		shape []int
		args  reduceArgs
	}{{"rows", dims(3, 5), reduceArgs{false, dims(1)}}, {"columns keep", dims(5, 3), reduceArgs{true, dims(0)}}, {"empty", dims(0, 3), reduceArgs{false, dims(1)}},
		{"one", dims(1), reduceArgs{false, dims(0)}}, {"ends", dims(3, 5, 7), reduceArgs{false, dims(0, 2)}}, {"negative", dims(3, 5, 7), reduceArgs{true, dims(-2)}},
		{"all", dims(3, 7), reduceArgs{false, dims(0, 1)}}, {"channels", dims(2, 3, 5, 4), reduceArgs{true, dims(0, 1, 2)}}} {
		cs = append(cs, Case{Name: s.name, Shapes: shapes(s.shape), Args: s.args})
	}
	return cs
}

// refReduce folds x along axes: start, then f for each element, then end with the number of elements.
func refReduce(x *Array, a reduceArgs, start float64, f func(acc, v float64) float64, end func(acc float64, n int) float64) *Array {
	over := make([]bool, len(x.Shape))
	for _, k := range a.axes {
		over[(k+len(over))%len(over)] = true
	}
	kept := slices.Clone(x.Shape)
	n := 1
	for k := range kept {
		if over[k] {
			n *= kept[k]
			kept[k] = 1
		}
	}
	y := NewArray(kept...)
	for i := range y.Data {
		y.Data[i] = start
	}
	to := make([]int, len(kept))
	x.fill(func(at []int) float64 {
		for k := range at {
			to[k] = at[k]
			if over[k] {
				to[k] = 0
			}
		}
		o := y.offset(to)
		v := x.at(at...)
		y.Data[o] = f(y.Data[o], v)
		return v
	})
	for i := range y.Data {
		y.Data[i] = end(y.Data[i], n)
	}
	if !a.keep {
		y.Shape = []int{}
		for k, d := range x.Shape {
			if !over[k] {
				y.Shape = append(y.Shape, d)
			}
		}
	}
	return y
}

func reduceRow(op, golden string, build func(t *ops.Tape, x *ops.Tensor, keep bool, axes ...int) *ops.Tensor, start float64, f func(acc, v float64) float64, end func(float64, int) float64) Row {
	return Row{Op: op, Golden: golden, Cases: reduceCases(),
		Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
			a := c.Args.(reduceArgs)
			return one(build(t, in[0], a.keep, a.axes...))
		},
		Ref: func(c Case, in []*Array) []*Array {
			return []*Array{refReduce(in[0], c.Args.(reduceArgs), start, f, end)}
		}}
}

func reduceRows() []Row {
	plus := func(a, v float64) float64 { return a + v }
	same := func(a float64, _ int) float64 { return a }
	return []Row{
		reduceRow("Sum", "sum", ops.Sum, 0, plus, same),
		reduceRow("Mean", "mean", ops.Mean, 0, plus, func(a float64, n int) float64 { return a / float64(n) }),
		reduceRow("Max", "max", ops.Max, math.Inf(-1), math.Max, same),
	}
}
