package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// The error of Winograd's way beside that of the sum over taps, both against f64: the worst of all elements relative to the
// largest, which the case table bounds by 1e-5.
func TestWinogradError(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures, with large pictures")
	}
	for _, c := range []convCase{
		{2, 31, 31, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{4, 15, 15, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
		{4, 7, 7, 256, 256, 3, 3, conv2DOf(1, 1, 1, 1)},
		{4, 16, 16, 128, 128, 3, 3, conv2DOf(1, 1, 1, 1)},
		{8, 14, 14, 32, 48, 5, 5, conv2DOf(1, 2, 1, 1)},
	} {
		results := func(typ device.DType, off bool) (out [3][]float64) {
			r := newRig(t, 2)
			r.d.noWinograd = off
			x, w, b, y := c.operands(r, typ, false)
			dy, dx, dw := r.normal(typ, y.Shape()...), r.zeros(typ, x.Shape()...), r.zeros(typ, w.Shape()...)
			require.True(t, r.d.Conv2D(y, x, w, b, c.p, device.Identity))
			require.True(t, r.d.Conv2DGradInput(dx, dy, w, c.p))
			require.True(t, r.d.Conv2DGradWeight(dw, x, dy, c.p, 0))
			for i, v := range []device.View{y, dx, dw} {
				out[i] = values(v)
			}
			return out
		}
		want, taps, tiles := results(device.F64, false), results(device.F32, true), results(device.F32, false)
		for i, pass := range []string{"forward", "gradient to the input", "gradient to the weights"} {
			worst := func(got []float64) (far float64) {
				top := 0.0
				for k, v := range want[i] {
					far, top = max(far, math.Abs(v-got[k])), max(top, math.Abs(v))
				}
				return far / top
			}
			of, by := worst(taps[i]), worst(tiles[i])
			t.Logf("%d to %d channels at %dx%d, %s: %.1e, sum over taps %.1e", c.c, c.o, c.h, c.w, pass, by, of)
			assert.False(t, slices.Equal(taps[i], tiles[i]), "Winograd's way did not serve it")
			assert.Less(t, by, 5e-6) // within the table's bound, with room for unlucky numbers
		}
	}
}

// What a pool drops is not computed: of y the last row and column may be missing, in the gradients too.
func TestWinogradCut(t *testing.T) {
	for _, cut := range []int{1, 2, 3} {
		full := convCase{4, 9, 11, 20, 33, 3, 3, conv2DOf(1, 1, 1, 1)}
		r := newRig(t, 2)
		x, w, b, y := full.operands(r, device.F32, false)
		part := r.zeros(device.F32, full.n, full.h-cut, full.w-cut, full.o)
		require.True(t, r.d.Conv2D(y, x, w, b, full.p, device.Relu))
		require.True(t, r.d.Conv2D(part, x, w, b, full.p, device.Relu))
		inside := func(v device.View) device.View { return v.Slice(1, 0, full.h-cut, 1).Slice(2, 0, full.w-cut, 1) }
		near(t, values(inside(y)), values(part), 1e-5, fmt.Sprint("forward without ", cut))

		// A gradient that is 0 in what is missing gives the same.
		dy := r.normal(device.F32, part.Shape()...)
		whole := r.zeros(device.F32, y.Shape()...)
		r.d.Copy(inside(whole), dy)
		dx, dx2, dw, dw2 := r.zeros(device.F32, x.Shape()...), r.zeros(device.F32, x.Shape()...), r.zeros(device.F32, w.Shape()...), r.zeros(device.F32, w.Shape()...)
		require.True(t, r.d.Conv2DGradInput(dx, whole, w, full.p))
		require.True(t, r.d.Conv2DGradInput(dx2, dy, w, full.p))
		require.True(t, r.d.Conv2DGradWeight(dw, x, whole, full.p, 0))
		require.True(t, r.d.Conv2DGradWeight(dw2, x, dy, full.p, 0))
		near(t, values(dx), values(dx2), 1e-4, fmt.Sprint("gradient to the input without ", cut)) // sums of 300 products
		near(t, values(dw), values(dw2), 1e-4, fmt.Sprint("gradient to the weights without ", cut))
	}
}

func TestWinogradSwitch(t *testing.T) {
	c := newConvOf(convCase{4, 8, 8, 16, 16, 3, 3, conv2DOf(1, 1, 1, 1)})
	t.Setenv("ACUMEN_WINOGRAD", "off")
	assert.Nil(t, c.winograd(openTest(t, 1), device.F32, 8, 8, false, false))
	t.Setenv("ACUMEN_WINOGRAD", "on")
	assert.NotNil(t, c.winograd(openTest(t, 1), device.F32, 8, 8, false, false))
	assert.Nil(t, c.winograd(openTest(t, 1), device.F64, 8, 8, false, false))
	t.Setenv("ACUMEN_WINOGRAD", "yes")
	_, err := device.Open("cpu", device.Options{})
	assert.ErrorContains(t, err, `ACUMEN_WINOGRAD is "yes"`)
}

// Which shapes it serves.
func TestWinogradServes(t *testing.T) {
	d := openTest(t, 1)
	const none = ""
	for c, want := range map[convCase]string{
		{20, 4, 4, 16, 16, 3, 3, conv2DOf(1, 1, 1, 1)}:     "F(2, 3)",
		{7, 4, 4, 16, 16, 3, 3, conv2DOf(1, 1, 1, 1)}:      none, // 28 tiles
		{64, 4, 4, 256, 256, 3, 3, conv2DOf(1, 1, 1, 1)}:   "F(4, 3)",
		{64, 6, 6, 256, 256, 3, 3, conv2DOf(1, 1, 1, 1)}:   "F(2, 3)", // both take 144 products
		{20, 32, 32, 15, 16, 3, 3, conv2DOf(1, 1, 1, 1)}:   none,
		{20, 32, 32, 16, 15, 3, 3, conv2DOf(1, 1, 1, 1)}:   none,
		{20, 32, 32, 16, 16, 3, 3, conv2DOf(1, 1, 1, 1)}:   "F(4, 3)",
		{20, 32, 32, 16, 16, 3, 3, conv2DOf(2, 1, 1, 1)}:   none,
		{20, 32, 32, 16, 16, 3, 3, conv2DOf(1, 2, 2, 1)}:   none,
		{20, 32, 32, 32, 32, 3, 3, conv2DOf(1, 1, 1, 2)}:   "F(4, 3)",
		{20, 32, 32, 32, 32, 3, 3, conv2DOf(1, 1, 1, 4)}:   none,
		{100, 3, 3, 256, 256, 3, 3, conv2DOf(1, 1, 1, 1)}:  none, // 49 products where it has 36, but one tile in four is wasted
		{100, 12, 12, 20, 50, 5, 5, conv2DOf(1, 0, 1, 1)}:  "F(2, 5)",
		{100, 32, 32, 64, 64, 1, 1, conv2DOf(1, 0, 1, 1)}:  none,
		{1, 32, 32, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)}:    "F(4, 3)",
		{100, 15, 15, 64, 256, 3, 3, conv2DOf(1, 1, 1, 1)}: "F(4, 3)",
	} {
		conv, have := newConvOf(c), none
		if s := conv.winograd(d, device.F32, conv.oh, conv.ow, false, false); s != nil {
			have = fmt.Sprintf("F(%d, %d)", s.m, s.r)
		}
		assert.Equal(t, want, have, "%v", c)
	}
	for c, want := range map[convCase]bool{ // beside the matrix unit
		{64, 4, 4, 256, 256, 3, 3, conv2DOf(1, 1, 1, 1)}:  false, // transformed weights are fetched for 64 tiles
		{256, 4, 4, 256, 256, 3, 3, conv2DOf(1, 1, 1, 1)}: true,
		{64, 4, 4, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)}:    true,
	} {
		conv := newConvOf(c)
		assert.Equal(t, want, conv.winograd(d, device.F32, conv.oh, conv.ow, false, true) != nil, "%v", c)
	}
}

// newConvOf is the geometry of a case.
func newConvOf(c convCase) conv {
	oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
	return newConv(device.Make(nil, device.F32, 0, c.n, c.h, c.w, c.c), device.Make(nil, device.F32, 0, c.n, oh, ow, c.o), c.kh, c.kw, c.p)
}
