//go:build cuda

package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// uniformAt is element i of the Uniform draw that state and stream name.
func uniformAt(state [4]uint32, stream uint32, i int) float32 {
	u := device.Philox([4]uint32{uint32(i / 4), stream, state[2], state[3]}, [2]uint32{state[0], state[1]})
	return device.UniformOf(u[i%4])
}

func (e *elements) state(s [4]uint32) device.View {
	return e.put(device.I32, 0, func(i int) float64 { return float64(int32(s[i])) }, 4)
}

func TestDropout(t *testing.T) {
	e := newElements(t)
	s := [4]uint32{0xdeadbeef, 13, 23, 33}
	for _, typ := range floatTypes {
		for _, n := range []int{1, 5, 8, 10007} {
			for _, p := range []float64{0, 0.1, 0.5, 1} {
				for _, off := range []int{0, 1} {
					x, y, state := e.normal(typ, off, n), e.blank(typ, off, n), e.state(s)
					want := e.get(x)
					for i := range want {
						if want[i] /= 1 - p; uniformAt(s, 7, i) < float32(p) {
							want[i] = 0
						}
					}
					e.everywhere(func() { require.True(t, e.gpu.Dropout(y, x, state, 7, p)) }, y)
					got := e.get(y)
					e.near(typ, 2, want, got, fmt.Sprint(typ, n, p)) // 1/(1-p) and the product are rounded
					for i, v := range want {
						require.Equal(t, v == 0, got[i] == 0, "the same elements are dropped")
					}
					if off == 0 { // else two blocks have halves of four bytes, which the checked stand-in takes for a race
						e.gpu.Dropout(x, x, state, 7, p)
						require.Equal(t, got, e.get(x), "in place")
					}
				}
			}
			e.free()
		}
	}
	x, state := e.blank(device.F32, 0, 4, 6), e.state(s)
	require.False(t, e.gpu.Dropout(x.T(), x.T(), state, 7, 0.5))
	require.False(t, e.gpu.Dropout(x, x, x, 7, 0.5))
	require.False(t, e.gpu.Dropout(x, e.blank(device.F16, 0, 4, 6), state, 7, 0.5))
}
