//go:build cuda

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu"
)

// elements is a device whose views tests write and read element by element.
type elements struct {
	t    *testing.T
	d    device.Device
	gpu  *Device
	rnd  *rand.Rand
	mems []device.Memory
}

func newElements(t *testing.T) *elements {
	d, err := Open(0)
	require.NoError(t, err)
	e := &elements{t: t, d: d, gpu: d, rnd: rand.New(rand.NewPCG(1, 2))}
	t.Cleanup(func() {
		e.free()
		require.NoError(t, d.Close())
	})
	return e
}

func (e *elements) free() {
	for _, m := range e.mems {
		m.Free()
	}
	e.mems = nil
	require.NoError(e.t, e.d.Sync())
}

// put is a view of these extents, off elements into fresh memory, that holds f(0), f(1) and so on as its type does.
func (e *elements) put(typ device.DType, off int, f func(i int) float64, dims ...int) device.View {
	v := device.Make(nil, typ, off, dims...)
	b := make([]byte, (off+v.Len()+1)*typ.Size())
	for i := range v.Len() {
		encode(typ, b[(off+i)*typ.Size():], f(i))
	}
	m, err := e.d.Alloc(len(b))
	require.NoError(e.t, err)
	e.mems = append(e.mems, m)
	e.d.Upload(device.Make(m, device.U8, 0, len(b)), b)
	v.Mem = m
	return v
}

func (e *elements) normal(typ device.DType, off int, dims ...int) device.View {
	return e.put(typ, off, func(int) float64 { return 2 * e.rnd.NormFloat64() }, dims...)
}

func (e *elements) blank(typ device.DType, off int, dims ...int) device.View {
	return e.put(typ, off, func(int) float64 { return 77 }, dims...)
}

// bytes is all of the view's memory.
func (e *elements) bytes(v device.View) []byte {
	b := make([]byte, v.Mem.Bytes())
	require.NoError(e.t, e.d.Download(b, device.Make(v.Mem, device.U8, 0, len(b))))
	return b
}

// get is the view's elements in row-major order.
func (e *elements) get(v device.View) []float64 {
	b, out := e.bytes(v), make([]float64, v.Len())
	for i := range out {
		at, rest := v.Off, i
		for a := int(v.Rank) - 1; a >= 0; a-- {
			at += rest % int(v.Dim[a]) * int(v.Str[a])
			rest /= int(v.Dim[a])
		}
		out[i] = decode(v.Type, b[at*v.Type.Size():])
	}
	return out
}

func encode(typ device.DType, b []byte, x float64) {
	switch typ {
	case device.F32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(float32(x)))
	case device.F64:
		binary.LittleEndian.PutUint64(b, math.Float64bits(x))
	case device.F16:
		binary.LittleEndian.PutUint16(b, device.F64ToF16(x))
	case device.BF16:
		binary.LittleEndian.PutUint16(b, device.F64ToBF16(x))
	case device.U8:
		b[0] = uint8(min(max(x, 0), 255))
	case device.I32:
		binary.LittleEndian.PutUint32(b, uint32(int32(min(max(x, math.MinInt32), math.MaxInt32))))
	}
}

func decode(typ device.DType, b []byte) float64 {
	switch typ {
	case device.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case device.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case device.F16:
		return float64(device.F16ToF32(binary.LittleEndian.Uint16(b)))
	case device.BF16:
		return float64(device.BF16ToF32(binary.LittleEndian.Uint16(b)))
	case device.U8:
		return float64(b[0])
	}
	return float64(int32(binary.LittleEndian.Uint32(b)))
}

// unit is the distance from 1 to the next number of the type: an element that is computed in f32 and rounded once is off
// by half of it and some units of f32.
var unit = map[device.DType]float64{device.F32: 0x1p-23, device.F64: 0x1p-52, device.F16: 0x1p-10, device.BF16: 0x1p-7}

// near fails unless every number is within units of want, relative to want or to 1, whichever is larger.
func (e *elements) near(typ device.DType, units float64, want, got []float64, what string) {
	e.t.Helper()
	require.Len(e.t, got, len(want))
	for i, w := range want {
		g := got[i]
		if g == w || w != w && g != g {
			continue
		}
		if !(math.Abs(g-w) <= units*unit[typ]*max(1, math.Abs(w))) {
			require.Fail(e.t, "wrong number", "%s: element %d is %v, want %v", what, i, g, w)
		}
	}
}

