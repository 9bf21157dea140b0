package cpu

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
	{3, 7, 5, 4, 5, 1, 1, conv2DOf(2, 0, 1, 1)},
	{2, 8, 9, 6, 4, 3, 3, conv2DOf(2, 1, 1, 2)},
	{2, 9, 9, 3, 2, 3, 3, conv2DOf(1, 2, 2, 1)},
	{1, 9, 11, 4, 6, 3, 2, device.Conv2D{StrideH: 3, StrideW: 2, PadH: 2, PadW: 1, DilH: 2, DilW: 3, Groups: 2}},
	{2, 6, 6, 5, 5, 3, 3, conv2DOf(1, 1, 1, 5)},
	{3, 9, 8, 37, 37, 3, 2, device.Conv2D{StrideH: 2, StrideW: 3, PadH: 1, PadW: 1, DilH: 2, DilW: 1, Groups: 37}},
	{1, 6, 6, 4, 12, 3, 3, conv2DOf(1, 1, 1, 4)},
	{2, 3, 3, 2, 2, 2, 2, conv2DOf(1, 3, 1, 1)}, // windows wholly in the padding
	{3, 12, 12, 17, 9, 3, 3, conv2DOf(1, 1, 1, 1)},
	{5, 28, 28, 1, 6, 5, 5, conv2DOf(1, 2, 1, 1)},
	{2, 4, 4, 70, 66, 3, 3, conv2DOf(1, 1, 1, 1)},
	{2, 8, 8, 20, 12, 3, 3, conv2DOf(2, 1, 1, 1)},
	{3, 7, 9, 24, 70, 3, 3, conv2DOf(1, 1, 1, 1)}, // from here on by Winograd's way
	{2, 11, 10, 70, 17, 3, 3, conv2DOf(1, 0, 1, 1)},
	{5, 5, 6, 40, 36, 3, 3, conv2DOf(1, 1, 1, 2)},
	{3, 5, 9, 40, 36, 3, 3, conv2DOf(1, 2, 1, 2)},
	{9, 3, 14, 16, 48, 3, 3, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 4, DilH: 1, DilW: 1, Groups: 1}}, // a tile wholly in the padding
	{1, 20, 21, 130, 16, 3, 3, conv2DOf(1, 1, 1, 1)},
	{2, 13, 16, 33, 18, 3, 3, conv2DOf(1, 1, 1, 1)},
	{5, 12, 9, 20, 50, 5, 5, conv2DOf(1, 0, 1, 1)},
	{3, 7, 10, 34, 32, 5, 5, conv2DOf(1, 2, 1, 2)},
	{2, 34, 40, 3, 19, 3, 3, conv2DOf(1, 0, 1, 1)}, // from here on of few channels: the gradient to the weights of x in place, in bands
	{2, 12, 14, 3, 8, 3, 3, conv2DOf(1, 0, 1, 1)},  // y of x in place
	{1, 6, 7, 2, 512, 3, 3, conv2DOf(1, 0, 1, 1)},  // the gradient's pixels would crowd in a cache
	{2, 33, 12, 3, 19, 3, 3, conv2DOf(2, 0, 1, 1)},
	{2, 10, 12, 6, 40, 3, 3, conv2DOf(2, 2, 2, 2)},
	{3, 9, 8, 3, 1, 5, 5, conv2DOf(1, 2, 1, 1)},                                                          // panels along the taps: they are gathered
	{1, 1, 8, 64, 64, 1, 1, device.Conv2D{StrideH: 2, StrideW: 1, PadH: 1, DilH: 1, DilW: 1, Groups: 1}}, // windows are all wholly in the padding
	{15, 1, 13, 70, 26, 1, 5, device.Conv2D{StrideH: 2, StrideW: 2, PadH: 3, PadW: 2, DilH: 2, DilW: 2, Groups: 1}},
	{1, 2, 3, 60, 490, 3, 3, conv2DOf(1, 1, 1, 1)}, // from here on to few positions
	{1, 4, 4, 60, 490, 3, 3, conv2DOf(1, 1, 1, 1)},
	{2, 5, 6, 67, 450, 3, 3, device.Conv2D{StrideH: 2, StrideW: 1, PadH: 1, PadW: 2, DilH: 1, DilW: 2, Groups: 1}},
	{1, 7, 8, 520, 510, 1, 1, conv2DOf(1, 0, 1, 1)},
}

