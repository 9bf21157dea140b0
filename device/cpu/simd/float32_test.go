package simd

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// relativeError is the largest over every 997th float32 in absolute value from lo to hi, of both signs, except where
// want is subnormal.
func relativeError(lo, hi float32, got func(float32) float32, want func(float64) float64) (worst float64, at float32) {
	for bits := math.Float32bits(lo); bits < math.Float32bits(hi); bits += 997 {
		for _, x := range []float32{math.Float32frombits(bits), -math.Float32frombits(bits)} {
			w := want(float64(x))
			if e := math.Abs(float64(got(x))-w) / math.Abs(w); math.Abs(w) >= 0x1p-126 && !(e <= worst) {
				worst, at = e, x
			}
		}
	}
	return worst, at
}

func TestExp32(t *testing.T) {
	worst := 0.0
	for x := -104.0; x < 89; x += 0.0137 {
		want, got := math.Exp(float64(float32(x))), float64(exp32(float32(x)))
		if want < 0x1p-126 { // a subnormal has fewer bits
			require.InDelta(t, want, got, 0x1p-149)
		} else if want <= math.MaxFloat32 {
			worst = max(worst, math.Abs(got-want)/want)
		}
	}
	require.Less(t, worst, 1.3e-7) // two roundings of 6e-8 at most; measured 1.2e-7
	require.True(t, math.IsNaN(float64(exp32(float32(math.NaN())))))
	require.True(t, math.IsInf(float64(exp32(100)), 1))
	require.Zero(t, exp32(float32(math.Inf(-1))))
}

func TestTanh32(t *testing.T) {
	worst, at := relativeError(0x1p-126, 100, tanh32, math.Tanh)
	t.Logf("worst error %.3g, at %v", worst, at)
	assert.Less(t, worst, 3e-7) // as its comment says
	inf := float32(math.Inf(1))
	assert.Equal(t, []float32{1, -1, 0}, []float32{tanh32(inf), tanh32(-inf), tanh32(0)})
	assert.True(t, math.Signbit(float64(tanh32(float32(math.Copysign(0, -1))))))
	nan := tanh32(float32(math.NaN()))
	assert.True(t, nan != nan)
}

func TestNormalCDF32(t *testing.T) {
	cdf := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	worst, at := relativeError(0x1p-126, 6, normalCDF32, cdf)
	t.Logf("worst error %.3g, at %v", worst, at)
	assert.Less(t, worst, 1.4e-6) // x^2/2, up to 18, is rounded to 2^-24 of itself: 1.1e-6; then e^x, P and the products
	for x := float32(-40); x < -6; x += 0.001 {
		require.InDelta(t, cdf(float64(x)), normalCDF32(x), 1e-10)
		require.Equal(t, float32(1), normalCDF32(-x))
	}
	inf := float32(math.Inf(1))
	assert.Equal(t, []float32{1, 0, 0.5}, []float32{normalCDF32(inf), normalCDF32(-inf), normalCDF32(0)})
	nan := normalCDF32(float32(math.NaN()))
	assert.True(t, nan != nan)
}

func TestPositive(t *testing.T) {
	inf := math.Inf(1)
	x := []float64{0, math.Copysign(0, -1), 0x1p-1074, -0x1p-1074, 1, -1, inf, -inf, math.NaN(), math.Copysign(math.NaN(), -1)}
	y, g := make([]float64, len(x)), []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	positive(y, g, x)
	assert.Equal(t, []float64{0, 0, 3, 0, 5, 0, 7, 0, 0, 0}, y)
	x32, y32, g32 := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
	for i := range x {
		x32[i], g32[i] = float32(x[i]), float32(g[i])
	}
	x32[2], x32[3] = 0x1p-149, -0x1p-149
	positive(y32, g32, x32)
	assert.Equal(t, []float32{0, 0, 3, 0, 5, 0, 7, 0, 0, 0}, y32)
}
