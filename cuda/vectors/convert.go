package vectors

import (
	"math"
	"math/bits"

	"github.com/acumen-ml/acumen/device"
)

// convertCases round numbers to other types. Where a word holds 16 bits its upper half is 0.
func convertCases() []*Case {
	var f32s, f64s, halves []byte
	var x32 []float32
	x64 := edges(device.F64)
	r := draws("conversions")
	for _, x := range edges(device.F32) {
		x32 = append(x32, float32(x))
	}
	for range drawn / 4 {
		x32 = append(x32, math.Float32frombits(r.Uint32())) // of any size
		h := device.F16ToF32(uint16(r.Uint32()))            // half way between two numbers of f16, and just beside that
		x32 = append(x32, float32(r.NormFloat64()), math.Float32frombits(math.Float32bits(h)+0x1000), math.Float32frombits(math.Float32bits(h)+0x1001))
		x32 = append(x32, math.Float32frombits(r.Uint32()&0xffff0000|0x8000), float32(r.IntN(1<<31))-1<<30, float32(r.IntN(600)-150)/2)
		x64 = append(x64, math.Float64frombits(r.Uint64()), r.NormFloat64(), float64(h)*(1+0x1p-11), float64(h)*(1+0x1p-11+0x1p-50), 1e5*r.NormFloat64(), 3e9*r.NormFloat64())
	}
	for _, x := range x32 {
		f32s = le.AppendUint32(f32s, math.Float32bits(x))
	}
	for _, x := range x64 {
		f64s = le.AppendUint64(f64s, math.Float64bits(x))
	}
	for h := range 1 << 16 {
		halves = le.AppendUint16(halves, uint16(h))
	}
	from := func(name string, op int32, in []byte, size int, out outType, f func(b []byte) uint32) *Case {
		c := &Case{Name: name, kernel: "vector_convert", op: op, in: [3][]byte{in}, n: len(in) / size, out: out}
		for i := range c.n {
			c.want = le.AppendUint32(c.want, f(in[i*size:]))
		}
		c.spread()
		return c
	}
	single := func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }
	double := func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }
	tf32 := from("f32 to tf32", 10, f32s, 4, outF32, func(b []byte) uint32 { return math.Float32bits(toTF32(single(b))) })
	tf32.Tensor = true
	return []*Case{
		half16(from("f32 to f16", 0, f32s, 4, outWords, func(b []byte) uint32 { return uint32(device.F32ToF16(single(b))) }), device.F16ToF32),
		half16(from("f32 to bf16", 1, f32s, 4, outWords, func(b []byte) uint32 { return uint32(device.F32ToBF16(single(b))) }), device.BF16ToF32),
		from("f16 to f32", 2, halves, 2, outF32, func(b []byte) uint32 { return math.Float32bits(device.F16ToF32(le.Uint16(b))) }),
		from("bf16 to f32", 3, halves, 2, outF32, func(b []byte) uint32 { return math.Float32bits(device.BF16ToF32(le.Uint16(b))) }),
		half16(from("f64 to f16", 4, f64s, 8, outWords, func(b []byte) uint32 { return uint32(device.F64ToF16(double(b))) }), device.F16ToF32),
		half16(from("f64 to bf16", 5, f64s, 8, outWords, func(b []byte) uint32 { return uint32(device.F64ToBF16(double(b))) }), device.BF16ToF32),
		from("f64 to f32", 6, f64s, 8, outF32, func(b []byte) uint32 { return math.Float32bits(float32(double(b))) }),
		from("f32 to i32", 7, f32s, 4, outWords, func(b []byte) uint32 { return uint32(toInt(float64(single(b)), math.MinInt32, math.MaxInt32)) }),
		from("f64 to i32", 8, f64s, 8, outWords, func(b []byte) uint32 { return uint32(toInt(double(b), math.MinInt32, math.MaxInt32)) }),
		from("f32 to u8", 9, f32s, 4, outWords, func(b []byte) uint32 { return uint32(toInt(float64(single(b)), 0, 255)) }),
		tf32,
	}
}