// inTime leaves out cases of more products where tests are shortened: with the race detector each takes a microsecond.
func inTime(cases []convCase, most int) (some []convCase) {
	for _, c := range cases {
		oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
		if !testing.Short() || c.n*oh*ow*c.kh*c.kw*c.c/int(c.p.Groups)*c.o < most {
			some = append(some, c)
		}
	}
	return some
}

// convLoops is the definition; visit sees each product's places in y, x and w.
func (c convCase) convLoops(visit func(y, x, w int)) {
	oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
	cg, og := c.c/int(c.p.Groups), c.o/int(c.p.Groups)
	for n := range c.n {
		for i := range oh {
			for j := range ow {
				for o := range c.o {
					for a := range c.kh {
						for b := range c.kw {
							ih, iw := i*int(c.p.StrideH)-int(c.p.PadH)+a*int(c.p.DilH), j*int(c.p.StrideW)-int(c.p.PadW)+b*int(c.p.DilW)
							if ih < 0 || ih >= c.h || iw < 0 || iw >= c.w {
								continue
							}
							for l := range cg {
								visit(((n*oh+i)*ow+j)*c.o+o, ((n*c.h+ih)*c.w+iw)*c.c+o/og*cg+l, ((o*c.kh+a)*c.kw+b)*cg+l)
							}
						}
					}
				}
			}
		}
	}
}

// operands are x, w, b and y; with gaps between pixels and rows where spread is set.
func (c convCase) operands(r *rig, typ device.DType, spread bool) (x, w, b, y device.View) {
	oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
	if spread {
		x = r.normal(typ, c.n, c.h+1, c.w+2, c.c+3).Slice(1, 1, c.h, 1).Slice(2, 1, c.w, 1).Slice(3, 2, c.c, 1)
		y = r.normal(typ, c.n, oh, ow, c.o+5).Slice(3, 1, c.o, 1)
	} else {
		x, y = r.normal(typ, c.n, c.h, c.w, c.c), r.normal(typ, c.n, oh, ow, c.o)
	}
	return x, r.normal(typ, c.o, c.kh, c.kw, c.c/int(c.p.Groups)), r.normal(typ, c.o), y
}

func TestConv2D(t *testing.T) {
	acts := map[device.UnOp]func(float64) float64{
		device.Identity: func(v float64) float64 { return v },
		device.Relu:     func(v float64) float64 { return max(v, 0) },
		device.Sigmoid:  func(v float64) float64 { return 1 / (1 + math.Exp(-v)) },
		device.Tanh:     math.Tanh,
		device.Gelu:     func(v float64) float64 { return v / 2 * math.Erfc(-v/math.Sqrt2) },
	}
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, c := range inTime(convCases, 3e6) {
			for act, f := range acts {
				var want []float64
				top := 1.0
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					x, w, b, y := c.operands(r, typ, i%2 == 1)
					xs, ws, bs := values(x), values(w), values(b)
					if act == device.Relu {
						b, bs = device.View{}, make([]float64, c.o)
					}
					if want == nil {
						want = make([]float64, y.Len())
						c.convLoops(func(y, x, w int) { want[y] += xs[x] * ws[w] })
						for i := range want {
							want[i] += bs[i%c.o]
							if act == device.Sigmoid || act == device.Tanh {
								top = max(top, math.Abs(want[i])) // they pass on the error of their argument, to a result up to 1
							}
							want[i] = f(want[i])
						}
					}
					return func() { require.True(t, r.d.Conv2D(y, x, w, b, c.p, act)) }, []device.View{y}
				})
				near(t, want, got[0], top*tolerance(typ, c.kh*c.kw*c.c), fmt.Sprint(typ, c, act))
			}
		}
	}
}

