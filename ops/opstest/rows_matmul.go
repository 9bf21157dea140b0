package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

func matmulRows() []Row {
	mm := func(name string, a, b []int) Case { return Case{Name: name, Shapes: shapes(a, b)} }
	return []Row{
		{Op: "MatMul", Golden: "matmul",
			Cases: []Case{mm("odd", dims(3, 5), dims(5, 7)), mm("one", dims(1, 1), dims(1, 1)), mm("empty inner", dims(3, 0), dims(0, 2)), mm("empty", dims(0, 3), dims(3, 5)),
				mm("batch", dims(3, 2, 5), dims(3, 5, 3)), mm("broadcast", dims(3, 5, 2), dims(2, 7)), mm("both broadcast", dims(3, 1, 2, 3), dims(5, 3, 1)), mm("blocks", dims(17, 33), dims(33, 19))},
			Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor { return one(ops.MatMul(t, in[0], in[1])) },
			Ref: func(_ Case, in []*Array) []*Array {
				return []*Array{refMatMul(in[0], in[1])}
			}},
		{Op: "Linear", Golden: "linear", Cases: linearCases(), Ref: refLinear,
			Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Linear(t, in[0], in[1], in[2]))
			}},
		{Op: "LinearAct", Golden: "linear_act", Cases: linearCases(),
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.LinearAct(t, in[0], in[1], in[2], linearAct(c)))
			},
			Ref: func(c Case, in []*Array) []*Array {
				y := refLinear(c, in)
				for i, v := range y[0].Data {
					switch linearAct(c) {
					case device.Tanh:
						y[0].Data[i] = math.Tanh(v)
					case device.Silu:
						y[0].Data[i] = v / (1 + math.Exp(-v))
					default:
						y[0].Data[i] = math.Max(v, 0)
					}
				}
				return y
			}},
	}
}

// linearCases are of all ranks, and of sizes that tensor cores like.
func linearCases() []Case {
	lin := func(name string, x, w, b []int) Case { return Case{Name: name, Shapes: shapes(x, w, b)} }
	return []Case{lin("odd", dims(3, 5), dims(7, 5), dims(7)), lin("one", dims(1, 1), dims(1, 1), dims(1)), lin("empty", dims(0, 5), dims(3, 5), dims(3)),
		lin("no bias", dims(5, 3), dims(2, 3), nil), lin("3d", dims(2, 3, 5), dims(4, 5), dims(4)), lin("eights", dims(9, 16), dims(24, 16), dims(24)),
		lin("wide", dims(33, 8), dims(8, 8), dims(8))}
}

func linearAct(c Case) device.UnOp {
	switch c.Name {
	case "odd", "wide":
		return device.Tanh
	case "3d": // its gradient reads what it was applied to
		return device.Silu
	}
	return device.Relu
}

func refLinear(_ Case, in []*Array) []*Array {
	x, w, b := in[0], in[1], in[2]
	k := len(x.Shape) - 1
	y := NewArray(append(append([]int{}, x.Shape[:k]...), w.Shape[0])...)
	from := make([]int, k+1)
	return []*Array{y.fill(func(at []int) float64 {
		s := 0.0
		if b != nil {
			s = b.at(at[k])
		}
		copy(from, at[:k])
		return plusDot(s, w.from(at[k], 0)[:w.Shape[1]], x.from(from...))
	})}
}

func refMatMul(a, b *Array) *Array {
	ra, rb := len(a.Shape), len(b.Shape)
	m, k, n := a.Shape[ra-2], a.Shape[ra-1], b.Shape[rb-1]
	lead := broadcastShape(a.Shape[:ra-2], b.Shape[:rb-2])
	y := NewArray(append(append([]int{}, lead...), m, n)...)
	// An operand's element: its own leading axes from at, the last two given.
	elem := func(x *Array, at []int, i, j int) float64 {
		r := len(x.Shape)
		ix := make([]int, r)
		for q := range r - 2 {
			if x.Shape[q] > 1 {
				ix[q] = at[len(lead)-(r-2)+q]
			}
		}
		ix[r-2], ix[r-1] = i, j
		return x.at(ix...)
	}
	return y.fill(func(at []int) float64 {
		s := 0.0
		for q := range k {
			s += elem(a, at, at[len(at)-2], q) * elem(b, at, q, at[len(at)-1])
		}
		return s
	})
}