// half16 takes inputs out of a case that give NaN: which of its many bits come out is not defined. widen reads a result.
func half16(c *Case, widen func(uint16) float32) *Case {
	size := len(c.in[0]) / c.n
	var in, want []byte
	for i := range c.n {
		if x := widen(uint16(le.Uint32(c.want[4*i:]))); x == x {
			in = append(in, c.in[0][i*size:(i+1)*size]...)
			want = append(want, c.want[4*i:4*i+4]...)
		}
	}
	c.in[0], c.want, c.n = in, want, len(want)/4
	c.spread()
	return c
}

// toTF32 rounds to 10 bits behind the point, ties away from zero.
func toTF32(x float32) float32 {
	if x == 0 || math.IsInf(float64(x), 0) || x != x {
		return x
	}
	_, e := math.Frexp(float64(x))
	unit := math.Ldexp(1, max(e-1, -126)-10)
	return float32(math.Round(float64(x)/unit) * unit)
}

// toInt rounds toward zero and saturates; NaN is 0.
func toInt(x, lo, hi float64) int64 {
	if x != x {
		return 0
	}
	return int64(min(max(math.Trunc(x), lo), hi))
}

// randomCases are random numbers, and integer instructions.
func randomCases() []*Case {
	r := draws("random numbers")
	words := func(n int) (b []byte) {
		for range n {
			b = le.AppendUint32(b, r.Uint32())
		}
		return b
	}
	at := func(b []byte, i int) uint32 { return le.Uint32(b[4*i:]) }
	build := func(name string, op int32, out outType, a, b []byte, n int, f func(i int) []byte) *Case {
		c := &Case{Name: name, kernel: "vector_random", op: op, in: [3][]byte{a, b}, n: n, out: out}
		for i := range n {
			c.want = append(c.want, f(i)...)
		}
		c.spread()
		return c
	}
	word := func(u uint32) []byte { return le.AppendUint32(nil, u) }
	counters, keys := words(4*drawn), words(2*drawn)
	a, b := append(words(drawn), 0, 0, 0, 0, 255, 255, 255, 255), append(words(drawn), 255, 255, 255, 255, 0, 0, 0, 0)
	state := words(4)
	const permuted, stream = 997, 11
	normals := build("normal numbers", 2, outF64, a, b, drawn+2, func(i int) []byte {
		n0, n1 := device.NormalsOf(at(a, i), at(b, i))
		return appendFloat(appendFloat(nil, device.F64, n0), device.F64, n1)
	})
	for range normals.Count() {
		normals.bound = append(normals.bound, 1e-14) // a root of a logarithm, at most 6, times a sine: some units of f64
	}
	return []*Case{
		build("philox", 0, outWords, counters, keys, drawn, func(i int) (w []byte) {
			for _, u := range device.Philox([4]uint32{at(counters, 4*i), at(counters, 4*i+1), at(counters, 4*i+2), at(counters, 4*i+3)}, [2]uint32{at(keys, 2*i), at(keys, 2*i+1)}) {
				w = le.AppendUint32(w, u)
			}
			return w
		}),
		build("uniform numbers", 1, outF32, a, nil, drawn+2, func(i int) []byte { return word(math.Float32bits(device.UniformOf(at(a, i)))) }),
		normals,
		build("permutation", 3, outWords, state, word(stream), permuted, func(i int) []byte {
			return word(device.PermutationAt(uint32(i), permuted, [4]uint32{at(state, 0), at(state, 1), at(state, 2), at(state, 3)}, stream))
		}),
		build("umulhi", 4, outWords, a, b, drawn+2, func(i int) []byte { hi, _ := bits.Mul32(at(a, i), at(b, i)); return word(hi) }),
		build("popc", 5, outWords, a, nil, drawn+2, func(i int) []byte { return word(uint32(bits.OnesCount32(at(a, i)))) }),
	}
}
