package cpu

import "github.com/acumen-ml/acumen/device"

// conv is the geometry of a convolution of images (N,H,W,C) with kernels KH x KW to (N,OH,OW,O).
type conv struct {
	h, w, cg, og     int // cg and og: channels of a group
	kh, kw, oh, ow   int
	groups           int
	sh, sw, ph, pw   int
	dh, dw           int
	strN, strH, strW int  // strides of the images
	positions        int  // N OH OW
	k                int  // KH KW CG
	runs             bool // a kernel row's pixels lie in one run
	direct           bool // 1x1 without stride and padding: rows lie in x already, rowStride apart
	rowStride        int
}

func newConv(x device.View, o, kh, kw, oh, ow int, p device.Conv2D) conv {
	c := conv{h: x.D(1), w: x.D(2), groups: int(p.Groups), kh: kh, kw: kw, oh: oh, ow: ow,
		sh: int(p.StrideH), sw: int(p.StrideW), ph: int(p.PadH), pw: int(p.PadW), dh: int(p.DilH), dw: int(p.DilW),
		strN: int(x.Str[0]), strH: int(x.Str[1]), strW: int(x.Str[2])}
	c.cg, c.og = x.D(3)/c.groups, o/c.groups
	c.positions = x.D(0) * oh * ow
	c.k = kh * kw * c.cg
	c.runs = c.groups == 1 && c.dw == 1 && c.strW == c.cg
	if kh == 1 && kw == 1 && c.sh == 1 && c.sw == 1 && c.ph == 0 && c.pw == 0 {
		if c.direct = x.CanReshape(c.positions, x.D(3)); c.direct {
			c.rowStride = int(x.Reshape(c.positions, x.D(3)).Str[0])
		}
	}
	return c
}

// tile is the number of positions whose rows are worked on together: they fit into half a second-level cache, and give
// enough parts to share.
func (c *conv) tile(most int) int {
	t := min(max((1<<16)/max(c.k, 1), 16), most)
	return max(min(t, (c.positions+15)/16), 4) / 4 * 4
}

// gatherRows gives rows (positions p0 to p1-1) x k of the pixels under the kernel for group g, and the distance of rows. buf
// holds them unless they lie in x.
func gatherRows[T float](c *conv, buf, x []T, g, p0, p1 int) ([]T, int) {
	if c.direct {
		return x[p0*c.rowStride+g*c.cg:], c.rowStride
	}
	ow := p0 % c.ow
	oh := p0 / c.ow % c.oh
	n := p0 / (c.ow * c.oh)
	k, kw, cg := c.k, c.kw*c.cg, c.cg
	for p := range p1 - p0 {
		row := buf[p*k:][:k]
		ih0, iw0 := oh*c.sh-c.ph, ow*c.sw-c.pw
		base := n*c.strN + iw0*c.strW + g*cg
		if c.runs {
			lo, hi := min(max(-iw0, 0), c.kw)*cg, max(min(c.w-iw0, c.kw), 0)*cg
			if hi < lo {
				hi = lo
			}
			at := base + ih0*c.strH + lo
			for i := range c.kh {
				r := row[i*kw:][:kw]
				if uint(ih0+i*c.dh) >= uint(c.h) || hi == lo {
					clear(r)
					at += c.dh * c.strH
					continue
				}
				if hi-lo < kw {
					clear(r[:lo])
					clear(r[hi:])
				}
				d := r[lo:hi]
				copyFew(d, x[at:])
				at += c.dh * c.strH
			}
		} else {
			for i := range c.kh {
				ih := ih0 + i*c.dh
				for j := range c.kw {
					r := row[i*kw+j*cg:][:cg]
					if iw := iw0 + j*c.dw; uint(ih) >= uint(c.h) || uint(iw) >= uint(c.w) {
						clear(r)
						continue
					}
					copyFew(r, x[base+ih*c.strH+j*c.dw*c.strW:])
				}
			}
		}
		if ow++; ow == c.ow {
			ow = 0
			if oh++; oh == c.oh {
				oh = 0
				n++
			}
		}
	}
	return buf, k
}

// scatterRow adds a row (KH,KW,CG) to the pixels under the kernel at ih0, iw0.
func scatterRow[T float](c *conv, x, row []T, ih0, iw0 int) {
	for i := range c.kh {
		ih := ih0 + i*c.dh
		if uint(ih) >= uint(c.h) {
			continue
		}
		if c.runs {
			lo, hi := min(max(-iw0, 0), c.kw)*c.cg, max(min(c.w-iw0, c.kw), 0)*c.cg
			if lo < hi {
				r := row[i*c.kw*c.cg:][lo:hi]
				px := x[ih*c.strH+iw0*c.strW+lo:][:len(r)]
				for l, v := range r {
					px[l] += v
				}
			}
			continue
		}
		for j := range c.kw {
			iw := iw0 + j*c.dw
			if uint(iw) >= uint(c.w) {
				continue
			}
			r := row[(i*c.kw+j)*c.cg:][:c.cg]
			px := x[ih*c.strH+iw*c.strW:][:len(r)]
			for l, v := range r {
				px[l] += v
			}
		}
	}
}

// copyFew is copy(dst, src[:len(dst)]).
func copyFew[T float](dst, src []T) {
	src = src[:len(dst)]
	if len(dst) > 8 {
		copy(dst, src)
		return
	}
	//lint:ignore S1001 for a few elements a call of memmove costs more than a loop
	for i, v := range src {
		dst[i] = v
	}
}
