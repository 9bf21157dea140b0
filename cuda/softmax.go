package cuda

import "github.com/acumen-ml/acumen/device"

// rowKernels are the kernels for rows of adjacent elements: held by up to 32 threads, each of which has `per` elements in
// packs of `pack` neighbours, shortest first; and for long rows, single elements or packs.
type rowKernels struct {
	short          []shortRows
	long, longPack kernelID
	pack           int // elements of 16 bytes, if longPack is there
}

type shortRows struct {
	k         kernelID
	pack, per int
}

var softmaxKernels = map[device.DType]rowKernels{
	device.F32: {
		[]shortRows{{kernel("softmax", "softmax_f32_1x1"), 1, 1}, {kernel("softmax", "softmax_f32_2x4"), 4, 8}, {kernel("softmax", "softmax_f32_4x1"), 1, 4}, {kernel("softmax", "softmax_f32_8x4"), 4, 32}},
		kernel("softmax", "softmax_long_f32"), kernel("softmax", "softmax_long_f32x4"), 4,
	},
	device.F16: {
		[]shortRows{{kernel("softmax", "softmax_f16_1x1"), 1, 1}, {kernel("softmax", "softmax_f16_1x8"), 8, 8}, {kernel("softmax", "softmax_f16_4x1"), 1, 4}, {kernel("softmax", "softmax_f16_4x8"), 8, 32}},
		kernel("softmax", "softmax_long_f16"), kernel("softmax", "softmax_long_f16x8"), 8,
	},
	device.BF16: {
		[]shortRows{{kernel("softmax", "softmax_bf16_1x1"), 1, 1}, {kernel("softmax", "softmax_bf16_1x8"), 8, 8}, {kernel("softmax", "softmax_bf16_4x1"), 1, 4}, {kernel("softmax", "softmax_bf16_4x8"), 8, 32}},
		kernel("softmax", "softmax_long_bf16"), kernel("softmax", "softmax_long_bf16x8"), 8,
	},
	device.F64: {[]shortRows{{kernel("softmax", "softmax_f64_4x1"), 1, 4}}, kernel("softmax", "softmax_long_f64"), 0, 1},
}

// choose is the kernel for rows of k elements and how many threads a row has: 256 for long ones. packs: all rows may be
// read 16 bytes at a time.
func (r *rowKernels) choose(k int, packs bool) (id kernelID, threads int) {
	packs = packs && r.pack > 1 && k%r.pack == 0
	for _, s := range r.short {
		if k <= 32*s.per && (s.pack == 1 || packs) {
			return s.k, min(32, pow2(ceilDiv(k, s.pack)))
		}
	}
	if packs {
		return r.longPack, 256
	}
	return r.long, 256
}

const (
	opSoftmax = iota
	opSoftmaxGrad
	opLogSoftmax
	opLogSoftmaxGrad
)

type softmaxParams struct {
	fault, to, from, y      uintptr
	rows                    int64
	toStep, fromStep, yStep int64
	k, op, lanes            int32
	_                       int32
}

// softmax queues one of the four over the last axis; y is the zero View but for gradients.
func (d *Device) softmax(name string, op int32, flops float64, to, from, y device.View) bool {
	family, ok := softmaxKernels[to.Type]
	if !ok {
		return false
	}
	var rows [3]device.View
	packs := true
	for i, v := range present(to, from, y) {
		if rows[i], ok = normRows(v); !ok || v.Type != to.Type || !v.SameShape(to) {
			return false
		}
		packs = packs && aligned16(rows[i], rows[i].Str[0])
	}
	k := rows[0].D(1)
	id, threads := family.choose(k, packs)
	d.enqueue(name, []device.View{to}, present(from, y), flops*float64(to.Len()), func() error {
		p := softmaxParams{
			fault: d.fault(), to: address(to), from: address(from), y: addressOf(y),
			rows: int64(rows[0].D(0)), toStep: int64(rows[0].Str[0]), fromStep: int64(rows[1].Str[0]), yStep: int64(rows[2].Str[0]),
			k: int32(k), op: op, lanes: int32(threads),
		}
		return launch(d, id, d.spread(rows[0].D(0)*threads, 256), 256, 0, &p)
	})
	return true
}

// Softmax is y = e^x / sum e^x over the last axis; a row of -Inf alone gives zeros.
func (d *Device) Softmax(y, x device.View) bool {
	return d.softmax("Softmax", opSoftmax, 5, y, x, device.View{})
}

// SoftmaxGrad is dx = y (dy - sum dy y) over the last axis, y = Softmax(x).
func (d *Device) SoftmaxGrad(dx, dy, y device.View) bool {
	return d.softmax("SoftmaxGrad", opSoftmaxGrad, 4, dx, dy, y)
}

// LogSoftmax is y = x - ln sum e^x over the last axis; a row of -Inf alone stays.
func (d *Device) LogSoftmax(y, x device.View) bool {
	return d.softmax("LogSoftmax", opLogSoftmax, 5, y, x, device.View{})
}

// LogSoftmaxGrad is dx = dy - e^y sum dy over the last axis, y = LogSoftmax(x).
func (d *Device) LogSoftmaxGrad(dx, dy, y device.View) bool {
	return d.softmax("LogSoftmaxGrad", opLogSoftmaxGrad, 5, dx, dy, y)
}
