package trainer_test

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// lenetLike is lenet5 for 8x8 pictures: tanh, average pooling, biases everywhere, no batch norm.
const lenetLike = `{layers: [{conv2d: {out: 6, kernel: 3, pad: same}}, tanh, {avgpool: 2}, {conv2d: {out: 8, kernel: 3}}, tanh, flatten, {linear: 16}, tanh, {linear: 4}], input: [8, 8, 1], classes: 4}`

const smoothNet = `{layers: [{conv2d: {out: 6, kernel: 3, pad: same}}, tanh, {avgpool: 2}, {dropout: 0.2}, {conv2d: {out: 8, kernel: 3, pad: same, bias: false}}, batchnorm, tanh, flatten, {linear: 4}], input: [8, 8, 1], classes: 4}`

// curve trains n steps and gives what each step told.
func curve(t testing.TB, dev device.Device, net *model.Network, train data.Set, o trainer.Options, n int) []trainer.StepMetrics {
	t.Helper()
	e, err := trainer.NewEngine(dev, net, train, o)
	require.NoError(t, err)
	var all []trainer.StepMetrics
	for range n {
		require.NoError(t, e.TrainStep())
		e.RequestMetrics()
		m, ok, err := e.Metrics(true)
		require.NoError(t, err)
		require.True(t, ok)
		all = append(all, m)
	}
	require.NoError(t, e.Download())
	require.NoError(t, e.Close())
	return all
}

// stray is the mean distance of two loss curves.
func stray(a, b []trainer.StepMetrics) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Abs(a[i].Loss - b[i].Loss)
	}
	return sum / float64(len(a))
}

// Half precision trains as f32 does: the loss falls along nearly the same curve.
func TestHalfPrecisionFollowsF32(t *testing.T) {
	const steps = 60
	train := pictures(t, 150, 1)
	// A rounding is 2^-11 of a number in f16 and 2^-8 in bf16, and the mean over a batch evens thousands of them out: losses
	// near 1 stray by less than one rounding, tolerances are two and one. Behind relu and max pooling a number that rounds
	// to the other side of 0 or of its neighbour turns a whole gradient on or off: a single one of 1024 that sum up with
	// changing signs is 1/32 of their sum, and in f16 there is about one of those in a batch. Measured: see the log.
	for name, c := range map[string]struct {
		spec      string
		f16, bf16 float64
	}{"lenet-like": {lenetLike, 1e-3, 4e-3}, "smooth batch norm": {smoothNet, 1e-3, 4e-3}, "relu, maxpool, batch norm": {convNet, 1. / 32, 1. / 32}} {
		run := func(p device.DType, stored bool) []trainer.StepMetrics {
			o := options()
			o.Epochs, o.Precision = 6, p
			d := open(t, "cpu", 2)
			defer d.Close()
			if stored {
				return curve(t, withoutProducts{d}, network(t, c.spec), train, o, steps)
			}
			return curve(t, d, network(t, c.spec), train, o, steps)
		}
		want := run(device.F32, false)
		assert.Less(t, want[steps-1].Loss, want[0].Loss/2, name)
		for _, as := range []struct {
			p         device.DType
			stored    bool
			tolerance float64
		}{{device.F16, true, c.f16}, {device.BF16, true, c.bf16}, {device.BF16, false, c.bf16}} {
			p := as.p
			got := run(p, as.stored)
			d := stray(want, got)
			t.Logf("%s, %s, stored %t: mean distance of losses %.2g; last loss %.4f, f32 %.4f", name, p, as.stored, d, got[steps-1].Loss, want[steps-1].Loss)
			assert.Less(t, d, as.tolerance, "%s, %s", name, p)
			assert.Positive(t, d, "%s, %s: it is f32 after all", name, p)
			for _, m := range got {
				assert.True(t, m.Alive)
				assert.Zero(t, m.Skipped)
			}
		}
	}
}

// roundings counts the numbers of net that half precision does not hold.
func roundings(net *model.Network) (params, buffers int) {
	odd := func(x []float32) (n int) {
		for _, v := range x {
			if device.F16ToF32(device.F32ToF16(v)) != v && device.BF16ToF32(device.F32ToBF16(v)) != v {
				n++
			}
		}
		return n
	}
	for _, p := range net.Params() {
		params += odd(p.Value.Data().([]float32))
	}
	for _, b := range net.Buffers() {
		buffers += odd(b.Value.Data().([]float32))
	}
	return params, buffers
}

