// Package opstest checks the ops of package ops: a table with a row for each, and golden cases from elsewhere.
//
// A row gives its op a reference in plain float64 loops and a list of cases. From these come, for each case, on every
// device, with fused kernels and without, captured and not, from contiguous and from strided memory: the values at f64
// and f32 against the reference, the gradients at f64 against central differences of the reference, and at f32 against
// those at f64.
package opstest

import (
	"math"
	"slices"

	"github.com/acumen-ml/acumen/ops"
)

// Row is the test of one exported function of ops.
type Row struct {
	Op     string // the function's name
	Golden string // the op of testdata/golden whose cases run this function
	Cases  []Case
	// Build calls the op on in. Gradients of the first result are checked.
	Build func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor
	// Ref is what Build computes, in plain loops.
	Ref func(c Case, in []*Array) []*Array
	// Tol64 and Tol32 bound |got - ref| / max(1, max|ref|) of values and gradients. Default: 1e-12 and 1e-5, a few
	// hundred roundings of either type, sums of some hundred terms and one division by a small number included.
	Tol64, Tol32 float64
	// TolDiff bounds the distance of a gradient from the central difference with step 1e-5. Default 1e-7: the step's
	// square times a third derivative of some hundreds, and rounding by 1e-16/1e-5 times sums of some hundred terms.
	TolDiff float64
}

// Case is one set of shapes and parameters.
type Case struct {
	Name   string
	Shapes [][]int // of the inputs; nil for an absent one
	Int    []int   // per input: 0 real, else whole numbers from 0 to Int-1
	Const  []int   // inputs without gradient, by position
	From   float64 // real inputs are From + Spread * a number in (-1, 1) that is not near 0; default 0
	Spread float64 // default 2
	Eval   bool    // evaluation mode
	Args   any     // what Build and Ref of the row make of it
}

// Table is all rows.
func Table() []Row {
	return slices.Concat(elementwiseRows(), activationRows(), reduceRows(), matmulRows(), shapeRows(), softmaxRows(), conv2dRows(), conv2dPoolRows(), pool2dRows(), batchNormRows(), lossRows())
}

// Exempt are the exported functions of ops that have no row, with the reason.
func Exempt() map[string]string {
	return map[string]string{
		"NewTape": "makes a tape; it computes nothing",
		"Leaf":    "wraps memory; it computes nothing",
		"Param":   "wraps memory; it computes nothing",
		"Dropout": "random: its numbers are tested in dropout_test.go against Philox's, its gradient by the same mask",
		"Detach":  "its value is its input's and its gradient nothing: tested in tape_test.go",
	}
}

// inputs makes the arrays of a case: fixed numbers, spread evenly and in no order, so that no two of them are equal or
// near, nor any near 0: kinks and ties would spoil differences.
func (c Case) inputs() []*Array {
	spread := c.Spread
	if spread == 0 {
		spread = 2
	}
	all := make([]*Array, len(c.Shapes))
	for i, shape := range c.Shapes {
		if shape == nil {
			continue
		}
		a := NewArray(shape...)
		n := len(a.Data)
		step := 1 // coprime to 2n: a walk over all odd multiples of 1/2n
		for step = n*5/8 | 1; gcd(step, 2*n) != 1; step += 2 {
		}
		for k := range a.Data {
			u := float64((2*k*step+1+2*i)%(2*n))/float64(n) - 1 + 1/float64(4*n)
			a.Data[k] = c.From + spread*u
		}
		if i < len(c.Int) && c.Int[i] > 0 {
			a.Int = true
			for k := range a.Data {
				a.Data[k] = float64((k*7 + k/3) % c.Int[i])
			}
		}
		all[i] = a
	}
	return all
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (c Case) wantsGrad(i int, a *Array) bool { return !a.Int && !slices.Contains(c.Const, i) }

// differences is the gradient of sum(w*y) of the reference, y being its first result, by central differences.
func (r Row) differences(c Case, in []*Array, w *Array) []*Array {
	const h = 1e-5
	value := func() float64 {
		s := 0.0
		for i, v := range r.Ref(c, in)[0].Data {
			s += v * w.Data[i]
		}
		return s
	}
	grads := make([]*Array, len(in))
	for i, a := range in {
		if a == nil || !c.wantsGrad(i, a) {
			continue
		}
		g := NewArray(a.Shape...)
		for k, x := range a.Data {
			a.Data[k] = x + h
			up := value()
			a.Data[k] = x - h
			down := value()
			a.Data[k] = x
			g.Data[k] = (up - down) / (2 * h)
		}
		grads[i] = g
	}
	return grads
}

// distance is max|a-b| / max(1, max|b|), infinite where shapes or NaNs differ.
func distance(a, b *Array) float64 {
	if !slices.Equal(a.Shape, b.Shape) {
		return math.Inf(1)
	}
	d := 0.0
	for i, v := range a.Data {
		w := b.Data[i]
		if v == w || math.IsNaN(v) && math.IsNaN(w) {
			continue
		}
		if e := math.Abs(v - w); e > d || math.IsNaN(e) {
			d = e
			if math.IsNaN(e) {
				return math.Inf(1)
			}
		}
	}
	return d / math.Max(1, b.maxAbs())
}

// one wraps an op of one result.
func one(y *ops.Tensor) []*ops.Tensor { return []*ops.Tensor{y} }

// shapes is a short way to write Case.Shapes.
func shapes(s ...[]int) [][]int { return s }

// dims is a short way to write a shape.
func dims(d ...int) []int { return append([]int{}, d...) }

func refUnary(f func(x float64) float64) func(Case, []*Array) []*Array {
	return func(_ Case, in []*Array) []*Array {
		y := NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			y.Data[i] = f(x)
		}
		return []*Array{y}
	}
}

// unaryCases are sizes for elementwise functions: 0, 1, odd, rank 0 and 4, and enough for a kernel to be cut in parts.
func unaryCases(from, spread float64) []Case {
	var cs []Case
	for _, s := range []struct {
		name string
		dims []int
	}{{"empty", dims(0, 3)}, {"one", dims(1)}, {"scalar", dims()}, {"odd", dims(3, 5, 7)}, {"images", dims(2, 3, 5, 4)}} {
		cs = append(cs, Case{Name: s.name, Shapes: shapes(s.dims), From: from, Spread: spread})
	}
	return cs
}

func unaryRow(op, golden string, from, spread float64, build func(*ops.Tape, *ops.Tensor) *ops.Tensor, ref func(float64) float64) Row {
	return Row{Op: op, Golden: golden, Cases: unaryCases(from, spread),
		Build: func(t *ops.Tape, _ Case, in []*ops.Tensor) []*ops.Tensor { return one(build(t, in[0])) },
		Ref:   refUnary(ref)}
}