// onAnyGrid calls f on a GPU of 132 processors and on one of a single one, whose threads loop many times, and once more
// captured: all give the same bytes.
func (e *elements) onAnyGrid(f func(), outs ...device.View) {
	e.t.Helper()
	all := e.gpu.gpu.processors
	f()
	var want [][]byte
	for _, y := range outs {
		want = append(want, e.bytes(y))
	}
	wipe := func() {
		for i, y := range outs {
			e.d.Upload(device.Make(y.Mem, device.U8, 0, len(want[i])), make([]byte, len(want[i])))
			for at := range y.Mem.Bytes() / y.Type.Size() { // what lies around the view stays
				if at < y.Off || at >= y.Off+y.Len() {
					b := want[i][at*y.Type.Size() : (at+1)*y.Type.Size()]
					e.d.Upload(device.Make(y.Mem, y.Type, at, 1), b)
				}
			}
		}
	}
	wipe()
	e.gpu.gpu.processors = 1
	f()
	for i, y := range outs {
		require.Equal(e.t, want[i], e.bytes(y), "on one processor")
	}
	e.gpu.gpu.processors = all
	wipe()
	g, err := e.d.Capture(f)
	require.NoError(e.t, err)
	g.Launch()
	for i, y := range outs {
		require.Equal(e.t, want[i], e.bytes(y), "captured")
	}
	g.Close()
}

// reference is what the CPU calculates in f64 from the same numbers.
func (e *elements) reference(n int, xs [][]float64, f func(d device.Device, y device.View, x []device.View)) []float64 {
	d := cpu.Open(device.Options{})
	defer d.Close()
	alloc := func(x []float64) device.View {
		m, err := d.Alloc(8 * len(x))
		require.NoError(e.t, err)
		b := make([]byte, 8*len(x))
		for i, v := range x {
			encode(device.F64, b[8*i:], v)
		}
		v := device.Make(m, device.F64, 0, len(x))
		d.Upload(v, b)
		return v
	}
	y := alloc(make([]float64, n))
	defer y.Mem.Free()
	var views []device.View
	for _, x := range xs {
		v := alloc(x)
		defer v.Mem.Free()
		views = append(views, v)
	}
	f(d, y, views)
	b := make([]byte, 8*n)
	require.NoError(e.t, d.Download(b, y))
	out := make([]float64, n)
	for i := range out {
		out[i] = decode(device.F64, b[8*i:])
	}
	return out
}

// elementTypes are the types that functions are tried in.
var elementTypes = []device.DType{device.F32, device.F16, device.BF16, device.F64}

// Every function and derivative over enough elements for many blocks, with remainders, aligned and not.
func TestUnaryLarge(t *testing.T) {
	e := newElements(t)
	const n = 10007
	for op := range device.UnOp(device.UnOps()) {
		a, b := 0.5, 1.5
		draw := func(int) float64 { return 2 * e.rnd.NormFloat64() }
		switch op {
		case device.Log, device.Log1p, device.Sqrt, device.Recip:
			draw = func(int) float64 { return 0.5 + 3*e.rnd.Float64() }
		case device.Exp, device.Expm1: // beyond, f16 overflows
			draw = func(int) float64 { return 8*e.rnd.Float64() - 6 }
		}
		for _, typ := range elementTypes {
			for _, off := range []int{0, 1} {
				x, g := e.put(typ, off, draw, n), e.normal(typ, off, n)
				y, dx := e.blank(typ, off, n), e.blank(typ, off, n)
				e.onAnyGrid(func() { e.d.Unary(op, y, x, a, b) }, y)
				xs, gs, ys := e.get(x), e.get(g), e.get(y)
				want := e.reference(n, [][]float64{xs}, func(d device.Device, y device.View, x []device.View) { d.Unary(op, y, x[0], a, b) })
				e.near(typ, 8, want, ys, fmt.Sprintf("%s in %s", op, typ))
				e.onAnyGrid(func() { e.d.UnaryGrad(op, dx, g, x, y, a, b) }, dx)
				want = e.reference(n, [][]float64{gs, xs, ys}, func(d device.Device, y device.View, x []device.View) { d.UnaryGrad(op, y, x[0], x[1], x[2], a, b) })
				e.near(typ, 16, want, e.get(dx), fmt.Sprintf("derivative of %s in %s", op, typ))
			}
			e.free()
		}
	}
}

