//go:build cuda

package cuda

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// matMulRig makes operands on a device and multiplies them in float64 on the host.
type matMulRig struct {
	t    *testing.T
	d    *Device
	rnd  *rand.Rand
	mems []device.Memory
	host map[device.Memory][]byte
	as   func(*product) // changes what was chosen, if it is not nil
}

func newMatMulRig(t *testing.T) *matMulRig {
	d, err := Open(0)
	require.NoError(t, err)
	r := &matMulRig{t: t, d: d, rnd: rand.New(rand.NewPCG(5, 6)), host: map[device.Memory][]byte{}}
	t.Cleanup(func() {
		r.free()
		require.NoError(t, d.Close())
	})
	return r
}

func (r *matMulRig) free() {
	for _, m := range r.mems {
		m.Free()
	}
	r.mems, r.host = nil, map[device.Memory][]byte{}
	require.NoError(r.t, r.d.Sync())
}

// without takes cuBLAS away until undo.
func (r *matMulRig) without() (undo func()) {
	h := r.d.blas.handle
	r.d.blas.handle = nil
	return func() { r.d.blas.handle = h }
}

// view is a plain view off elements into fresh memory, full of small numbers that every type holds.
func (r *matMulRig) view(typ device.DType, off int, dims ...int) device.View {
	v := device.Make(nil, typ, off, dims...)
	size := typ.Size()
	m, err := r.d.Alloc((v.Len() + off + 1) * size)
	require.NoError(r.t, err)
	r.mems = append(r.mems, m)
	v.Mem = m
	b := make([]byte, m.Bytes())
	for i := range len(b) / size {
		x := float64(r.rnd.IntN(17)-8) / 4
		if typ == device.I32 {
			x *= 4
		}
		if typ == device.U8 {
			x = float64(r.rnd.IntN(12))
		}
		encodeTo(typ, b[i*size:], x)
	}
	r.host[m] = b
	r.d.Upload(device.Make(m, device.U8, 0, len(b)), b)
	return v
}

func encodeTo(typ device.DType, b []byte, x float64) {
	le := binary.LittleEndian
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

func decodeFrom(typ device.DType, b []byte) float64 {
	le := binary.LittleEndian
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

// places lists where the elements of v are, in row-major order.
func places(v device.View) []int {
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

func values(v device.View, b []byte) []float64 {
	out := make([]float64, v.Len())
	for e, at := range places(v) {
		out[e] = decodeFrom(v.Type, b[at*v.Type.Size():])
	}
	return out
}

func (r *matMulRig) read(v device.View) []byte {
	b := make([]byte, v.Mem.Bytes())
	require.NoError(r.t, r.d.Download(b, device.Make(v.Mem, device.U8, 0, len(b))))
	return b
}

// product is the definition in float64.
func (r *matMulRig) product(y, a, b device.View, alpha, beta float64) []float64 {
	wa, wb := matMulOperands(y, a, b)
	ys, as, bs := values(y, r.host[y.Mem]), values(wa, r.host[a.Mem]), values(wb, r.host[b.Mem])
	m, n, k := y.D(-2), y.D(-1), a.D(-1)
	for e := range ys {
		z, i, j := e/(m*n), e/n%m, e%n
		var s float64
		for l := range k {
			s += as[(z*m+i)*k+l] * bs[(z*k+l)*n+j]
		}
		s *= alpha
		if beta != 0 {
			s += beta * ys[e]
		}
		ys[e] = s
	}
	return ys
}

func (r *matMulRig) multiply(y, a, b device.View, alpha, beta float64) {
	r.t.Helper()
	if r.as == nil {
		r.d.MatMul(y, a, b, alpha, beta)
		return
	}
	wa, wb := matMulOperands(y, a, b)
	p := newProduct(y, wa, wb, beta != 0, r.d.abilities())
	r.as(&p)
	scratch, err := r.d.borrow(p.scratch())
	require.NoError(r.t, err)
	require.NoError(r.t, r.d.multiply(&p, address(y), address(a), address(b), alpha, beta, scratch))
}

// half an ulp of the type relative to the number: inputs are quarters, so that f32 sums are exact.
var halfUlp = map[device.DType]float64{device.F32: 0x1p-24, device.F64: 0, device.F16: 0x1p-11, device.BF16: 0x1p-8, device.I32: 0, device.U8: 0}

// check multiplies and compares: every number is the exact one rounded once, and no byte outside y has changed.
func (r *matMulRig) check(y, a, b device.View, alpha, beta float64) {
	r.t.Helper()
	want := r.product(y, a, b, alpha, beta)
	r.multiply(y, a, b, alpha, beta)
	got := r.read(y)
	rest := append([]byte{}, r.host[y.Mem]...)
	size := y.Type.Size()
	for e, at := range places(y) {
		g, w := decodeFrom(y.Type, got[at*size:]), want[e]
		if y.Type.IsInt() {
			w = math.Trunc(w)
			if y.Type == device.U8 {
				w = min(max(w, 0), 255)
			}
		}
		if math.Abs(g-w) > halfUlp[y.Type]*math.Abs(w) {
			require.Fail(r.t, "wrong number", "element %d of %s = %g %s times %s + %g y is %v, want %v", e, y, alpha, a, b, beta, g, w)
		}
		copy(rest[at*size:(at+1)*size], got[at*size:])
	}
	require.Equal(r.t, rest, got, "%s = %s times %s wrote outside", y, a, b)
	copy(r.host[y.Mem], got)
}
