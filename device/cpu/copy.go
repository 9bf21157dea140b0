package cpu

import "github.com/acumen-ml/acumen/device"

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
			p = move[uint32](d, views)
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
