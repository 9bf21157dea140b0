package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// eachSplitLevel runs f with the matrix unit, where there is one, and with its definition in Go.
func eachSplitLevel(t *testing.T, f func(t *testing.T)) {
	for name, disable := range map[string]func() func(){"unit": func() func() { return func() {} }, "avx512": simd.DisableMatrixUnit, "avx2": simd.DisableAVX512, "generic": simd.DisableAll} {
		t.Run(name, func(t *testing.T) {
			defer disable()()
			if name == "unit" && !simd.MatrixUnit() {
				t.Skip("this processor has no matrix unit for bf16")
			}
			f(t)
		})
	}
}

func TestMatMulSplit(t *testing.T) {
	all := [][3]int{{1, 1, 1}, {2, 3, 4}, {3, 2, 9}, {40, 33, 31}, {65, 10, 84}, {33, 65, 129}, {129, 131, 520}, {300, 2100, 70}, {70, 300, 1030}}
	eachSplitLevel(t, func(t *testing.T) {
		sizes := all
		switch {
		case testing.Short():
			sizes = all[:4] // the race detector makes them slow
		case !simd.MatrixUnit():
			sizes = all[:6] // so does the definition
		}
		for _, s := range sizes {
			for form := range 16 { // a and b transposed or not, y transposed, beta
				m, n, k := s[0], s[1], s[2]
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					r.d.split = true
					a, b, y := r.normal(device.F32, m, k), r.normal(device.F32, k, n), r.normal(device.F32, m, n)
					if form&1 != 0 {
						a = r.normal(device.F32, k, m).T()
					}
					if form&2 != 0 {
						b = r.normal(device.F32, n, k).T()
					}
					if form&4 != 0 {
						y = r.normal(device.F32, n, m).T()
					}
					beta := float64(form >> 3 * 2)
					if want == nil {
						want = matMulLoops(y, a, b, 1, beta)
					}
					return func() { r.d.MatMul(y, a, b, 1, beta) }, []device.View{y}
				})
				near(t, want, got[0], tolerance(device.F32, k), fmt.Sprint(s, " form ", form))
			}
		}
		for name, cut := range matMulStrides(device.F32) {
			for _, beta := range []float64{0, 2} {
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					r.d.split = true
					y, a, b := cut(r)
					if want == nil {
						want = matMulLoops(y, a, b, 1, beta)
					}
					return func() { r.d.MatMul(y, a, b, 1, beta) }, []device.View{y}
				})
				near(t, want, got[0], tolerance(device.F32, 16), fmt.Sprint(name, ", beta ", beta))
			}
		}
	})
}

// Sums of products of parts err no more than sums of f32 products do: by the root mean square of what they are off, and by the
// greatest, both as shares of the sum of what is added without its signs, whatever numbers they are.
func TestMatMulSplitErrs(t *testing.T) {
	const m, n, k = 48, 40, 700
	for name, number := range map[string]func(r *rig) func(i int) float64{
		"normal":   func(r *rig) func(int) float64 { return func(int) float64 { return r.rnd.NormFloat64() } },
		"positive": func(r *rig) func(int) float64 { return func(int) float64 { return r.rnd.Float64() } },
		"of many magnitudes": func(r *rig) func(int) float64 {
			return func(int) float64 { return r.rnd.NormFloat64() * math.Exp(8*r.rnd.NormFloat64()) }
		},
		"that cancel": func(r *rig) func(int) float64 {
			return func(i int) float64 { return float64(1-i%2*2) + 1e-3*r.rnd.NormFloat64() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			errs := func(split bool) (rms, most float64) {
				if !split {
					defer simd.DisableMatrixUnit()()
				}
				r := newRig(t, 1)
				r.d.split = split
				x := number(r)
				a, b, y := r.with(device.F32, x, m, k), r.with(device.F32, x, k, n), r.zeros(device.F32, m, n)
				r.d.MatMul(y, a, b, 1, 0)
				as, bs := values(a), values(b)
				for i, got := range values(y) {
					var want, size float64
					for l := range k {
						p := as[i/n*k+l] * bs[l*n+i%n]
						want, size = want+p, size+math.Abs(p)
					}
					off := (got - want) / size
					rms, most = rms+off*off, max(most, math.Abs(off))
				}
				return math.Sqrt(rms/(m*n)) * 0x1p24, most * 0x1p24
			}
			rms, most := errs(true)
			plainRMS, plainMost := errs(false)
			t.Logf("in units of 2^-24: %.3f, at most %.3f; sums of f32 products %.3f, at most %.3f", rms, most, plainRMS, plainMost)
			require.Less(t, rms, plainRMS)
			require.Less(t, most, plainMost)
		})
	}
}

// One product is off by the three products of parts that are left out, and by roundings of sums.
func TestMatMulSplitOfOneProduct(t *testing.T) {
	r := newRig(t, 1)
	r.d.split = true
	a, b, y := r.normal(device.F32, 200, 1), r.normal(device.F32, 1, 200), r.zeros(device.F32, 200, 200)
	r.d.MatMul(y, a, b, 1, 0)
	as, bs, off := values(a), values(b), 0.0
	for i, got := range values(y) {
		want := as[i/200] * bs[i%200]
		off = max(off, math.Abs(got-want)/math.Abs(want))
	}
	require.Less(t, off, 0x1p-22)
	one := r.with(device.F32, func(i int) float64 { return float64(i%2*2 - 1) }, 1, 200) // what a number is multiplied by 1 is the number
	r.d.MatMul(y, a, one, 1, 0)
	for i, got := range values(y) {
		require.Equal(t, as[i/200]*float64(i%2*2-1), got)
	}
}

// What is infinite makes NaN of what it meets, and nothing else.
func TestMatMulSplitInfinitiesStayInTheirRows(t *testing.T) {
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		r.d.split = true
		y, b := r.zeros(device.F32, 40, 5), r.normal(device.F32, 70, 5)
		a := r.with(device.F32, func(i int) float64 {
			switch i {
			case 70 + 8:
				return math.NaN()
			case 35*70 + 69:
				return math.Inf(1)
			}
			return 1
		}, 40, 70)
		return func() { r.d.MatMul(y, a, b, 1, 0) }, []device.View{y}
	})
	for i, v := range got[0] {
		require.Equal(t, i/5 == 1 || i/5 == 35, math.IsNaN(v), i)
	}
}
