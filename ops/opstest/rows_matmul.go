package opstest

import "github.com/acumen-ml/acumen/ops"

func matmulRows() []Row {
	mm := func(name string, a, b []int) Case { return Case{Name: name, Shapes: shapes(a, b)} }
	lin := func(name string, x, w, b []int) Case { return Case{Name: name, Shapes: shapes(x, w, b)} }
	return []Row{
		{Op: "MatMul", Golden: "matmul",
			Cases: []Case{mm("odd", dims(3, 5), dims(5, 7)), mm("one", dims(1, 1), dims(1, 1)), mm("empty inner", dims(3, 0), dims(0, 2)), mm("empty", dims(0, 3), dims(3, 5)),
				mm("batch", dims(3, 2, 5), dims(3, 5, 3)), mm("broadcast", dims(3, 5, 2), dims(2, 7)), mm("both broadcast", dims(3, 1, 2, 3), dims(5, 3, 1)), mm("blocks", dims(17, 33), dims(33, 19))},
			Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor { return one(ops.MatMul(t, in[0], in[1])) },
			Ref: func(_ Case, in []*Array) []*Array {
				return []*Array{refMatMul(in[0], in[1])}
			}},
		{Op: "Linear", Golden: "linear",
			Cases: []Case{lin("odd", dims(3, 5), dims(7, 5), dims(7)), lin("one", dims(1, 1), dims(1, 1), dims(1)), lin("empty", dims(0, 5), dims(3, 5), dims(3)),
				lin("no bias", dims(5, 3), dims(2, 3), nil), lin("3d", dims(2, 3, 5), dims(4, 5), dims(4))},
			Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.Linear(t, in[0], in[1], in[2]))
			},
			Ref: func(_ Case, in []*Array) []*Array {
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
					for i := range w.Shape[1] {
						from[k] = i
						s += x.at(from...) * w.at(at[k], i)
					}
					return s
				})}
			}},
	}
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
