package optim_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	_ "github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// rig is one group of parameters on a device.
type rig struct {
	t     *testing.T
	dev   device.Device
	mems  []device.Memory
	tape  *ops.Tape
	typ   device.DType
	slots optim.Slots
}

func newRig(t *testing.T, dev device.Device, typ device.DType, o optim.Optimizer, w []float64) *rig {
	r := &rig{t: t, dev: dev, typ: typ}
	t.Cleanup(func() {
		for _, m := range r.mems {
			m.Free()
		}
	})
	r.tape = ops.NewTape(dev, device.NewArena(r.alloc(16*len(w)+1<<12).Mem))
	r.slots = optim.Slots{W: r.alloc(len(w)), G: r.alloc(len(w)), Hyper: r.alloc(device.HyperLen)}
	for range o.States() {
		s := r.alloc(len(w))
		dev.Fill(s, 0)
		r.slots.States = append(r.slots.States, s)
	}
	r.set(r.slots.W, w)
	return r
}

func (r *rig) alloc(n int) device.View {
	m, err := r.dev.Alloc(n * r.typ.Size())
	require.NoError(r.t, err)
	r.mems = append(r.mems, m)
	return device.Make(m, r.typ, 0, n)
}

func (r *rig) set(v device.View, x []float64) {
	b := make([]byte, 0, v.Bytes())
	for _, f := range x {
		if v.Type == device.F64 {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
		}
	}
	r.dev.Upload(v, b)
}

