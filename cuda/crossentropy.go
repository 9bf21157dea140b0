package cuda

import "github.com/acumen-ml/acumen/device"

var crossEntropyKernels = map[device.DType]rowKernels{
	device.F32: {
		[]shortRows{{kernel("crossentropy", "cross_entropy_f32_1x1"), 1, 1}, {kernel("crossentropy", "cross_entropy_f32_4x1"), 1, 4}, {kernel("crossentropy", "cross_entropy_f32_8x4"), 4, 32}},
		kernel("crossentropy", "cross_entropy_long_f32"), kernel("crossentropy", "cross_entropy_long_f32x4"), 4,
	},
	device.F64: {[]shortRows{{kernel("crossentropy", "cross_entropy_f64_4x1"), 1, 4}}, kernel("crossentropy", "cross_entropy_long_f64"), 0, 1},
}

type crossEntropyParams struct {
	fault, loss, dx, x, target      uintptr
	rows, dxStep, xStep, targetStep int64
	keep, all                       float64
	code                            uint32
	k, lanes, classes               int32
}

// SoftmaxCrossEntropy is, for each row of logits x (N,K), loss (N) = -sum target' log softmax(x) and, if dx (N,K) is
// there, its gradient softmax(x) sum target' - target'. target is I32 (N), class indices, or real (N,K) of x's type;
// target' = (1-smooth) target + smooth/K. An index outside 0..K-1 is an error at the next Sync.
func (d *Device) SoftmaxCrossEntropy(loss, dx, x, target device.View, smooth float64) bool {
	family, ok := crossEntropyKernels[x.Type]
	if !ok || x.Rank != 2 {
		return false
	}
	xs, ok := normRows(x)
	if !ok || !vectors(x.Type, xs.D(0), loss) {
		return false
	}
	packs := aligned16(xs, xs.Str[0])
	var ds, ts device.View
	if dx.Valid() {
		if ds, ok = normRows(dx); !ok || dx.Type != x.Type || !dx.SameShape(x) {
			return false
		}
		packs = packs && aligned16(ds, ds.Str[0])
	}
	if target.Type == device.I32 {
		if target.Rank != 1 || target.D(0) != xs.D(0) {
			return false
		}
		ts = target
	} else if ts, ok = normRows(target); !ok || target.Type != x.Type || !target.SameShape(x) {
		return false
	}
	n, k := xs.D(0), xs.D(1)
	id, threads := family.choose(k, packs)
	d.enqueue("SoftmaxCrossEntropy", present(loss, dx), []device.View{x, target}, 6*float64(x.Len()), func() error {
		p := crossEntropyParams{
			fault: d.fault(), loss: address(loss), dx: addressOf(dx), x: address(x), target: address(target),
			rows: int64(n), dxStep: int64(ds.Str[0]), xStep: int64(xs.Str[0]), targetStep: int64(ts.Str[0]),
			keep: 1 - smooth, all: smooth / float64(k), code: d.faults.code("SoftmaxCrossEntropy"),
			k: int32(k), lanes: int32(threads), classes: flag(target.Type == device.I32),
		}
		return launch(d, id, d.spread(n*threads, 256), 256, 0, &p)
	})
	return true
}