func TestConv2DGradients(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F64} {
		for i, c := range inTime(convCases, 3e6) {
			var wantX, wantW []float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				x, w, _, dy := c.operands(r, typ, i%2 == 0)
				dx, dw, dw2 := r.normal(typ, x.Shape()...), r.normal(typ, w.Shape()...), r.normal(typ, w.Shape()...)
				if wantX == nil {
					xs, ws, gs := values(x), values(w), values(dy)
					wantX, wantW = make([]float64, x.Len()), make([]float64, 2*w.Len())
					for i, v := range values(dw2) {
						wantW[w.Len()+i] = 2 * v
					}
					c.convLoops(func(y, x, w int) {
						wantX[x] += gs[y] * ws[w]
						wantW[w] += gs[y] * xs[x]
						wantW[len(ws)+w] += gs[y] * xs[x]
					})
				}
				return func() {
					require.True(t, r.d.Conv2DGradInput(dx, dy, w, c.p))
					require.True(t, r.d.Conv2DGradWeight(dw, x, dy, c.p, 0))
					require.True(t, r.d.Conv2DGradWeight(dw2, x, dy, c.p, 2))
				}, []device.View{dx, dw, dw2}
			})
			near(t, wantX, got[0], tolerance(typ, c.kh*c.kw*c.o), fmt.Sprint("dx ", typ, c))
			near(t, wantW, append(got[1], got[2]...), tolerance(typ, c.n*c.h*c.w), fmt.Sprint("dw ", typ, c))
		}
	}
}

func TestConv2DOfFirstRows(t *testing.T) {
	for _, c := range []convCase{{3, 7, 8, 5, 6, 3, 3, conv2DOf(1, 1, 1, 1)}, {3, 7, 8, 5, 6, 1, 1, conv2DOf(1, 0, 1, 1)}, {2, 9, 9, 3, 4, 3, 3, conv2DOf(2, 1, 1, 1)}} {
		r := newRig(t, 2)
		x, w, b, whole := c.operands(r, device.F32, false)
		oh, ow := whole.D(1)-1, whole.D(2)-2
		y, dy := r.zeros(device.F32, c.n, oh, ow, c.o), r.normal(device.F32, c.n, oh, ow, c.o)
		require.True(t, r.d.Conv2D(whole, x, w, b, c.p, device.Identity))
		require.True(t, r.d.Conv2D(y, x, w, b, c.p, device.Identity))
		require.Equal(t, values(whole.Slice(1, 0, oh, 1).Slice(2, 0, ow, 1)), values(y), c)
		// the same gradients as with zeros in what is missing
		r.d.Fill(whole, 0)
		r.d.Copy(whole.Slice(1, 0, oh, 1).Slice(2, 0, ow, 1), dy)
		var got [2][]float64
		for i, g := range []device.View{whole, dy} {
			dx, dw := r.zeros(device.F32, x.Shape()...), r.zeros(device.F32, w.Shape()...)
			require.True(t, r.d.Conv2DGradInput(dx, g, w, c.p))
			require.True(t, r.d.Conv2DGradWeight(dw, x, g, c.p, 0))
			got[i] = append(values(dx), values(dw)...)
		}
		near(t, got[0], got[1], tolerance(device.F32, c.n*c.h*c.w), fmt.Sprint(c))
	}
}

