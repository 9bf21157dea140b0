package vectors

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/acumen-ml/acumen/device"
)

const lanes = 32

// warps is how many warps run each case.
const warps = 16

// warpCase is a case whose blocks are single warps; lane gives the words that a lane of a warp gets.
func warpCase(name, kernel string, op int32, out outType, in [3][]byte, lane func(warp, lane int) []uint32) *Case {
	c := &Case{Name: name, kernel: kernel, op: op, in: in, n: warps, grid: warps, block: lanes, out: out}
	for w := range warps {
		for l := range lanes {
			for _, u := range lane(w, l) {
				c.want = le.AppendUint32(c.want, u)
			}
		}
	}
	return c
}

func randomWords(r *rand.Rand, n int, limit uint32) (b []byte, words []uint32) {
	for range n {
		u := r.Uint32()
		if limit > 0 {
			u %= limit
		}
		words = append(words, u)
		b = le.AppendUint32(b, u)
	}
	return b, words
}

// warpCases exchange words between lanes, and load matrices.
func warpCases() []*Case {
	r := draws("warps")
	a, values := randomWords(r, warps*lanes, 0)
	repeat := func(f func(warp int) uint32) (b []byte) {
		for w := range warps {
			for range lanes {
				b = le.AppendUint32(b, f(w))
			}
		}
		return b
	}
	xor, up := func(w int) uint32 { return []uint32{1, 2, 4, 8, 16, 31, 0, 5}[w%8] }, func(w int) uint32 { return uint32(2 * w) }
	votes, vote := randomWords(r, warps*lanes, 2)
	cases := []*Case{
		warpCase("shuffle xor", "vector_warp", 0, outWords, [3][]byte{a, repeat(xor)}, func(w, l int) []uint32 { return []uint32{values[w*lanes+(l^int(xor(w)))]} }),
		warpCase("shuffle up", "vector_warp", 1, outWords, [3][]byte{a, repeat(up)}, func(w, l int) []uint32 {
			if l >= int(up(w)) {
				l -= int(up(w))
			}
			return []uint32{values[w*lanes+l]}
		}),
		warpCase("ballot", "vector_warp", 2, outWords, [3][]byte{a, votes}, func(w, _ int) []uint32 {
			u := uint32(0)
			for l := range lanes {
				u |= vote[w*lanes+l] << l
			}
			return []uint32{u}
		}),
	}
	rows, row := randomWords(r, warps*lanes*4, 0)
	places, place := randomWords(r, warps*lanes, lanes)
	element := func(w, matrix, i, j int) uint32 { // of matrix, whose row i lies where lane 8 matrix + i says
		at := int(place[w*lanes+8*matrix+i])
		return row[(w*lanes+at)*4+j/2] >> (16 * (j % 2)) & 0xffff
	}
	for op, n := range []int{1, 2, 4, 1, 2, 4} {
		trans := op >= 3
		name := fmt.Sprintf("ldmatrix x%d", n)
		if trans {
			name += " transposed"
		}
		cases = append(cases, warpCase(name, "vector_ldmatrix", int32(op), outWords, [3][]byte{rows, places}, func(w, l int) []uint32 {
			u := make([]uint32, 4)
			for m := range n {
				i, j := l/4, l%4*2
				if trans {
					u[m] = element(w, m, j, i) | element(w, m, j+1, i)<<16
				} else {
					u[m] = element(w, m, i, j) | element(w, m, i, j+1)<<16
				}
			}
			return u
		}))
	}
	return cases
}

// mmaCases multiply matrices of 16xK by Kx8: small whole numbers, whose sums are exact, and normal ones.
func mmaCases() []*Case {
	var cases []*Case
	for op, typ := range []device.DType{device.F16, device.BF16, device.F32} {
		for _, whole := range []bool{true, false} {
			cases = append(cases, mmaCase(int32(op), typ, whole))
		}
	}
	return cases
}

