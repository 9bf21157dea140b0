package ops_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// The composed convolution cuts its batch so that columns stay under a limit; here it needs several chunks, the last one
// shorter.
func TestComposedConv2DInChunks(t *testing.T) {
	const n, side, c, o = 50, 24, 16, 8 // columns of an image: 24*24*9*16*8 bytes = 663,552, of all 33 MB
	var got [2][][]float64
	var high [2]int
	for i := range got {
		r := newRig(t, device.F64, 1<<28)
		if i == 1 {
			r.tape.Dev = device.Unfused(r.dev)
		}
		x, w, b := r.param(numbers(n*side*side*c, 1), n, side, side, c), r.param(numbers(o*9*c, 0.2), o, 3, 3, c), r.param(numbers(o, 1), o)
		y := ops.Conv2DAct(r.tape, x, w, b, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Groups: 1}, device.Tanh)
		out := r.read(y.Value())
		r.backward(ops.Mean(r.tape, y, false))
		got[i] = [][]float64{out, r.read(x.Grad()), r.read(w.Grad()), r.read(b.Grad())}
		high[i] = r.arena.High()
	}
	for i := range got[0] {
		require.InDeltaSlice(t, got[0][i], got[1][i], 1e-12) // f64 sums of up to 28,800 terms below 1e-4, or 144 below 1
	}
	require.Less(t, high[1]-high[0], 33<<20, "the composed form may take one chunk of scratch")
}
