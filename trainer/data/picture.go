package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // the formats that are read
	_ "image/png"
	"io/fs"
	"math"
	"os"

	"github.com/acumen-ml/acumen/internal/fault"
)

// mostPixels bounds the pictures that are decoded: a small file can claim a huge one.
const mostPixels = 1 << 27

// Picture reads a PNG or JPEG file as bytes (H,W,C) of shape: 1 channel is luma (ITU-R BT.601), 3 are red, green and
// blue, 4 have alpha too, which the others ignore. An orientation that a camera noted is not followed. A picture of
// another size is an error unless fit is set: then it is scaled, with its sides' proportion kept, until it just covers
// the shape, and the rest is cut off on both sides alike.
func Picture(path string, shape [3]int, fit bool) ([]byte, error) {
	b, err := readPicture(path)
	if err != nil {
		return nil, err
	}
	m, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, notPicture(path, err)
	}
	h, w := m.Bounds().Dy(), m.Bounds().Dx()
	if (h != shape[0] || w != shape[1]) && !fit {
		return nil, fault.Usagef("bring it to that size: data.size does so for a folder, --resize for predict", "%s: the picture is %dx%d, not %dx%d", path, h, w, shape[0], shape[1])
	}
	px := pixels(m, shape[2])
	if h == shape[0] && w == shape[1] {
		return px, nil
	}
	return fitted(px, h, w, shape), nil
}

// pictureSize is height and width of a picture, from its header.
func pictureSize(path string) (h, w int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, notReadable(path, err)
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return 0, 0, notPicture(path, err)
	}
	return c.Height, c.Width, sizeOK(path, c)
}

func sizeOK(path string, c image.Config) error {
	if c.Height < 1 || c.Width < 1 || c.Height > mostPixels/c.Width {
		return fault.Usagef("make it smaller, or remove it", "%s: a picture of %dx%d is not read", path, c.Height, c.Width)
	}
	return nil
}

func readPicture(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, notReadable(path, err)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, notPicture(path, err)
	}
	return b, sizeOK(path, c)
}

func notReadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Usagef("give the path of a PNG or JPEG file", "%s: there is no such file", path)
	}
	return fault.Usagef("give a file that you may read", "%w", err)
}

func notPicture(path string, err error) error {
	return fault.Usagef("replace it with a PNG or JPEG picture, or remove it", "%s: it is no whole PNG or JPEG picture: %w", path, err)
}

// pixels is m as bytes (H,W,C).
func pixels(m image.Image, channels int) []byte {
	at, b := colours(m), m.Bounds()
	out := make([]byte, 0, b.Dy()*b.Dx()*channels)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			switch c := at(x, y); channels {
			case 1:
				out = append(out, byte((19595*uint32(c.R)+38470*uint32(c.G)+7471*uint32(c.B)+1<<15)>>16)) // the weights make 2^16
			case 3:
				out = append(out, c.R, c.G, c.B)
			case 4:
				out = append(out, c.R, c.G, c.B, c.A)
			default:
				panic(fmt.Sprintf("data.Picture: %d channels, want 1, 3 or 4", channels))
			}
		}
	}
	return out
}

// colours reads pixels of m without alpha multiplied in; the decoders' usual types have a fast way.
func colours(m image.Image) func(x, y int) color.NRGBA {
	switch m := m.(type) {
	case *image.Gray:
		return func(x, y int) color.NRGBA {
			v := m.GrayAt(x, y).Y
			return color.NRGBA{v, v, v, 255}
		}
	case *image.NRGBA:
		return m.NRGBAAt
	case *image.YCbCr:
		return func(x, y int) color.NRGBA {
			c := m.YCbCrAt(x, y)
			r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
			return color.NRGBA{r, g, b, 255}
		}
	case *image.RGBA:
		if m.Opaque() {
			return func(x, y int) color.NRGBA { return color.NRGBA(m.RGBAAt(x, y)) }
		}
	}
	return func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA) }
}

// fitted is the largest centred part of px (h,w,C) that has shape's proportion, at shape's size.
func fitted(px []byte, h, w int, shape [3]int) []byte {
	scale := min(float64(h)/float64(shape[0]), float64(w)/float64(shape[1]))
	rows, cols := scale*float64(shape[0]), scale*float64(shape[1])
	x := make([]float32, len(px))
	for i, v := range px {
		x[i] = float32(v)
	}
	x = resample(x, 1, h, w*shape[2], shape[0], (float64(h)-rows)/2, scale)
	x = resample(x, shape[0], w, shape[2], shape[1], (float64(w)-cols)/2, scale)
	out := make([]byte, len(x))
	for i, v := range x {
		out[i] = byte(min(max(math.Round(float64(v)), 0), 255))
	}
	return out
}

// resample reads to places of the middle axis of x (outer, n, inner), scale apart from start on, each as the mean under a
// triangle as wide as two pixels of whichever side has the larger ones: linear interpolation where pictures grow, a
// weighted mean where they shrink. Only pixels inside count.
func resample(x []float32, outer, n, inner, to int, start, scale float64) []float32 {
	y, reach := make([]float32, outer*to*inner), max(scale, 1)
	var weights []float64
	for j := range to {
		centre := start + (float64(j)+0.5)*scale - 0.5
		lo, hi := max(int(math.Ceil(centre-reach)), 0), min(int(math.Floor(centre+reach)), n-1)
		sum := 0.0
		weights = weights[:0]
		for i := lo; i <= hi; i++ {
			weights = append(weights, max(1-math.Abs(float64(i)-centre)/reach, 0))
			sum += weights[i-lo]
		}
		for o := range outer {
			to := y[(o*to+j)*inner:][:inner]
			for i := lo; i <= hi; i++ {
				share := float32(weights[i-lo] / sum)
				for k, v := range x[(o*n+i)*inner:][:inner] {
					to[k] += share * v
				}
			}
		}
	}
	return y
}
