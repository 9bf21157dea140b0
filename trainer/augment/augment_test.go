package augment_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/augment"
)

var (
	mean = []float64{0.4914, 0.4822, 0.4465, 0.5}
	std  = []float64{0.2470, 0.2435, 0.2616, 0.25}
)

var specs = []augment.Spec{
	{}, {Flip: true}, {Pad: 2}, {Pad: 1, Reflect: true}, {Cutout: 3}, {Cutout: 4}, {Cutout: 1},
	{Flip: true, Pad: 4}, {Flip: true, Pad: 3, Reflect: true, Cutout: 5}, {Pad: 9, Cutout: 2}, {Flip: true, Pad: 2, Cutout: 4},
}

// pictures is m random pictures and the indices of a batch of b.
func pictures(m, b, h, w, c int) (px []byte, idx []int32) {
	rnd := rand.New(rand.NewPCG(3, 4))
	px = make([]byte, m*h*w*c)
	for i := range px {
		px[i] = byte(rnd.Uint32())
	}
	for range b {
		idx = append(idx, rnd.Int32N(int32(m)))
	}
	return px, idx
}

var state = [4]uint32{7, 9, 3, 1}

// batch runs augment.Batch on a device twice and gives the bits, which must be equal. Freed memory is poisoned.
func batch(t testing.TB, d device.Device, p device.Augment, typ device.DType, px []byte, idx []int32, h, w, c int) []byte {
	t.Helper()
	alloc := func(typ device.DType, src []byte, dims ...int) device.View {
		m, err := d.Alloc(max(len(src), 1))
		require.NoError(t, err)
		t.Cleanup(m.Free)
		v := device.Make(m, typ, 0, dims...)
		d.Upload(v, src)
		return v
	}
	words := func(x []uint32) (b []byte) {
		for _, v := range x {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	var at []uint32
	for _, k := range idx {
		at = append(at, uint32(k))
	}
	images := alloc(device.U8, px, len(px)/(h*w*c), h, w, c)
	index := alloc(device.I32, words(at), len(idx))
	m, err := d.Alloc(1 << 20)
	require.NoError(t, err)
	t.Cleanup(m.Free)
	tape := ops.NewTape(d, device.NewArena(m))
	tape.Arena.Poison = func(v device.View) { d.Fill(v, 77) }
	tape.RNG = alloc(device.I32, words(state[:]), 4)
	var out [2][]byte
	for i := range out {
		y := augment.Batch(tape, images, index, p, typ)
		require.Equal(t, []int{len(idx), h, w, c}, y.Shape())
		require.Equal(t, typ, y.Type())
		require.False(t, y.NeedsGrad())
		out[i] = make([]byte, y.Value().Bytes())
		require.NoError(t, d.Download(out[i], y.Value()))
		tape.Release(y)
		require.Zero(t, tape.Arena.Live(), "temporaries are given back")
		tape.Reset()
	}
	require.NoError(t, d.Sync())
	require.Equal(t, out[0], out[1], "the same state gives the same batch")
	return out[0]
}

func floats(b []byte, typ device.DType) (x []float64) {
	for len(b) > 0 {
		if typ == device.F64 {
			x, b = append(x, math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:]
		} else {
			x, b = append(x, float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))), b[4:]
		}
	}
	return x
}

// draw is column col of row i of the Uniform draw, as the doc of Kernels.Random defines it.
func draw(i, col int) float32 {
	e := uint32(8*i + col)
	u := device.Philox([4]uint32{e / 4, augment.Stream, state[2], state[3]}, [2]uint32{state[0], state[1]})
	return device.UniformOf(u[e%4])
}

// plain is the batch by whole pictures, one change after the other: pad, crop, flip, cut out. NaN stands for the
// normalised 0 until the end.
func plain(s augment.Spec, px []byte, idx []int32, h, w, c int) (out []float64) {
	for i, k := range idx {
		src := px[int(k)*h*w*c:][:h*w*c]
		hp, wp := h+2*s.Pad, w+2*s.Pad
		padded := make([]float64, hp*wp*c)
		for r := range hp {
			for q := range wp {
				y, x := r-s.Pad, q-s.Pad
				if s.Reflect {
					y, x = mirror(y, h), mirror(x, w)
				}
				for l := range c {
					v := math.NaN()
					if y >= 0 && y < h && x >= 0 && x < w {
						v = (float64(src[(y*w+x)*c+l])/255 - mean[l]) / std[l]
					}
					padded[(r*wp+q)*c+l] = v
				}
			}
		}
		side := float32(2*s.Pad + 1)
		top, left := int(draw(i, 0)*side), int(draw(i, 1)*side)
		img := make([]float64, h*w*c)
		for r := range h {
			copy(img[r*w*c:(r+1)*w*c], padded[((top+r)*wp+left)*c:])
		}
		if s.Flip && draw(i, 2) < 0.5 {
			for r := range h {
				for q := range w / 2 {
					for l := range c {
						a, b := (r*w+q)*c+l, (r*w+w-1-q)*c+l
						img[a], img[b] = img[b], img[a]
					}
				}
			}
		}
		top, left = int(draw(i, 3)*float32(h))-s.Cutout/2, int(draw(i, 4)*float32(w))-s.Cutout/2
		for r := max(top, 0); r < min(top+s.Cutout, h); r++ {
			for q := max(left, 0); q < min(left+s.Cutout, w); q++ {
				for l := range c {
					img[(r*w+q)*c+l] = math.NaN()
				}
			}
		}
		for j, v := range img {
			if math.IsNaN(v) {
				img[j] = 0
			}
		}
		out = append(out, img...)
	}
	return out
}

