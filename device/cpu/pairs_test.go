package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// rounded is v as products in bf16 see it.
func rounded(v device.View) []float64 {
	x := values(v)
	for i := range x {
		x[i] = float64(device.BF16ToF32(device.F32ToBF16(float32(x[i]))))
	}
	return x
}

// eachPairLevel runs f with the matrix unit for pairs, where there is one, with the instruction for them, without it and without
// vector kernels.
func eachPairLevel(t *testing.T, f func(t *testing.T)) {
	for name, disable := range map[string]func() func(){"unit": func() func() { return func() {} }, "dots": simd.DisableMatrixUnit, "avx2": simd.DisableDots, "generic": simd.DisableAll} {
		t.Run(name, func(t *testing.T) {
			defer disable()()
			if name == "unit" && !simd.MatrixUnit() {
				t.Skip("this processor has no matrix unit for bf16")
			}
			f(t)
		})
	}
}

var pairCases = append([]convCase{
	{1, 6, 6, 2, 3, 1, 1, conv2DOf(1, 0, 1, 1)},
	{20, 6, 7, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
	{17, 5, 5, 33, 40, 3, 3, conv2DOf(1, 1, 1, 1)},
	{16, 4, 4, 64, 65, 1, 1, conv2DOf(1, 0, 1, 1)},
	{33, 9, 9, 3, 24, 2, 2, conv2DOf(1, 0, 1, 1)},
	{4, 12, 11, 5, 7, 3, 5, conv2DOf(1, 2, 1, 1)},
	{19, 8, 8, 18, 10, 3, 3, conv2DOf(2, 1, 1, 2)},
	{3, 7, 7, 600, 5, 1, 1, conv2DOf(1, 0, 1, 1)},
	{2, 5, 5, 520, 34, 3, 3, conv2DOf(1, 1, 1, 1)},
}, convCases...)

// Products of factors rounded to bf16 are exact in f32, so that sums over taps differ from those in f64 as sums of f32 products
// do.
func TestConv2DInPairs(t *testing.T) {
	eachPairLevel(t, func(t *testing.T) {
		for i, c := range inTime(pairCases, 5e5) {
			deep := c.p.Groups == 1 || c.c != int(c.p.Groups) || c.o != c.c // else depthwise
			seen := rounded
			if !deep {
				seen = values
			}
			var wantY, wantX, wantW []float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				r.d.BF16Products(true)
				r.d.noWinograd = true
				x, w, b, y := c.operands(r, device.F32, i%2 == 0)
				dy := r.normal(device.F32, y.Shape()...)
				dx, dw, dw2 := r.normal(device.F32, x.Shape()...), r.normal(device.F32, w.Shape()...), r.normal(device.F32, w.Shape()...)
				if wantY == nil {
					xs, ws, gs, bs := seen(x), seen(w), seen(dy), values(b)
					wantY, wantX, wantW = make([]float64, y.Len()), make([]float64, x.Len()), make([]float64, 2*w.Len())
					for i, v := range values(dw2) {
						wantW[w.Len()+i] = 2 * v
					}
					c.convLoops(func(y, x, w int) {
						wantY[y] += xs[x] * ws[w]
						wantX[x] += gs[y] * ws[w]
						wantW[w] += gs[y] * xs[x]
						wantW[len(ws)+w] += gs[y] * xs[x]
					})
					for i := range wantY {
						wantY[i] = max(wantY[i]+bs[i%c.o], 0)
					}
				}
				return func() {
					require.True(t, r.d.Conv2D(y, x, w, b, c.p, device.Relu))
					require.True(t, r.d.Conv2DGradInput(dx, dy, w, c.p))
					require.True(t, r.d.Conv2DGradWeight(dw, x, dy, c.p, 0))
					require.True(t, r.d.Conv2DGradWeight(dw2, x, dy, c.p, 2))
				}, []device.View{y, dx, dw, dw2}
			})
			near(t, wantY, got[0], tolerance(device.F32, c.kh*c.kw*c.c), fmt.Sprint("y ", c))
			near(t, wantX, got[1], tolerance(device.F32, c.kh*c.kw*c.o), fmt.Sprint("dx ", c))
			near(t, wantW, append(got[2], got[3]...), tolerance(device.F32, c.n*c.h*c.w), fmt.Sprint("dw ", c))
		}
	})
}

