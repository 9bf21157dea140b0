//go:build cuda

package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu"
)

// mirrored brings a place outside 0..n-1 back in.
func mirrored(i, n int) int {
	switch {
	case i < 0:
		return -i
	case i >= n:
		return 2*n - 2 - i
	}
	return i
}

// augmented is the steps one after the other, each on a whole picture with room for the padding.
func augmented(px, ids []float64, b, h, w, c int, p device.Augment, s [4]uint32) []float64 {
	want := make([]float64, b*h*w*c)
	pad, cut := int(p.Pad), int(p.Cutout)
	for i := range b {
		u := func(col int) float32 { return uniformAt(s, p.Stream, i*8+col) }
		dh, dw := int(u(0)*float32(2*pad+1))-pad, int(u(1)*float32(2*pad+1))-pad
		top, left := int(u(3)*float32(h))-cut/2, int(u(4)*float32(w))-cut/2
		for e := range h * w * c {
			row, col, l := e/c/w, e/c%w, e%c
			from, at := row+dh, col
			if p.Flip && u(2) < 0.5 {
				at = w - 1 - col
			}
			at += dw
			if p.Reflect {
				from, at = mirrored(from, h), mirrored(at, w)
			}
			if row >= top && row < top+cut && col >= left && col < left+cut || from < 0 || at < 0 || from >= h || at >= w {
				continue
			}
			v := float32(px[((int(ids[i])*h+from)*w+at)*c+l])
			v = float32(v * p.Scale[l])
			want[i*h*w*c+e] = float64(v + p.Bias[l])
		}
	}
	return want
}

func TestAugment(t *testing.T) {
	e := newElements(t)
	s := [4]uint32{11, 12, 13, 14}
	const m = 9
	for _, typ := range floatTypes {
		for _, dims := range [][4]int{{40, 7, 6, 3}, {5, 8, 8, 3}, {3, 28, 28, 1}, {2, 5, 4, 4}, {2, 33, 35, 3}} {
			b, h, w, c := dims[0], dims[1], dims[2], dims[3]
			for _, p := range []device.Augment{{}, {Pad: 2}, {Pad: 2, Reflect: true}, {Flip: true}, {Cutout: 3}, {Pad: 1, Flip: true, Cutout: 4}, {Pad: 3, Reflect: true, Flip: true, Cutout: 5}} {
				random := p != device.Augment{}
				p.Scale, p.Bias, p.Stream = [4]float32{0.01, 0.02, 0.03, 0.04}, [4]float32{-1, 0.5, 2, 0}, 99
				pictures := e.put(device.U8, 0, func(int) float64 { return float64(e.rnd.IntN(256)) }, m, h, w, c)
				idx, state := e.put(device.I32, 0, func(i int) float64 { return float64(i * 5 % m) }, b), device.View{}
				if random {
					state = e.state(s)
				}
				want := augmented(e.get(pictures), e.get(idx), b, h, w, c, p, s)
				for i, x := range want {
					var raw [8]byte
					encode(typ, raw[:], x)
					want[i] = decode(typ, raw[:])
				}
				// without gaps; with one channel's place between pixels; with one column's between rows
				for _, y := range []device.View{e.normal(typ, 0, b, h, w, c), e.channels(typ, 1, 1, func(int) float64 { return 1 }, b, h, w, c), e.normal(typ, 0, b, h, w+1, c).Slice(2, 1, w, 1)} {
					e.everywhere(func() { require.True(t, e.gpu.Augment(y, pictures, idx, state, p)) }, y)
					require.Equal(t, want, e.get(y), fmt.Sprint(typ, dims, p, y))
				}
			}
			e.free()
		}
	}
}

func TestAugmentReportsAWrongIndex(t *testing.T) {
	e := newElements(t)
	y, pictures := e.normal(device.F32, 0, 2, 2, 2, 1), e.put(device.U8, 0, func(int) float64 { return 1 }, 3, 2, 2, 1)
	for _, bad := range []float64{3, -1} {
		idx := e.put(device.I32, 0, func(i int) float64 { return bad * float64(i) }, 2)
		require.True(t, e.gpu.Augment(y, pictures, idx, device.View{}, device.Augment{}))
		e.gpu.Fill(pictures, 7) // must do nothing
		require.ErrorContains(t, e.gpu.Sync(), fmt.Sprintf("Augment: index %v at place 1 is not in 0..2", bad))
		require.Equal(t, 1.0, e.get(pictures)[0])
	}
	require.False(t, e.gpu.Augment(y, pictures, e.blank(device.I32, 0, 3), device.View{}, device.Augment{}))
	require.False(t, e.gpu.Augment(y, pictures, e.blank(device.I32, 0, 2), device.View{}, device.Augment{Flip: true}), "nothing to draw from")
	require.False(t, e.gpu.Augment(y, pictures, e.blank(device.I32, 0, 2), e.state([4]uint32{}), device.Augment{Pad: 2, Reflect: true}))
}

// The CPU's kernel gives the same numbers.
func TestAugmentIsTheCPUs(t *testing.T) {
	e := newElements(t)
	ref := cpu.Open(device.Options{Threads: 1})
	t.Cleanup(func() { require.NoError(t, ref.Close()) })
	p := device.Augment{Pad: 4, Flip: true, Cutout: 8, Stream: 5, Scale: [4]float32{0.017, 0.0175, 0.0171}, Bias: [4]float32{-2.1, -2, -1.8}}
	pictures := e.put(device.U8, 0, func(int) float64 { return float64(e.rnd.IntN(256)) }, 50, 32, 32, 3)
	idx, state, y := e.put(device.I32, 0, func(i int) float64 { return float64(49 - i) }, 16), e.state([4]uint32{1, 2, 3, 4}), e.blank(device.F32, 0, 16, 32, 32, 3)
	require.True(t, e.gpu.Augment(y, pictures, idx, state, p))
	over := func(v device.View) device.View {
		b := e.bytes(v)
		m, err := ref.Alloc(len(b))
		require.NoError(t, err)
		t.Cleanup(m.Free)
		ref.Upload(device.Make(m, device.U8, 0, len(b)), b)
		v.Mem = m
		return v
	}
	z := over(y)
	ref.Fill(z, 0)
	require.True(t, ref.Augment(z, over(pictures), over(idx), over(state), p))
	b := make([]byte, z.Mem.Bytes())
	require.NoError(t, ref.Download(b, device.Make(z.Mem, device.U8, 0, len(b))))
	require.Equal(t, b[:y.Bytes()], e.bytes(y)[:y.Bytes()])
}
