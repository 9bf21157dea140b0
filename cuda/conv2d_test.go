//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

type convCase struct {
	n, h, w, c, o, kh, kw int
	p                     device.Conv2D
}

func conv2DOf(stride, pad, dil, groups int32) device.Conv2D {
	return device.Conv2D{StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DilH: dil, DilW: dil, Groups: groups}
}

var convCases = []convCase{
	{1, 1, 1, 1, 1, 1, 1, conv2DOf(1, 0, 1, 1)},
	{2, 5, 6, 3, 4, 3, 3, conv2DOf(1, 0, 1, 1)},
	{2, 5, 6, 1, 6, 5, 5, conv2DOf(1, 2, 1, 1)},
	{3, 7, 5, 4, 5, 1, 1, conv2DOf(1, 0, 1, 1)},
	{3, 7, 5, 8, 8, 1, 1, conv2DOf(2, 0, 1, 1)}, // pixels that no window meets
	{2, 8, 9, 6, 4, 3, 3, conv2DOf(2, 1, 1, 2)},
	{2, 8, 9, 16, 24, 3, 3, conv2DOf(2, 1, 1, 2)},
	{2, 9, 9, 3, 2, 3, 3, conv2DOf(1, 2, 2, 1)},
	{2, 9, 9, 8, 16, 3, 3, conv2DOf(2, 2, 2, 1)}, // stride and dilation share a factor
	{1, 9, 11, 4, 6, 3, 2, device.Conv2D{StrideH: 3, StrideW: 2, PadH: 2, PadW: 1, DilH: 2, DilW: 3, Groups: 2}},
	{1, 9, 11, 8, 8, 3, 2, device.Conv2D{StrideH: 3, StrideW: 2, PadH: 2, PadW: 1, DilH: 2, DilW: 3, Groups: 1}},
	{2, 6, 6, 5, 5, 3, 3, conv2DOf(1, 1, 1, 5)},
	{2, 9, 7, 16, 16, 3, 3, conv2DOf(2, 1, 1, 16)},
	{3, 11, 11, 80, 80, 3, 2, conv2DOf(1, 1, 2, 80)}, // sums in parts
	{1, 5, 5, 4, 8, 3, 3, conv2DOf(1, 1, 1, 4)},
	{2, 3, 3, 2, 2, 2, 2, conv2DOf(1, 3, 1, 1)}, // windows wholly in the padding
	{1, 3, 3, 8, 8, 2, 2, conv2DOf(1, 3, 1, 1)},
	{1, 12, 12, 17, 9, 3, 3, conv2DOf(1, 1, 1, 1)},
	{2, 14, 14, 1, 6, 5, 5, conv2DOf(1, 2, 1, 1)},
	{2, 4, 4, 70, 66, 3, 3, conv2DOf(1, 1, 1, 1)}, // splits
	{1, 5, 5, 64, 72, 3, 3, conv2DOf(1, 1, 1, 1)},
	{2, 7, 7, 24, 64, 2, 2, conv2DOf(1, 0, 1, 1)},
	{1, 5, 6, 40, 33, 3, 1, device.Conv2D{StrideH: 1, StrideW: 2, PadH: 1, PadW: 0, DilH: 1, DilW: 1, Groups: 1}},
}

// convLoops is the definition; visit sees each product's places in y, x and w.
func (c convCase) convLoops(visit func(y, x, w int)) {
	oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
	cg, og := c.c/int(c.p.Groups), c.o/int(c.p.Groups)
	for y := range c.n * oh * ow * c.o {
		o, j, i, n := y%c.o, y/c.o%ow, y/c.o/ow%oh, y/c.o/ow/oh
		for r := range c.kh {
			for s := range c.kw {
				ih, iw := i*int(c.p.StrideH)-int(c.p.PadH)+r*int(c.p.DilH), j*int(c.p.StrideW)-int(c.p.PadW)+s*int(c.p.DilW)
				if ih < 0 || ih >= c.h || iw < 0 || iw >= c.w {
					continue
				}
				for l := range cg {
					visit(y, ((n*c.h+ih)*c.w+iw)*c.c+o/og*cg+l, ((o*c.kh+r)*c.kw+s)*cg+l)
				}
			}
		}
	}
}