// withoutProducts is a device that stores activations in the precision, as it has no products of f32 numbers in bf16.
type withoutProducts struct{ device.Device }

func (d withoutProducts) BF16Products(on bool) bool { return !on }

func (d withoutProducts) Unwrap() device.Device { return d.Device }

// What is written by a step and outlives it is f32, and so are losses and statistics on their way there.
func TestHalfPrecisionKeepsF32(t *testing.T) {
	for _, p := range []device.DType{device.F16, device.BF16} {
		o := options()
		o.Precision, o.NoCapture = p, true
		d := device.Device(withoutProducts{open(t, "cpu", 2)})
		kernels := map[device.DType]int{}
		defer device.Hook(d, func(c device.Call) error {
			if c.Phase == device.Before && len(c.Writes) > 0 {
				kernels[c.Writes[0].Type]++
			}
			switch {
			case c.Phase != device.Before:
			case c.Kernel == "SGD":
				for _, v := range append(c.Writes, c.Reads...) {
					assert.Equal(t, device.F32, v.Type, c.Kernel)
				}
			case c.Kernel == "Unary.exp" || c.Kernel == "SoftmaxCrossEntropy" || c.Kernel == "Unary.sqrt" || c.Kernel == "Unary.recip":
				assert.Equal(t, device.F32, c.Writes[0].Type, c.Kernel)
			}
			return nil
		})()
		net := network(t, convNet)
		curve(t, d, net, pictures(t, 64, 1), o, 4)
		assert.Greater(t, kernels[p], 40, "activations and their gradients are %s", p)
		params, buffers := roundings(net)
		assert.Greater(t, params, 500, p)
		assert.Greater(t, buffers, 8, p)
		require.NoError(t, d.Close())
	}
}

// Products in bf16 take nothing but their factors in it: all that is stored is f32, and the switch is off again at the end.
func TestBF16ProductsOfF32(t *testing.T) {
	o := options()
	o.Precision, o.NoCapture = device.BF16, true
	d := open(t, "cpu", 2)
	defer device.Hook(d, func(c device.Call) error {
		for _, v := range append(c.Writes, c.Reads...) {
			assert.NotEqual(t, device.BF16, v.Type, c.Kernel)
		}
		return nil
	})()
	net, f32 := network(t, convNet), network(t, convNet)
	curve(t, d, net, pictures(t, 64, 1), o, 4)
	o.Precision = device.F32
	a := curve(t, d, f32, pictures(t, 64, 1), o, 4)
	fresh := open(t, "cpu", 2)
	assert.Equal(t, a, curve(t, fresh, network(t, convNet), pictures(t, 64, 1), o, 4), "f32 after bf16 is f32")
	assert.NotEqual(t, digest(f32), digest(net))
	require.NoError(t, fresh.Close())
	require.NoError(t, d.Close())
}

// wideNet has enough channels for Winograd's way.
const wideNet = `{layers: [{conv2d: {out: 24, kernel: 3, pad: same}}, tanh, {avgpool: 2}, {conv2d: {out: 32, kernel: 3, pad: same}}, tanh, {conv2d: {out: 32, kernel: 3, pad: same, bias: false}}, batchnorm, tanh, {avgpool: 2}, flatten, {linear: 10}], input: [32, 32, 3], classes: 10}`

// Transformed tiles are rounded, too, and gradients from tiles of 6x6 err by a hundredth: the loss falls as it does in f32.
func TestBF16ProductsByWinogradsWay(t *testing.T) {
	train := colours(t, 160)
	run := func(p device.DType) []trainer.StepMetrics {
		d := open(t, "cpu", 2)
		defer d.Close()
		o := trainer.Options{Epochs: 5, Batch: 32, Seed: 5, Precision: p, Optimizer: optim.SGD{LR: 0.003, Momentum: 0.9, Nesterov: true}}
		return curve(t, d, network(t, wideNet), train, o, 25)
	}
	want, got := run(device.F32), run(device.BF16)
	t.Setenv("ACUMEN_WINOGRAD", "off")
	taps := run(device.BF16)
	t.Logf("mean distance of losses %.2g, of sums over taps %.2g; last loss %.4f, f32 %.4f, at first %.4f", stray(want, got), stray(want, taps), got[24].Loss, want[24].Loss, want[0].Loss)
	assert.Less(t, want[24].Loss, want[0].Loss/2)
	assert.Less(t, stray(want, got), 4e-3) // a rounding, as above; measured 6e-4
	d := open(t, "cpu", 1)
	defer d.Close()
	if strings.HasSuffix(device.Describe(d), "amx") {
		assert.Zero(t, stray(taps, got), "beside a matrix unit Winograd's way is not worth it")
	} else {
		assert.Positive(t, stray(taps, got), "sums over taps served it")
	}
}

