package cuda

import "github.com/acumen-ml/acumen/device"

var (
	binaryPaths   = f32Paths("binary", "binary")
	kBinaryDouble = kernel("binary", "binary_double")
	kBinaryInt    = kernel("binary", "binary_int")
	kWhere        = kernel("binary", "where_each")
	kWhereFour    = kernel("binary", "where_four")
	kWhereDouble  = kernel("binary", "where_double")
	kWhereInt     = kernel("binary", "where_int")
)

var binaryNames = func() (s []string) {
	for op := range device.BinOp(device.BinOps()) {
		s = append(s, "Binary."+op.String())
	}
	return
}()

type binaryParams struct {
	fault uintptr
	op    int32
	_     int32
	nest  nest
}

// Binary is y = op(a, b).
func (d *Device) Binary(op device.BinOp, y, a, b device.View) {
	views := operands(binaryNames[op], y, a, b)
	d.enqueue(binaryNames[op], views[:1], views[1:], float64(y.Len()), func() error {
		p := binaryParams{fault: d.fault(), op: int32(op), nest: newNest(views...)}
		if p.nest.n == 0 {
			return nil
		}
		id, threads := kBinaryInt, y.Len()
		switch compute(views...) {
		case device.F32:
			id, threads = binaryPaths.choose(&p.nest, 3)
		case device.F64:
			id = kBinaryDouble
		}
		return launch(d, id, d.spread(threads, 256), 256, 0, &p)
	})
}

type whereParams struct {
	fault uintptr
	nest  nest
}

// Where is y = a where cond is not 0, else b.
func (d *Device) Where(y, cond, a, b device.View) {
	views := operands("Where", y, cond, a, b)
	d.enqueue("Where", views[:1], views[1:], 0, func() error {
		p := whereParams{d.fault(), newNest(views...)}
		if p.nest.n == 0 {
			return nil
		}
		id, threads := kWhere, y.Len()
		switch compute(views...) {
		case device.F64:
			id = kWhereDouble
		case device.I32:
			id = kWhereInt
		default:
			if p.nest.fours(4) {
				id, threads = kWhereFour, (y.Len()+3)/4
			}
		}
		return launch(d, id, d.spread(threads, 256), 256, 0, &p)
	})
}
