package opstest

import (
	"math"

	"github.com/acumen-ml/acumen/ops"
)

// fold is a loss's reduction of the elements of y.
func fold(y *Array, r ops.Reduction) []*Array {
	if r == ops.ReduceNone {
		return []*Array{y}
	}
	s := 0.0
	for _, v := range y.Data {
		s += v
	}
	if r == ops.ReduceMean {
		s /= float64(len(y.Data))
	}
	return []*Array{{Shape: []int{}, Data: []float64{s}}}
}

func elementLossRow(op, golden string, build func(t *ops.Tape, x, target *ops.Tensor, r ops.Reduction) *ops.Tensor, f func(x, target float64) float64) Row {
	c := func(name string, shape []int, r ops.Reduction) Case {
		return Case{Name: name, Shapes: shapes(shape, shape), Const: []int{1}, Spread: 3, Args: r}
	}
	return Row{Op: op, Golden: golden,
		Cases: []Case{c("mean", dims(3, 5), ops.ReduceMean), c("sum", dims(3, 7), ops.ReduceSum), c("none", dims(5, 3), ops.ReduceNone), c("one", dims(1), ops.ReduceMean), c("empty", dims(0, 3), ops.ReduceSum)},
		Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
			return one(build(t, in[0], in[1], c.Args.(ops.Reduction)))
		},
		Ref: func(c Case, in []*Array) []*Array {
			y := NewArray(in[0].Shape...)
			for i, x := range in[0].Data {
				y.Data[i] = f(x, in[1].Data[i])
			}
			return fold(y, c.Args.(ops.Reduction))
		}}
}

type entropyArgs struct {
	smooth  float64
	r       ops.Reduction
	ignore  int // -1: none
	weights bool
}

func (a entropyArgs) options(in []*ops.Tensor) ops.CrossEntropyOptions {
	o := ops.CrossEntropyOptions{Smoothing: a.smooth, Reduction: a.r}
	if a.ignore >= 0 {
		o.IgnoreIndex = &a.ignore
	}
	if a.weights {
		o.ClassWeights = in[2]
	}
	return o
}

// entropyCases have inputs logits (N,K), target and weights (K).
func entropyCases(soft bool) []Case {
	c := func(name string, n, k int, a entropyArgs) Case {
		cs := Case{Name: name, Shapes: shapes(dims(n, k), dims(n), nil), Int: []int{0, k, 0}, Const: []int{1, 2}, Spread: 3, Args: a}
		if soft {
			cs.Shapes[1], cs.Int = dims(n, k), nil
		}
		if a.weights {
			cs.Shapes[2] = dims(k)
		}
		return cs
	}
	cs := []Case{
		c("mean", 5, 3, entropyArgs{0, ops.ReduceMean, -1, false}), c("sum", 3, 5, entropyArgs{0, ops.ReduceSum, -1, false}), c("none", 7, 3, entropyArgs{0, ops.ReduceNone, -1, false}),
		c("one", 1, 1, entropyArgs{0, ops.ReduceMean, -1, false}), c("empty", 0, 3, entropyArgs{0, ops.ReduceSum, -1, false}),
		c("smooth", 5, 7, entropyArgs{0.2, ops.ReduceMean, -1, false}), c("smooth none", 5, 3, entropyArgs{0.1, ops.ReduceNone, -1, false}),
		c("weights", 5, 3, entropyArgs{0, ops.ReduceMean, -1, true}), c("weights smooth", 7, 5, entropyArgs{0.3, ops.ReduceSum, -1, true}),
	}
	if !soft {
		cs = append(cs, c("ignore", 7, 3, entropyArgs{0, ops.ReduceMean, 1, false}), c("ignore all else", 7, 5, entropyArgs{0.1, ops.ReduceMean, 2, true}))
	}
	return cs
}

// refEntropy is PyTorch's: -(1-eps) w_t log p_t - eps/K sum w_k log p_k for a class t, or with rows of targets
// -sum w_k ((1-eps) t_k + eps/K) log p_k; the mean divides by the sum of the classes' weights, for rows by their number.
func refEntropy(c Case, in []*Array) []*Array {
	a, x, target := c.Args.(entropyArgs), in[0], in[1]
	n, k := x.Shape[0], x.Shape[1]
	weight := func(j int) float64 {
		if a.weights {
			return in[2].at(j)
		}
		return 1
	}
	y, total := NewArray(n), 0.0
	for i := range n {
		top, sum := math.Inf(-1), 0.0
		for j := range k {
			top = math.Max(top, x.at(i, j))
		}
		for j := range k {
			sum += math.Exp(x.at(i, j) - top)
		}
		class := -1
		if target.Int {
			if class = int(target.at(i)); class == a.ignore {
				continue
			}
			total += weight(class)
		} else {
			total++
		}
		for j := range k {
			t := 0.0
			if !target.Int {
				t = target.at(i, j)
			} else if j == class {
				t = 1
			}
			y.Data[i] -= weight(j) * ((1-a.smooth)*t + a.smooth/float64(k)) * (x.at(i, j) - top - math.Log(sum))
		}
	}
	out := fold(y, a.r)
	if a.r == ops.ReduceMean {
		out[0].Data[0] *= float64(n) / total
	}
	return out
}

func lossRows() []Row {
	return []Row{
		elementLossRow("MSELoss", "mse_loss", ops.MSELoss, func(x, t float64) float64 { return (x - t) * (x - t) }),
		elementLossRow("L1Loss", "l1_loss", ops.L1Loss, func(x, t float64) float64 { return math.Abs(x - t) }),
		elementLossRow("BCEWithLogits", "bce_with_logits", ops.BCEWithLogits, func(x, t float64) float64 {
			return math.Max(x, 0) - x*t + math.Log1p(math.Exp(-math.Abs(x)))
		}),
		{Op: "CrossEntropy", Golden: "cross_entropy", Cases: entropyCases(false), Ref: refEntropy,
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.CrossEntropy(t, in[0], in[1], c.Args.(entropyArgs).options(in)))
			}},
		{Op: "CrossEntropySoft", Golden: "cross_entropy_soft", Cases: entropyCases(true), Ref: refEntropy,
			Build: func(t *ops.Tape, c Case, in []*ops.Tensor) []*ops.Tensor {
				return one(ops.CrossEntropySoft(t, in[0], in[1], c.Args.(entropyArgs).options(in)))
			}},
	}
}
