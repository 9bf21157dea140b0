package cpu

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func TestAugment(t *testing.T) {
	const m, b, h, w = 9, 40, 7, 6
	scale, bias := [4]float32{0.01, 0.02, 0.03}, [4]float32{-1, 0.5, 2}
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, p := range []device.Augment{{}, {Pad: 2}, {Pad: 2, Reflect: true}, {Flip: true}, {Cutout: 3}, {Pad: 1, Flip: true, Cutout: 4}, {Pad: 4, Reflect: true, Flip: true, Cutout: 5}} {
			p.Scale, p.Bias, p.Stream = scale, bias, 99
			c := 3 - 2*int(p.Pad%2) // or 1
			var want []float64
			got := everywhere(t, func(r *rig) (func(), []device.View) {
				images := r.with(device.U8, func(int) float64 { return float64(r.rnd.IntN(256)) }, m, h, w, c)
				idx := r.with(device.I32, func(i int) float64 { return float64(i * 5 % m) }, b)
				state := r.with(device.I32, func(i int) float64 { return float64(i + 11) }, 4)
				y, wide := r.normal(typ, b, h, w, c), r.normal(typ, b, h, w, c+1).Slice(3, 1, c, 1)
				if p == (device.Augment{Scale: scale, Bias: bias, Stream: 99}) {
					state = device.View{}
				}
				if want == nil {
					px, ids := values(images), values(idx)
					want = make([]float64, b*h*w*c)
					for i := range b {
						u := func(col int) float32 { return uniform([]float64{11, 12, 13, 14}, p.Stream, i*8+col) }
						// The steps one after the other, each on a whole picture with room for the padding.
						at := func(r, s, l int) (float64, bool) {
							if p.Reflect {
								r, s = mirror(r, h), mirror(s, w)
							}
							if r < 0 || s < 0 || r >= h || s >= w {
								return 0, false
							}
							return px[((int(ids[i])*h+r)*w+s)*c+l], true
						}
						dh, dw := int(u(0)*float32(2*p.Pad+1))-int(p.Pad), int(u(1)*float32(2*p.Pad+1))-int(p.Pad)
						ch, cw := int(u(3)*h), int(u(4)*w)
						for r := range h {
							for s := range w {
								from := s
								if p.Flip && u(2) < 0.5 {
									from = w - 1 - s
								}
								lo := int(p.Cutout) / 2
								cut := p.Cutout > 0 && r-ch >= -lo && r-ch < int(p.Cutout)-lo && s-cw >= -lo && s-cw < int(p.Cutout)-lo
								for l := range c {
									if v, ok := at(r+dh, from+dw, l); ok && !cut {
										want[((i*h+r)*w+s)*c+l] = v*float64(scale[l]) + float64(bias[l])
									}
								}
							}
						}
					}
				}
				return func() {
					require.True(t, r.d.Augment(y, images, idx, state, p))
					require.True(t, r.d.Augment(wide, images, idx, state, p))
				}, []device.View{y, wide}
			})
			near(t, want, got[0], 1.2e-7, fmt.Sprint(typ, p)) // one product and one sum in f32
			require.Equal(t, got[0], got[1], "%s %+v, pixels with gaps", typ, p)
		}
	}
}

func mirror(i, n int) int {
	switch {
	case i < 0:
		return -i
	case i >= n:
		return 2*n - 2 - i
	}
	return i
}

func TestAugmentReportsAWrongIndex(t *testing.T) {
	r := newRig(t, 2)
	d := r.d
	y, images := r.normal(device.F32, 2, 2, 2, 1), r.zeros(device.U8, 3, 2, 2, 1)
	idx := r.with(device.I32, func(i int) float64 { return float64(3 * i) }, 2)
	require.True(t, d.Augment(y, images, idx, device.View{}, device.Augment{}))
	require.ErrorContains(t, d.Sync(), "image 3 of 3")
}

func BenchmarkAugment(b *testing.B) {
	r := newRig(b, 0)
	d := r.d
	y, images, idx, state := r.zeros(device.F32, 128, 32, 32, 3), r.zeros(device.U8, 128, 32, 32, 3), r.zeros(device.I32, 128), r.zeros(device.I32, 4)
	benchmark(b, d, float64(y.Len()), func() { d.Augment(y, images, idx, state, device.Augment{Pad: 4, Flip: true, Cutout: 8}) })
}
