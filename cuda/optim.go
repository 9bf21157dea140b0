package cuda

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

var (
	kSGD  = [...]kernelID{device.F32: kernel("optim", "sgd_f32"), device.F64: kernel("optim", "sgd_f64")}
	kAdam = [...]kernelID{device.F32: kernel("optim", "adam_f32"), device.F64: kernel("optim", "adam_f64")}
)

// optimised reports whether w and what an update reads and writes beside it are flat arrays that the kernels serve, and
// hyper holds the scalars of an optimiser.
func optimised(w, hyper device.View, vs ...device.View) bool {
	return w.Valid() && (w.Type == device.F32 || w.Type == device.F64) && w.Len() > 0 && vectors(w.Type, w.Len(), append(vs, w)...) &&
		hyper.Valid() && (hyper.Type == device.F32 || hyper.Type == device.F64) && hyper.Len() == device.HyperLen && hyper.Contiguous()
}

// optimise queues an update of n weights of type t, 16 bytes of which a thread has at a time.
func optimise[P any](d *Device, k kernelID, t device.DType, n int, p *P) error {
	v := 16 / t.Size()
	return launch(d, k, d.spread((n+v-1)/v, 256), 256, 0, p)
}

// alignedArrays is aligned for flat arrays, whatever their rank.
func alignedArrays(vs ...device.View) int32 {
	flat := make([]device.View, 0, 6)
	for _, v := range present(vs...) {
		flat = append(flat, v.Reshape(v.Len()))
	}
	return aligned(16, flat...)
}

type sgdParams struct {
	fault, w, g, buf, hyper        uintptr
	n                              int64
	momentum, take, decay          float64
	hyperType, nesterov, decoupled int32
	aligned                        int32
}

// SGD is one update of w from g, flat: g' = gradscale g + decay w; buf = momentum buf + (1-dampening) g', g' at step 1;
// w -= lr (g' + momentum buf if Nesterov, else buf). Decoupled decay is w *= 1 - lr decay beforehand. buf may be
// absent without momentum. Nothing is written if the scalar ok is 0. hyper is laid out as device.HyperLR and so on.
func (d *Device) SGD(w, g, buf, hyper device.View, p device.SGD) bool {
	if !g.Valid() || p.Momentum != 0 && !buf.Valid() || !optimised(w, hyper, g, buf) {
		return false
	}
	writes, reads := []device.View{w}, []device.View{w, g, hyper}
	if p.Momentum != 0 {
		writes, reads = append(writes, buf), append(reads, buf)
	} else {
		buf = device.View{}
	}
	d.enqueue("SGD", writes, reads, 4*float64(w.Len()), func() error {
		q := sgdParams{fault: d.fault(), w: address(w), g: address(g), buf: addressOf(buf), hyper: address(hyper), n: int64(w.Len()),
			momentum: p.Momentum, take: 1 - p.Dampening, decay: p.WeightDecay, hyperType: int32(hyper.Type), nesterov: flag(p.Nesterov), decoupled: flag(p.Decoupled),
			aligned: alignedArrays(w, g, buf)}
		return optimise(d, kSGD[w.Type], w.Type, w.Len(), &q)
	})
	return true
}

type adamParams struct {
	fault, w, g, m, v, vmax, hyper   uintptr
	n                                int64
	log1, log2                       float64
	beta2, take1, take2, eps, decay  float64
	hyperType, decoupled, aligned, _ int32
}

// Adam is one update of w from g, flat, with the moments m and v and, for AMSGrad, vmax: m = beta1 m + (1-beta1) g',
// v = beta2 v + (1-beta2) g'^2, w -= lr/(1-beta1^t) m / (sqrt(v)/sqrt(1-beta2^t) + eps), t the step (Kingma and Ba,
// algorithm 1, in PyTorch's order of operations). Nothing is written if the scalar ok is 0.
func (d *Device) Adam(w, g, m, v, vmax, hyper device.View, p device.Adam) bool {
	if !g.Valid() || !m.Valid() || !v.Valid() || p.AMSGrad && !vmax.Valid() || !optimised(w, hyper, g, m, v, vmax) {
		return false
	}
	writes, reads := []device.View{w, m, v}, []device.View{w, g, m, v, hyper}
	if p.AMSGrad {
		writes, reads = append(writes, vmax), append(reads, vmax)
	} else {
		vmax = device.View{}
	}
	d.enqueue("Adam", writes, reads, 12*float64(w.Len()), func() error {
		q := adamParams{fault: d.fault(), w: address(w), g: address(g), m: address(m), v: address(v), vmax: addressOf(vmax), hyper: address(hyper), n: int64(w.Len()),
			log1: math.Log(p.Beta1), log2: math.Log(p.Beta2), beta2: p.Beta2, take1: 1 - p.Beta1, take2: 1 - p.Beta2, eps: p.Eps, decay: p.WeightDecay,
			hyperType: int32(hyper.Type), decoupled: flag(p.Decoupled), aligned: alignedArrays(w, g, m, v, vmax)}
		return optimise(d, kAdam[w.Type], w.Type, w.Len(), &q)
	})
	return true
}
