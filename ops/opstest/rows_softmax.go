package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/ops"
)

func softmaxRows() []Row {
	cases := func() []Case {
		return []Case{{Name: "rows", Shapes: shapes(dims(3, 5)), Args: -1}, {Name: "one", Shapes: shapes(dims(1, 1)), Args: 1}, {Name: "empty", Shapes: shapes(dims(0, 5)), Args: 1},
			{Name: "columns", Shapes: shapes(dims(5, 3)), Args: 0}, {Name: "middle", Shapes: shapes(dims(3, 7, 2)), Args: 1}, {Name: "large", Shapes: shapes(dims(3, 5)), Spread: 500, Args: 1}}
	}
	row := func(op, golden string, build func(*ops.Tape, *ops.Tensor, int) *ops.Tensor, log bool) Row {
		return Row{Op: op, Golden: golden, Cases: cases(),
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor { return one(build(t, in[0], c.Args.(int))) },
			Ref: func(c Case, in []*Array) []*Array {
				x := in[0]
				axis := (c.Args.(int) + len(x.Shape)) % len(x.Shape)
				along := make([]int, len(x.Shape))
				return []*Array{NewArray(x.Shape...).fill(func(at []int) float64 {
					copy(along, at)
					top, sum := math.Inf(-1), 0.0
					for i := range x.Shape[axis] {
						along[axis] = i
						top = math.Max(top, x.at(along...))
					}
					for i := range x.Shape[axis] {
						along[axis] = i
						sum += math.Exp(x.at(along...) - top)
					}
					if log {
						return x.at(at...) - top - math.Log(sum)
					}
					return math.Exp(x.at(at...)-top) / sum
				})}
			}}
	}
	return []Row{row("Softmax", "softmax", ops.Softmax, false), row("LogSoftmax", "log_softmax", ops.LogSoftmax, true)}
}
