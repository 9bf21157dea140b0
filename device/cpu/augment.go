package cpu

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// Augment is y (B,H,W,C) = images idx (B, I32) of images (M,H,W,C) in U8, cropped out of padding, mirrored, with a
// square cut out, and normalised, as device.Augment says; the three happen in that order. state as in Kernels.Random.
// An index outside images is an error at the next Sync.
func (d *Device) Augment(y, images, idx, state device.View, p device.Augment) bool {
	my, ok := imagesOf(y)
	if !ok || images.Type != device.U8 || !images.Contiguous() || images.Rank != 4 || idx.Type != device.I32 || idx.Rank != 1 || !idx.Contiguous() ||
		idx.D(0) != my.n || images.D(1) != my.h || images.D(2) != my.w || images.D(3) != my.c || my.c > len(p.Scale) {
		return false
	}
	random := p.Pad > 0 || p.Flip || p.Cutout > 0
	if random && (state.Type != device.I32 || state.Len() != 4 || !state.Contiguous()) {
		return false
	}
	if p.Reflect && (int(p.Pad) >= my.h || int(p.Pad) >= my.w) {
		return false
	}
	switch y.Type {
	case device.F32:
		augment[float32](d, y, images, idx, state, p, random)
	case device.F64:
		augment[float64](d, y, images, idx, state, p, random)
	default:
		return false
	}
	return true
}

func augment[T float](d *Device, y, images, idx, state device.View, p device.Augment, random bool) {
	my, _ := imagesOf(y)
	ys, px, ids, count := slice[T](y), slice[uint8](images), slice[int32](idx), images.D(0)
	reads := []device.View{images, idx}
	var st []int32
	if random {
		st = slice[int32](state)[:4]
		reads = append(reads, state)
	}
	var table [4][256]T // normalised value of each byte of a channel
	for c := range my.c {
		for b := range table[c] {
			table[c][b] = T(float32(float32(b)*p.Scale[c]) + p.Bias[c])
		}
	}
	tab := &table
	h, w, c := my.h, my.w, my.c
	size := h * w * c
	d.enqueue("Augment", []device.View{y}, reads, 2*float64(y.Len()), phase{
		n: my.n,
		run: func(i, _ int) {
			at := int(ids[i])
			if at < 0 || at >= count {
				d.fail(fmt.Errorf("Augment: image %d of %d, at place %d of the batch", at, count, i))
				clearPixels(ys, &my, i, 0, my.h, 0)
				return
			}
			img := px[at*size:][:size]
			dh, dw, flip := 0, 0, false
			ch, cw, cut := 0, 0, int(p.Cutout)
			if random {
				key := [2]uint32{uint32(st[0]), uint32(st[1])}
				u := device.Philox([4]uint32{uint32(2 * i), p.Stream, uint32(st[2]), uint32(st[3])}, key)
				v := device.Philox([4]uint32{uint32(2*i + 1), p.Stream, uint32(st[2]), uint32(st[3])}, key)
				side := float32(2*p.Pad + 1)
				dh = int(device.UniformOf(u[0])*side) - int(p.Pad)
				dw = int(device.UniformOf(u[1])*side) - int(p.Pad)
				flip = p.Flip && device.UniformOf(u[2]) < 0.5
				ch = int(device.UniformOf(u[3])*float32(h)) - cut/2
				cw = int(device.UniformOf(v[0])*float32(w)) - cut/2
			}
			for r := range h {
				from := r + dh
				if uint(from) >= uint(h) && p.Reflect {
					from = reflect(from, h)
				}
				for s := range w {
					to := ys[my.at(i, r, s):][:c]
					if r >= ch && r < ch+cut && s >= cw && s < cw+cut {
						clear(to)
						continue
					}
					q := s
					if flip {
						q = w - 1 - s
					}
					if q += dw; uint(q) >= uint(w) && p.Reflect {
						q = reflect(q, w)
					}
					if uint(from) >= uint(h) || uint(q) >= uint(w) {
						clear(to)
						continue
					}
					for l, b := range img[(from*w+q)*c:][:c] {
						to[l] = tab[l][b]
					}
				}
			}
		},
	})
}

// reflect mirrors a place outside 0..n-1 at the edge, without repeating the edge.
func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	return 2*(n-1) - i
}
