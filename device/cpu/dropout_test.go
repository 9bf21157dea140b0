package cpu

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// uniform is element e of the Uniform draw that state and stream name.
func uniform(state []float64, stream uint32, e int) float32 {
	u := device.Philox([4]uint32{uint32(e / 4), stream, uint32(state[2]), uint32(state[3])}, [2]uint32{uint32(state[0]), uint32(state[1])})
	return device.UniformOf(u[e%4])
}

func TestDropout(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, n := range []int{1, 5, 10007} {
			for _, p := range []float64{0, 0.1, 0.5, 1} {
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					x, y := r.normal(typ, n), r.normal(typ, n)
					state := r.with(device.I32, func(i int) float64 { return float64(10*i + 3) }, 4)
					if want == nil {
						want = values(x)
						for e := range want {
							if want[e] /= 1 - p; uniform(values(state), 7, e) < float32(p) {
								want[e] = 0
							}
						}
					}
					return func() { require.True(t, r.d.Dropout(y, x, state, 7, p)) }, []device.View{y}
				})
				near(t, want, got[0], tolerance(typ, 1), fmt.Sprint(typ, n, p))
			}
		}
	}
}

func TestDropoutIsAnnouncedBeforeItRuns(t *testing.T) {
	r := newRig(t, 1)
	d := r.d
	x, state := r.with(device.F32, func(int) float64 { return 1 }, 100), r.zeros(device.I32, 4)
	defer d.Hook(func(c device.Call) error {
		require.Equal(t, "Dropout", c.Kernel)
		require.Len(t, c.Writes, 1)
		require.Len(t, c.Reads, 2)
		if c.Phase == device.Before {
			return device.ErrSkip
		}
		return nil
	})()
	require.True(t, d.Dropout(x, x, state, 1, 1))
	require.Equal(t, 1.0, values(x)[0], "a dropped call writes nothing")
}

func BenchmarkDropout(b *testing.B) {
	r := newRig(b, 0)
	d := r.d
	x, state := r.zeros(device.F32, 1<<18), r.zeros(device.I32, 4)
	benchmark(b, d, 1<<18, func() { d.Dropout(x, x, state, 1, 0.5) })
}
