package ops_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Ties, NaN, -Inf beside padding, and windows without a pixel: fused and composed max pooling agree on values, places
// and gradients, and with plain loops.
func TestMaxPool2DAtTheEdges(t *testing.T) {
	const n, h, w, c = 2, 5, 4, 3
	inf, nan := math.Inf(1), math.NaN()
	data := make([]float64, n*h*w*c)
	for i := range data {
		data[i] = []float64{1, 1, 0, -inf, 2, 2, -inf, nan, -3, inf}[i*7%10]
		if i >= h*w*c && i%c > 0 {
			data[i] = -inf // channels of -Inf alone
		}
	}
	for _, p := range []device.Pool2D{
		{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1},
		{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 1, PadH: 1, PadW: 1, DilH: 1, DilW: 1},
		{KernelH: 3, KernelW: 2, StrideH: 2, StrideW: 3, PadH: 1, PadW: 1, DilH: 2, DilW: 1, Ceil: true},
		{KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 2, PadH: 5, PadW: 4, DilH: 1, DilW: 3}, // windows in the padding
		{KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 1, PadH: 5, DilH: 1, DilW: 1},
	} {
		var values, places, grads [2][]float64
		for i := range values {
			r := newRig(t, device.F64, 1<<20)
			if i == 1 {
				r.tape.Dev = device.Unfused(r.dev)
			}
			x := r.param(data, n, h, w, c)
			y, idx := ops.MaxPool2DWithIndices(r.tape, x, p)
			values[i], places[i] = r.read(y.Value()), r.read(idx.Value())
			oh, ow := y.Dim(1), y.Dim(2)
			at := 0
			for img := range n {
				for a := range oh {
					for b := range ow {
						for ch := range c {
							best, place := math.Inf(-1), -1
							for k := range int(p.KernelH * p.KernelW) {
								row := a*int(p.StrideH) - int(p.PadH) + k/int(p.KernelW)*int(p.DilH)
								col := b*int(p.StrideW) - int(p.PadW) + k%int(p.KernelW)*int(p.DilW)
								if row < 0 || row >= h || col < 0 || col >= w {
									continue
								}
								v := data[((img*h+row)*w+col)*c+ch]
								if place < 0 || v > best || v != v && best == best {
									best, place = v, row*w+col
								}
							}
							require.Equal(t, fmt.Sprint(best, place), fmt.Sprint(values[i][at], int(places[i][at])), "fused %v, %+v, output %d", i == 0, p, at)
							at++
						}
					}
				}
			}
			up := r.leaf(numbers(len(values[i]), 1), y.Shape()...)
			// Values are not finite: the gradient of the product is up, whatever they are.
			r.backward(ops.Sum(r.tape, ops.Mul(r.tape, y, up), false))
			grads[i] = r.read(x.Grad())
			sum, want := 0.0, 0.0
			for _, g := range grads[i] {
				sum += g
			}
			for k, u := range numbers(len(values[i]), 1) {
				if places[i][k] >= 0 {
					want += u
				}
			}
			assert.InDelta(t, want, sum, 1e-12) // f64 sums of some hundred terms below 1
		}
		assert.InDeltaSlice(t, grads[0], grads[1], 1e-14) // the same few terms, perhaps in another order
	}
}

func TestAvgPool2DFusedAndComposedAgree(t *testing.T) {
	const n, h, w, c = 2, 5, 7, 3
	for _, countPad := range []bool{true, false} {
		for _, p := range []device.Pool2D{
			{KernelH: 2, KernelW: 3, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1, Ceil: true},
			{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Ceil: true},
			{KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 3, PadH: 4, PadW: 1, DilH: 1, DilW: 2},
			{KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 1, PadH: 4, DilH: 1, DilW: 1},
		} {
			var got [2][2][]float64
			for i := range got {
				r := newRig(t, device.F64, 1<<20)
				if i == 1 {
					r.tape.Dev = device.Unfused(r.dev)
				}
				x := r.param(numbers(n*h*w*c, 1), n, h, w, c)
				y := ops.AvgPool2D(r.tape, x, p, countPad)
				got[i][0] = r.read(y.Value())
				r.backward(ops.Sum(r.tape, ops.Mul(r.tape, y, y), false))
				got[i][1] = r.read(x.Grad())
			}
			for k := range got[0] {
				require.InDeltaSlice(t, got[0][k], got[1][k], 1e-14, "%+v", p) // f64 sums of at most 9 terms below 1
			}
		}
	}
}