// By Winograd's way what is rounded are transformed tiles. Errors, root mean squares beside those of results, against sums in
// f64: over taps 2.3e-3, which is a rounding of each factor; by F(2x2, 3x3), with which forward passes make do, 3.9e-3; by the
// others 1.2e-2.
func TestWinogradInPairs(t *testing.T) {
	eachPairLevel(t, func(t *testing.T) {
		if simd.MatrixUnit() {
			return // sums over taps are faster there
		}
		cases := []convCase{
			{2, 15, 15, 24, 40, 3, 3, conv2DOf(1, 1, 1, 1)},
			{2, 15, 14, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)},
			{9, 7, 7, 65, 67, 3, 3, conv2DOf(1, 1, 1, 1)},
			{8, 8, 8, 66, 66, 3, 3, conv2DOf(1, 1, 1, 2)},
			{1, 14, 14, 64, 66, 5, 5, conv2DOf(1, 2, 1, 1)},
		}
		if testing.Short() {
			cases = cases[:1]
		} else if simd.Active() == simd.Generic {
			cases = cases[:2] // it is slow
		}
		for i, c := range cases {
			var want [3][]float64
			results := func(winograd bool) [][]float64 {
				return everywhere(t, func(r *rig) (func(), []device.View) {
					x, w, _, y := c.operands(r, device.F32, i%2 == 0)
					dy, dx, dw := r.normal(device.F32, y.Shape()...), r.zeros(device.F32, x.Shape()...), r.zeros(device.F32, w.Shape()...)
					if want[0] == nil {
						xs, ws, gs := values(x), values(w), values(dy)
						want = [3][]float64{make([]float64, y.Len()), make([]float64, x.Len()), make([]float64, w.Len())}
						c.convLoops(func(y, x, w int) {
							want[0][y] += xs[x] * ws[w]
							want[1][x] += gs[y] * ws[w]
							want[2][w] += gs[y] * xs[x]
						})
					}
					r.d.BF16Products(true)
					r.d.noWinograd = !winograd
					return func() {
						require.True(t, r.d.Conv2D(y, x, w, device.View{}, c.p, device.Identity))
						require.True(t, r.d.Conv2DGradInput(dx, dy, w, c.p))
						require.True(t, r.d.Conv2DGradWeight(dw, x, dy, c.p, 0))
					}, []device.View{y, dx, dw}
				})
			}
			taps, tiles := results(false), results(true)
			for k, pass := range []string{"forward", "gradient to the input", "gradient to the weights"} {
				error := func(got []float64) float64 {
					var off, all float64
					for j, v := range want[k] {
						off, all = off+(v-got[j])*(v-got[j]), all+v*v
					}
					return math.Sqrt(off / all)
				}
				of, by, most := error(taps[k]), error(tiles[k]), 1.6e-2
				if k == 0 {
					most = 4.5e-3
				}
				t.Logf("%v, %s: %.1e, sum over taps %.1e", c, pass, by, of)
				require.Less(t, of, 2.7e-3, "%v, %s", c, pass)
				require.Less(t, by, most, "%v, %s", c, pass)
				require.True(t, k == 0 || by != of, "%v, %s: Winograd's way did not serve it", c, pass)
			}
		}
	})
}

