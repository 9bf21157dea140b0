package cpu

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func address(m device.Memory) uintptr { return uintptr(unsafe.Pointer(&m.(*memory).data[0])) }

// Every core kernel cut into several parts: as on one thread, whatever the types and strides.
func TestCoreKernelsOnAnyThreads(t *testing.T) {
	types := []device.DType{device.F32, device.F64, device.F16, device.BF16, device.U8, device.I32}
	for i, typ := range types {
		other := types[(i+1)%len(types)]
		t.Run(fmt.Sprintf("%s,%s", typ, other), func(t *testing.T) {
			everywhere(t, func(r *rig) (func(), []device.View) {
				x, z := r.normal(typ, 60, 31, 11), r.normal(other, 31, 1)
				y := make([]device.View, 12)
				for k := range y {
					y[k] = r.zeros(typ, 11, 31, 60).Permute(2, 1, 0)
				}
				rows, cols, arg := r.zeros(other, 60, 1, 1), r.zeros(typ, 1, 31, 11), r.zeros(device.I32, 1, 31, 1)
				all, ids := r.zeros(device.F64, 1, 1, 1), r.with(device.I32, func(i int) float64 { return float64(i * i % 60) }, 60)
				state := r.with(device.I32, func(i int) float64 { return float64(i + 3) }, 4)
				return func() {
					r.d.Fill(y[0], 3)
					r.d.Iota(y[1], 0, 2, 1)
					r.d.Copy(y[2], x.Flip(1))
					r.d.Unary(device.Sigmoid, y[3], x, 0, 0)
					r.d.UnaryGrad(device.Abs, y[4], z, x, device.View{}, 0, 0)
					r.d.Binary(device.Sub, y[5], x, z)
					r.d.Binary(device.Div, y[6], z, x)
					r.d.Where(y[7], z, x, y[1])
					r.d.Reduce(device.Sum, rows, x)
					r.d.Reduce(device.SumSq, cols, x)
					r.d.Reduce(device.ArgMax, arg, x)
					r.d.Reduce(device.MaxAbs, all, x)
					r.d.Gather(y[8], x, ids)
					r.d.ScatterAdd(y[9], x, ids)
					r.d.Random(y[10], device.Uniform, state, 1)
					r.d.Random(y[11], device.Normal, state, 2)
				}, append(y, rows, cols, arg, all)
			})
		})
	}
}

// A destination that repeats its elements, or sources that do not fit, are mistakes in the code.
func TestElementwiseMistakes(t *testing.T) {
	r := newRig(t, 1)
	x, y := r.zeros(device.F32, 2, 3), r.zeros(device.F32, 2, 3)
	require.PanicsWithValue(t, "cpu.Binary.add: source f32[2 4] does not broadcast to f32[2 3]", func() { r.d.Binary(device.Add, y, x, r.zeros(device.F32, 2, 4)) })
	require.PanicsWithValue(t, "cpu.Copy: destination f32[2 3] strides [0 1] repeats its elements", func() { r.d.Copy(r.zeros(device.F32, 3).Broadcast(2, 3), x) })
	device.DryRun(r.d, func() {
		require.Panics(t, func() { r.d.Unary(device.Relu, y, r.zeros(device.F32, 3, 3), 0, 0) }, "in dry runs too")
	})
}

func BenchmarkElementwise(b *testing.B) {
	r := newRig(b, 0)
	const n = 1 << 20
	x, y, z := r.normal(device.F32, n/256, 256), r.normal(device.F32, n/256, 256), r.zeros(device.F32, n/256, 256)
	row, col, half, u8 := r.normal(device.F32, 256), r.normal(device.F32, n/256, 1), r.normal(device.F16, n/256, 256), r.normal(device.U8, n/256, 256)
	narrow := func(v device.View) device.View { return v.Reshape(n/16, 16) }
	for _, c := range []struct {
		name string
		call func()
	}{
		{"Fill", func() { r.d.Fill(z, 1) }},
		{"Add", func() { r.d.Binary(device.Add, z, x, y) }},
		{"AddRow", func() { r.d.Binary(device.Add, z, x, row) }},
		{"AddNarrowRow", func() { r.d.Binary(device.Add, narrow(z), narrow(x), row.Slice(0, 0, 16, 1)) }},
		{"AddColumn", func() { r.d.Binary(device.Add, z, x, col) }},
		{"AddHalf", func() { r.d.Binary(device.Add, z, x, half) }},
		{"Relu", func() { r.d.Unary(device.Relu, z, x, 0, 0) }},
		{"ReluGrad", func() { r.d.UnaryGrad(device.Relu, z, y, device.View{}, x, 0, 0) }},
		{"Exp", func() { r.d.Unary(device.Exp, z, x, 0, 0) }},
		{"Tanh", func() { r.d.Unary(device.Tanh, z, x, 0, 0) }},
		{"Gelu", func() { r.d.Unary(device.Gelu, z, x, 0, 0) }},
		{"Where", func() { r.d.Where(z, y, x, row) }},
		{"CopyU8ToF32", func() { r.d.Copy(z, u8) }},
		{"CopyF32ToF16", func() { r.d.Copy(half, x) }},
		{"Uniform", func() { r.d.Random(z, device.Uniform, device.Make(half.Mem, device.I32, 0, 4), 1) }},
	} {
		b.Run(c.name, func(b *testing.B) { perElement(b, n, c.call) })
	}
	b.Run("Small", func(b *testing.B) { // 16 elements: what a call costs
		s := x.Reshape(n).Slice(0, 0, 16, 1)
		for b.Loop() {
			r.d.Binary(device.Add, s, s, s)
		}
	})
}

// perElement times calls over n elements.
func perElement(b *testing.B, n int, call func()) {
	for b.Loop() {
		call()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
}
