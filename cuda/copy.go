package cuda

import "github.com/acumen-ml/acumen/device"

var (
	kMove       = kernel("copy", "move")
	kMoveFlat   = kernel("copy", "move_flat")
	kCast       = kernel("copy", "cast_each")
	kCastFour   = kernel("copy", "cast_four")
	kCastDouble = kernel("copy", "cast_double")
	kTranspose  = kernel("copy", "transpose")
)

type copyParams struct {
	fault uintptr
	unit  int32
	_     int32
	nest  nest
}

type transposeParams struct {
	fault       uintptr
	tiles       int64
	unit, cross int32
	nest        nest
}

// Copy is y = x, with conversion.
func (d *Device) Copy(y, x device.View) {
	views := operands("Copy", y, x)
	d.enqueue("Copy", views[:1], views[1:], 0, func() error { return d.launchCopy(newNest(views...), y.Type, x.Type) })
}

// launchCopy queues the copy of a nest's second operand, of type x, to its first, of type y.
func (d *Device) launchCopy(n nest, y, x device.DType) error {
	p := copyParams{fault: d.fault(), nest: n}
	if p.nest.n == 0 {
		return nil
	}
	same := y == x
	double := !same && (y == device.F64 || x == device.F64 || x == device.I32)
	if cross, tiles := p.nest.crossed(); tiles > 0 && !double {
		t := transposeParams{fault: p.fault, tiles: int64(tiles), cross: int32(cross), nest: p.nest}
		if same {
			t.unit = int32(y.Size())
		}
		return launch(d, kTranspose, d.spread(tiles, 1), 256, 0, &t)
	}
	id := kCast
	switch {
	case same:
		if id = kMove; p.nest.flat(2, y) {
			id = kMoveFlat
		}
		p.unit = p.nest.widen(y.Size())
	case double:
		id = kCastDouble
	case p.nest.fours(2):
		return launch(d, kCastFour, d.spread(int(p.nest.n+3)/4, 256), 256, 0, &p)
	}
	return launch(d, id, d.spread(int(p.nest.n), 256), 256, 0, &p)
}

// tile is the side of a square that the transposing kernel takes at a time.
const tile = 32

// crossed is the axis along which the source's elements lie side by side, where the destination's do along the last
// axis; and how many tiles the two make. No tiles: another kernel is better.
func (n *nest) crossed() (axis, tiles int) {
	r := int(n.rank) - 1
	if n.op[0].str[r] != 1 || abs(n.op[1].str[r]) < 2 || n.dim[r] < tile/2 {
		return 0, 0
	}
	for a := range r {
		if abs(n.op[1].str[a]) == 1 && n.dim[a] >= tile/2 {
			over := func(a int) int { return (int(n.dim[a]) + tile - 1) / tile }
			return a, int(n.n) / int(n.dim[a]) / int(n.dim[r]) * over(a) * over(r)
		}
	}
	return 0, 0
}

// widen makes of a nest over elements of size bytes one over units of up to 16 bytes, as large as extents, strides and
// addresses allow: the channels of an image, for example.
func (n *nest) widen(size int) (unit int32) {
	r := n.rank - 1
	fits := func(k int32) bool {
		if n.dim[r]%k != 0 {
			return false
		}
		for _, o := range n.op[:2] {
			if o.str[r] != 1 || o.data%uintptr(int(k)*size) != 0 {
				return false
			}
			for _, s := range o.str[:r] {
				if s%k != 0 {
					return false
				}
			}
		}
		return true
	}
	k := int32(1)
	for 2*int(k)*size <= 16 && fits(2*k) {
		k *= 2
	}
	n.n /= int64(k)
	n.dim[r] /= k
	for i := range n.op[:2] {
		for a := range r {
			n.op[i].str[a] /= k
		}
	}
	return k * int32(size)
}
