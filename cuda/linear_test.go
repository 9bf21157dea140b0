//go:build cuda

package cuda

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// linearRig skips where there is no cublasLt.
func linearRig(t *testing.T) *matMulRig {
	r := newMatMulRig(t)
	if r.d.blas.light == nil {
		t.Skip("no cublasLt")
	}
	return r
}

// checkLinear compares y with the exact numbers, rounded once.
func (r *matMulRig) checkLinear(y, x, w, b device.View, act device.UnOp) {
	r.t.Helper()
	xs, ws, bs := values(x, r.host[x.Mem]), values(w, r.host[w.Mem]), values(b, r.host[b.Mem])
	n, k := y.D(1), x.D(1)
	for e, g := range values(y, r.read(y)) {
		i, j := e/n, e%n
		s := bs[j]
		for l := range k {
			s += xs[i*k+l] * ws[j*k+l]
		}
		if act == device.Relu {
			s = max(s, 0)
		}
		require.LessOrEqual(r.t, math.Abs(g-s), halfUlp[y.Type]*math.Abs(s), "element %d of %s: %v, want %v", e, y, g, s)
	}
}

// Products with bias and ReLU by cublasLt are exact but for one rounding, called at once and captured, and each is chosen
// once.
func TestLinear(t *testing.T) {
	r := linearRig(t)
	if !r.d.TF32(true) {
		t.Skip("no tensor cores")
	}
	defer r.d.TF32(false)
	for _, typ := range []device.DType{device.F16, device.BF16, device.F32} {
		for _, act := range []device.UnOp{device.Identity, device.Relu} {
			for _, s := range [][3]int{{5, 8, 16}, {1, 24, 8}, {130, 40, 72}, {33, 16, 8}} {
				m, n, k := s[0], s[1], s[2]
				x, w, b, y, z := r.view(typ, 0, m, k+16).Slice(1, 8, k, 1), r.view(typ, 0, n, k), r.view(typ, 0, n), r.view(typ, 0, m, n), r.view(typ, 0, m, n)
				require.True(t, r.d.Linear(y, x, w, b, act), "%s %v", typ, s)
				r.checkLinear(y, x, w, b, act)
				before := len(r.d.blas.chosen)
				g, err := r.d.Capture(func() {
					require.True(t, r.d.Linear(z, x, w, b, act))
					require.True(t, r.d.Linear(y, x, w, b, act))
				})
				require.NoError(t, err)
				assert.Len(t, r.d.blas.chosen, before)
				g.Launch()
				r.checkLinear(z, x, w, b, act)
				g.Close()
			}
		}
	}
	// In a capture that meets it for the first time, at another alignment.
	x, w, b, y := r.view(device.F16, 8, 4, 8), r.view(device.F16, 0, 8, 8), r.view(device.F16, 0, 8), r.view(device.F16, 16, 4, 8)
	g, err := r.d.Capture(func() { require.True(t, r.d.Linear(y, x, w, b, device.Relu)) })
	require.NoError(t, err)
	g.Launch()
	r.checkLinear(y, x, w, b, device.Relu)
	g.Close()

	light := r.d.blas.light
	r.d.blas.light = nil
	assert.False(t, r.d.Linear(y, x, w, b, device.Relu), "without cublasLt")
	r.d.blas.light = light
}

// A ReLU that hides NaN is not used: it would let a run go on that is lost. The bias is added all the same.
func TestLinearKeepsNaN(t *testing.T) {
	for _, relu := range []string{"", "zero"} {
		t.Setenv("ACUSIM_RELU", relu)
		r := linearRig(t)
		if !strings.Contains(r.d.Describe(), "acusim") {
			t.Skip("a true library does as it does")
		}
		x, w, b, y := r.view(device.F16, 0, 4, 8), r.view(device.F16, 0, 8, 8), r.view(device.F16, 0, 8), r.view(device.F16, 0, 4, 8)
		assert.Equal(t, relu == "", r.d.Linear(y, x, w, b, device.Relu))
		assert.Equal(t, relu == "", r.d.Linear(y, x, w, b, device.Relu), "asked again")
		assert.True(t, r.d.Linear(y, x, w, b, device.Identity))
		r.checkLinear(y, x, w, b, device.Identity)
		r.d.Fill(x.Slice(0, 1, 1, 1), math.NaN())
		if relu == "" {
			assert.True(t, r.d.Linear(y, x, w, b, device.Relu))
			got := values(y, r.read(y))
			for i, v := range got {
				assert.Equal(t, i/8 == 1, math.IsNaN(v), "element %d: %v", i, v)
			}
		}
	}
}