// sums are numbers as sums of products, with the sums of the products' sizes, of which errors are a share.
type sums struct{ v, size []float64 }

func newSums(n int) sums { return sums{make([]float64, n), make([]float64, n)} }

func (s sums) add(at int, a, b float64) {
	s.v[at] += a * b
	s.size[at] += math.Abs(a * b)
}

// half is half the distance of neighbours, as a share.
var half = map[device.DType]float64{device.F32: 0x1p-24, device.F16: 0x1p-11, device.BF16: 0x1p-8}

// near compares: sums of n terms in f32 err by sqrt(n) roundings of their size, rarely by four times that; factors of
// which rounded is the share by which each was rounded; results are rounded to typ once.
func (s sums) near(t *testing.T, typ device.DType, n int, rounded float64, got []float64, what string) {
	t.Helper()
	require.Len(t, got, len(s.v))
	for i, v := range got {
		tolerance := s.size[i]*(4*math.Sqrt(float64(n))*0x1p-24+2*rounded) + math.Abs(s.v[i])*half[typ] + 0x1p-24 // the last: subnormal f16
		if !(math.Abs(v-s.v[i]) <= tolerance) {
			t.Fatalf("%s: element %d is %v, want %v +- %v", what, i, v, s.v[i], tolerance)
		}
	}
}

// form is a way to convolve: a type, and whether f32 may be rounded.
type form struct {
	typ  device.DType
	tf32 bool
}

var convForms = []form{{device.F32, false}, {device.F32, true}, {device.F16, false}, {device.BF16, false}}

func (f form) String() string {
	if f.tf32 {
		return "tf32"
	}
	return f.typ.String()
}

// rounded is the share by which a factor is rounded.
func (f form) rounded() float64 {
	if f.tf32 {
		return 0x1p-11
	}
	return 0
}

// convOperands are x, w and y of a case, with their values.
type convOperands struct {
	x, w, y    device.View
	xs, ws, ys []float64
}

// operands are given gaps between pixels and rows where spread is set: multiples of 16 bytes, or not.
func (c convCase) operands(e *elements, typ device.DType, spread int) (o convOperands) {
	oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
	switch spread {
	case 0:
		o.x, o.y = e.normal(typ, 8, c.n, c.h, c.w, c.c), e.normal(typ, 8, c.n, oh, ow, c.o)
	case 1:
		o.x = e.normal(typ, 0, c.n, c.h+1, c.w+2, c.c+3).Slice(1, 1, c.h, 1).Slice(2, 1, c.w, 1).Slice(3, 2, c.c, 1)
		o.y = e.normal(typ, 1, c.n, oh, ow, c.o+5).Slice(3, 1, c.o, 1)
	case 2:
		o.x = e.normal(typ, 0, c.n, c.h+1, c.w+2, c.c+8).Slice(1, 1, c.h, 1).Slice(2, 1, c.w, 1).Slice(3, 8, c.c, 1)
		o.y = e.normal(typ, 8, c.n, oh, ow, c.o+8).Slice(3, 8, c.o, 1)
	}
	o.w = e.normal(typ, 0, c.o, c.kh, c.kw, c.c/int(c.p.Groups))
	o.xs, o.ws, o.ys = e.get(o.x), e.get(o.w), e.get(o.y)
	return o
}

// twice runs f, and captured and launched after the outputs were overwritten; both must give the same bytes.
func (e *elements) twice(f func(), outs ...device.View) {
	e.t.Helper()
	var before, want [][]byte
	for _, y := range outs {
		before = append(before, e.bytes(y))
	}
	f()
	for i, y := range outs {
		want = append(want, e.bytes(y))
		e.d.Upload(device.Make(y.Mem, device.U8, 0, len(before[i])), before[i])
	}
	g, err := e.d.Capture(f)
	require.NoError(e.t, err)
	g.Launch()
	for i, y := range outs {
		require.Equal(e.t, want[i], e.bytes(y), "captured")
	}
	g.Close()
}

