package trainer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// Batch norm sees one micro-batch at a time, as in PyTorch: k of them move the running statistics k times. The numbers
// are BatchNorm1d's after three batches of 4 in float64:
//
//	for k in range(3): bn(torch.tensor([[((i*7+k*3)%11)/5-1, ((i*5+k)%13)/4] for i in range(4)]))
func TestMicroBatchesMoveRunningStatistics(t *testing.T) {
	wantMean, wantVar := []float64{0.0145, 0.3604375}, []float64{0.8714733333333333, 1.0494010416666668}
	dev := open(t, "cpu", 2)
	mem, err := dev.Alloc(1 << 16)
	require.NoError(t, err)
	space, err := dev.Alloc(1 << 16)
	require.NoError(t, err)
	stat := func(i int) device.View { return device.Make(mem, device.F64, 2*i, 2) }
	s := ops.BatchNormState{Mean: stat(0), Var: stat(1), NextMean: stat(2), NextVar: stat(3), Momentum: 0.1, Eps: 1e-5}
	for i, v := range []float64{0, 1, 0, 1} {
		dev.Fill(stat(i), v)
	}
	tape := ops.NewTape(dev, device.NewArena(space))
	tape.Train = true
	x := device.Make(mem, device.F64, 100, 4, 2)
	for k := range 3 {
		var rows []float64
		for i := range 4 {
			rows = append(rows, float64((i*7+k*3)%11)/5-1, float64((i*5+k)%13)/4)
		}
		dev.Upload(x, float64Bytes(rows))
		ops.BatchNorm(tape, ops.Leaf(x), nil, nil, s)
		tape.Reset()
	}
	b := make([]byte, 16)
	require.NoError(t, dev.Download(b, s.NextMean))
	assert.InDeltaSlice(t, wantMean, float64s(b), 1e-15) // float64, sums of 4
	require.NoError(t, dev.Download(b, s.NextVar))
	assert.InDeltaSlice(t, wantVar, float64s(b), 1e-15)
	mem.Free()
	space.Free()
	require.NoError(t, dev.Close())
}

// The same through the engine: one update of a whole set in micro-batches of 12, whose order is known.
func TestMicroBatchesMoveRunningStatisticsInTraining(t *testing.T) {
	train := pictures(t, 36, 1)
	net := network(t, `{layers: [flatten, batchnorm, {linear: 4}], input: [8, 8, 1], classes: 4}`)
	d := open(t, "cpu", 2)
	e, err := trainer.NewEngine(d, net, train, trainer.Options{Epochs: 1, Batch: 36, MicroBatches: 3, Optimizer: optim.SGD{LR: 0.1}, Seed: 3, Precision: device.F64, Mean: []float64{0}, Std: []float64{1}})
	require.NoError(t, err)
	require.NoError(t, e.TrainStep())
	require.NoError(t, e.Download())
	require.NoError(t, e.Close())
	require.NoError(t, d.Close())

	order, px := make([]int32, 36), make([]byte, 64)
	data.Permutation(order, [4]uint32{3, 0, 0, 0}, 1<<17)
	mean, variance := make([]float64, 64), make([]float64, 64)
	for i := range variance {
		variance[i] = 1
	}
	for k := range 3 {
		sum, sq := make([]float64, 64), make([]float64, 64)
		for _, at := range order[12*k : 12*k+12] {
			require.NoError(t, train.Images(px, []int32{at}))
			for i, b := range px {
				v := float64(float32(b) * float32(1/255.0))
				sum[i] += v
				sq[i] += v * v
			}
		}
		for i := range mean {
			m := sum[i] / 12
			mean[i] = 0.9*mean[i] + 0.1*m
			variance[i] = 0.9*variance[i] + 0.1*(sq[i]-12*m*m)/11
		}
	}
	got := map[string][]float64{}
	for _, b := range net.Buffers() {
		got[b.Path] = b.Value.Data().([]float64)
	}
	require.Len(t, got, 2)
	for path, want := range map[string][]float64{"batchnorm_1.running_mean": mean, "batchnorm_1.running_var": variance} {
		require.Contains(t, got, path)
		assert.InDeltaSlice(t, want, got[path], 1e-7) // pictures are normalised in f32
	}
}