func TestMatMulInPairs(t *testing.T) {
	sizes := [][3]int{{1, 1, 1}, {2, 3, 4}, {3, 2, 9}, {1, 17, 5}, {17, 1, 5}, {5, 7, 1}, {4, 4, 0}, {1, 700, 33}, {33, 65, 129}, {64, 10, 84}, {129, 131, 1100}, {3, 3, 1031}}
	if testing.Short() {
		sizes = sizes[:10]
	}
	typ := device.F32
	eachPairLevel(t, func(t *testing.T) {
		for _, s := range sizes {
			for form := range 16 { // a and b transposed or not, y transposed, alpha and beta
				m, n, k := s[0], s[1], s[2]
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					r.d.BF16Products(true)
					a, b, y := r.normal(typ, m, k), r.normal(typ, k, n), r.normal(typ, m, n)
					if form&1 != 0 {
						a = r.normal(typ, k, m).T()
					}
					if form&2 != 0 {
						b = r.normal(typ, n, k).T()
					}
					if form&4 != 0 {
						y = r.normal(typ, n, m).T()
					}
					alpha, beta := 1.0, 0.0
					if form&8 != 0 {
						alpha, beta = -0.5, 2
					}
					if want == nil {
						want = matMulRounded(r, y, a, b, alpha, beta)
					}
					return func() { r.d.MatMul(y, a, b, alpha, beta) }, []device.View{y}
				})
				near(t, want, got[0], tolerance(typ, k), fmt.Sprint(s, " form ", form))
			}
		}
		strides := matMulStrides(typ)
		if !testing.Short() {
			const k = 4608
			strides["long rows, every second number"] = func(r *rig) (y, a, b device.View) {
				return r.zeros(typ, 64, 64), r.normal(typ, 64, 2*k).Slice(1, 0, k, 2), r.normal(typ, k, 64)
			}
			strides["long rows, the last first"] = func(r *rig) (y, a, b device.View) {
				return r.zeros(typ, 64, 64), r.normal(typ, 64, k).Flip(0), r.normal(typ, k, 64)
			}
		}
		for name, cut := range strides {
			var want []float64
			terms := 0
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				r.d.BF16Products(true)
				y, a, b := cut(r)
				terms = a.D(-1)
				if want == nil {
					want = matMulRounded(r, y, a, b, 1, 0)
				}
				return func() { r.d.MatMul(y, a, b, 1, 0) }, []device.View{y}
			})
			near(t, want, got[0], tolerance(typ, terms), name)
		}
	})
}

// matMulRounded is the definition for factors rounded to bf16.
func matMulRounded(r *rig, y, a, b device.View, alpha, beta float64) []float64 {
	again := func(v device.View) device.View { // contiguous
		x := rounded(v)
		return r.with(device.F32, func(i int) float64 { return x[i] }, v.Shape()...)
	}
	return matMulLoops(y, again(a), again(b), alpha, beta)
}

// The switch is about f32 numbers alone, and calls are as it was when they were made.
func TestBF16ProductsAreSwitched(t *testing.T) {
	r := newRig(t, 2)
	d := r.d
	a, b, y := r.normal(device.F32, 20, 30), r.normal(device.F32, 30, 20), r.zeros(device.F32, 20, 20)
	product := func() []float64 {
		d.MatMul(y, a, b, 1, 0)
		return values(y)
	}
	exact := product()
	require.True(t, d.BF16Products(true))
	coarse := product()
	require.NotEqual(t, exact, coarse)
	near(t, exact, coarse, 2*8e-3, "two roundings to 8 bits")
	g, err := d.Capture(func() { d.MatMul(y, a, b, 1, 0) })
	require.NoError(t, err)
	require.True(t, d.BF16Products(false))
	require.Equal(t, exact, product())
	g.Launch()
	require.Equal(t, coarse, values(y))
	g.Close()

	wide, a64, b64 := r.zeros(device.F64, 20, 20), r.normal(device.F64, 20, 30), r.normal(device.F64, 30, 20)
	d.MatMul(wide, a64, b64, 1, 0)
	exact = values(wide)
	d.BF16Products(true)
	d.MatMul(wide, a64, b64, 1, 0)
	require.Equal(t, exact, values(wide), "products of f64 numbers stay as they are")
}
