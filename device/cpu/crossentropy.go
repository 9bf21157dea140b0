package cpu

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
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
	d.enqueue("SoftmaxCrossEntropy", present(loss, dx), []device.View{x, target}, 6*float64(x.Len()), rx.eachRow(func(i int) {
		from := xs[i*rx.ld:][:k]
		m := largest(from)
		sum := expSum(from, m)
		lse := m + T(math.Log(sum))
		var total, weight T // sums of target' (lse - x) and of target'
		var to, rows []T
		if ds != nil {
			to = ds[i*ldd:][:k]
		}
		at := -1
		if class != nil {
			at = int(class[i*ldt])
			if at < 0 || at >= k {
				d.fail(fmt.Errorf("SoftmaxCrossEntropy: class %d of row %d is not in 0..%d", at, i, k-1))
				losses[i] = 0
				clear(to)
				return
			}
			if smooth == 0 {
				losses[i] = lse - from[at]
				if to != nil {
					s := T(1 / sum)
					for j, v := range from {
						to[j] = exp(v-m) * s
					}
					to[at]--
				}
				return
			}
		} else {
			rows = soft[i*ldt:][:k]
		}
		aim := func(j int) T {
			if rows != nil {
				return keep*rows[j] + all
			}
			if j == at {
				return keep + all
			}
			return all
		}
		for j, v := range from {
			if t := aim(j); t != 0 { // 0 times an infinite distance is 0 here
				total += t * (lse - v)
				weight += t
			}
		}
		losses[i] = total
		if to != nil {
			s := T(float64(weight) / sum)
			for j, v := range from {
				to[j] = exp(v-m)*s - aim(j)
			}
		}
	}))
}
