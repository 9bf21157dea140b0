package ops_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/ops"
)

// rig is a device with a step arena whose freed memory is poisoned with NaN, so that a stale read shows.
type rig struct {
	t     *testing.T
	dev   device.Device
	arena *device.Arena
	tape  *ops.Tape
	typ   device.DType
}

func newRig(t *testing.T, typ device.DType, arenaBytes int) *rig {
	dev, err := device.Open("cpu")
	require.NoError(t, err)
	r := &rig{t: t, dev: dev, typ: typ}
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	r.arena = device.NewArena(r.alloc(arenaBytes))
	r.arena.Poison = func(v device.View) {
		if v.Type.IsInt() {
			dev.Fill(v, 77)
		} else {
			dev.Fill(v, math.NaN())
		}
	}
	r.tape = ops.NewTape(dev, r.arena)
	r.tape.Train = true
	state := r.view(device.I32, []float64{7, 9, 3, 1}, 4)
	r.tape.RNG = state
	return r
}

func (r *rig) alloc(n int) device.Memory {
	m, err := r.dev.Alloc(n)
	require.NoError(r.t, err)
	r.t.Cleanup(m.Free)
	return m
}

// view is persistent memory of type typ with the given numbers, zeros if there are none.
func (r *rig) view(typ device.DType, data []float64, dims ...int) device.View {
	n := 1
	for _, d := range dims {
		n *= d
	}
	v := device.Make(r.alloc(max(n*typ.Size(), 1)), typ, 0, dims...)
	if data == nil {
		r.dev.Fill(v, 0)
		return v
	}
	require.Len(r.t, data, n)
	wide := device.Make(r.alloc(max(n*8, 1)), device.F64, 0, dims...)
	b := make([]byte, 0, n*8)
	for _, x := range data {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	r.dev.Upload(wide, b)
	r.dev.Copy(v, wide)
	return v
}

// read gives the elements of v, row by row.
func (r *rig) read(v device.View) []float64 {
	wide := device.Make(r.alloc(max(v.Len()*8, 1)), device.F64, 0, v.Shape()...)
	r.dev.Copy(wide, v)
	b := make([]byte, v.Len()*8)
	require.NoError(r.t, r.dev.Download(b, wide))
	out := make([]float64, v.Len())
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}

func (r *rig) leaf(data []float64, dims ...int) *ops.Tensor {
	return ops.Leaf(r.view(r.typ, data, dims...))
}

// param has a gradient of zeros, at least f32.
func (r *rig) param(data []float64, dims ...int) *ops.Tensor {
	g := r.typ
	if g != device.F64 {
		g = device.F32
	}
	return ops.Param(r.view(r.typ, data, dims...), r.view(g, nil, dims...))
}

// backward seeds 1 and checks that nothing of the step is left in the arena.
func (r *rig) backward(loss *ops.Tensor) {
	one := r.view(device.F64, []float64{1})
	r.tape.Backward(loss, one)
	r.end()
}

func (r *rig) end() {
	r.tape.Reset()
	require.Zero(r.t, r.arena.Live(), "bytes left in the arena")
	require.NoError(r.t, r.dev.Sync())
}

// numbers are n fixed numbers in (-scale, scale), no two alike, none near 0.
func numbers(n int, scale float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		u := math.Mod(float64(i)*0.6180339887498949+0.217, 1)*2 - 1
		out[i] = scale * (u + math.Copysign(0.01, u))
	}
	return out
}