var convActs = []struct {
	op device.UnOp
	f  func(float64) float64
}{
	{device.Identity, func(v float64) float64 { return v }},
	{device.Relu, func(v float64) float64 { return max(v, 0) }},
	{device.Gelu, func(v float64) float64 { return v * math.Erfc(-v/math.Sqrt2) / 2 }},
	{device.Sigmoid, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }},
	{device.Tanh, math.Tanh},
	{device.Silu, func(v float64) float64 { return v / (1 + math.Exp(-v)) }},
	{device.GeluTanh, func(v float64) float64 {
		return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	}},
}

// applied is act(s + bias); activations stretch an error by at most 1.13.
func (s sums) applied(bias []float64, f func(float64) float64) sums {
	r := newSums(len(s.v))
	for i, v := range s.v {
		r.size[i] = 1.13*s.size[i] + 1
		if bias != nil {
			v += bias[i%len(bias)]
			r.size[i] += math.Abs(bias[i%len(bias)])
		}
		r.v[i] = f(v)
	}
	return r
}

func TestConv2D(t *testing.T) {
	e := newElements(t)
	for _, f := range convForms {
		e.gpu.TF32(f.tf32)
		for i, c := range convCases {
			o := c.operands(e, f.typ, i%3)
			k := c.kh * c.kw * c.c / int(c.p.Groups)
			sum := newSums(len(o.ys))
			c.convLoops(func(y, x, w int) { sum.add(y, o.xs[x], o.ws[w]) })
			for j, act := range convActs {
				if i >= 2*len(convActs) && (i+j)%3 > 0 { // the first cases have all of them
					continue
				}
				bias, b := device.View{}, []float64(nil)
				if j%2 == 0 {
					typ := f.typ
					if j%4 == 0 {
						typ = device.F32
					}
					bias = e.normal(typ, 3, c.o)
					b = e.get(bias)
				}
				e.twice(func() { require.True(t, e.gpu.Conv2D(o.y, o.x, o.w, bias, c.p, act.op)) }, o.y)
				sum.applied(b, act.f).near(t, f.typ, k, f.rounded(), e.get(o.y), fmt.Sprint(f, c, act.op))
			}
			e.free()
		}
	}
}

func TestConv2DGradInput(t *testing.T) {
	e := newElements(t)
	for _, f := range convForms {
		e.gpu.TF32(f.tf32)
		for i, c := range convCases {
			o := c.operands(e, f.typ, i%3)
			sum := newSums(len(o.xs))
			c.convLoops(func(y, x, w int) { sum.add(x, o.ys[y], o.ws[w]) })
			e.twice(func() { require.True(t, e.gpu.Conv2DGradInput(o.x, o.y, o.w, c.p)) }, o.x)
			sum.near(t, f.typ, c.kh*c.kw*c.o, f.rounded(), e.get(o.x), fmt.Sprint(f, c))
			e.free()
		}
	}
}

func TestConv2DGradWeight(t *testing.T) {
	e := newElements(t)
	for _, f := range convForms {
		e.gpu.TF32(f.tf32)
		for i, c := range convCases {
			o := c.operands(e, f.typ, i%3)
			for _, typ := range []device.DType{f.typ, device.F32} {
				for _, beta := range []float64{0, 1, 2} {
					dw := e.normal(typ, 5, o.w.Shape()...)
					if beta == 0 {
						dw = e.put(typ, 5, func(int) float64 { return math.NaN() }, o.w.Shape()...) // is not read
					}
					sum := newSums(len(o.ws))
					if beta != 0 {
						for i, v := range e.get(dw) {
							sum.add(i, beta, v)
						}
					}
					c.convLoops(func(y, x, w int) { sum.add(w, o.ys[y], o.xs[x]) })
					e.twice(func() { require.True(t, e.gpu.Conv2DGradWeight(dw, o.x, o.y, c.p, beta)) }, dw)
					sum.near(t, typ, c.n*c.h*c.w, f.rounded(), e.get(dw), fmt.Sprint(f, c, beta))
				}
			}
			e.free()
		}
	}
}
