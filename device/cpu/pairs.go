package cpu

import "github.com/acumen-ml/acumen/device/cpu/simd"

// Products of f32 numbers can take their factors rounded to bf16: matrix products and convolutions then pack or stage their
// operands as pairs along k, see simd.PairRows, and all else of their loops counts elements that hold two numbers.

// BF16Products switches whether products of f32 numbers round their factors to bf16 and add up in f32, for the calls that
// follow: MatMul of f32 operands and the convolutions, but for depthwise ones, in which nothing would be gained. Where a
// convolution goes Winograd's way, the factors are transformed ones.
// Results do not depend on the number of threads. It always reports true: where the processor has no instruction for it, the
// numbers are the same and the speed is that of f32 or less.
func (d *Device) BF16Products(on bool) bool {
	d.bf16 = on
	return true
}

// factors is the level at which numbers of type T are multiplied, and how many of them along k one element holds.
func factors[T float](d *Device) (l simd.Level, per int) {
	if d.bf16 && sizeOf[T]() == 4 {
		return simd.ForPairs(), 2
	}
	return levelFor[T](), 1
}

// pairsIf is the flags of tiles whose elements hold so many numbers, of so many parts.
func pairsIf(per, parts int) (flags int) {
	if per == 2 {
		flags |= simd.Pairs
	}
	if parts > 1 {
		flags |= simd.Split
	}
	return flags
}

// pairChunk is the pairs of a column that are packed at a time: a panel of them stays in a first-level cache.
const pairChunk = 128

// pairRoom is the scratch, in elements, that packing takes.
func pairRoom(l simd.Level) int { return simd.Parts * max(l.Panel(), 16) * pairChunk }

// packPairs is packPanel for pairs: of k numbers in each of cols columns it makes (k+1)/2 rows of width elements.
func packPairs[T float](l simd.Level, to, from []T, off, rs, cs, k, cols, width int, room []T) {
	dst, src, temp := float32s(to), float32s(from), float32s(room)
	dst = dst[:ceil(k, 2)*width]
	if cols < width {
		clear(dst)
	}
	switch {
	case k == 0:
	case cs == 1 && rs >= 0:
		zipColumns(l, dst, src[off:], k, cols, width, rs)
	case rs == 1 && cs >= 0:
		for at := 0; at < k; at += 2 * pairChunk {
			n := min(2*pairChunk, k-at)
			simd.PairRows(l, temp, src[off+at:], cols, n, ceil(n, 2), cs)
			simd.Transpose(l, dst[at/2*width:], temp, cols, ceil(n, 2), width, ceil(n, 2))
		}
	default:
		for i := 0; i < k; i += 2 {
			twoRows(temp, src, off+i*rs, rs, cs, k-i, cols)
			simd.ZipRows(l, dst[i/2*width:], temp, temp[cols:], 1, cols, width, cols)
		}
	}
}

// packSplit is packPairs for numbers in parts, of which those of one lie plane elements behind those of the one before.
func packSplit[T float](l simd.Level, to, from []T, off, rs, cs, k, cols, width, plane int, room []T) {
	dst, src, temp := float32s(to), float32s(from), float32s(room)
	if cols < width {
		for p := range simd.Parts {
			clear(dst[p*plane:][:ceil(k, 2)*width])
		}
	}
	switch {
	case k == 0:
	case cs == 1 && rs >= 0:
		if k > 1 {
			simd.ZipSplitRows(l, dst, src[off:], src[off+rs:], k/2, cols, width, 2*rs, plane)
		}
		if k%2 != 0 {
			simd.ZipSplitRows(l, dst[k/2*width:], src[off+(k-1)*rs:], nil, 1, cols, width, cols, plane)
		}
	case rs == 1 && cs >= 0:
		for at := 0; at < k; at += 2 * pairChunk {
			half := ceil(min(2*pairChunk, k-at), 2)
			simd.SplitRows(l, temp, src[off+at:], cols, min(2*pairChunk, k-at), half, cs, cols*half)
			for p := range simd.Parts {
				simd.Transpose(l, dst[p*plane+at/2*width:], temp[p*cols*half:], cols, half, width, half)
			}
		}
	default:
		for i := 0; i < k; i += 2 {
			twoRows(temp, src, off+i*rs, rs, cs, k-i, cols)
			simd.ZipSplitRows(l, dst[i/2*width:], temp, temp[cols:], 1, cols, width, cols, plane)
		}
	}
}

