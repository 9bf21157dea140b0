package opstest

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// GoldenOps are the names of the ops that RunGolden knows.
func GoldenOps() []string { return slices.Sorted(maps.Keys(goldenOps)) }

// goldenOps runs the forward of each op of the format; names, inputs and parameters are the format's.
var goldenOps = map[string]func(*goldenRun){
	"conv2d":     func(r *goldenRun) { conv2dCase(r, device.Identity) },
	"conv2d_act": func(r *goldenRun) { conv2dCase(r, r.activation()) }, // conv2d with params' act after it
	"conv2d_pool": func(r *goldenRun) { // conv2d_act, then max_pool2d with params' kernel, its stride
		act := device.Identity
		if r.word("act", "") != "" {
			act = r.activation()
		}
		x, w, b, p := r.conv2d()
		pool := device.Pool2D{DilH: 1, DilW: 1}
		pool.KernelH, pool.KernelW = r.pair("kernel", 0)
		pool.StrideH, pool.StrideW = pool.KernelH, pool.KernelW
		r.out("y", ops.Conv2DPool(r.tape, x, w, b, p, act, pool, false), channelsLast(4))
	},
	"max_pool2d": func(r *goldenRun) {
		if _, ok := r.Expected["indices"]; !ok {
			r.out("y", ops.MaxPool2D(r.tape, r.image("x"), r.pool()), channelsLast(4))
			return
		}
		y, idx := ops.MaxPool2DWithIndices(r.tape, r.image("x"), r.pool())
		r.out("y", y, channelsLast(4))
		r.out("indices", idx, channelsLast(4))
	},
	"adaptive_max_pool2d": func(r *goldenRun) {
		oh, ow := r.pair("output", 1)
		r.out("y", ops.AdaptiveMaxPool2D(r.tape, r.image("x"), int(oh), int(ow)), channelsLast(4))
	},
	"avg_pool2d": func(r *goldenRun) {
		countPad := true // PyTorch's default
		r.param("count_include_pad", &countPad)
		r.out("y", ops.AvgPool2D(r.tape, r.image("x"), r.pool(), countPad), channelsLast(4))
	},
	"adaptive_avg_pool2d": func(r *goldenRun) {
		oh, ow := r.pair("output", 1)
		r.out("y", ops.AdaptiveAvgPool2D(r.tape, r.image("x"), int(oh), int(ow)), channelsLast(4))
	},
	"global_avg_pool2d": func(r *goldenRun) {
		r.out("y", ops.GlobalAvgPool2D(r.tape, r.image("x")), channelsLast(4))
	},
	"global_max_pool2d": func(r *goldenRun) {
		r.out("y", ops.GlobalMaxPool2D(r.tape, r.image("x")), channelsLast(4))
	},
	"linear": func(r *goldenRun) {
		r.out("y", ops.Linear(r.tape, r.in("x", nil), r.in("weight", nil), r.opt("bias", nil)), nil)
	},
	"linear_act": func(r *goldenRun) { // linear with params' act after it
		r.out("y", ops.LinearAct(r.tape, r.in("x", nil), r.in("weight", nil), r.opt("bias", nil), r.activation()), nil)
	},
	"matmul": func(r *goldenRun) {
		r.out("y", ops.MatMul(r.tape, r.in("a", nil), r.in("b", nil)), nil)
	},
	"batch_norm":     func(r *goldenRun) { batchNormCase(r, device.Identity) },
	"batch_norm_act": func(r *goldenRun) { batchNormCase(r, r.activation()) }, // batch_norm with params' act after it
	"relu":           unary(ops.Relu), "sigmoid": unary(ops.Sigmoid), "tanh": unary(ops.Tanh), "silu": unary(ops.Silu),
	"neg": unary(ops.Neg), "exp": unary(ops.Exp), "log": unary(ops.Log), "sqrt": unary(ops.Sqrt),
	"leaky_relu": func(r *goldenRun) {
		r.out("y", ops.LeakyRelu(r.tape, r.in("x", nil), r.number("slope", 0.01)), nil)
	},
	"gelu": func(r *goldenRun) {
		switch approx := r.word("approx", "erf"); approx {
		case "erf", "none":
			r.out("y", ops.Gelu(r.tape, r.in("x", nil)), nil)
		case "tanh":
			r.out("y", ops.GeluTanh(r.tape, r.in("x", nil)), nil)
		default:
			throw("parameter \"approx\": %q is not erf or tanh", approx)
		}
	},
	"clamp": func(r *goldenRun) {
		r.out("y", ops.Clamp(r.tape, r.in("x", nil), r.number("min", math.Inf(-1)), r.number("max", math.Inf(1))), nil)
	},
	"scale": func(r *goldenRun) {
		r.out("y", ops.Scale(r.tape, r.in("x", nil), r.number("factor", 1)), nil)
	},
	"softmax": func(r *goldenRun) {
		r.out("y", ops.Softmax(r.tape, r.in("x", nil), r.integer("axis", -1)), nil)
	},
	"log_softmax": func(r *goldenRun) {
		r.out("y", ops.LogSoftmax(r.tape, r.in("x", nil), r.integer("axis", -1)), nil)
	},
	"cross_entropy": func(r *goldenRun) {
		rank := len(r.input("logits").Shape)
		o := r.crossEntropy()
		if r.has("target") && !r.input("target").Int {
			throw(`target: class indices have "dtype": "i64"; rows of probabilities are op cross_entropy_soft`)
		}
		r.out("y", ops.CrossEntropy(r.tape, r.in("logits", channelsLast(rank)), r.in("target", nil), o), nil)
	},
	"cross_entropy_soft": func(r *goldenRun) {
		perm := channelsLast(len(r.input("logits").Shape))
		o := r.crossEntropy()
		r.out("y", ops.CrossEntropySoft(r.tape, r.in("logits", perm), r.constant("target", perm), o), nil)
	},
	"mse_loss": loss(ops.MSELoss, "x"), "l1_loss": loss(ops.L1Loss, "x"),
	"bce_with_logits": func(r *goldenRun) {
		name := "logits"
		if !r.has(name) {
			name = "x"
		}
		loss(ops.BCEWithLogits, name)(r)
	},
	"add": pairwise(ops.Add), "sub": pairwise(ops.Sub), "mul": pairwise(ops.Mul), "div": pairwise(ops.Div), "pow": pairwise(ops.Pow),
	"sum": reduce(ops.Sum), "mean": reduce(ops.Mean), "max": reduce(ops.Max),
	"reshape": func(r *goldenRun) {
		r.out("y", ops.Reshape(r.tape, r.in("x", nil), r.ints("shape")...), nil)
	},
	"transpose": func(r *goldenRun) {
		r.out("y", ops.Transpose(r.tape, r.in("x", nil), r.ints("perm")...), nil)
	},
	"slice": func(r *goldenRun) {
		r.out("y", ops.Slice(r.tape, r.in("x", nil), r.ints("start"), r.ints("stop"), r.ints("step")), nil)
	},
	"pad": func(r *goldenRun) {
		var pairs [][2]int
		r.param("pairs", &pairs)
		r.out("y", ops.Pad(r.tape, r.in("x", nil), pairs, r.number("value", 0)), nil)
	},
	"concat": func(r *goldenRun) {
		names := slices.Sorted(maps.Keys(r.Inputs))
		xs := []*ops.Tensor{}
		for _, name := range names {
			if len(name) == 1 && name != "y" {
				xs = append(xs, r.in(name, nil))
			}
		}
		r.out("y", ops.Concat(r.tape, r.integer("axis", 0), xs...), nil)
	},
	"gather": func(r *goldenRun) {
		r.out("y", ops.Gather(r.tape, r.in("x", nil), r.index(), r.integer("axis", 0)), nil)
	},
	"take": func(r *goldenRun) {
		r.out("y", ops.Take(r.tape, r.in("x", nil), r.index(), r.integer("axis", 0)), nil)
	},
}

