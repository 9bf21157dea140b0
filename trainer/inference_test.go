package trainer_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
)

// What a checkpoint gives in inference is what its training said of it, whatever the size of batches.
func TestInferenceAgreesWithTraining(t *testing.T) {
	train, test := pictures(t, 100, 1), pictures(t, 37, 2)
	for _, precision := range []device.DType{device.F32, device.F64} {
		dev, net := open(t, "cpu", 2), network(t, convNet)
		o := options()
		o.Precision = precision
		res, err := trainer.Fit(context.Background(), dev, net, train, test, o)
		require.NoError(t, err)
		mean, std := data.Normalisation(train)
		other := devicetest.NewDeferred()
		for batch, dev := range map[int]device.Device{1: dev, 16: dev, 64: dev, 20: other} {
			in, err := trainer.NewInference(dev, net, trainer.InferenceOptions{Batch: batch, Mean: mean, Std: std, Precision: precision})
			require.NoError(t, err)
			for range 2 {
				got, err := in.Evaluate(context.Background(), test)
				require.NoError(t, err)
				assert.Equal(t, res.Test.Confusion, got.Confusion, "batches of %d", batch)
				assert.InDelta(t, res.Test.Loss, got.Loss, 1e-6) // f32 sums in other order
			}
			images := make([]byte, 37*64)
			indices := make([]int32, 37)
			for i := range indices {
				indices[i] = int32(i)
			}
			require.NoError(t, test.Images(images, indices))
			rows, err := in.Predict(images)
			require.NoError(t, err)
			require.Len(t, rows, 37)
			right := 0
			for i, row := range rows {
				sum, best := 0.0, 0
				for k, p := range row {
					sum += p
					if p > row[best] {
						best = k
					}
				}
				assert.InDelta(t, 1, sum, 1e-12) // f64 softmax of four numbers
				if int32(best) == test.Labels()[i] {
					right++
				}
			}
			assert.InDelta(t, res.Test.Top1, float64(right)/37, 1e-12)
			require.NoError(t, in.Close())
		}
		require.NoError(t, dev.Close(), "nothing is left on the device")
		require.NoError(t, other.Close())
	}
}

func TestInferenceOutputsOfOtherLosses(t *testing.T) {
	dev, net := open(t, "cpu", 1), network(t, plainNet)
	net.Init(1)
	rows := map[string][][]float64{}
	for _, loss := range []string{"bce", "mse", "l1"} {
		in, err := trainer.NewInference(dev, net, trainer.InferenceOptions{Mean: []float64{0}, Std: []float64{1}, Loss: trainer.Loss{Name: loss}})
		require.NoError(t, err)
		rows[loss], err = in.Predict(make([]byte, 3*64))
		require.NoError(t, err)
		require.NoError(t, in.Close())
	}
	assert.Equal(t, rows["mse"], rows["l1"])
	inside := 0
	for i, row := range rows["mse"] {
		for k, v := range row {
			switch {
			case v == 0: // cut off
				assert.LessOrEqual(t, rows["bce"][i][k], 0.5)
			case v < 1:
				inside++
				assert.InDelta(t, 1/(1+math.Exp(-v)), rows["bce"][i][k], 1e-12) // the same f32 output, in f64
			}
		}
	}
	assert.Positive(t, inside)
	require.NoError(t, dev.Close())
}

func TestInferenceRefuses(t *testing.T) {
	dev, net := open(t, "cpu", 1), network(t, plainNet)
	net.Init(1)
	_, err := trainer.NewInference(dev, net, trainer.InferenceOptions{Mean: []float64{0, 0}, Std: []float64{1, 1}})
	assert.Equal(t, fault.Usage, fault.KindOf(err))
	in, err := trainer.NewInference(dev, net, trainer.InferenceOptions{Mean: []float64{0}, Std: []float64{1}})
	require.NoError(t, err)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	_, err = in.Evaluate(ctx, pictures(t, 20, 1))
	assert.Equal(t, why, err)
	require.NoError(t, in.Close())
	require.NoError(t, dev.Close())
}