func mirror(i, n int) int {
	for i < 0 || i >= n {
		if i < 0 {
			i = -i
		} else {
			i = 2*(n-1) - i
		}
	}
	return i
}

func open(t testing.TB) device.Device {
	d, err := device.Open("cpu")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// TestBatch: the fused kernel, the composition, and the composition on a device that defers every call give the same
// bits, and those are what plain loops over whole pictures give.
func TestBatch(t *testing.T) {
	fused := open(t)
	deferred := device.Device(devicetest.NewDeferred())
	t.Cleanup(func() { require.NoError(t, deferred.Close()) })
	const m, b, h, w = 5, 23, 7, 10
	for _, s := range specs {
		for _, c := range []int{1, 3, 4} {
			px, idx := pictures(m, b, h, w, c)
			p, want := s.Device(mean[:c], std[:c]), plain(s, px, idx, h, w, c)
			for _, typ := range []device.DType{device.F32, device.F64} {
				name := fmt.Sprintf("%+v, %d channels, %s", s, c, typ)
				got := batch(t, fused, p, typ, px, idx, h, w, c)
				assert.Equal(t, got, batch(t, device.Unfused(fused), p, typ, px, idx, h, w, c), "%s: composed", name)
				assert.Equal(t, got, batch(t, deferred, p, typ, px, idx, h, w, c), "%s: deferred", name)
				// Scale, bias, product and sum are rounded to f32; the numbers are at most 2.2.
				assert.InDeltaSlice(t, want, floats(got, typ), 6e-7, name)
			}
		}
	}
}

func TestBatchInHalfPrecision(t *testing.T) {
	d := open(t)
	px, idx := pictures(3, 5, 4, 4, 3)
	p := augment.Spec{Flip: true, Pad: 1}.Device(mean[:3], std[:3])
	want := floats(batch(t, d, p, device.F32, px, idx, 4, 4, 3), device.F32)
	got := batch(t, d, p, device.F16, px, idx, 4, 4, 3)
	for i, v := range want {
		require.Equal(t, device.F32ToF16(float32(v)), binary.LittleEndian.Uint16(got[2*i:]))
	}
}

// Of 20,000 pictures half are mirrored, and all places of crop and cutout are equally likely.
func TestDrawsAreUniform(t *testing.T) {
	if testing.Short() {
		t.Skip("many pictures")
	}
	const n, h, w = 20000, 5, 4
	d := open(t)
	m, err := d.Alloc(1 << 24)
	require.NoError(t, err)
	defer m.Free()
	count := func(s augment.Spec, px []byte, key func(img []float64) int, kinds int) {
		p := s.Device([]float64{0}, []float64{1.0 / 255}) // the byte itself
		got := make(map[int]int)
		at := device.Make(m, device.I32, 0, n)
		d.Fill(at, 0)
		images := device.Make(m, device.U8, 4*n, 1, h, w, 1)
		d.Upload(images, px)
		rng := device.Make(m, device.I32, n+64, 4)
		d.Fill(rng, 5)
		tape := ops.NewTape(d, device.Phantom())
		tape.RNG = rng
		device.DryRun(d, func() { augment.Batch(tape, images, at, p, device.F32); tape.Reset() })
		room, err := d.Alloc(tape.Arena.High())
		require.NoError(t, err)
		defer room.Free()
		tape.Arena = device.NewArena(room)
		y := augment.Batch(tape, images, at, p, device.F32)
		b := make([]byte, y.Value().Bytes())
		require.NoError(t, d.Download(b, y.Value()))
		x := floats(b, device.F32)
		for i := range n {
			got[key(x[i*h*w:(i+1)*h*w])]++
		}
		require.Len(t, got, kinds)
		for k, c := range got {
			mean := float64(n) / float64(kinds)
			assert.InDelta(t, mean, c, 4.5*math.Sqrt(mean), "%+v, outcome %d", s, k) // 4.5 standard deviations of a count, at most 1 in 10^5
		}
	}
	px := make([]byte, h*w)
	for i := range px {
		px[i] = byte(i + 1)
	}
	first := func(img []float64) int { return int(math.Round(img[0])) }
	count(augment.Spec{Flip: true}, px, first, 2)
	centre := func(img []float64) int { return int(math.Round(img[h/2*w+w/2])) }
	count(augment.Spec{Pad: 1}, px, centre, 9)
	hole := func(img []float64) int {
		for i, v := range img {
			if v == 0 {
				return i
			}
		}
		return -1
	}
	count(augment.Spec{Cutout: 1}, px, hole, h*w)
}

func TestBatchNeedsNoDrawsWithoutChanges(t *testing.T) {
	for _, d := range []device.Device{open(t), device.Unfused(open(t))} {
		m, err := d.Alloc(1 << 16)
		require.NoError(t, err)
		tape := ops.NewTape(d, device.NewArena(m))
		images, idx := tape.Temp(device.U8, 2, 3, 3, 1), tape.Temp(device.I32, 2)
		d.Fill(images.Value(), 255)
		d.Fill(idx.Value(), 1)
		y := augment.Batch(tape, images.Value(), idx.Value(), augment.Spec{}.Device([]float64{0.5}, []float64{0.5}), device.F32)
		b := make([]byte, y.Value().Bytes())
		require.NoError(t, d.Download(b, y.Value()))
		for _, v := range floats(b, device.F32) {
			assert.InDelta(t, 1, v, 1.2e-7) // two f32 roundings
		}
		assert.Panics(t, func() {
			augment.Batch(tape, images.Value(), idx.Value(), augment.Spec{Flip: true}.Device([]float64{0}, []float64{1}), device.F32)
		}, "a random change without a state to draw from")
		assert.Panics(t, func() {
			augment.Batch(tape, images.Value(), images.Value(), device.Augment{}, device.F32)
		}, "an index of bytes")

		d.Fill(idx.Value(), 2)
		augment.Batch(tape, images.Value(), idx.Value(), augment.Spec{}.Device([]float64{0}, []float64{1}), device.F32)
		assert.Error(t, d.Sync(), "an index outside the pictures")
		tape.Reset()
		m.Free()
	}
}

func TestSpecCheck(t *testing.T) {
	rgb := [3]int{32, 30, 3}
	require.NoError(t, augment.Spec{Flip: true, Pad: 4, Cutout: 8}.Check(rgb, mean[:3], std[:3]))
	require.NoError(t, augment.Spec{Pad: 29, Reflect: true, Cutout: 30}.Check(rgb, mean[:3], std[:3]))
	for _, c := range []struct {
		spec      augment.Spec
		shape     [3]int
		mean, std []float64
		want      string
	}{
		{augment.Spec{Pad: -1}, rgb, mean[:3], std[:3], "pad -1"},
		{augment.Spec{Pad: 2000}, rgb, mean[:3], std[:3], "pad 2000"},
		{augment.Spec{Pad: 30, Reflect: true}, rgb, mean[:3], std[:3], "cannot be reflected in pictures of 32x30"},
		{augment.Spec{Cutout: -2}, rgb, mean[:3], std[:3], "size -2"},
		{augment.Spec{Cutout: 31}, rgb, mean[:3], std[:3], "size 31 in pictures of 32x30"},
		{augment.Spec{}, [3]int{4, 4, 5}, nil, nil, "5 channels"},
		{augment.Spec{}, rgb, mean[:1], std[:3], "data.mean: 1 numbers for pictures of 3 channels"},
		{augment.Spec{}, rgb, mean[:3], std[:2], "data.std: 2 numbers"},
		{augment.Spec{}, rgb, mean[:3], []float64{1, 0, 1}, "data.std: 0"},
		{augment.Spec{}, rgb, []float64{0, math.NaN(), 0}, std[:3], "data.mean: NaN"},
		{augment.Spec{}, rgb, mean[:3], []float64{1, 1, math.Inf(1)}, "data.std: +Inf"},
	} {
		err := c.spec.Check(c.shape, c.mean, c.std)
		require.ErrorContains(t, err, c.want)
		assert.Equal(t, fault.Usage, fault.KindOf(err))
		assert.NotEmpty(t, fault.HintOf(err))
	}
	assert.False(t, augment.Spec{}.Random())
	assert.True(t, augment.Spec{Cutout: 1}.Random())
}
