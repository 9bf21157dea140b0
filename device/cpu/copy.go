package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Copy is y = x, with conversion.
func (d *Device) Copy(y, x device.View) {
	views, mem := operands("Copy", y, x)
	var p phase
	switch {
	case y.Type == x.Type:
		switch y.Type.Size() {
		case 1:
			p = move[uint8](d, views)
		case 2:
			p = move[uint16](d, views)
		case 4:
			p = move32(d, views)
		default:
			p = move[uint64](d, views)
		}
	case types(views...) == device.F32 && !y.Type.IsInt() && x.Type != device.I32:
		p = eachBlock(d, views, mem, func(y, x, _, _, _ []float32) { copy(y, x) })
	default: // f64 holds every value of every type
		p = eachBlock(d, views, mem, func(y, x, _, _, _ []float64) { copy(y, x) })
	}
	d.enqueue("Copy", views[:1], views[1:], 0, p)
}

// move copies elements of one size, whatever they are.
func move[T any](d *Device, views []device.View) phase {
	n := newNest(views...)
	ys, xs := whole[T](views[0]), whole[T](views[1])
	sy, sx := n.inner(0), n.inner(1)
	return n.phase(d, func(_ int, at *[maxOperands]int, count int) {
		y, x := ys[at[0]:], xs[at[1]:]
		switch {
		case sy == 1 && sx == 1:
			if count <= 8 { // a call of memmove costs more
				y, x := y[:count], x[:count]
				for i := range y {
					y[i] = x[i]
				}
				return
			}
			copy(y[:count], x)
		case sx == 0:
			v := x[0]
			for i := range count {
				ys[at[0]+i*sy] = v
			}
		default:
			iy, ix := at[0], at[1]
			for range count {
				ys[iy] = xs[ix]
				iy += sy
				ix += sx
			}
		}
	})
}

// move32 is move for 4 bytes: rows of adjacent elements, and transposed matrices, in vector kernels.
func move32(d *Device, views []device.View) phase {
	n := newNest(views...)
	r := n.rank - 1
	if r == 0 || n.str[0][r] != 1 || n.str[0][r-1] < 0 {
		return move[uint32](d, views)
	}
	l, ys, xs := simd.Active(), whole[float32](views[0]), whole[float32](views[1])
	inner := n.dim[r]
	if n.str[1][r] == 1 && n.str[1][r-1] >= 0 && inner <= 512 {
		sy, sx := n.str[0][r-1], n.str[1][r-1]
		return n.planes(func(y, x, rows int) { simd.CopyRows(l, ys[y:], xs[x:], rows, inner, sy, sx) })
	}
	for a := range r {
		if n.str[1][a] != 1 || n.str[1][r] <= 0 || n.str[0][a] < 0 {
			continue
		}
		n.swap(a, r-1)
		sy, sx := n.str[0][r-1], n.str[1][r]
		return n.planes(func(y, x, cols int) {
			strip := cols
			if sy >= 512 { // a set of the first cache holds 8 lines, and those that are written may all be of one
				strip = 8
			}
			for i := 0; i < inner; i += 64 { // what is written in halves of lines is still there for the other half
				for j := 0; j < cols; j += strip {
					simd.Transpose(l, ys[y+i+j*sy:], xs[x+i*sx+j:], min(64, inner-i), min(strip, cols-j), sy, sx)
				}
			}
		})
	}
	return move[uint32](d, views)
}

// swap changes the order in which axes a and b are walked.
func (n *nest) swap(a, b int) {
	n.dim[a], n.dim[b] = n.dim[b], n.dim[a]
	for i := range n.k {
		n.str[i][a], n.str[i][b] = n.str[i][b], n.str[i][a]
	}
}

// planes cuts a nest of two views in parts and calls f for pieces of its two inner axes: whole rows of the innermost, from
// y and x on in the two.
func (n nest) planes(f func(y, x, rows int)) phase {
	r := n.rank - 2
	inner, rows, planes := n.dim[r+1], n.dim[r], 1
	for _, d := range n.dim[:r] {
		planes *= d
	}
	if inner*rows*planes == 0 {
		return phase{}
	}
	tall := min(rows, max(1, partSize/inner)) // rows of a piece
	pieces := ceil(rows, tall)
	many := max(1, partSize/(inner*tall)) // pieces of a part
	all := planes * pieces
	return phase{n: ceil(all, many), run: func(part, _ int) {
		var index [device.MaxRank]int
		lo, hi := part*many, min(all, (part+1)*many)
		y, x, rest := n.off[0], n.off[1], lo/pieces
		for a := r - 1; a >= 0; a-- {
			index[a] = rest % n.dim[a]
			rest /= n.dim[a]
			y += index[a] * n.str[0][a]
			x += index[a] * n.str[1][a]
		}
		for piece := lo % pieces; ; {
			from := piece * tall
			f(y+from*n.str[0][r], x+from*n.str[1][r], min(tall, rows-from))
			if lo++; lo == hi {
				return
			}
			if piece++; piece < pieces {
				continue
			}
			piece = 0
			for a := r - 1; ; a-- {
				index[a]++
				y += n.str[0][a]
				x += n.str[1][a]
				if index[a] < n.dim[a] {
					break
				}
				index[a] = 0
				y -= n.dim[a] * n.str[0][a]
				x -= n.dim[a] * n.str[1][a]
			}
		}
	}}
}