// twoRows brings two rows of cols numbers together that lie anyhow; of the second there are zeros if k is 1.
func twoRows(to, from []float32, off, rs, cs, k, cols int) {
	clear(to[:2*cols])
	for i := range min(k, 2) {
		for j := range cols {
			to[i*cols+j] = from[off+i*rs+j*cs]
		}
	}
}

// zipColumns makes pairs of k rows of cols numbers, rs apart: (k+1)/2 rows, width apart.
func zipColumns(l simd.Level, dst, src []float32, k, cols, width, rs int) {
	if k > 1 {
		simd.ZipRows(l, dst, src, src[rs:], k/2, cols, width, 2*rs)
	}
	if k%2 != 0 {
		simd.ZipRows(l, dst[k/2*width:], src[(k-1)*rs:], nil, 1, cols, width, cols)
	}
}

// pairRows makes pairs of m rows of k numbers, src[off+i*rs+l*ks], ld apart.
func pairRows[T float](l simd.Level, to, from []T, off, rs, ks, m, k, ld int, room []T) {
	dst, src, temp := float32s(to), float32s(from), float32s(room)
	if ks == 1 && rs >= 0 {
		simd.PairRows(l, dst, src[off:], m, k, ld, rs)
		return
	}
	for i := range m {
		for at := 0; at < k; at += 2 * pairChunk {
			n := min(2*pairChunk, k-at)
			for j := range n {
				temp[j] = src[off+i*rs+(at+j)*ks]
			}
			simd.PairRows(l, dst[i*ld+at/2:], temp, 1, n, ld, n)
		}
	}
}

// zipImages stages rows lo to hi-1, w pixels wide, of n images of strides s as (row, column, two images, channel): pairs of
// what two images have at a place. Beside a last one are zeros.
func zipImages[T float](l simd.Level, stage, x []T, s [3]int, n, lo, hi, w, channels, pixel int) {
	to, from := float32s(stage), float32s(x)
	pairs := ceil(n, 2)
	for i := range pairs {
		for r := lo; r < hi; r++ {
			a := from[2*i*s[0]+r*s[1]:]
			var b []float32
			if 2*i+1 < n {
				b = a[s[0]:]
			}
			simd.ZipRows(l, to[((r-lo)*w*pairs+i)*pixel:], a, b, w, channels, pairs*pixel, s[2])
		}
	}
}

// panel packs k rows of cols columns of b.
func (p *product[T]) panel(dst, buf []T, off, k, cols, width int) {
	if p.per == 1 {
		p.b.panel(p.level, dst, off, k, cols, width)
		return
	}
	packPairs(p.level, dst, p.b.s, off, p.b.r, p.b.c, k, cols, width, buf[p.roomAt:])
}

// rows packs m rows of k numbers of a for tile.
func (p *product[T]) rows(tile *simd.Tile[T], dst, buf []T, off, m, k int) {
	tile.ARow, tile.AK = ceil(k, p.per)+matMulGap, 1
	switch {
	case p.per == 1:
		p.a.rows(p.level, dst, off, p.a.r, p.a.c, m, k, tile.ARow)
	case p.byCols:
		tile.ARow, tile.AK, tile.ByCols = 1, m+matMulGap, 1
		zipColumns(p.level, float32s(dst), float32s(p.a.s[off:]), k, m, tile.AK, p.a.c)
	default:
		pairRows(p.level, dst, p.a.s, off, p.a.r, p.a.c, m, k, tile.ARow, buf[p.roomAt:])
	}
}
