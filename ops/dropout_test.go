package ops_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

func TestDropout(t *testing.T) {
	const n, p = 403, 0.3
	for _, fused := range []bool{true, false} {
		r := newRig(t, device.F64, 1<<20)
		if !fused {
			r.tape.Dev = device.Unfused(r.dev)
		}
		data := numbers(n, 2)
		for step := range 2 { // a step that starts anew draws the same streams
			x := r.param(data, n)
			a := ops.Dropout(r.tape, x, p)
			b := ops.Dropout(r.tape, x, p)
			got := [][]float64{r.read(a.Value()), r.read(b.Value())}
			grad := make([]float64, n)
			for use, y := range got {
				for i := range y {
					word := device.Philox([4]uint32{uint32(i / 4), uint32(use + 1), 3, 1}, [2]uint32{7, 9})[i%4]
					want := 0.0
					if device.UniformOf(word) >= float32(p) {
						want = data[i] / (1 - p)
						grad[i] += float64(use+1) / (1 - p)
					}
					if !assert.InDelta(t, want, y[i], 1e-15*abs(want)+0, "step %d, use %d, element %d", step, use, i) { // two roundings
						return
					}
				}
			}
			assert.NotEqual(t, got[0], got[1])
			r.backward(ops.Sum(r.tape, ops.Add(r.tape, a, ops.Scale(r.tape, b, 2)), false))
			assert.InDeltaSlice(t, grad, r.read(x.Grad()), 1e-14) // a sum of two numbers below 5
		}
		r.tape.Train = false
		x := r.param(data, n)
		y := ops.Dropout(r.tape, x, p)
		assert.Equal(t, data, r.read(y.Value()), "evaluation is the identity")
		r.tape.Train = true
		all := ops.Dropout(r.tape, x, 1)
		assert.Equal(t, make([]float64, n), r.read(all.Value()), "p = 1 leaves nothing")
		r.end()
	}
}