func (r *rig) get(v device.View) []float64 {
	b := make([]byte, v.Bytes())
	require.NoError(r.t, r.dev.Download(b, v))
	x := make([]float64, v.Len())
	for i := range x {
		if v.Type == device.F64 {
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		} else {
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	}
	return x
}

// all is the weights and every state.
func (r *rig) all() (x []float64) {
	x = r.get(r.slots.W)
	for _, s := range r.slots.States {
		x = append(x, r.get(s)...)
	}
	return x
}

// step is one update, with gradients twice too large and a factor that mends it.
func (r *rig) step(o optim.Optimizer, step int, g []float64, ok float64) {
	twice := make([]float64, len(g))
	for i := range g {
		twice[i] = 2 * g[i]
	}
	r.set(r.slots.G, twice)
	r.set(r.slots.Hyper, []float64{o.LearningRate(), 0.5, float64(step), ok})
	o.Update(r.tape, r.slots)
	assert.Zero(r.t, r.tape.Arena.Live())
}

// devices are one with fused kernels, the same without, and one that is lazy.
func devices(t *testing.T) map[string]device.Device {
	devs := map[string]device.Device{}
	for name, spec := range map[string]string{"fused": "cpu", "composed": "cpu", "deferred": "deferred"} {
		d, err := device.Open(spec)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		if name == "composed" {
			d = device.Unfused(d)
		}
		devs[name] = d
	}
	return devs
}

type path struct {
	ID, Op   string
	Params   map[string]any
	Inputs   map[string]struct{ Data []float64 }
	Expected map[string]struct{ Data []float64 }
}

// optimizer is that of a golden case, by way of Config.
func (c path) optimizer(t *testing.T) optim.Optimizer {
	n := func(key string) float64 { v, _ := c.Params[key].(float64); return v }
	on := func(key string) bool { v, _ := c.Params[key].(bool); return v }
	o, err := optim.Config{Name: strings.TrimPrefix(c.Op, "optim."), LR: n("lr"), Momentum: n("momentum"), Dampening: n("dampening"), Nesterov: on("nesterov"), Beta1: n("beta1"), Beta2: n("beta2"),
		Eps: n("eps"), AMSGrad: on("amsgrad"), WeightDecay: n("weight_decay"), Decoupled: c.Params["decay"] == "decoupled"}.Optimizer()
	require.NoError(t, err, c.ID)
	return o
}

// PyTorch's optimisers walk these paths, of up to 20 steps; the file is made by testdata/golden/make_optim.py.
func TestAgainstPyTorch(t *testing.T) {
	b, err := os.ReadFile("../../testdata/golden/optim.json")
	require.NoError(t, err)
	var f struct{ Cases []path }
	require.NoError(t, json.Unmarshal(b, &f))
	for name, dev := range devices(t) {
		fused, updates := 0, 0
		undo := device.Hook(dev, func(c device.Call) error {
			if c.Phase == device.Before && (c.Kernel == "SGD" || c.Kernel == "Adam") {
				fused++
			}
			return nil
		})
		for typ, tolerance := range map[device.DType]float64{
			device.F64: 1e-13, // some roundings a step; measured 1.3e-15
			device.F32: 1e-5,  // the same in float32, over 20 steps; measured 5.2e-7
		} {
			worst, count := 0.0, 0
			for _, c := range f.Cases {
				if !strings.HasPrefix(c.Op, "optim.") {
					continue
				}
				count++
				o := c.optimizer(t)
				w, g := c.Inputs["x0"].Data, c.Inputs["grad_steps"].Data
				r := newRig(t, dev, typ, o, w)
				for i := range len(g) / len(w) {
					r.step(o, i+1, g[i*len(w):(i+1)*len(w)], 1)
					updates++
					var want []float64
					if p, ok := c.Expected["trajectory"]; ok {
						want = p.Data[i*len(w) : (i+1)*len(w)]
					} else if (i+1)*len(w) == len(g) {
						want = c.Expected["final"].Data
					}
					for k, x := range r.get(r.slots.W) {
						if want != nil {
							d := math.Abs(x - want[k])
							if worst = max(worst, d); !(d <= tolerance) {
								t.Errorf("%s, %s %s: element %d after step %d: %v, wanted %v", c.ID, name, typ, k, i+1, x, want[k])
							}
						}
					}
				}
			}
			assert.GreaterOrEqual(t, count, 18)
			t.Logf("%s %s: %d paths, worst error %.2e", name, typ, count, worst)
		}
		undo()
		if name == "fused" {
			assert.Equal(t, updates, fused, "every update is one call")
		} else {
			assert.Zero(t, fused, name)
		}
	}
}

func variants() map[string]optim.Optimizer {
	return map[string]optim.Optimizer{
		"sgd": optim.SGD{LR: 0.1}, "momentum": optim.SGD{LR: 0.1, Momentum: 0.9, WeightDecay: 0.01}, "nesterov": optim.SGD{LR: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01, Decoupled: true},
		"dampened": optim.SGD{LR: 0.1, Momentum: 0.5, Dampening: 0.2}, "adam": optim.Adam{LR: 0.01, WeightDecay: 0.1}, "adamw": optim.AdamW{LR: 0.01, WeightDecay: 0.1}, "amsgrad": optim.Adam{LR: 0.01, AMSGrad: true},
	}
}

// Fused and composed forms agree on sizes around what kernels cut at; a step that is not ok changes no bit, NaN
// gradients or not; a group's own rate and decay do what an optimiser with them does.
func TestForms(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	devs := devices(t)
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rnd.NormFloat64()
		}
		return x
	}
	for name, o := range variants() {
		for _, n := range []int{1, 7, 8193} {
			w, gs := draw(n), [][]float64{draw(n), draw(n), draw(n)}
			bad := draw(n)
			bad[n/2] = math.NaN()
			var first []float64
			for _, on := range []string{"fused", "composed", "deferred"} {
				r := newRig(t, devs[on], device.F64, o, w)
				for i, g := range gs {
					r.step(o, i+1, g, 1)
				}
				before := r.all()
				r.step(o, 4, bad, 0)
				assert.Zero(t, distance(before, r.all()), "%s on %s, %d elements: a step that is not ok", name, on, n)
				if first == nil {
					first = before
				}
				assert.LessOrEqual(t, distance(first, before), 1e-13, "%s on %s, %d elements", name, on, n) // a few roundings of numbers near 1

				decay := 0.3
				own, like := newRig(t, devs[on], device.F64, o, w), newRig(t, devs[on], device.F64, o, w)
				own.slots.Group = optim.Group{LRScale: 0.25, WeightDecay: &decay}
				own.step(o, 1, gs[0], 1)
				same := rescaled(o, 0.25, decay)
				like.step(same, 1, gs[0], 1)
				assert.LessOrEqual(t, distance(like.all(), own.all()), 1e-15, "%s on %s: a group", name, on) // a quarter is exact; decay too
				assert.Equal(t, []float64{o.LearningRate(), 0.5, 1, 1}, own.get(own.slots.Hyper), "the shared numbers stay")
			}
		}
	}
}

// distance is the largest difference; +Inf if there is a NaN, or another number of elements.
func distance(a, b []float64) (worst float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := range a {
		if d := math.Abs(a[i] - b[i]); d > worst || math.IsNaN(d) {
			worst = d
		}
		if math.IsNaN(worst) {
			return math.Inf(1)
		}
	}
	return worst
}

func rescaled(o optim.Optimizer, rate, decay float64) optim.Optimizer {
	switch o := o.(type) {
	case optim.SGD:
		o.LR, o.WeightDecay = o.LR*rate, decay
		return o
	case optim.Adam:
		o.LR, o.WeightDecay = o.LR*rate, decay
		return o
	case optim.AdamW:
		o.LR, o.WeightDecay = o.LR*rate, decay
		return o
	}
	return nil
}

