package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

var (
	floats   = []device.DType{device.F32, device.F64, device.F16, device.BF16}
	allTypes = []device.DType{device.F32, device.F64, device.F16, device.BF16, device.U8, device.I32}
)

// tolerance is how far an element may be off, relative to its size or to 1, whichever is larger.
var tolerance = map[device.DType]float64{
	device.F32:  1e-6,     // a few roundings, and approximations of exp and erf; 1 ulp is 1.2e-7
	device.F64:  1e-13,    // the same; 1 ulp is 2.2e-16
	device.F16:  0.00049,  // half an ulp, 2^-11, and the f32 error before it
	device.BF16: 0.003922, // half an ulp, 2^-8, likewise
}

// rig makes views on a device and reads them back.
type rig struct {
	t    *testing.T
	d    device.Device
	rnd  *rand.Rand
	mems []device.Memory
	init map[device.Memory][]byte // what was uploaded
}

// newRig opens a device that is closed, with everything given back, at the test's end.
func newRig(t *testing.T, open func() device.Device) *rig {
	r := &rig{t: t, d: open(), rnd: rand.New(rand.NewPCG(3, 4)), init: map[device.Memory][]byte{}}
	t.Cleanup(func() {
		r.free()
		require.NoError(t, r.d.Close())
	})
	return r
}

func (r *rig) free() {
	for _, m := range r.mems {
		m.Free()
	}
	r.mems, r.init = nil, map[device.Memory][]byte{}
	require.NoError(r.t, r.d.Sync())
}

func (r *rig) alloc(bytes int) device.Memory {
	m, err := r.d.Alloc(bytes)
	require.NoError(r.t, err)
	r.mems = append(r.mems, m)
	return m
}

// layout is a way to store a view; the elements, in row-major order of its shape, are the same.
type layout uint8

const (
	plain    layout = iota
	shifted         // not at the start of memory
	strided         // every second element of the last axis, every third of the first
	flipped         // every axis backwards
	permuted        // the axes stored in the opposite order
	padded          // rows with a gap between them
	turned          // the first axis backwards
	crossed         // the last two axes stored in the opposite order, the last backwards
	layouts
)

func (l layout) String() string {
	return [...]string{"plain", "shifted", "strided", "flipped", "permuted", "padded", "turned", "crossed"}[l]
}

// place is a view in that layout on fresh memory that holds the pattern 0xA5 everywhere.
func (r *rig) place(l layout, typ device.DType, dims ...int) device.View {
	off, big := 0, append([]int(nil), dims...)
	if n := len(big); n > 0 {
		switch l {
		case strided:
			big[n-1] = 2*big[n-1] + 1
			if n > 1 {
				big[0] = 3*big[0] + 1
			}
		case permuted:
			for i := range dims {
				big[i] = dims[n-1-i]
			}
		case padded:
			big[n-1] += 3
		case crossed:
			if n > 1 {
				big[n-1], big[n-2] = dims[n-2], dims[n-1]
			}
		}
	}
	if l == shifted {
		off = 5
	}
	bytes := (device.Make(nil, typ, 0, big...).Len() + off + 1) * typ.Size()
	m := r.alloc(bytes)
	v := device.Make(m, typ, off, big...)
	switch n := len(dims); {
	case n == 0:
	case l == strided:
		v = v.Slice(n-1, 0, dims[n-1], 2)
		if n > 1 {
			v = v.Slice(0, 0, dims[0], 3)
		}
	case l == flipped:
		for i := range n {
			v = v.Flip(i)
		}
	case l == permuted:
		axes := make([]int, n)
		for i := range axes {
			axes[i] = n - 1 - i
		}
		v = v.Permute(axes...)
	case l == padded:
		v = v.Slice(n-1, 1, dims[n-1], 1)
	case l == turned:
		v = v.Flip(0)
	case l == crossed:
		if n > 1 {
			v = v.T()
		}
		v = v.Flip(n - 1)
	}
	fill := make([]byte, bytes)
	for i := range fill {
		fill[i] = 0xA5
	}
	r.send(m, fill)
	return v
}

func (r *rig) send(m device.Memory, b []byte) {
	r.init[m] = append([]byte(nil), b...)
	r.d.Upload(device.Make(m, device.U8, 0, len(b)), b)
}

// where lists the element offsets of v in row-major order, by division: other arithmetic than a device's own loops.
func where(v device.View) []int {
	out := make([]int, v.Len())
	for e := range out {
		at, rest := v.Off, e
		for i := int(v.Rank) - 1; i >= 0; i-- {
			at += rest % int(v.Dim[i]) * int(v.Str[i])
			rest /= int(v.Dim[i])
		}
		out[e] = at
	}
	return out
}