func mmaCase(op int32, typ device.DType, whole bool) *Case {
	name := fmt.Sprintf("mma %s", typ)
	if typ == device.F32 {
		name = "mma tf32"
	}
	if whole {
		name += " of whole numbers"
	}
	k := 16
	if typ == device.F32 {
		k = 8
	}
	r := draws(name)
	number := func() float64 {
		if whole {
			return float64(r.IntN(17) - 8)
		}
		x := r.NormFloat64() * math.Ldexp(1, r.IntN(5)-2)
		switch typ {
		case device.F16:
			return float64(device.F16ToF32(device.F64ToF16(x)))
		case device.BF16:
			return float64(device.BF16ToF32(device.F64ToBF16(x)))
		}
		return float64(toTF32(float32(x)))
	}
	var in [3][]byte
	var sums, sizes [warps][16][8]float64
	for w := range warps {
		var a [16][16]float64
		var b [16][8]float64
		var c [16][8]float64
		for i := range 16 {
			for j := range k {
				a[i][j] = number()
			}
			for j := range 8 {
				c[i][j] = float64(float32(number()))
			}
		}
		for i := range k {
			for j := range 8 {
				b[i][j] = number()
			}
		}
		for i := range 16 {
			for j := range 8 {
				sums[w][i][j], sizes[w][i][j] = c[i][j], math.Abs(c[i][j])
				for l := range k {
					p := a[i][l] * b[l][j] // exact
					sums[w][i][j] += p
					sizes[w][i][j] += math.Abs(p)
				}
			}
		}
		for l := range lanes { // the fragments of PTX's manual
			g, t := l/4, l%4
			for q := range 4 {
				i := g + 8*(q%2)
				if typ == device.F32 {
					in[0] = le.AppendUint32(in[0], math.Float32bits(float32(a[i][t+4*(q/2)])))
				} else {
					in[0] = le.AppendUint32(in[0], pair(typ, a[i][2*t+8*(q/2)], a[i][2*t+8*(q/2)+1]))
				}
			}
			for q := range 2 {
				if typ == device.F32 {
					in[1] = le.AppendUint32(in[1], math.Float32bits(float32(b[t+4*q][g])))
				} else {
					in[1] = le.AppendUint32(in[1], pair(typ, b[2*t+8*q][g], b[2*t+8*q+1][g]))
				}
			}
			for q := range 4 {
				in[2] = le.AppendUint32(in[2], math.Float32bits(float32(c[g+8*(q/2)][2*t+q%2])))
			}
		}
	}
	at := func(m *[warps][16][8]float64, w, l, q int) float64 { return m[w][l/4+8*(q/2)][l%4*2+q%2] }
	m := warpCase(name, "vector_mma", op, outF32, in, func(w, l int) (u []uint32) {
		for q := range 4 {
			u = append(u, math.Float32bits(float32(at(&sums, w, l, q))))
		}
		return u
	})
	m.Tensor = true
	if !whole {
		// Tensor cores line up the products of an instruction at the largest one's exponent and cut off what lies below some
		// bits more than f32 has: each of K+1 terms may lose a unit of the largest, which is at most the sum of all sizes.
		for w := range warps {
			for l := range lanes {
				for q := range 4 {
					m.bound = append(m.bound, float64(k+1)*0x1p-23*at(&sizes, w, l, q))
				}
			}
		}
	}
	return m
}

// pair packs two 16-bit numbers, the first in the lower half.
func pair(typ device.DType, x, y float64) uint32 {
	if typ == device.F16 {
		return uint32(device.F64ToF16(x)) | uint32(device.F64ToF16(y))<<16
	}
	return uint32(device.F64ToBF16(x)) | uint32(device.F64ToBF16(y))<<16
}

// asyncCases copy to shared memory behind the thread's back: all of 4, 8 or 16 bytes, and fewer, filled up with zeros.
func asyncCases() []*Case {
	r := draws("cp.async")
	a, words := randomWords(r, warps*lanes*4, 0)
	var cases []*Case
	for op, n := range []int{4, 8, 16, 4, 8, 16} {
		name := fmt.Sprintf("cp.async of %d bytes", n)
		take := make([]uint32, warps*lanes)
		var b []byte
		for i := range take {
			take[i] = uint32(n)
			if op >= 3 {
				take[i] = r.Uint32N(uint32(n) + 1)
			}
			b = le.AppendUint32(b, take[i])
		}
		if op >= 3 {
			name = "cp.async of up to" + name[len("cp.async of"):]
		}
		cases = append(cases, warpCase(name, "vector_cp_async", int32(op), outWords, [3][]byte{a, b}, func(w, l int) []uint32 {
			var s [16]byte
			for i := range s {
				switch at := 16*(w*lanes+l) + i; {
				case i < int(take[w*lanes+l]):
					s[i] = a[at]
				case i >= n:
					s[i] = 0xA5
				}
			}
			return []uint32{le.Uint32(s[:]), le.Uint32(s[4:]), le.Uint32(s[8:]), le.Uint32(s[12:])}
		}))
	}
	cases = append(cases, warpCase("cp.async in groups", "vector_cp_async", 6, outWords, [3][]byte{a, make([]byte, 4*warps*lanes)}, func(w, l int) []uint32 {
		u := words[4*(w*lanes+l):]
		return []uint32{u[0], u[1], u[2], 0}
	}))
	for _, c := range cases {
		c.Tensor = true
	}
	return cases
}
