package trainer_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// onAccelerators runs f on each device beside the CPU; where there is none, nothing.
func onAccelerators(t *testing.T, f func(t *testing.T, name string)) {
	for _, name := range devicetest.Accelerators() {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// course trains some steps and gives the loss of each, and the engine's network on the host.
func course(t *testing.T, name string, net *model.Network, train, test data.Set, steps int, o trainer.Options) (losses []float64, top1 float64) {
	d := open(t, name, 2)
	e, err := trainer.NewEngine(d, net, train, o)
	require.NoError(t, err)
	for range steps {
		require.NoError(t, e.TrainStep())
		e.RequestMetrics()
		for {
			m, ok, err := e.Metrics(true)
			require.NoError(t, err)
			if !ok {
				break
			}
			losses = append(losses, m.Loss)
		}
	}
	if test != nil {
		r, err := e.Evaluate(context.Background(), test)
		require.NoError(t, err)
		top1 = r.Top1
	}
	require.NoError(t, e.Download())
	require.NoError(t, e.Close())
	require.NoError(t, d.Close())
	require.Len(t, losses, steps)
	return losses, top1
}

// LeNet-5 on MNIST: the loss goes the CPU's way, and 200 steps of 64 teach at least 95 %, captured and not, in f32 and
// in half precision.
func TestLeNet5OnAccelerators(t *testing.T) {
	onAccelerators(t, func(t *testing.T, name string) {
		train, test, err := data.EmbeddedMNIST()
		require.NoError(t, err)
		test, err = data.Limit(test, 1000)
		require.NoError(t, err)
		steps := 200
		if testing.Short() {
			steps, test = 20, nil
		}
		o := trainer.Options{Epochs: 1, Batch: 64, EvalBatch: 250, Seed: 1, Optimizer: optim.Adam{LR: 0.005, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8},
			Schedule: schedule.Config{Name: "piecewise", At: []float64{0, 20, 200}, Values: []float64{0.2, 1, 0.02}}} // the CPU: 97.1 % of all test pictures
		lenet := func() *model.Network { return network(t, `{name: lenet5, input: [28, 28, 1], classes: 10}`) }
		want, _ := course(t, "cpu", lenet(), train, nil, 20, o)
		for _, c := range []struct {
			what  string
			typ   device.DType
			plain bool
			// Mean distances of the loss from the CPU's over the first 10 steps and 20. Rounding, 1e-7 of what is compared,
			// decides about one ReLU or maximum of 5 million in 10 steps or so; Adam makes 3e-3 of that in a later loss.
			// Between the CPU's own f32 and f64 that happens in step 12, 1e-7 before and a mean of 6e-4 with it.
			first, apart float64
		}{
			{"f32", device.F32, false, 1e-5, 2e-3},
			{"f32, not captured", device.F32, true, 1e-5, 2e-3},
			{"f16", device.F16, false, 0.01, 0.02}, // activations rounded to 11 bits
		} {
			t.Run(c.what, func(t *testing.T) {
				p := o
				p.Precision, p.NoCapture = c.typ, c.plain
				losses, top1 := course(t, name, lenet(), train, test, steps, p)
				first, apart := 0.0, 0.0
				for i := range 20 {
					if i < 10 {
						first += math.Abs(losses[i]-want[i]) / 10
					}
					apart += math.Abs(losses[i]-want[i]) / 20
				}
				t.Logf("loss %.4f, the CPU's %.4f at the first step, %.4f and %.4f at the 20th; mean distance %.1e and %.1e", losses[0], want[0], losses[19], want[19], first, apart)
				assert.Less(t, first, c.first)
				assert.Less(t, apart, c.apart)
				if test != nil {
					t.Logf("test accuracy %.1f %%", 100*top1)
					assert.GreaterOrEqual(t, top1, 0.95)
				}
			})
		}
	})
}

// colours is n pictures of 32x32x3 in 10 classes, of which each has its colour, under noise.
func colours(t *testing.T, n int) data.Set {
	rnd := rand.New(rand.NewPCG(1, 2))
	px, labels := make([]byte, n*3072), make([]int32, n)
	for i := range n {
		labels[i] = int32(rnd.IntN(10))
		for j := range 3072 {
			px[i*3072+j] = byte(int(labels[i])*(8+5*(j%3)) + rnd.IntN(90))
		}
	}
	s, err := data.New("colours", []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, tensor.New(tensor.WithShape(n, 32, 32, 3), tensor.WithBacking(px)), tensor.New(tensor.WithShape(n), tensor.WithBacking(labels)))
	require.NoError(t, err)
	return s
}

// small94 is a narrow form of the network that reaches 94 % on CIFAR-10.
const small94 = `{layers: [{conv2d: {out: 24, kernel: 2}}, gelu, {conv2d: {out: 16, kernel: 3, pad: same, bias: false}}, {maxpool: 2}, batchnorm, gelu, {conv2d: {out: 16, kernel: 3, pad: same, bias: false}}, batchnorm, gelu, {conv2d: {out: 32, kernel: 3, pad: same, bias: false}}, {maxpool: 2}, batchnorm, gelu, {maxpool: 3}, flatten, {linear: {out: 10, bias: false}}], input: [32, 32, 3], classes: 10}`

// Three steps of deeper networks end at the CPU's weights.
func TestDeepNetworksOnAccelerators(t *testing.T) {
	if testing.Short() {
		t.Skip("deep networks take a while")
	}
	onAccelerators(t, func(t *testing.T, name string) {
		for what, spec := range map[string]string{"resnet20": `{name: resnet20, input: [32, 32, 3], classes: 10}`, "94 % network": small94} {
			t.Run(what, func(t *testing.T) {
				train := colours(t, 48)
				o := trainer.Options{Epochs: 1, Batch: 16, Seed: 5, Optimizer: optim.SGD{LR: 0.002, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}, Augment: augment.Spec{Flip: true, Pad: 2, Reflect: true}}
				a, b := network(t, spec), network(t, spec)
				want, _ := course(t, "cpu", a, train, nil, 3, o)
				got, _ := course(t, name, b, train, nil, 3, o)
				d := distance(values(a), values(b))
				t.Logf("losses %.6f and %.6f, distance of weights %.1e", want, got, d)
				assert.Less(t, d, 1e-4) // f32 sums in other orders through batch norms of 16 pictures, three times over, and by Winograd's way on the CPU; measured 1.4e-5
			})
		}
	})
}

// What the CPU promises holds on every device: captured steps, read-ahead data, micro-batches after a resume.
func TestBytesOnAccelerators(t *testing.T) {
	onAccelerators(t, func(t *testing.T, name string) {
		train := pictures(t, 70, 1)
		run := func(change func(*trainer.Options)) string {
			o := options()
			change(&o)
			d := open(t, name, 1)
			net := network(t, convNet)
			_, err := trainer.Fit(context.Background(), d, net, train, nil, o)
			require.NoError(t, err)
			require.NoError(t, d.Close())
			return digest(net)
		}
		want := run(func(*trainer.Options) {})
		assert.Equal(t, want, run(func(*trainer.Options) {}), "run again")
		assert.Equal(t, want, run(func(o *trainer.Options) { o.NoCapture = true }), "call by call")
		assert.Equal(t, want, run(func(o *trainer.Options) { o.ResidentBytes = -1 }), "read ahead")
		for _, k := range []int{1, 2, 4} {
			assert.Equal(t, want, run(func(o *trainer.Options) { o.CaptureSteps, o.LogEvery = k, 10 }), "%d steps a graph", k)
		}
		dir := t.TempDir()
		run(func(o *trainer.Options) { o.Dir, o.MaxSteps = dir, 6 })
		assert.Equal(t, want, run(func(o *trainer.Options) { o.Dir, o.Resume = dir, true }), "resumed")
	})
}

// A plan made without the device tells the memory that the device then takes, to the byte. The stand-in is an H100.
func TestPlanIsExactOnAccelerators(t *testing.T) {
	onAccelerators(t, func(t *testing.T, name string) {
		for what, spec := range map[string]string{"conv": convNet, "resnet20": `{name: resnet20, input: [8, 8, 1], classes: 4}`} {
			for _, typ := range []device.DType{device.F32, device.F16} {
				o := options()
				o.Precision, o.MicroBatches = typ, 2
				var uses [2][]trainer.MemoryUse
				var own [2]int
				for i := range uses {
					var d device.Device
					if i == 0 {
						d = open(t, name, 1)
						if !strings.Contains(device.Describe(d), "H100") {
							require.NoError(t, d.Close())
							t.Skip("plans are compared for an H100")
						}
					} else {
						var err error
						d, err = device.Plan("h100")
						require.NoError(t, err)
					}
					e, err := trainer.NewEngine(d, network(t, spec), pictures(t, 100, 1), o)
					require.NoError(t, err)
					for range 3 {
						require.NoError(t, e.TrainStep())
					}
					uses[i] = e.Memory()
					own[i] = d.(interface{ Own() int }).Own()
					require.NoError(t, e.Close())
					require.NoError(t, d.Close())
				}
				t.Logf("%s in %s: %v, its own %d", what, typ, uses[0], own[0])
				assert.Equal(t, uses[0], uses[1], "%s in %s", what, typ)
				assert.Equal(t, own[0], own[1], "%s in %s: scratch", what, typ)
			}
		}
	})
}