// put writes numbers that the type holds exactly, in row-major order.
func (r *rig) put(v device.View, x []float64) device.View {
	b := r.init[v.Mem]
	size := v.Type.Size()
	for e, at := range where(v) {
		encode(v.Type, b[at*size:], x[e])
	}
	r.send(v.Mem, b)
	return v
}

// get reads v in row-major order.
func (r *rig) get(v device.View) []float64 {
	b := make([]byte, v.Mem.Bytes())
	require.NoError(r.t, r.d.Download(b, device.Make(v.Mem, device.U8, 0, len(b))))
	out := make([]float64, 0, v.Len())
	for _, at := range where(v) {
		out = append(out, decode(v.Type, b[at*v.Type.Size():]))
	}
	return out
}

// untouched fails if a byte of v's memory that is not v's changed since it was put there.
func (r *rig) untouched(v device.View, what string) {
	r.t.Helper()
	b := make([]byte, v.Mem.Bytes())
	require.NoError(r.t, r.d.Download(b, device.Make(v.Mem, device.U8, 0, len(b))))
	want := append([]byte(nil), r.init[v.Mem]...)
	size := v.Type.Size()
	for _, at := range where(v) {
		copy(want[at*size:(at+1)*size], b[at*size:])
	}
	require.Equal(r.t, want, b, "%s wrote outside its destination", what)
}

// normals is n numbers that typ holds exactly: normal deviates, or small integers.
func (r *rig) normals(typ device.DType, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		switch typ {
		case device.U8:
			x[i] = float64(r.rnd.IntN(12))
		case device.I32:
			x[i] = float64(r.rnd.IntN(23) - 11)
		default:
			x[i] = round(typ, r.rnd.NormFloat64())
		}
	}
	return x
}

// normal is a view of normals.
func (r *rig) normal(l layout, typ device.DType, dims ...int) (device.View, []float64) {
	v := r.place(l, typ, dims...)
	x := r.normals(typ, v.Len())
	return r.put(v, x), x
}

func encode(typ device.DType, b []byte, x float64) {
	switch typ {
	case device.F32:
		le.PutUint32(b, math.Float32bits(float32(x)))
	case device.F64:
		le.PutUint64(b, math.Float64bits(x))
	case device.F16:
		le.PutUint16(b, device.F32ToF16(float32(x)))
	case device.BF16:
		le.PutUint16(b, device.F32ToBF16(float32(x)))
	case device.U8:
		b[0] = uint8(x)
	case device.I32:
		le.PutUint32(b, uint32(int32(x)))
	}
}

func decode(typ device.DType, b []byte) float64 {
	switch typ {
	case device.F32:
		return float64(math.Float32frombits(le.Uint32(b)))
	case device.F64:
		return math.Float64frombits(le.Uint64(b))
	case device.F16:
		return float64(device.F16ToF32(le.Uint16(b)))
	case device.BF16:
		return float64(device.BF16ToF32(le.Uint16(b)))
	case device.U8:
		return float64(b[0])
	}
	return float64(int32(le.Uint32(b)))
}

// round is x as the type would hold it.
func round(typ device.DType, x float64) float64 {
	var b [8]byte
	encode(typ, b[:], x)
	return decode(typ, b[:])
}

// same compares got, of type typ, with numbers computed in float64. worse scales the tolerance.
func (r *rig) same(typ device.DType, want, got []float64, worse float64, what string, args ...any) {
	r.t.Helper()
	require.Len(r.t, got, len(want))
	for i, w := range want {
		g := got[i]
		if g == w || w != w && g != g {
			continue
		}
		if bound := worse * tolerance[typ] * max(1, math.Abs(w)); !(math.Abs(g-w) <= bound) {
			require.Fail(r.t, "wrong number", "%s: element %d is %v, want %v within %g", fmt.Sprintf(what, args...), i, g, w, bound)
		}
	}
}

// panics calls f and requires a panic whose message names kernel and has all of parts.
func (r *rig) panics(kernel string, f func(), parts ...any) {
	r.t.Helper()
	defer func() {
		p := fmt.Sprint(recover())
		require.NotEqual(r.t, "<nil>", p, "%s does not panic", kernel)
		require.Contains(r.t, p, kernel)
		for _, x := range parts {
			require.Contains(r.t, p, fmt.Sprint(x))
		}
	}()
	f()
}
