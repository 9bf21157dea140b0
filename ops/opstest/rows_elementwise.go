package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/ops"
)

// pairCases are two operands: equal shapes, a row, a scalar, both broadcast, one element, none.
func pairCases(from, spread float64) []Case {
	var cs []Case
	for _, s := range []struct {
		name string
		a, b []int
	}{{"same", dims(3, 5), dims(3, 5)}, {"empty", dims(0, 3), dims(3)}, {"one", dims(1), dims(1)}, {"row", dims(2, 3, 5), dims(5)},
		{"column", dims(3, 7), dims(3, 1)}, {"outer", dims(5, 1), dims(1, 3)}, {"scalar", dims(3, 3), dims()}, {"longer second", dims(3), dims(2, 5, 3)}} {
		cs = append(cs, Case{Name: s.name, Shapes: shapes(s.a, s.b), From: from, Spread: spread})
	}
	return cs
}

// broadcastShape is the shape of a and b together, as numpy has it.
func broadcastShape(a, b []int) []int {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append([]int{}, a...)
	for i, d := range b {
		if k := len(a) - len(b) + i; out[k] == 1 {
			out[k] = d
		}
	}
	return out
}

func pairRow(op, golden string, from, spread float64, build func(t *ops.Tape, a, b *ops.Tensor) *ops.Tensor, ref func(a, b float64) float64) Row {
	return Row{Op: op, Golden: golden, Cases: pairCases(from, spread),
		Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor { return one(build(t, in[0], in[1])) },
		Ref: func(_ Case, in []*Array) []*Array {
			y := NewArray(broadcastShape(in[0].Shape, in[1].Shape)...)
			return []*Array{y.fill(func(at []int) float64 { return ref(in[0].broadcast(at), in[1].broadcast(at)) })}
		}}
}

func elementwiseRows() []Row {
	return []Row{
		pairRow("Add", "add", 0, 2, ops.Add, func(a, b float64) float64 { return a + b }),
		pairRow("Sub", "sub", 0, 2, ops.Sub, func(a, b float64) float64 { return a - b }),
		pairRow("Mul", "mul", 0, 2, ops.Mul, func(a, b float64) float64 { return a * b }),
		pairRow("Div", "div", 3, 2, ops.Div, func(a, b float64) float64 { return a / b }),
		pairRow("Pow", "pow", 1.5, 1, ops.Pow, math.Pow),
		unaryRow("Neg", "neg", 0, 2, ops.Neg, func(x float64) float64 { return -x }),
		unaryRow("Exp", "exp", 0, 2, ops.Exp, math.Exp),
		unaryRow("Log", "log", 3, 2, ops.Log, math.Log),
		unaryRow("Sqrt", "sqrt", 3, 2, ops.Sqrt, math.Sqrt),
		unaryRow("Clamp", "clamp", 0, 2, func(t *ops.Tape, x *ops.Tensor) *ops.Tensor { return ops.Clamp(t, x, -0.7, 1.1) },
			func(x float64) float64 { return math.Min(math.Max(x, -0.7), 1.1) }),
		unaryRow("Scale", "scale", 0, 2, func(t *ops.Tape, x *ops.Tensor) *ops.Tensor { return ops.Scale(t, x, -1.75) },
			func(x float64) float64 { return -1.75 * x }),
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func activationRows() []Row {
	return []Row{
		unaryRow("Sigmoid", "sigmoid", 0, 4, ops.Sigmoid, sigmoid),
		unaryRow("Tanh", "tanh", 0, 3, ops.Tanh, math.Tanh),
		unaryRow("Relu", "relu", 0, 2, ops.Relu, func(x float64) float64 { return math.Max(x, 0) }),
		unaryRow("LeakyRelu", "leaky_relu", 0, 2, func(t *ops.Tape, x *ops.Tensor) *ops.Tensor { return ops.LeakyRelu(t, x, 0.2) },
			func(x float64) float64 { return math.Max(x, 0.2*x) }),
		unaryRow("Gelu", "gelu", 0, 3, ops.Gelu, func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }),
		unaryRow("GeluTanh", "gelu", 0, 3, ops.GeluTanh, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}),
		unaryRow("Silu", "silu", 0, 4, ops.Silu, func(x float64) float64 { return x * sigmoid(x) }),
	}
}
