package opstest_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops/opstest"
)

// TestTableInHalfPrecision runs every case in f16 and bf16. Sums, statistics and losses must be f32 inside: what is left
// is the rounding of results. A value is rounded once; a gradient feels the roundings of y, dy and itself, and the
// steepness of a function at a rounded y: 4 where 2.5 was measured.
func TestTableInHalfPrecision(t *testing.T) {
	names, devs := devices(t)
	for _, r := range opstest.Table() {
		t.Run(r.Op, func(t *testing.T) {
			for _, typ := range []device.DType{device.F16, device.BF16} {
				for _, name := range names {
					var value, grad float64
					for _, c := range r.Cases {
						v, g, err := opstest.CheckHalf(devs[name], typ, r, c, 1, 4)
						assert.NoError(t, err)
						value, grad = math.Max(value, v), math.Max(grad, g)
					}
					t.Logf("%-14s %-4s %2d cases: value %.2f roundings, gradient %.2f", name, typ, len(r.Cases), value, grad)
				}
			}
		})
	}
}
