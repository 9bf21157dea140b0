package cpu

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

var randomNames = [...]string{device.Uniform: "Random.uniform", device.Normal: "Random.normal", device.Bits: "Random.bits", device.Permutation: "Random.permutation"}

// Random draws y by dist: see philox.go of package device.
func (d *Device) Random(y device.View, dist device.Dist, state device.View, stream uint32) {
	name := randomNames[dist]
	if state.Type != device.I32 || state.Len() != 4 || !state.Contiguous() {
		panic(fmt.Sprintf("cpu.%s: state %s is not 4 contiguous i32", name, state))
	}
	if (dist == device.Bits || dist == device.Permutation) && y.Type != device.I32 {
		panic(fmt.Sprintf("cpu.%s: %s is not i32", name, y))
	}
	views, mem := operands(name, y)
	st, n := slice[int32](state)[:4], y.Len()
	var order axes // row-major
	for a := range int(y.Rank) {
		order = order.add(int(y.Dim[a]), int(y.Str[a]), 0)
	}
	_, str := order.inner()
	inner, _ := order.inner()
	ys, y0 := &mem[0], y.Off
	const chunk = 2048                                                                    // a multiple of 4, the words of one Philox call
	even := dist == device.Uniform && y.Type == device.F32 && str == 1 && order.rank <= 1 // what a vector kernel fills
	m := mapOf[float32](y)
	d.reserve(4 * chunk)
	p := phase{n: ceil(n, chunk), run: func(part, worker int) {
		key := [2]uint32{uint32(st[0]), uint32(st[1])}
		lo, hi := part*chunk, min(n, (part+1)*chunk)
		if dist == device.Permutation {
			s := [4]uint32{key[0], key[1], uint32(st[2]), uint32(st[3])}
			for e := lo; e < hi; e++ {
				at, _ := order.at(e)
				ys.i32[y0+at] = int32(device.PermutationAt(uint32(e), uint32(n), s, stream))
			}
			return
		}
		words := scratchOf[uint32](d, worker, (hi-lo+3)&^3)
		simd.Philox(simd.Active(), words, [4]uint32{uint32(lo / 4), stream, uint32(st[2]), uint32(st[3])}, key)
		if even {
			m.Uniform(ys.f32[y0+lo:y0+hi], words)
			return
		}
		for e := lo; e < hi; e += 4 {
			u := words[e-lo:][:4]
			w := min(4, hi-e)
			if dist == device.Bits {
				for i := range w {
					at, _ := order.at(e + i)
					ys.i32[y0+at] = int32(u[i])
				}
				continue
			}
			var v [4]float64
			if dist == device.Uniform {
				for i := range v {
					v[i] = float64(device.UniformOf(u[i]))
				}
			} else {
				v[0], v[1] = device.NormalsOf(u[0], u[1])
				v[2], v[3] = device.NormalsOf(u[2], u[3])
			}
			if e%inner+w <= inner {
				at, _ := order.at(e)
				store(ys, y0+at, str, v[:w])
				continue
			}
			for i := range w {
				at, _ := order.at(e + i)
				store(ys, y0+at, 1, v[i:i+1])
			}
		}
	}}
	d.enqueue(name, views, []device.View{state}, 0, p)
}
