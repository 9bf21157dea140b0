//go:build cuda

package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Draws are equal to the CPU's definition, whatever the layout and however many threads draw.
func TestRandomLarge(t *testing.T) {
	e := newElements(t)
	s := [4]uint32{0xcafe, 0x90000007, 12, 3}
	state := e.put(device.I32, 0, func(i int) float64 { return float64(int32(s[i])) }, 4)
	const stream = 17
	for _, n := range []int{1, 5, 4096, 100003} {
		var words []uint32
		for q := 0; len(words) < n; q++ {
			w := device.Philox([4]uint32{uint32(q), stream, s[2], s[3]}, [2]uint32{s[0], s[1]})
			words = append(words, w[:]...)
		}
		for _, off := range []int{0, 1} {
			uniform, half, bits := e.blank(device.F32, off, n), e.blank(device.BF16, off, n), e.blank(device.I32, off, n)
			normal, exact := e.blank(device.F32, off, n), e.blank(device.F64, off, n)
			e.onAnyGrid(func() {
				e.d.Random(uniform, device.Uniform, state, stream)
				e.d.Random(half, device.Uniform, state, stream)
				e.d.Random(bits, device.Bits, state, stream)
				e.d.Random(normal, device.Normal, state, stream)
				e.d.Random(exact, device.Normal, state, stream)
			}, uniform, half, bits, normal, exact)
			us, hs, bs, ns, ds := e.get(uniform), e.get(half), e.get(bits), e.get(normal), e.get(exact)
			for i := range n {
				require.Equal(t, float64(device.UniformOf(words[i])), us[i])
				require.Equal(t, float64(device.BF16ToF32(device.F32ToBF16(device.UniformOf(words[i])))), hs[i])
				require.Equal(t, float64(int32(words[i])), bs[i])
				pair := i &^ 1
				a, b := device.NormalsOf(words[pair], words[pair+1])
				want := []float64{a, b}[i&1]
				require.InDelta(t, want, ns[i], 1e-6)
				require.InDelta(t, want, ds[i], 1e-14, "calculated in f64")
			}
		}
		e.free()
		state = e.put(device.I32, 0, func(i int) float64 { return float64(int32(s[i])) }, 4)
	}
	rows := e.blank(device.F32, 0, 30, 9)
	e.d.Random(rows.Slice(1, 0, 7, 1), device.Uniform, state, 2)
	crossed := e.blank(device.F32, 0, 7, 30)
	e.d.Random(crossed.T(), device.Uniform, state, 2)
	require.Equal(t, e.get(crossed.T()), e.get(rows.Slice(1, 0, 7, 1)), "the count is row-major in any layout")
}

func TestPermutationLarge(t *testing.T) {
	e := newElements(t)
	s := [4]uint32{1, 2, 3, 0}
	state := e.put(device.I32, 0, func(i int) float64 { return float64(s[i]) }, 4)
	const n = 20011
	y := e.blank(device.I32, 0, n)
	e.onAnyGrid(func() { e.d.Random(y, device.Permutation, state, 5) }, y)
	seen := make([]bool, n)
	for i, v := range e.get(y) {
		require.Equal(t, float64(device.PermutationAt(uint32(i), n, s, 5)), v)
		require.False(t, seen[int(v)])
		seen[int(v)] = true
	}
}

func TestRandomMistakes(t *testing.T) {
	e := newElements(t)
	y, state := e.blank(device.F32, 0, 4), e.blank(device.I32, 0, 4)
	require.PanicsWithValue(t, "cuda.Random.uniform: state f32[4] is not 4 contiguous i32", func() { e.d.Random(y, device.Uniform, y, 0) })
	require.PanicsWithValue(t, "cuda.Random.bits: f32[4] is not i32", func() { e.d.Random(y, device.Bits, state, 0) })
	require.PanicsWithValue(t, "cuda.Binary.add: source f32[4] does not broadcast to f32[2 3]", func() { e.d.Binary(device.Add, e.blank(device.F32, 0, 2, 3), y, y) })
	require.PanicsWithValue(t, "cuda.Copy: destination f32[2 4] strides [0 1] repeats its elements", func() { e.d.Copy(y.Broadcast(2, 4), y) })
	require.PanicsWithValue(t, "cuda.Iota: axis 1 of f32[4]", func() { e.d.Iota(y, 1, 0, 1) })
}
