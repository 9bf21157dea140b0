// Package augment turns resident bytes into normalised, randomly changed batches, on the device.
package augment

import (
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// Stream is the Philox stream of the draws unless another is set in device.Augment; a tape's streams count up from 1.
const Stream = 1<<17 + 1

// Spec says how training pictures are changed. The changes happen in a fixed order: crop, flip, cutout. The zero Spec
// changes nothing.
type Spec struct {
	// Flip mirrors a picture left to right with probability 1/2.
	Flip bool
	// Pad is how many pixels a picture is padded on each side before a random crop of its original size; 0: no crop.
	Pad int
	// Reflect pads by reflection without repeating the edge, else the padding is 0 after normalisation.
	Reflect bool
	// Cutout is the side of a square at a random place that is set to 0 after normalisation (DeVries and Taylor,
	// arXiv 1708.04552; parts outside the picture are lost); 0: none.
	Cutout int
}

// Random reports whether s changes pictures at all.
func (s Spec) Random() bool { return s.Flip || s.Pad > 0 || s.Cutout > 0 }

// Device is s for the device, with normalisation (byte/255 - mean) / std of each channel. Check s first.
func (s Spec) Device(mean, std []float64) device.Augment {
	p := device.Augment{Pad: int32(s.Pad), Reflect: s.Reflect && s.Pad > 0, Flip: s.Flip, Cutout: int32(s.Cutout), Stream: Stream}
	for c := range mean {
		p.Scale[c] = float32(1 / (255 * std[c]))
		p.Bias[c] = float32(-mean[c] / std[c])
	}
	return p
}

// Check tells what of s, mean and std does not fit pictures of shape (H,W,C).
func (s Spec) Check(shape [3]int, mean, std []float64) error {
	h, w, c := shape[0], shape[1], shape[2]
	if c > len(device.Augment{}.Scale) {
		return fault.Usagef("convert the pictures to grey, rgb or rgba", "pictures of %d channels cannot be normalised: at most 4", c)
	}
	for _, a := range []struct {
		name string
		v    []float64
	}{{"mean", mean}, {"std", std}} {
		if len(a.v) != c {
			return fault.Usagef("give one number for each channel", "data.%s: %d numbers for pictures of %d channels", a.name, len(a.v), c)
		}
		for _, x := range a.v {
			if math.IsNaN(x) || math.IsInf(x, 0) || a.name == "std" && x <= 0 {
				return fault.Usagef("mean and std are of bytes divided by 255, and std is positive", "data.%s: %v", a.name, x)
			}
		}
	}
	switch {
	case s.Pad < 0 || s.Pad > 1<<10:
		return fault.Usagef("give a small positive number of pixels, or leave crop out", "data.augment: crop: pad %d", s.Pad)
	case s.Reflect && s.Pad >= min(h, w):
		return fault.Usagef("use less padding, or no reflection", "data.augment: crop: pad %d cannot be reflected in pictures of %dx%d", s.Pad, h, w)
	case s.Cutout < 0 || s.Cutout > min(h, w):
		return fault.Usagef("the square must fit into the picture", "data.augment: cutout: size %d in pictures of %dx%d", s.Cutout, h, w)
	}
	return nil
}
