package cpu

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
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
	px, ids, count := slice[uint8](images), slice[int32](idx), images.D(0)
	reads := []device.View{images, idx}
	var st []int32
	if random {
		st = slice[int32](state)[:4]
		reads = append(reads, state)
	}
	a := &augmentation[T]{ys: slice[T](y), y: my, reflect: p.Reflect, pixels: simd.NewPixels(levelFor[T](), p.Scale[:my.c], p.Bias[:my.c])}
	size := my.h * my.w * my.c
	d.reserve(my.w * my.c)
	d.enqueue("Augment", []device.View{y}, reads, 2*float64(y.Len()), phase{
		n: my.n,
		run: func(i, worker int) {
			at := int(ids[i])
			if at < 0 || at >= count {
				d.fail(fmt.Errorf("Augment: image %d of %d, at place %d of the batch", at, count, i))
				clearPixels(a.ys, &my, i, 0, my.h, 0)
				return
			}
			img := px[at*size:][:size]
			if !random {
				a.image(i, img, 0, 0, false, nil)
				return
			}
			key := [2]uint32{uint32(st[0]), uint32(st[1])}
			u := device.Philox([4]uint32{uint32(2 * i), p.Stream, uint32(st[2]), uint32(st[3])}, key)
			v := device.Philox([4]uint32{uint32(2*i + 1), p.Stream, uint32(st[2]), uint32(st[3])}, key)
			side := float32(2*p.Pad + 1)
			dh := int(device.UniformOf(u[0])*side) - int(p.Pad)
			dw := int(device.UniformOf(u[1])*side) - int(p.Pad)
			a.image(i, img, dh, dw, p.Flip && device.UniformOf(u[2]) < 0.5, scratchOf[uint8](d, worker, my.w*my.c))
			if cut := int(p.Cutout); cut > 0 {
				ch := int(device.UniformOf(u[3])*float32(my.h)) - cut/2
				cw := int(device.UniformOf(v[0])*float32(my.w)) - cut/2
				a.cut(i, max(ch, 0), min(ch+cut, my.h), max(cw, 0), min(cw+cut, my.w))
			}
		},
	})
}

// augmentation writes pictures to y.
type augmentation[T float] struct {
	ys      []T
	y       images
	reflect bool
	pixels  *simd.Pixels
}

// image is picture i of y: img from row dh and column dw on, and mirrored if flip says so. buf has room for a row.
func (a *augmentation[T]) image(i int, img []uint8, dh, dw int, flip bool, buf []uint8) {
	m := &a.y
	size := m.w * m.c
	if dh == 0 && dw == 0 && !flip && m.strW == m.c && m.strH == size {
		simd.Numbers(a.pixels, a.ys[m.at(i, 0, 0):], img)
		return
	}
	lo, hi := 0, m.w // columns of y whose pixels are inside img
	switch {
	case a.reflect:
	case flip:
		lo, hi = max(0, dw), min(m.w, m.w+dw)
	default:
		lo, hi = max(0, -dw), min(m.w, m.w-dw)
	}
	for r := range m.h {
		from := r + dh
		if uint(from) >= uint(m.h) && a.reflect {
			from = reflect(from, m.h)
		}
		if uint(from) >= uint(m.h) || lo >= hi {
			a.cut(i, r, r+1, 0, m.w)
			continue
		}
		a.cut(i, r, r+1, 0, lo)
		a.cut(i, r, r+1, hi, m.w)
		src := img[from*size:][:size]
		if flip || a.reflect && dw != 0 {
			a.turn(buf, src, lo, hi, dw, flip)
			a.put(i, r, lo, buf[:(hi-lo)*m.c])
		} else {
			a.put(i, r, lo, src[(lo+dw)*m.c:(hi+dw)*m.c])
		}
	}
}

// turn puts the pixels of columns lo to hi-1 of y side by side.
func (a *augmentation[T]) turn(dst, src []uint8, lo, hi, dw int, flip bool) {
	w, c, j := a.y.w, a.y.c, 0
	for s := lo; s < hi; s++ {
		q := s
		if flip {
			q = w - 1 - s
		}
		if q += dw; uint(q) >= uint(w) {
			q = reflect(q, w)
		}
		for k := q * c; k < (q+1)*c; k++ {
			dst[j] = src[k]
			j++
		}
	}
}

// put writes pixels from column s of row r of picture i on.
func (a *augmentation[T]) put(i, r, s int, px []uint8) {
	m := &a.y
	if m.strW == m.c {
		simd.Numbers(a.pixels, a.ys[m.at(i, r, s):], px)
		return
	}
	for ; len(px) > 0; s, px = s+1, px[m.c:] {
		simd.Numbers(a.pixels, a.ys[m.at(i, r, s):], px[:m.c])
	}
}

// cut clears columns w0 to w1-1 of rows h0 to h1-1 of picture i.
func (a *augmentation[T]) cut(i, h0, h1, w0, w1 int) {
	m := &a.y
	for h := h0; h < h1; h++ {
		for w := w0; w < w1; w++ {
			clear(a.ys[m.at(i, h, w):][:m.c])
		}
	}
}

// reflect mirrors a place outside 0..n-1 at the edge, without repeating the edge.
func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	return 2*(n-1) - i
}
