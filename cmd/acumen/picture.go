package main

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	_ "image/jpeg" // formats that predict reads
	_ "image/png"
	"io/fs"
	"math"
	"os"

	"github.com/acumen-ml/acumen/internal/fault"
)

// readPicture reads a picture as a network takes it: size is height, width and channels (1: grey, 3: RGB, 4: RGBA), the
// result bytes in that order. A picture of another size is an error unless it may be resized.
func readPicture(path string, size [3]int, resize bool) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usagef("give the path of a PNG or JPEG file", "%s: there is no such file", path)
	}
	if err != nil {
		return nil, fault.Usagef("give a file that you may read", "%w", err)
	}
	m, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fault.Usagef("give a PNG or JPEG file", "%s: it is no picture: %w", path, err)
	}
	h, w := m.Bounds().Dy(), m.Bounds().Dx()
	if (h != size[0] || w != size[1]) && !resize {
		return nil, fault.Usagef("bring it to that size with --resize", "%s: the picture is %dx%d, the network takes %dx%d", path, h, w, size[0], size[1])
	}
	px := make([]float64, 0, h*w*size[2])
	for y := range h {
		for x := range w {
			c := m.At(m.Bounds().Min.X+x, m.Bounds().Min.Y+y)
			switch size[2] {
			case 1:
				px = append(px, float64(color.GrayModel.Convert(c).(color.Gray).Y))
			default:
				n := color.NRGBAModel.Convert(c).(color.NRGBA)
				px = append(px, []float64{float64(n.R), float64(n.G), float64(n.B), float64(n.A)}[:size[2]]...)
			}
		}
	}
	px = resample(px, 1, h, w*size[2], size[0])     // rows
	px = resample(px, size[0], w, size[2], size[1]) // columns
	out := make([]byte, len(px))
	for i, v := range px {
		out[i] = byte(math.Round(min(max(v, 0), 255)))
	}
	return out, nil
}

// resample brings the middle axis of x (outer, n, inner) to length to, by a triangle as wide as two pixels of whichever
// side has the larger ones: linear interpolation upwards, a weighted mean downwards.
func resample(x []float64, outer, n, inner, to int) []float64 {
	if n == to {
		return x
	}
	y := make([]float64, outer*to*inner)
	scale := float64(n) / float64(to)
	reach := max(scale, 1)
	for j := range to {
		centre := (float64(j)+0.5)*scale - 0.5
		lo, hi := int(math.Ceil(centre-reach)), int(math.Floor(centre+reach))
		sum := 0.0
		for i := lo; i <= hi; i++ {
			sum += 1 - math.Abs(float64(i)-centre)/reach
		}
		for i := lo; i <= hi; i++ {
			share := (1 - math.Abs(float64(i)-centre)/reach) / sum
			from := min(max(i, 0), n-1)
			for o := range outer {
				for k := range inner {
					y[(o*to+j)*inner+k] += share * x[(o*n+from)*inner+k]
				}
			}
		}
	}
	return y
}
