package cpu

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// SoftmaxCrossEntropy is, for each row of logits x (N,K), loss (N) = -sum target' log softmax(x) and, if dx (N,K) is
// there, its gradient softmax(x) sum target' - target'. target is I32 (N), class indices, or real (N,K) of x's type;
// target' = (1-smooth) target + smooth/K. An index outside 0..K-1 is an error at the next Sync.
func (d *Device) SoftmaxCrossEntropy(loss, dx, x, target device.View, smooth float64) bool {
	r, ok := newRows(x)
	if !ok || x.Rank != 2 || !vectors(x.Type, r.n, loss) {
		return false
	}
	if dx.Valid() {
		if _, ok := newRows(dx); !ok || dx.Type != x.Type || !dx.SameShape(x) {
			return false
		}
	}
	if target.Type == device.I32 {
		if target.Rank != 1 || target.D(0) != r.n || target.Str[0] < 0 {
			return false
		}
	} else if _, ok := newRows(target); !ok || target.Type != x.Type || !target.SameShape(x) {
		return false
	}
	switch x.Type {
	case device.F32:
		softmaxCrossEntropy[float32](d, loss, dx, x, target, smooth)
	case device.F64:
		softmaxCrossEntropy[float64](d, loss, dx, x, target, smooth)
	default:
		return false
	}
	return true
}

func softmaxCrossEntropy[T float](d *Device, loss, dx, x, target device.View, smooth float64) {
	rx, _ := newRows(x)
	losses, xs := slice[T](loss), slice[T](x)
	var ds, soft []T
	var class []int32
	var ldd, ldt int
	if dx.Valid() {
		rd, _ := newRows(dx)
		ds, ldd = slice[T](dx), rd.ld
	}
	if target.Type == device.I32 {
		class, ldt = slice[int32](target), int(target.Str[0])
	} else {
		rt, _ := newRows(target)
		soft, ldt = slice[T](target), rt.ld
	}
	k := rx.k
	keep, all := T(1-smooth), T(smooth/float64(k))
	m := simd.Map[T]{Level: levelFor[T]()}
	d.enqueue("SoftmaxCrossEntropy", present(loss, dx), []device.View{x, target}, 6*float64(x.Len()), rx.eachRow(func(i int) {
		from := xs[i*rx.ld:][:k]
		var to []T
		if ds != nil {
			to = ds[i*ldd:][:k]
		}
		if soft != nil {
			losses[i] = softEntropy(m, to, from, soft[i*ldt:][:k], keep, all)
			return
		}
		at := int(class[i*ldt])
		if at < 0 || at >= k {
			d.fail(fmt.Errorf("SoftmaxCrossEntropy: class %d of row %d is not in 0..%d", at, i, k-1))
			losses[i] = 0
			clear(to)
			return
		}
		mine, others := from[at], 0.0
		if all != 0 {
			others = simd.Sum(m.Level, from)
		}
		top := simd.Largest(m.Level, from)
		sum := simd.ExpSum(m.Level, to, from, top)
		lse := top + T(math.Log(sum))
		total := T(0)
		if keep != 0 { // 0 times an infinite distance is 0 here
			total = keep * (lse - mine)
		}
		if all != 0 {
			total += T(float64(all) * (float64(k)*float64(lse) - others))
		}
		losses[i] = total
		if to != nil {
			m.Affine(to, to, T(1/sum), -all)
			to[at] -= keep
		}
	}))
}

// softEntropy is the loss of a row whose target' is keep aim + all, and, if to is not nil, its gradient there.
func softEntropy[T float](m simd.Map[T], to, x, aim []T, keep, all T) T {
	top := simd.Largest(m.Level, x)
	sum := simd.ExpSum(m.Level, nil, x, top)
	lse := top + T(math.Log(sum))
	var total, weight T // sums of target' (lse - x) and of target'
	for j, v := range x {
		if t := keep*aim[j] + all; t != 0 { // 0 times an infinite distance is 0 here
			total += t * (lse - v)
			weight += t
		}
	}
	if to != nil {
		simd.ExpSum(m.Level, to, x, top)
		s := T(float64(weight) / sum)
		for j, e := range to {
			to[j] = e*s - (keep*aim[j] + all)
		}
	}
	return total
}
