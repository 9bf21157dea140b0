package cpu

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Vector kernels convert as package device says, bit for bit: all numbers of 16 bits, and of f32 every 251st and those round
// the middle between two.
func TestHalf(t *testing.T) {
	var levels []simd.Level
	for l := simd.AVX2; l <= simd.Active(); l++ {
		levels = append(levels, l)
	}
	narrow := make([]uint16, 1<<16)
	for i := range narrow {
		narrow[i] = uint16(i)
	}
	var wide []float32
	for u := uint64(0); u < 1<<32; u += 251 {
		wide = append(wide, math.Float32frombits(uint32(u)))
	}
	for i := range uint32(1 << 16) {
		for _, low := range []uint32{0x7fff, 0x8000, 0x8001} { // bf16
			wide = append(wide, math.Float32frombits(i<<16|low))
		}
		for _, h := range []uint16{uint16(i)} { // f16
			m := math.Float32bits(device.F16ToF32(h))
			wide = append(wide, math.Float32frombits(m+0xfff), math.Float32frombits(m+0x1000), math.Float32frombits(m+0x1001))
		}
	}
	for _, l := range levels {
		y := make([]float32, len(narrow))
		require.True(t, simd.FromF16(l, y, narrow))
		for i, h := range narrow {
			if want := device.F16ToF32(h); math.Float32bits(want) != math.Float32bits(y[i]) && want == want {
				require.Failf(t, "f16", "%s: %#x is %v, not %v", l, h, want, y[i])
			} else if want != want && y[i] == y[i] {
				require.Failf(t, "f16", "%s: %#x is NaN, not %v", l, h, y[i])
			}
		}
		require.True(t, simd.FromBF16(l, y, narrow))
		for i, h := range narrow {
			if want := device.BF16ToF32(h); math.Float32bits(want) != math.Float32bits(y[i]) {
				require.Failf(t, "bf16", "%s: %#x is %v, not %v", l, h, want, y[i])
			}
		}
		z := make([]uint16, len(wide))
		require.True(t, simd.ToF16(l, z, wide))
		for i, v := range wide {
			if want := device.F32ToF16(v); want != z[i] {
				require.Failf(t, "f16", "%s: %v (%#x) becomes %#x, not %#x", l, v, math.Float32bits(v), z[i], want)
			}
		}
		require.True(t, simd.ToBF16(l, z, wide))
		for i, v := range wide {
			if want := device.F32ToBF16(v); want != z[i] {
				require.Failf(t, "bf16", "%s: %v (%#x) becomes %#x, not %#x", l, v, math.Float32bits(v), z[i], want)
			}
		}
	}
}