// rowOp runs an op of one input and no parameters as its row in the table builds it, so that such an op needs no entry
// above.
func rowOp(name string) func(*goldenRun) {
	for _, row := range Table() {
		if row.Golden == name && len(row.Cases[0].Shapes) == 1 && row.Cases[0].Args == nil {
			return func(r *goldenRun) { r.out("y", row.Build(r.tape, Case{}, []*ops.Tensor{r.in("x", nil)})[0], nil) }
		}
	}
	return nil
}

func unary(f func(*ops.Tape, *ops.Tensor) *ops.Tensor) func(*goldenRun) {
	return func(r *goldenRun) { r.out("y", f(r.tape, r.in("x", nil)), nil) }
}

func pairwise(f func(t *ops.Tape, a, b *ops.Tensor) *ops.Tensor) func(*goldenRun) {
	return func(r *goldenRun) { r.out("y", f(r.tape, r.in("a", nil), r.in("b", nil)), nil) }
}

func loss(f func(t *ops.Tape, x, target *ops.Tensor, red ops.Reduction) *ops.Tensor, name string) func(*goldenRun) {
	return func(r *goldenRun) {
		r.out("y", f(r.tape, r.in(name, nil), r.constant("target", nil), r.reduction()), nil)
	}
}

func reduce(f func(t *ops.Tape, x *ops.Tensor, keepDims bool, axes ...int) *ops.Tensor) func(*goldenRun) {
	return func(r *goldenRun) {
		axes := r.ints("axes")
		if axes == nil {
			for i := range r.input("x").Shape {
				axes = append(axes, i)
			}
		}
		r.out("y", f(r.tape, r.in("x", nil), r.flag("keepdims"), axes...), nil)
	}
}

// constant is an input whose gradient is asked for only if the case has it: targets.
func (r *goldenRun) constant(name string, perm []int) *ops.Tensor {
	if _, ok := r.Grads[name]; ok {
		return r.in(name, perm)
	}
	g := r.input(name).permute(perm)
	typ := r.typ
	if g.Int {
		typ = device.I32
	}
	return ops.Leaf(r.put(g, typ))
}

