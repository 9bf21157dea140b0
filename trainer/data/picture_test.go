package data

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	return b.Bytes()
}

// grey is a picture whose bytes are v(y, x).
func grey(h, w int, v func(y, x int) byte) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetGray(x, y, color.Gray{Y: v(y, x)})
		}
	}
	return m
}

func TestPicture(t *testing.T) {
	dir := t.TempDir()
	fill := func(m interface {
		image.Image
		Set(x, y int, c color.Color)
	}, c ...color.Color) image.Image {
		for i, c := range c {
			m.Set(m.Bounds().Min.X+i%2, m.Bounds().Min.Y+i/2, c)
		}
		return m
	}
	r := image.Rect(0, 0, 2, 1)
	red, half := color.NRGBA{200, 10, 20, 255}, color.NRGBA{100, 50, 30, 128}
	for name, c := range map[string]struct {
		m    image.Image
		want []byte // RGBA
	}{
		"nrgba":     {fill(image.NewNRGBA(r), red, half), []byte{200, 10, 20, 255, 100, 50, 30, 128}},
		"rgba":      {fill(image.NewRGBA(r), red, color.NRGBA{1, 2, 3, 255}), []byte{200, 10, 20, 255, 1, 2, 3, 255}},
		"gray":      {fill(image.NewGray(r), color.Gray{7}, color.Gray{255}), []byte{7, 7, 7, 255, 255, 255, 255, 255}},
		"gray16":    {fill(image.NewGray16(r), color.Gray16{0x1234}, color.Gray16{0xffff}), []byte{0x12, 0x12, 0x12, 255, 255, 255, 255, 255}},
		"paletted":  {fill(image.NewPaletted(r, color.Palette{red, half}), red, half), []byte{200, 10, 20, 255, 100, 50, 30, 128}},
		"rgba64":    {fill(image.NewRGBA64(r), color.RGBA64{0xab00, 0xcd00, 0x0100, 0xffff}, red), []byte{0xab, 0xcd, 1, 255, 200, 10, 20, 255}},
		"elsewhere": {fill(image.NewNRGBA(r.Add(image.Pt(5, -3))), red, half), []byte{200, 10, 20, 255, 100, 50, 30, 128}},
	} {
		p := write(t, pngOf(t, c.m), dir, name+".png")
		px, err := Picture(p, [3]int{1, 2, 4}, false)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, px, name)
		px, err = Picture(p, [3]int{1, 2, 3}, false)
		require.NoError(t, err)
		assert.Equal(t, append(append([]byte(nil), c.want[:3]...), c.want[4:7]...), px, "alpha does not count")
		px, err = Picture(p, [3]int{1, 2, 1}, false)
		require.NoError(t, err)
		for i, v := range px {
			w := c.want[4*i:]
			assert.InDelta(t, 0.299*float64(w[0])+0.587*float64(w[1])+0.114*float64(w[2]), v, 0.51) // rounded to a byte
			if w[0] == w[1] && w[1] == w[2] {
				assert.Equal(t, w[0], v, "grey stays as it is")
			}
		}
	}

	var b bytes.Buffer // a JPEG, in colour and in grey; even areas come through nearly as they were
	flat := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		flat.Set(i%16, i/16, color.NRGBA{180, 90, 40, 255})
	}
	require.NoError(t, jpeg.Encode(&b, flat, &jpeg.Options{Quality: 100}))
	px, err := Picture(write(t, b.Bytes(), dir, "flat.jpeg"), [3]int{16, 16, 3}, false)
	require.NoError(t, err)
	for i := 0; i < len(px); i += 3 {
		assert.InDeltaSlice(t, []int{180, 90, 40}, []int{int(px[i]), int(px[i+1]), int(px[i+2])}, 3) // JPEG's colour transform rounds
	}
	b.Reset()
	require.NoError(t, jpeg.Encode(&b, grey(8, 8, func(y, x int) byte { return 77 }), nil))
	px, err = Picture(write(t, b.Bytes(), dir, "grey.jpg"), [3]int{8, 8, 1}, false)
	require.NoError(t, err)
	assert.InDelta(t, 77, px[9], 2) // JPEG's quantisation
}

