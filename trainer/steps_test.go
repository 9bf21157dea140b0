package trainer_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/model/modeltest"
	"github.com/acumen-ml/acumen/trainer/optim"
)

const (
	// 20 steps magnify a difference in the last bit, 1e-16, by at most the 1e5 that PyTorch's float32 run shows; measured
	// 5e-15.
	stepsTolerance64 = 1e-9
	// One step of float32: weights are right to a rounding, 6e-8, running statistics to sums of some thousand such terms;
	// measured 1.2e-7.
	firstTolerance32 = 1e-5
	// Any run in float32 strays from the float64 one by chance, and PyTorch's straying is one draw of that chance;
	// measured 1.8 times that.
	strayFactor32 = 10
)

type goldenSteps struct {
	LR, Momentum    float64
	WeightDecay     float64 `json:"weight_decay"`
	Batch           int
	Losses          []float64
	After1          map[string]modeltest.Digest `json:"after_1"`
	After20         map[string]modeltest.Digest `json:"after_20"`
	Float32Distance map[string]float64          `json:"float32_distance"`
}

// Twenty steps of SGD from the same weights on the same batches end where PyTorch ends.
func TestTwentyStepsAgreeWithPyTorch(t *testing.T) {
	for name, input := range map[string][3]int{"lenet5": {28, 28, 1}, "resnet20": {32, 32, 3}} {
		var want goldenSteps
		require.NoError(t, modeltest.Load("../testdata/golden/steps_"+name+".json", &want))
		require.Len(t, want.Losses, 20)
		if testing.Short() && name == "resnet20" {
			continue
		}
		t.Run(name+"/f64", func(t *testing.T) {
			losses := runSteps(t, name, input, device.F64, want, func(step int, path string, x *tensor.Dense) {
				d := want.After20[path]
				if step == 1 {
					d = want.After1[path]
				}
				assert.LessOrEqual(t, d.Distance(x), stepsTolerance64, "%s after step %d", path, step)
			})
			for i, l := range want.Losses {
				assert.InEpsilon(t, l, losses[i], stepsTolerance64, "loss of step %d", i+1)
			}
		})
		t.Run(name+"/f32", func(t *testing.T) {
			runSteps(t, name, input, device.F32, want, func(step int, path string, x *tensor.Dense) {
				if step == 1 {
					assert.LessOrEqual(t, want.After1[path].Distance(x), firstTolerance32, "%s after step 1", path)
				} else {
					assert.LessOrEqual(t, want.After20[path].Distance(x), strayFactor32*want.Float32Distance[path], "%s after step 20", path)
				}
			})
		})
	}
}

// runSteps trains as testdata/golden/make_networks.py does, and shows each parameter and buffer after steps 1 and 20.
func runSteps(t *testing.T, name string, input [3]int, typ device.DType, want goldenSteps, see func(step int, path string, x *tensor.Dense)) (losses []float64) {
	dev, err := device.Open("cpu")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	net, err := model.New(name, input, 10)
	require.NoError(t, err)
	modeltest.Fill(net)
	r := modeltest.NewRig(t, dev, net, typ)
	opt := optim.SGD{LR: want.LR, Momentum: want.Momentum, WeightDecay: want.WeightDecay}
	var states []device.View
	for range opt.States() {
		flat, err := r.Store.Flat()
		require.NoError(t, err)
		states = append(states, flat)
	}
	hyper := r.Upload(typ, []int{device.HyperLen}, make([]byte, device.HyperLen*typ.Size()))
	for step := 1; step <= len(want.Losses); step++ {
		x, labels := modeltest.Batch(fmt.Sprintf("%s.%d", name, step), want.Batch, input)
		_, loss := r.Step(x, labels)
		losses = append(losses, loss)
		set(dev, hyper, device.HyperLR, want.LR)
		set(dev, hyper, device.HyperGradScale, 1)
		set(dev, hyper, device.HyperStep, float64(step))
		set(dev, hyper, device.HyperOK, 1)
		r.Run(func() {
			opt.Update(r.Tape, optim.Slots{W: r.Store.W, G: r.Store.G, States: states, Hyper: hyper, Group: optim.Group{LRScale: 1}})
		})
		r.Commit()
		if step != 1 && step != len(want.Losses) {
			continue
		}
		require.NoError(t, r.Store.Download())
		for _, p := range net.Params() {
			see(step, p.Path, p.Value)
		}
		for _, b := range net.Buffers() {
			see(step, b.Path, b.Value)
		}
	}
	return losses
}

// set writes one of the optimiser's numbers.
func set(dev device.Device, hyper device.View, i int, f float64) {
	at := device.Make(hyper.Mem, hyper.Type, hyper.Off+i)
	if hyper.Type == device.F64 {
		dev.Upload(at, binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)))
	} else {
		dev.Upload(at, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(f))))
	}
}
