package ops_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// With eps 1e-12 and a mean far from 0 a variance made of E[x^2] - E[x]^2 would be noise.
func TestBatchNormVarianceFarFromZero(t *testing.T) {
	const rows, mean = 4096, 300.0
	for _, fused := range []bool{true, false} {
		r := newRig(t, device.F32, 1<<22)
		if !fused {
			r.tape.Dev = device.Unfused(r.dev)
		}
		data := numbers(rows, 0.01)
		for i := range data {
			data[i] = float64(float32(mean + data[i])) // as f32 holds it
		}
		var mu, sq float64
		for _, v := range data {
			mu += v / rows
		}
		for _, v := range data {
			sq += (v - mu) * (v - mu)
		}
		nextMean, nextVar := r.view(device.F32, []float64{0}, 1), r.view(device.F32, []float64{1}, 1)
		y := ops.BatchNorm(r.tape, r.leaf(data, rows, 1), nil, nil, ops.BatchNormState{NextMean: nextMean, NextVar: nextVar, Momentum: 1, Eps: 1e-12})
		// the mean is rounded to f32, whose steps at 300 are 3e-5; the values lie within 0.01, so y is off by up to 0.003
		out := r.read(y.Value())
		for i, v := range data {
			if !assert.InDelta(t, (v-mu)/math.Sqrt(sq/rows+1e-12), out[i], 0.004, "fused %v", fused) {
				break
			}
		}
		assert.InDelta(t, mu, r.read(nextMean)[0], 2e-5)                              // half a step of f32 at 300
		assert.InEpsilon(t, sq/(rows-1), r.read(nextVar)[0], 1e-4, "fused %v", fused) // f32 sum of 4096 squares, and the mean's rounding squared
		r.end()
	}
}

// Micro-batches move the same running statistics one after the other.
func TestBatchNormMicroBatchesMoveNext(t *testing.T) {
	r := newRig(t, device.F64, 1<<20)
	state := ops.BatchNormState{
		Mean: r.view(device.F64, []float64{5}, 1), Var: r.view(device.F64, []float64{4}, 1),
		NextMean: r.view(device.F64, []float64{5}, 1), NextVar: r.view(device.F64, []float64{4}, 1), Momentum: 0.25, Eps: 1e-5,
	}
	for _, x := range [][]float64{{1, 3}, {2, 6}} { // means 2 and 4, unbiased variances 2 and 8
		ops.BatchNorm(r.tape, r.leaf(x, 2, 1), nil, nil, state)
		r.end()
	}
	assert.InDelta(t, 0.75*(0.75*5+0.25*2)+0.25*4, r.read(state.NextMean)[0], 1e-14) // f64
	assert.InDelta(t, 0.75*(0.75*4+0.25*2)+0.25*8, r.read(state.NextVar)[0], 1e-14)  // f64
	assert.Equal(t, []float64{5}, r.read(state.Mean), "what evaluation reads is committed by the optimiser's step")
	r.tape.Train = false
	y := ops.BatchNorm(r.tape, r.leaf([]float64{1, 9}, 2, 1), nil, nil, state)
	assert.InDeltaSlice(t, []float64{-4 / math.Sqrt(4+1e-5), 4 / math.Sqrt(4+1e-5)}, r.read(y.Value()), 1e-14) // f64
	r.end()
}