func TestPictureMistakes(t *testing.T) {
	dir := t.TempDir()
	p := write(t, pngOf(t, grey(3, 4, func(y, x int) byte { return 1 })), dir, "a.png")
	_, err := Picture(p, [3]int{4, 4, 1}, false)
	refused(t, err, p, "the picture is 3x4, not 4x4")
	_, err = Picture(filepath.Join(dir, "b.png"), [3]int{4, 4, 1}, false)
	refused(t, err, "b.png: there is no such file")
	_, err = Picture(dir, [3]int{4, 4, 1}, false)
	refused(t, err, dir)
	for _, b := range [][]byte{nil, []byte("hello"), pngOf(t, grey(30, 30, func(y, x int) byte { return byte(y * x) }))[:60]} {
		p := write(t, b, dir, "bad.png")
		_, err = Picture(p, [3]int{30, 30, 1}, true)
		refused(t, err, p, "no whole PNG or JPEG picture")
	}
	bomb := pngOf(t, grey(1, 1, func(y, x int) byte { return 1 }))
	copy(bomb[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // width and height in the header, and its sum
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	p = write(t, bomb, dir, "bomb.png")
	_, err = Picture(p, [3]int{1, 1, 1}, true)
	refused(t, err, p, "a picture of 65536x65536 is not read")
	assert.Panics(t, func() {
		_, _ = Picture(write(t, pngOf(t, grey(1, 1, func(y, x int) byte { return 1 })), dir, "c.png"), [3]int{1, 1, 2}, false)
	})
}

// fit keeps proportions and the centre, and means over what it shrinks.
func TestPictureFit(t *testing.T) {
	dir := t.TempDir()
	fit := func(m image.Image, shape [3]int) []byte {
		px, err := Picture(write(t, pngOf(t, m), dir, "x.png"), shape, true)
		require.NoError(t, err)
		return px
	}
	flat := func(h, w int) image.Image { return grey(h, w, func(y, x int) byte { return 99 }) }
	for _, s := range [][2]int{{1, 1}, {7, 13}, {100, 3}, {32, 32}, {64, 65}} {
		for _, v := range fit(flat(s[0], s[1]), [3]int{32, 32, 1}) {
			require.Equal(t, byte(99), v, "%v: weights add up to one", s)
		}
	}
	wide := grey(4, 12, func(y, x int) byte { return byte(10 * x) })
	assert.Equal(t, []byte{40, 50, 60, 70}, fit(wide, [3]int{4, 4, 1})[:4], "the middle is kept, unscaled")
	tall := grey(13, 4, func(y, x int) byte { return byte(10 * y) })
	assert.Equal(t, []byte{45, 55, 65, 75}, func() (c []byte) { // half a pixel between
		px := fit(tall, [3]int{4, 4, 1})
		for y := range 4 {
			c = append(c, px[4*y])
		}
		return c
	}())
	ramp := fit(grey(2, 2, func(y, x int) byte { return byte(100 * x) }), [3]int{4, 4, 1})
	assert.Equal(t, []byte{0, 25, 75, 100}, ramp[:4], "linear between the centres of pixels")
	// A ramp shrunk eightfold stays one: away from its ends each pixel is the mean of those it covers.
	small := fit(grey(64, 64, func(y, x int) byte { return byte(2*x + y) }), [3]int{8, 8, 1})
	for y := 1; y < 7; y++ {
		for x := 1; x < 7; x++ {
			assert.InDelta(t, 2*(8*float64(x)+3.5)+8*float64(y)+3.5, float64(small[8*y+x]), 0.51) // rounded to a byte
		}
	}
	colour := image.NewNRGBA(image.Rect(0, 0, 3, 3))
	for i := range 9 {
		colour.Set(i%3, i/3, color.NRGBA{10, 120, 230, 255})
	}
	px := fit(colour, [3]int{5, 5, 3})
	for i := 0; i < len(px); i += 3 {
		assert.Equal(t, []byte{10, 120, 230}, px[i:i+3], "channels do not mix")
	}
}

func TestResample(t *testing.T) {
	assert.Equal(t, []float32{0, 1, 3, 4}, resample([]float32{0, 4}, 1, 2, 1, 4, 0, 0.5))
	down := resample([]float32{0, 0, 8, 8}, 1, 4, 1, 2, 0, 2)
	assert.InDelta(t, 8, float64(down[0]+down[1]), 1e-6, "the mean stays") // f32 sums of four terms
	assert.InDelta(t, 0, math.Abs(float64(down[0])-8.0/7), 1e-6)           // triangle 1/4 3/4 3/4 [1/4] inside: (8/4)/(7/4)
	two := resample([]float32{1, 10, 3, 30}, 1, 2, 2, 1, 0, 2)
	assert.Equal(t, []float32{2, 20}, two)
}

// Whatever a picture's bytes are, it gives pixels of the shape that was asked for, or an error that names the file.
func FuzzPicture(f *testing.F) {
	f.Add(pngOf(f, grey(2, 3, func(y, x int) byte { return byte(9*y + x) })), true)
	var b bytes.Buffer
	require.NoError(f, jpeg.Encode(&b, grey(9, 8, func(y, x int) byte { return byte(y ^ x) }), nil))
	f.Add(b.Bytes(), false)
	f.Add([]byte("\x89PNG\r\n\x1a\n"), true)
	path := filepath.Join(f.TempDir(), "x.png")
	f.Fuzz(func(t *testing.T, raw []byte, fit bool) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(raw)); err == nil && c.Width*c.Height > 1<<20 {
			return // allowed, but slow
		}
		require.NoError(t, os.WriteFile(path, raw, 0o666))
		px, err := Picture(path, [3]int{2, 3, 3}, fit)
		if err != nil {
			assert.Contains(t, err.Error(), path)
			return
		}
		assert.Len(t, px, 18)
	})
}
