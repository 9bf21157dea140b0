package opstest

import (
	"maps"
	"math"
	"slices"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

func init() { maps.Copy(goldenOps, goldenOptim) }

// goldenOptim are the format's ops that are no ops of package ops: optimisers, clipping, learning rates.
var goldenOptim = map[string]func(*goldenRun){
	"optim.sgd": func(r *goldenRun) {
		r.optimizer(optim.SGD{
			LR: r.number("lr", 0), Momentum: r.number("momentum", 0), Dampening: r.number("dampening", 0), Nesterov: r.flag("nesterov"),
			WeightDecay: r.number("weight_decay", 0), Decoupled: r.decoupled(),
		})
	},
	"optim.adam": func(r *goldenRun) { r.optimizer(r.adam()) },
	"optim.adamw": func(r *goldenRun) {
		a := r.adam()
		r.optimizer(optim.AdamW{LR: a.LR, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, WeightDecay: a.WeightDecay, AMSGrad: a.AMSGrad})
	},
	"clip_by_norm": func(r *goldenRun) {
		in := r.input("g")
		g := r.put(&Array{Shape: []int{len(in.Data)}, Data: in.Data}, r.typ)
		scale, norm := r.put(&Array{Data: []float64{0}}, r.typ), r.put(&Array{Data: []float64{0}}, r.typ)
		optim.ClipNorm(r.tape, scale, norm, g, device.View{}, r.number("max_norm", 1))
		r.dev.Binary(device.Mul, g, g, scale)
		r.outs["y"] = goldenOut{v: g.Reshape(in.Shape...)}
	},
	"lr.step": func(r *goldenRun) {
		r.table(r.number("initial", 1), schedule.Config{Name: "step", Every: r.number("step_size", 1), Gamma: r.number("gamma", 0.1)})
	},
	"lr.exponential": func(r *goldenRun) {
		r.table(r.number("initial", 1), schedule.Config{Name: "step", Every: 1, Gamma: r.number("gamma", 0.1)})
	},
	"lr.linear": func(r *goldenRun) {
		initial, final, n := r.number("initial", 1), r.number("final", 0), r.number("num_iters", 1)
		if initial == 0 { // a factor on nothing is nothing
			r.table(1, r.points([]float64{0, n}, []float64{initial, final}))
			return
		}
		r.table(initial, schedule.Config{Name: "linear", Start: 1, Final: final / initial, Period: n})
	},
	"lr.cosine": func(r *goldenRun) {
		initial := r.number("initial", 1)
		r.table(initial, schedule.Config{Name: "cosine", Final: r.number("min", 0) / initial, Period: r.number("num_iters", 1), Restart: r.flag("restart")})
	},
	"lr.onecycle": func(r *goldenRun) {
		top, start, final := r.number("max", 1), r.number("start", 0), r.number("final", 0)
		n, warm := r.integer("num_iters", 1), r.number("warmup", 0)
		values := r.expectedRates()
		if values > n { // past its end: level
			r.table(1, r.points([]float64{0, warm * float64(n), float64(n)}, []float64{start, top, final}))
			return
		}
		r.rates(top, schedule.Config{Name: "onecycle", Warmup: warm, Start: start / top, Final: final / top}, n, values)
	},
	"lr.piecewise": func(r *goldenRun) {
		r.table(1, r.points(r.numbers("steps"), r.numbers("values")))
	},
}

func (r *goldenRun) decoupled() bool {
	switch d := r.word("decay", "l2"); d {
	case "l2", "decoupled":
		return d == "decoupled"
	default:
		throw("parameter \"decay\": %q is not l2 or decoupled", d)
	}
	return false
}

func (r *goldenRun) adam() optim.Adam {
	if r.Op == "optim.adamw" && r.word("decay", "decoupled") != "decoupled" {
		throw("parameter \"decay\": adamw is decoupled")
	}
	// 0 is the default to optim.Adam; the smallest number is as good as 0
	const tiny = math.SmallestNonzeroFloat64
	return optim.Adam{
		LR: r.number("lr", 0), Beta1: max(r.number("beta1", 0.9), tiny), Beta2: max(r.number("beta2", 0.999), tiny), Eps: max(r.number("eps", 1e-8), tiny),
		WeightDecay: r.number("weight_decay", 0), Decoupled: r.decoupled(), AMSGrad: r.flag("amsgrad"),
	}
}

// optimizer takes x0 through the steps whose gradients grad_steps are.
func (r *goldenRun) optimizer(o optim.Optimizer) {
	x0, grads := r.input("x0"), r.input("grad_steps")
	n := len(x0.Data)
	if len(grads.Shape) == 0 || !slices.Equal(grads.Shape[1:], x0.Shape) {
		throw("grad_steps has shape %v, x0 %v", grads.Shape, x0.Shape)
	}
	flat := func(data []float64) device.View { return r.put(&Array{Shape: []int{len(data)}, Data: data}, r.typ) }
	s := optim.Slots{W: flat(x0.Data)}
	for range o.States() {
		s.States = append(s.States, flat(make([]float64, n)))
	}
	trajectory := &Array{Shape: grads.Shape}
	for i := range grads.Shape[0] {
		s.G, s.Hyper = flat(grads.Data[i*n:(i+1)*n]), flat([]float64{o.LearningRate(), 1, float64(i + 1), 1})
		o.Update(r.tape, s)
		trajectory.Data = append(trajectory.Data, r.read(s.W).Data...)
	}
	r.direct["trajectory"] = trajectory
	r.direct["final"] = &Array{Shape: x0.Shape, Data: r.read(s.W).Data}
}

// points is lines between the points (steps, values), or with one value more than steps levels that change at them.
func (r *goldenRun) points(steps, values []float64) schedule.Config {
	c := schedule.Config{Name: "piecewise", At: slices.Clone(steps), Values: values}
	if len(values) == len(steps)+1 {
		c.At, c.Hold = slices.Insert(c.At, 0, 0), true
	}
	if n := len(c.At); n > 0 && c.At[n-1] <= 1 { // shares, for Config
		for i := range c.At {
			c.At[i] /= float64(r.expectedRates())
		}
	}
	return c
}

func (r *goldenRun) expectedRates() int {
	want := r.Expected["lr"]
	if want == nil || len(want.Data) == 0 {
		throw("expected.lr is missing")
	}
	return len(want.Data)
}

func (r *goldenRun) table(base float64, c schedule.Config) {
	n := r.expectedRates()
	r.rates(base, c, n, n)
}

// rates is the first n of the rates that c gives for a run of total updates.
func (r *goldenRun) rates(base float64, c schedule.Config, total, n int) {
	t, err := c.Table(total)
	if err != nil {
		throw("%v", err)
	}
	for i := range t {
		t[i] *= base
	}
	r.direct["lr"] = &Array{Shape: []int{n}, Data: t[:n]}
}