// ClipNorm's factor brings a gradient to PyTorch's clip_grad_norm_.
func TestClipNorm(t *testing.T) {
	for name, dev := range devices(t) {
		for _, c := range []struct {
			g                []float64
			max, norm, scale float64
		}{
			{[]float64{3, 4}, 1, 5, 1 / (5 + 1e-6)}, {[]float64{3, 4}, 10, 5, 1}, {[]float64{0, 0, 0}, 1, 0, 1}, {[]float64{-2}, 2, 2, 2 / (2 + 1e-6)},
		} {
			r := newRig(t, dev, device.F64, optim.SGD{}, c.g)
			out := r.alloc(2)
			r.set(out, []float64{math.NaN(), math.NaN()})
			g, err := dev.Capture(func() {
				optim.ClipNorm(r.tape, out.Slice(0, 0, 1, 1).Reshape(), out.Slice(0, 1, 1, 1).Reshape(), r.slots.W, device.View{}, c.max)
			})
			require.NoError(t, err)
			g.Launch()
			assert.InDeltaSlice(t, []float64{c.scale, c.norm}, r.get(out), 1e-15, "%s: %v", name, c.g) // one rounding each
			assert.Zero(t, r.tape.Arena.Live())
			g.Close()
		}
		r := newRig(t, dev, device.F64, optim.SGD{}, []float64{1, math.NaN()})
		out := r.alloc(2)
		optim.ClipNorm(r.tape, out.Slice(0, 0, 1, 1).Reshape(), out.Slice(0, 1, 1, 1).Reshape(), r.slots.W, device.View{}, 1)
		assert.True(t, math.IsNaN(r.get(out)[1]), "a NaN shows in the norm")
	}
}

func TestConfigMistakes(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		c         optim.Config
		say, hint string
	}{
		{optim.Config{Name: "adma"}, `trainer.optimizer.name: there is no optimizer "adma"`, "did you mean adam?"},
		{optim.Config{}, `there is no optimizer ""`, "sgd, adam, adamw"},
		{optim.Config{Name: "sgd", LR: nan}, "trainer.optimizer.lr: NaN", "finite"},
		{optim.Config{Name: "sgd", LR: -1}, "trainer.optimizer.lr: -1", "from 0 on"},
		{optim.Config{Name: "sgd", LR: inf}, "trainer.optimizer.lr: +Inf", "finite"},
		{optim.Config{Name: "sgd", Momentum: 1}, "trainer.optimizer.momentum: 1", "less than 1"},
		{optim.Config{Name: "adam", Beta1: 1.5}, "trainer.optimizer.beta1: 1.5", "less than 1"},
		{optim.Config{Name: "adam", Beta2: nan}, "trainer.optimizer.beta2: NaN", "less than 1"},
		{optim.Config{Name: "adamw", Eps: -1}, "trainer.optimizer.eps: -1", "from 0 on"},
		{optim.Config{Name: "adamw", WeightDecay: inf}, "trainer.optimizer.weight_decay: +Inf", "finite"},
	} {
		_, err := c.c.Optimizer()
		require.Error(t, err)
		assert.Contains(t, err.Error(), c.say)
		assert.Contains(t, fault.HintOf(err), c.hint)
		assert.Equal(t, fault.Usage, fault.KindOf(err))
	}
	for _, name := range optim.Names() {
		o, err := optim.Config{Name: name, LR: 0.5}.Optimizer()
		require.NoError(t, err)
		assert.Equal(t, name, o.Name())
		assert.Equal(t, 0.5, o.LearningRate())
	}
}

func TestAssign(t *testing.T) {
	paths := []string{"conv1.weight", "conv1.bias", "norm.gamma", "fc.weight", "fc.bias"}
	of, err := optim.Assign(paths, []optim.Group{{Pattern: "conv1.*"}, {Pattern: "*.bias"}})
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1, 0, 0, 2}, of)
	of, err = optim.Assign(paths, nil)
	require.NoError(t, err)
	assert.Equal(t, make([]int, 5), of)
	nan := math.NaN()
	for _, c := range []struct {
		g         optim.Group
		say, hint string
	}{
		{optim.Group{Pattern: "conv2.*"}, `trainer.groups[1].pattern: "conv2.*" matches no parameter`, "conv1.weight, conv1.bias"},
		{optim.Group{Pattern: "["}, `trainer.groups[1].pattern: "[" is not a pattern`, "[a-z]"},
		{optim.Group{Pattern: "*", LRScale: nan}, "trainer.groups[1].lr_scale: NaN", "finite"},
		{optim.Group{Pattern: "*", LRScale: -1}, "trainer.groups[1].lr_scale: -1", "finite"},
		{optim.Group{Pattern: "*", WeightDecay: &nan}, "trainer.groups[1].weight_decay: NaN", "finite"},
	} {
		_, err := optim.Assign(paths, []optim.Group{{Pattern: "*.bias"}, c.g})
		require.Error(t, err)
		assert.Contains(t, err.Error(), c.say)
		assert.Contains(t, fault.HintOf(err), c.hint)
	}
}
