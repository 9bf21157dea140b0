package devicetest

import (
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// state is a view of random state: seed low and high, step, micro-batch.
func (r *rig) state(s [4]uint32) device.View {
	x := make([]float64, 4)
	for i, v := range s {
		x[i] = float64(int32(v))
	}
	return r.put(r.place(shifted, device.I32, 4), x)
}

func testRandom(r *rig) {
	for _, s := range [][4]uint32{{1, 0, 0, 0}, {0xdeadbeef, 0x80000001, 7, 3}} {
		state := r.state(s)
		for l := range layouts {
			for i, dims := range [][]int{{}, {0}, {1}, {3}, {4}, {5, 7}, {2, 3, 5}, {3000}} {
				stream := uint32(11 * i)
				uniform, wide, half := r.place(l, device.F32, dims...), r.place(l, device.F64, dims...), r.place(l, device.F16, dims...)
				bits, normal, normal64 := r.place(l, device.I32, dims...), r.place(l, device.F32, dims...), r.place(l, device.F64, dims...)
				r.d.Random(uniform, device.Uniform, state, stream)
				r.d.Random(wide, device.Uniform, state, stream)
				r.d.Random(half, device.Uniform, state, stream)
				r.d.Random(bits, device.Bits, state, stream)
				r.d.Random(normal, device.Normal, state, stream)
				r.d.Random(normal64, device.Normal, state, stream)
				var us, bs, ns []float64
				for e := range uniform.Len() {
					w := device.Philox([4]uint32{uint32(e / 4), stream, s[2], s[3]}, [2]uint32{s[0], s[1]})
					us = append(us, float64(device.UniformOf(w[e%4])))
					bs = append(bs, float64(int32(w[e%4])))
					pair := e % 4 &^ 1
					n0, n1 := device.NormalsOf(w[pair], w[pair+1])
					ns = append(ns, []float64{n0, n1}[e%2])
				}
				require.Equal(r.t, append([]float64{}, us...), r.get(uniform), "bit for bit")
				require.Equal(r.t, append([]float64{}, us...), r.get(wide), "bit for bit")
				require.Equal(r.t, append([]float64{}, bs...), r.get(bits), "bit for bit")
				r.same(device.F16, us, r.get(half), 1, "Random.uniform %s", half)
				r.same(device.F32, ns, r.get(normal), 1, "Random.normal %s", normal) // 1e-6, as the contract says
				// a device may compute in f32 here too: what is promised is 1e-6
				r.same(device.F64, ns, r.get(normal64), 1e-6/tolerance[device.F64], "Random.normal %s", normal64)
				for _, v := range []device.View{uniform, bits, normal} {
					r.untouched(v, "Random")
				}
			}
			for _, m := range r.mems[1:] {
				m.Free()
			}
			r.mems = r.mems[:1]
		}
		r.free()
	}
}

func testPermutation(r *rig) {
	s := [4]uint32{5, 6, 7, 8}
	state := r.state(s)
	for _, n := range []int{0, 1, 2, 7, 64, 1000} {
		y := r.place(strided, device.I32, n)
		r.d.Random(y, device.Permutation, state, 9)
		got := r.get(y)
		for i, v := range got {
			require.Equal(r.t, float64(device.PermutationAt(uint32(i), uint32(n), s, 9)), v)
		}
		slices.Sort(got)
		for i, v := range got {
			require.Equal(r.t, float64(i), v, "every number once")
		}
	}
	y := r.place(plain, device.I32, 2, 3)
	r.d.Random(y, device.Permutation, state, 9)
	got := r.get(y)
	slices.Sort(got)
	assert.Equal(r.t, []float64{0, 1, 2, 3, 4, 5}, got)
}