func TestHalfReplayEqualsPlain(t *testing.T) {
	train := pictures(t, 60, 1)
	for _, p := range []device.DType{device.F16, device.BF16} {
		var digests []string
		for _, plain := range []bool{false, true} {
			d, net, o := open(t, "cpu", 1+len(digests)), network(t, convNet), options()
			o.Epochs, o.NoCapture, o.Precision, o.MicroBatches = 10, plain, p, 2
			o.LossScale = trainer.LossScale{Dynamic: true, Scale: 1 << 22, GrowEvery: 3}
			m := curve(t, d, net, train, o, 24)
			if p == device.F16 {
				assert.Greater(t, m[23].Skipped, 3, "it overflows again and again")
			}
			digests = append(digests, digest(net))
			require.NoError(t, d.Close())
		}
		assert.Equal(t, digests[0], digests[1], p)
	}
}

func TestHalfStepsAllocateNothing(t *testing.T) {
	for _, p := range []device.DType{device.F16, device.BF16} {
		stepsAllocateNothing(t, p)
	}
}

func stepsAllocateNothing(t *testing.T, p device.DType) {
	d, o := open(t, "cpu", 2), options()
	o.Epochs, o.Precision, o.ClipNorm, o.MicroBatches = 100, p, 1, 2
	e, err := trainer.NewEngine(d, network(t, convNet), pictures(t, 150, 1), o)
	require.NoError(t, err)
	steps := func(n int) {
		for range n {
			if err := e.TrainStep(); err != nil {
				t.Fatal(err)
			}
			e.RequestMetrics()
			if m, ok, err := e.Metrics(true); err != nil || !ok || !m.Alive {
				t.Fatal(m, ok, err)
			}
		}
	}
	steps(2*e.StepsPerEpoch() + 1)
	runtime.GC()
	least := uint64(math.MaxUint64)
	for window := 0; window < 5 && least > 0; window++ { // as TestStepsAllocateNothing says
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		steps(50)
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	assert.Zero(t, least)
	require.NoError(t, e.Close())
	require.NoError(t, d.Close())
}

// A device whose calls run late, from memory that no one sees, comes to the same in f16.
func TestHalfOnDeferredDevice(t *testing.T) {
	train := pictures(t, 48, 1)
	o := options()
	o.Precision, o.Augment = device.F16, augment.Spec{}
	o.LossScale = trainer.LossScale{Dynamic: true, Scale: 1 << 22, GrowEvery: 4}
	cpu, late := network(t, convNet), network(t, convNet)
	d := open(t, "cpu", 2)
	a := curve(t, d, cpu, train, o, 6)
	require.NoError(t, d.Close())
	d = devicetest.NewDeferred()
	b := curve(t, d, late, train, o, 6)
	require.NoError(t, d.Close())
	assert.Positive(t, a[5].Skipped)
	for i := range a {
		assert.Equal(t, a[i].LossScale, b[i].LossScale, "step %d", i+1)
		assert.Equal(t, a[i].Skipped, b[i].Skipped, "step %d", i+1)
	}
	assert.Less(t, stray(a, b), 2e-3)                         // sums in another order, now and then another rounding to f16
	assert.Less(t, distance(values(cpu), values(late)), 5e-3) // the same, after six steps
}

func TestHalfMicroBatches(t *testing.T) {
	train := pictures(t, 120, 1)
	run := func(k int) []float64 {
		o, net, d := options(), network(t, lenetLike), open(t, "cpu", 2)
		o.Batch, o.MicroBatches, o.Precision, o.Augment = 24, k, device.F16, augment.Spec{}
		curve(t, d, net, train, o, 10)
		require.NoError(t, d.Close())
		return values(net)
	}
	whole := run(1)
	for _, k := range []int{2, 3} {
		assert.Less(t, distance(whole, run(k)), 2e-3, "%d parts", k) // a rounding of f16 is 5e-4; those of ten steps
	}
}

// A checkpoint of half precision needs nothing else: in its own precision it evaluates as in training, in f32 nearly so.
func TestHalfInference(t *testing.T) {
	train, test := pictures(t, 150, 1), pictures(t, 40, 2)
	for _, p := range []device.DType{device.F16, device.BF16} {
		dev, net, o := open(t, "cpu", 2), network(t, convNet), options()
		o.Precision, o.Epochs = p, 3
		res, err := trainer.Fit(context.Background(), dev, net, train, test, o)
		require.NoError(t, err)
		mean, std := data.Normalisation(train)
		for as, tolerance := range map[device.DType]float64{p: 1e-6, device.F32: 0.02} { // the same roundings; those of 150 steps of bf16's 2^-8
			in, err := trainer.NewInference(dev, net, trainer.InferenceOptions{Batch: 16, Mean: mean, Std: std, Precision: as})
			require.NoError(t, err)
			got, err := in.Evaluate(context.Background(), test)
			require.NoError(t, err)
			assert.InDelta(t, res.Test.Loss, got.Loss, tolerance, "%s as %s", p, as)
			images := make([]byte, 3*64)
			require.NoError(t, test.Images(images, []int32{0, 1, 2}))
			rows, err := in.Predict(images)
			require.NoError(t, err)
			for _, row := range rows {
				assert.InDelta(t, 1, row[0]+row[1]+row[2]+row[3], 1e-12) // a softmax in f64
			}
			require.NoError(t, in.Close())
		}
		require.NoError(t, dev.Close(), "nothing is left on the device")
	}
}

// tensorCores is a device that has TF32, as far as a switch can tell.
type tensorCores struct {
	device.Device
	on, can bool
	seen    map[bool]int // calls under the switch's state
}

func (d *tensorCores) TF32(on bool) bool {
	d.on = on && d.can
	return d.on == on
}

func (d *tensorCores) Unwrap() device.Device { return d.Device }

func (d *tensorCores) MatMul(y, a, b device.View, alpha, beta float64) {
	d.seen[d.on]++
	d.Device.MatMul(y, a, b, alpha, beta)
}

func TestTF32(t *testing.T) {
	train, o := pictures(t, 32, 1), options()
	o.TF32 = true
	for what, dev := range map[string]device.Device{"cpu": open(t, "cpu", 1), "a GPU that is too old": &tensorCores{Device: open(t, "cpu", 1)}} {
		_, err := trainer.NewEngine(dev, network(t, plainNet), train, o)
		require.Error(t, err, what)
		assert.Equal(t, fault.Usage, fault.KindOf(err), what)
		assert.Equal(t, "precision: device cpu has no tf32; it has bf16, f16, f32, f64", err.Error())
		assert.NotEmpty(t, fault.HintOf(err))
		require.NoError(t, dev.Close())
	}
	dev := &tensorCores{Device: open(t, "cpu", 1), can: true, seen: map[bool]int{}}
	a, err := trainer.NewEngine(dev, network(t, plainNet), train, o)
	require.NoError(t, err)
	dev.seen = map[bool]int{}
	require.NoError(t, a.TrainStep())
	assert.Positive(t, dev.seen[true])
	assert.Zero(t, dev.seen[false])
	o.TF32 = false
	dev.seen = map[bool]int{}
	b, err := trainer.NewEngine(dev, network(t, plainNet), train, o)
	require.NoError(t, err)
	require.NoError(t, b.TrainStep())
	assert.Zero(t, dev.seen[true], "each network has its own precision")
	require.NoError(t, b.Close())
	require.NoError(t, a.Close())
	assert.False(t, dev.on)
	require.NoError(t, dev.Close())

	o.TF32, o.Precision = true, device.F16
	dev = &tensorCores{Device: open(t, "cpu", 1), can: true}
	_, err = trainer.NewEngine(dev, network(t, plainNet), train, o)
	assert.ErrorContains(t, err, "not of f16")
	o.TF32, o.Precision = false, device.I32
	_, err = trainer.NewEngine(dev, network(t, plainNet), train, o)
	assert.ErrorContains(t, err, "precision: i32")
	require.NoError(t, dev.Close())
}