func TestConv2DDeclines(t *testing.T) {
	r := newRig(t, 1)
	d := r.d
	calls := 0
	defer d.Hook(func(device.Call) error { calls++; return nil })()
	p := conv2DOf(1, 0, 1, 1)
	x, w, y := r.zeros(device.F32, 1, 3, 3, 2), r.zeros(device.F32, 2, 3, 3, 2), r.zeros(device.F32, 1, 1, 1, 2)
	calls = 0
	require.False(t, d.Conv2D(y, x, w, device.View{}, p, device.LeakyRelu), "an activation with a parameter")
	require.False(t, d.Conv2D(y, x, w, r.zeros(device.F64, 2), p, device.Identity), "a bias of another type")
	require.False(t, d.Conv2D(y, x.Flip(1), w, device.View{}, p, device.Identity), "a flipped image")
	require.False(t, d.Conv2D(y, x, w.Permute(1, 0, 2, 3).Permute(1, 0, 2, 3).Flip(0), device.View{}, p, device.Identity), "flipped weights")
	h := r.zeros(device.F16, 1, 3, 3, 2)
	require.False(t, d.Conv2D(y, h, w, device.View{}, p, device.Identity), "half precision")
	require.False(t, d.Conv2DGradInput(h, y, w, p))
	require.False(t, d.Conv2DGradWeight(w, h, y, p, 0))
	require.Zero(t, calls, "a declined call queues nothing")
}

func BenchmarkConv2D(b *testing.B) {
	for _, s := range []struct {
		name string
		c    convCase
	}{
		{"lenet1", convCase{64, 28, 28, 1, 6, 5, 5, conv2DOf(1, 2, 1, 1)}},
		{"lenet2", convCase{64, 14, 14, 6, 16, 5, 5, conv2DOf(1, 0, 1, 1)}},
		{"rgb", convCase{32, 32, 32, 3, 32, 3, 3, conv2DOf(1, 1, 1, 1)}},
		{"32x32x32", convCase{32, 32, 32, 32, 32, 3, 3, conv2DOf(1, 1, 1, 1)}},
		{"16x16x64", convCase{32, 16, 16, 64, 64, 3, 3, conv2DOf(1, 1, 1, 1)}},
		{"8x8x128", convCase{32, 8, 8, 128, 128, 3, 3, conv2DOf(1, 1, 1, 1)}},
		{"stride2", convCase{32, 32, 32, 16, 32, 3, 3, conv2DOf(2, 1, 1, 1)}},
		{"1x1", convCase{32, 16, 16, 64, 64, 1, 1, conv2DOf(1, 0, 1, 1)}},
		{"depthwise", convCase{32, 16, 16, 32, 32, 3, 3, conv2DOf(1, 1, 1, 32)}},
	} {
		c := s.c
		r := newRig(b, 0)
		d := r.d
		oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
		x, y := r.zeros(device.F32, c.n, c.h, c.w, c.c), r.zeros(device.F32, c.n, oh, ow, c.o)
		w, bias := r.zeros(device.F32, c.o, c.kh, c.kw, c.c/int(c.p.Groups)), r.zeros(device.F32, c.o)
		flops := 2 * float64(y.Len()) * float64(w.Len()/c.o)
		b.Run(s.name+"/forward", func(b *testing.B) {
			benchmark(b, d, flops, func() { d.Conv2D(y, x, w, bias, c.p, device.Relu) })
		})
		b.Run(s.name+"/gradinput", func(b *testing.B) {
			benchmark(b, d, flops, func() { d.Conv2DGradInput(x, y, w, c.p) })
		})
		b.Run(s.name+"/gradweight", func(b *testing.B) {
			benchmark(b, d, flops, func() { d.Conv2DGradWeight(w, x, y, c.p, 0) })
		})
		d.BF16Products(true)
		b.Run(s.name+"/bf16/forward", func(b *testing.B) {
			benchmark(b, d, flops, func() { d.Conv2D(y, x, w, bias, c.p, device.Relu) })
		})
		b.Run(s.name+"/bf16/gradinput", func(b *testing.B) {
			benchmark(b, d, flops, func() { d.Conv2DGradInput(x, y, w, c.p) })
		})
		b.Run(s.name+"/bf16/gradweight", func(b *testing.B) {
			benchmark(b, d, flops, func() { d.Conv2DGradWeight(w, x, y, c.p, 0) })
		})
	}
}