func (r *goldenRun) index() *ops.Tensor {
	g := *r.input("index")
	g.Int = true
	return ops.Leaf(r.put(&g, device.I32))
}

func (r *goldenRun) reduction() ops.Reduction {
	switch w := r.word("reduction", "mean"); w {
	case "mean":
		return ops.ReduceMean
	case "sum":
		return ops.ReduceSum
	case "none":
		return ops.ReduceNone
	default:
		throw("parameter \"reduction\": %q is not none, mean or sum", w)
	}
	return 0
}

func (r *goldenRun) crossEntropy() ops.CrossEntropyOptions {
	o := ops.CrossEntropyOptions{Smoothing: r.number("label_smoothing", 0), Reduction: r.reduction()}
	r.param("ignore_index", &o.IgnoreIndex)
	r.used["param class_weights"] = true
	if raw, ok := r.Params["class_weights"]; ok && string(raw) != "null" {
		w := &Array{}
		if json.Unmarshal(raw, w) != nil {
			w.Data = r.numbers("class_weights")
			w.Shape = []int{len(w.Data)}
		}
		o.ClassWeights = ops.Leaf(r.put(w, r.typ))
	} else if r.has("class_weights") {
		o.ClassWeights = r.constant("class_weights", nil)
	}
	return o
}

func (r *goldenRun) pool() device.Pool2D {
	var p device.Pool2D
	p.KernelH, p.KernelW = r.pair("kernel", 0)
	p.StrideH, p.StrideW = p.KernelH, p.KernelW
	if s := r.ints("stride"); len(s) > 0 {
		p.StrideH, p.StrideW = r.pair("stride", 0)
	}
	p.PadH, p.PadW = r.pair("padding", 0)
	p.DilH, p.DilW = 1, 1
	if r.Op == "max_pool2d" {
		p.DilH, p.DilW = r.pair("dilation", 1)
	}
	p.Ceil = r.flag("ceil_mode")
	return p
}

// batchNormCase normalises channels, axis 1 of the case. Without running statistics evaluation takes the batch's.
func batchNormCase(r *goldenRun, act device.UnOp) {
	shape := r.input("x").Shape
	perm := channelsLast(len(shape))
	x := r.in("x", perm)
	y, flat := x, x.Rank() != 2 && x.Rank() != 4
	if flat {
		y = ops.Reshape(r.tape, x, x.Value().Len()/max(x.Dim(-1), 1), x.Dim(-1))
	}
	s := ops.BatchNormState{Eps: r.number("eps", 1e-5), Momentum: r.number("momentum", 0.1)}
	r.tape.Train = r.flag("training") || !r.has("running_mean")
	if r.has("running_mean") != r.has("running_var") {
		throw("running_mean and running_var go together")
	}
	if r.has("running_mean") {
		s.Mean, s.Var = r.put(r.input("running_mean"), r.typ), r.put(r.input("running_var"), r.typ)
		s.NextMean, s.NextVar = r.put(r.input("running_mean"), r.typ), r.put(r.input("running_var"), r.typ)
		r.outs["running_mean"], r.outs["running_var"] = goldenOut{v: s.NextMean}, goldenOut{v: s.NextVar}
	}
	gamma, beta := r.opt("gamma", nil), r.opt("beta", nil)
	if act == device.Identity {
		y = ops.BatchNorm(r.tape, y, gamma, beta, s)
	} else {
		y = ops.BatchNormAct(r.tape, y, gamma, beta, s, act)
	}
	if flat {
		y = ops.Reshape(r.tape, y, x.Shape()...)
	}
	r.out("y", y, perm)
}

func (r *goldenRun) conv2d() (x, w, b *ops.Tensor, p device.Conv2D) {
	p.Groups = int32(r.integer("groups", 1))
	p.StrideH, p.StrideW = r.pair("stride", 1)
	p.PadH, p.PadW = r.pair("padding", 0)
	p.DilH, p.DilW = r.pair("dilation", 1)
	return r.image("x"), r.image("weight"), r.opt("bias", nil), p
}

func conv2dCase(r *goldenRun, act device.UnOp) {
	x, w, b, p := r.conv2d()
	y := (*ops.Tensor)(nil)
	if act == device.Identity {
		y = ops.Conv2D(r.tape, x, w, b, p)
	} else {
		y = ops.Conv2DAct(r.tape, x, w, b, p, act)
	}
	r.out("y", y, channelsLast(4))
}

func (r *goldenRun) activation() device.UnOp {
	acts := map[string]device.UnOp{"relu": device.Relu, "sigmoid": device.Sigmoid, "tanh": device.Tanh}
	act, ok := acts[r.word("act", "")]
	if !ok {
		throw("parameter \"act\": relu, sigmoid or tanh, not %q", r.word("act", ""))
	}
	return act
}
