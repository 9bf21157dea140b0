package cuda

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

var kAugment = packedKernels("augment", "augment")

type augmentParams struct {
	fault, images, idx, state, y uintptr
	image, count                 int64
	row, col                     int32
	h, w, c                      int32
	crop, reflect, flip, cutout  int32
	stream, code                 uint32
	scale, bias                  [4]float32
	chunk, dense                 int32
	_                            int32
}

const augmentThreads = 128

// Augment is y (B,H,W,C) = images idx (B, I32) of images (M,H,W,C) in U8, cropped out of padding, mirrored, with a
// square cut out, and normalised, as device.Augment says; the three happen in that order. state as in Kernels.Random.
// An index outside images is an error at the next Sync.
func (d *Device) Augment(y, pictures, idx, state device.View, p device.Augment) bool {
	if !images(y) || pictures.Type != device.U8 || pictures.Rank != 4 || !pictures.Contiguous() || idx.Type != device.I32 || idx.Rank != 1 || !idx.Contiguous() ||
		idx.Dim[0] != y.Dim[0] || [3]int32(pictures.Dim[1:4]) != [3]int32(y.Dim[1:4]) || y.D(3) > len(p.Scale) {
		return false
	}
	random := p.Pad > 0 || p.Flip || p.Cutout > 0
	if random && !randomState(state) || p.Reflect && (p.Pad >= y.Dim[1] || p.Pad >= y.Dim[2]) {
		return false
	}
	reads := []device.View{pictures, idx}
	if random {
		reads = append(reads, state)
	} else {
		state = device.View{}
	}
	d.enqueue("Augment", []device.View{y}, reads, 2*float64(y.Len()), func() error {
		size := y.Len() / y.D(0)
		first := y.At(0, 0)
		dense := first.Contiguous()
		k, v := kAugment.single[y.Type], 1
		if w := packOf(y.Type, size); w > 1 && dense && aligned(w, y.Slice(1, 0, 1, 1).Slice(2, 0, 1, 1)) == 1 {
			k, v = kAugment.wide[y.Type], w
		}
		step := augmentThreads * v
		chunk := max(8, (size+step*math.MaxUint16-1)/(step*math.MaxUint16)) * step
		q := augmentParams{fault: d.fault(), images: address(pictures), idx: address(idx), state: addressOf(state), y: address(y),
			image: int64(y.Str[0]), count: int64(pictures.D(0)), row: y.Str[1], col: y.Str[2], h: y.Dim[1], w: y.Dim[2], c: y.Dim[3],
			crop: p.Pad, reflect: flag(p.Reflect), flip: flag(p.Flip), cutout: p.Cutout, stream: p.Stream, code: d.faults.code("Augment"),
			scale: p.Scale, bias: p.Bias, chunk: int32(chunk), dense: flag(dense)}
		grid := [3]uint32{uint32(y.D(0)), uint32((size + chunk - 1) / chunk), 1}
		return launch(d, k, grid, augmentThreads, 0, &q)
	})
	return true
}