// The ways to a result: contiguous, fours of neighbours, single elements.
func TestUnaryPaths(t *testing.T) {
	e := newElements(t)
	for _, c := range []struct {
		name   string
		x, y   device.View
		kernel kernelID
	}{
		{"contiguous f16", e.normal(device.F16, 8, 3, 1001), e.blank(device.F16, 16, 3, 1001), unaryPaths.flat[1]},
		{"not aligned", e.normal(device.F32, 1, 3, 1000), e.blank(device.F32, 4, 3, 1000), unaryPaths.each},
		{"f16 to f32, a remainder", e.normal(device.F16, 4, 1003), e.blank(device.F32, 0, 1003), unaryPaths.four},
		{"u8 to bf16", e.normal(device.U8, 4, 10, 64), e.blank(device.BF16, 4, 10, 64), unaryPaths.four},
		{"i32 to f32", e.normal(device.I32, 4, 10, 64), e.blank(device.F32, 4, 10, 64), unaryPaths.four},
		{"f32 to u8", e.normal(device.F32, 4, 10, 64), e.blank(device.U8, 4, 10, 64), unaryPaths.four},
		{"f32 to i32", e.normal(device.F32, 4, 10, 64), e.blank(device.I32, 4, 10, 64), unaryPaths.four},
		{"rows with gaps", e.normal(device.F32, 0, 37, 68).Slice(1, 4, 60, 1), e.blank(device.F32, 0, 37, 60), unaryPaths.four},
		{"rows with gaps that cut fours", e.normal(device.F32, 0, 37, 67).Slice(1, 4, 60, 1), e.blank(device.F32, 0, 37, 60), unaryPaths.each},
		{"a row for all", e.normal(device.F32, 0, 64), e.blank(device.BF16, 0, 37, 64), unaryPaths.four},
		{"a number for a row", e.normal(device.F32, 0, 37, 1), e.blank(device.F16, 0, 37, 64), unaryPaths.four},
		{"transposed", e.normal(device.F32, 0, 64, 37).T(), e.blank(device.F32, 0, 37, 64), unaryPaths.each},
		{"both transposed", e.normal(device.F32, 0, 64, 37).T(), e.blank(device.F32, 0, 64, 37).T(), unaryPaths.flat[0]},
		{"one number", e.normal(device.F32, 0), e.blank(device.F32, 0), unaryPaths.flat[0]},
	} {
		views := operands("Unary", c.y, c.x)
		n := newNest(views...)
		id, _ := unaryPaths.choose(&n, 2)
		require.Equal(t, kernelTable[c.kernel], kernelTable[id], c.name)
		e.onAnyGrid(func() { e.d.Unary(device.Affine, c.y, c.x, -2, 1) })
		want := e.get(views[1])
		for i := range want {
			want[i] = 1 - 2*want[i]
			if c.y.Type == device.U8 {
				want[i] = math.Trunc(min(max(want[i], 0), 255))
			} else if c.y.Type == device.I32 {
				want[i] = math.Trunc(want[i])
			}
		}
		// an integer could be off by one where f32 rounds across a whole number: none of these lies that near
		e.near(c.y.Type, 1, want, e.get(c.y), c.name)
	}
}

// What was queued behind a call that failed has no effect.
func TestElementwiseAfterFault(t *testing.T) {
	e := newElements(t)
	x, y := e.normal(device.F32, 0, 100), e.blank(device.F32, 0, 100)
	state := e.put(device.I32, 0, func(i int) float64 { return float64(i) }, 4)
	b := make([]byte, faultBytes)
	encode(device.I32, b, float64(e.gpu.faults.code("Gather"))) // as a kernel would leave it
	cell := device.Make(&memory{d: e.gpu, ptr: e.gpu.faults.cell, size: faultBytes}, device.U8, 0, faultBytes)
	e.d.Upload(cell, b)
	e.d.Fill(y, 1)
	e.d.Iota(y, 0, 1, 1)
	e.d.Copy(y, x)
	e.d.Unary(device.Relu, y, x, 0, 0)
	e.d.UnaryGrad(device.Gelu, y, x, x, device.View{}, 0, 0)
	e.d.Binary(device.Add, y, x, x)
	e.d.Where(y, x, x, x)
	e.d.Random(y, device.Uniform, state, 1)
	require.ErrorContains(t, e.d.Sync(), "Gather")
	for _, v := range e.get(y) {
		require.Equal(t, 77.0, v)
	}
}
