//go:build cuda

package cuda

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// GELU and its derivative of every number of 16 bits from -30 to 30, for which they have quick forms: rounded once, from
// within 2e-6 of what they are (normal_cdf_short), and where exponents of half the square of x are large, within their own
// rounding: four of 2^-24 each.
func TestGeluOfHalves(t *testing.T) {
	e := newElements(t)
	for _, typ := range []device.DType{device.F16, device.BF16} {
		var xs []float64
		for bits := range 1 << 16 {
			if x := decode(typ, []byte{byte(bits), byte(bits >> 8)}); math.Abs(x) <= 30 {
				xs = append(xs, x)
			}
		}
		x := e.put(typ, 0, func(i int) float64 { return xs[i] }, len(xs))
		g := e.put(typ, 0, func(int) float64 { return 1 }, len(xs))
		y, dx := e.blank(typ, 0, len(xs)), e.blank(typ, 0, len(xs))
		e.gpu.Unary(device.Gelu, y, x, 0, 0)
		e.gpu.UnaryGrad(device.Gelu, dx, g, x, y, 0, 0)
		ys, ds := e.get(y), e.get(dx)
		for i, x := range xs {
			phi, density := math.Erfc(-x/math.Sqrt2)/2, math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
			for _, v := range []struct{ got, want, most float64 }{{ys[i], x * phi, math.Abs(x) * phi}, {ds[i], phi + x*density, phi + math.Abs(x)*density}} {
				off := (2e-6 + 4*0x1p-24*x*x/2) * v.most
				lo, hi := rounded(typ, v.want-off), rounded(typ, v.want+off)
				require.True(t, lo <= v.got && v.got <= hi, "%v: of %v is %v, want %v", typ, x, v.got, v.want)
			}
		}
		e.free()
	}
}
