package cpu

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Sums over taps of products of parts are as near to those in f64 as sums of f32 products have to be.
func TestConv2DSplit(t *testing.T) {
	eachSplitLevel(t, func(t *testing.T) {
		most := 0 // products: the definition of the unit is slow
		if !simd.MatrixUnit() {
			most = 3e5
		}
		for i, c := range inTime(pairCases, 5e5) {
			var wantY, wantX []float64
			if most > 0 && c.n*c.h*c.w*c.kh*c.kw*c.c*c.o > most {
				continue
			}
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				r.d.split, r.d.noWinograd = true, true
				x, w, b, y := c.operands(r, device.F32, i%2 == 0)
				dy, dx := r.normal(device.F32, y.Shape()...), r.normal(device.F32, x.Shape()...)
				if wantY == nil {
					xs, ws, gs, bs := values(x), values(w), values(dy), values(b)
					wantY, wantX = make([]float64, y.Len()), make([]float64, x.Len())
					c.convLoops(func(y, x, w int) {
						wantY[y] += xs[x] * ws[w]
						wantX[x] += gs[y] * ws[w]
					})
					for i := range wantY {
						wantY[i] = max(wantY[i]+bs[i%c.o], 0)
					}
				}
				return func() {
					require.True(t, r.d.Conv2D(y, x, w, b, c.p, device.Relu))
					require.True(t, r.d.Conv2DGradInput(dx, dy, w, c.p))
				}, []device.View{y, dx}
			})
			near(t, wantY, got[0], tolerance(device.F32, c.kh*c.kw*c.c), fmt.Sprint("y ", c))
			near(t, wantX, got[1], tolerance(device.F32, c.kh*c.kw*c.o), fmt.Sprint("dx ", c))
		}
	})
}

// Which convolutions the unit serves in f32 follows from shapes and the instruction set.
func TestConv2DSplitServes(t *testing.T) {
	parts := func(c convCase) int {
		conv := conv{n: c.n, oh: c.h, ow: c.w, kh: c.kh, kw: c.kw, cg: c.c, og: c.o}
		_, _, parts := convFactors[float32](openTest(t, 1), &conv, c.c, c.o)
		return parts
	}
	three := 1
	if simd.MatrixUnit() {
		three = simd.Parts
	}
	for _, c := range []struct {
		convCase
		want int
	}{
		{convCase{64, 16, 16, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)}, three},
		{convCase{64, 16, 16, 64, 512, 1, 1, conv2DOf(1, 0, 1, 1)}, three},
		{convCase{64, 16, 16, 64, 256, 1, 1, conv2DOf(1, 0, 1, 1)}, 1}, // a pixel meets few weights
		{convCase{1, 16, 16, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)}, 1},   // weights meet few pixels
		{convCase{64, 16, 16, 32, 64, 3, 3, conv2DOf(1, 1, 1, 1)}, 1},  // few channels
		{convCase{64, 16, 16, 68, 64, 3, 3, conv2DOf(1, 1, 1, 1)}, 1},  // 34 pairs
		{convCase{64, 16, 16, 3, 64, 3, 3, conv2DOf(1, 1, 1, 1)}, 1},
	} {
		require.Equal(t, c.want, parts(c.convCase), "%v", c.convCase)
	}
	d := openTest(t, 1)
	c := conv{n: 64, oh: 16, ow: 16, kh: 3, kw: 3}
	d.BF16Products(true)
	_, per, one := convFactors[float32](d, &c, 64, 64)
	require.Equal(t, [2]int{2, 1}, [2]int{per, one}, "numbers are rounded to bf16, not split")
	_, per, one = convFactors[float64](d, &c, 64, 64)
	require.Equal(t, [2]int{1, 1}, [2]int{per, one})
}
