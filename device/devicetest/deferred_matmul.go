package devicetest

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// MatMul is y = alpha a b + beta y over the last two axes.
func (d *Deferred) MatMul(y, a, b device.View, alpha, beta float64) {
	r := int(y.Rank)
	ok := r >= 2 && a.Rank >= 2 && b.Rank >= 2 && int(a.Rank) <= r && int(b.Rank) <= r
	ok = ok && a.D(-1) == b.D(-2) && y.D(-2) == a.D(-2) && y.D(-1) == b.D(-1)
	batched := func(v device.View) device.View { // v with y's leading axes
		if !ok {
			return v
		}
		to := y
		to.Dim[r-2], to.Dim[r-1] = v.Dim[v.Rank-2], v.Dim[v.Rank-1]
		k := r - int(v.Rank)
		for i := range int(v.Rank) {
			ok = ok && (v.Dim[i] == to.Dim[i+k] || v.Dim[i] == 1)
		}
		if !ok {
			return v
		}
		return v.BroadcastTo(to)
	}
	wa, wb := batched(a), batched(b)
	if !ok {
		panic(fmt.Sprintf("deferred.MatMul: %s from %s times %s", y, a, b))
	}
	m, k, n := y.D(-2), a.D(-1), y.D(-1)
	c := call("MatMul", 2*y.Len()*k, y, a, b)
	if beta != 0 {
		c.Reads = append(c.Reads, y)
	}
	d.enqueue(c, func() error {
		ct := device.Compute(y.Type, a.Type, b.Type)
		corners := func(v device.View) []int { // where each matrix of the batch begins
			v.Rank -= 2
			v.Dim[v.Rank], v.Dim[v.Rank+1] = 0, 0
			return offsets(v)
		}
		matrix := func(v device.View, at int) device.View {
			w := device.Make(v.Mem, v.Type, at, v.D(-2), v.D(-1))
			w.Str[0], w.Str[1] = v.Str[r-2], v.Str[r-1]
			return w
		}
		ay, aa, ab := corners(y), corners(wa), corners(wb)
		var left, right []float64
		for i := range ay {
			if i == 0 || aa[i] != aa[i-1] {
				left = load(matrix(wa, aa[i]), ct)
			}
			if i == 0 || ab[i] != ab[i-1] {
				right = load(matrix(wb, ab[i]), ct)
			}
			out := matrix(y, ay[i])
			s := product(left, right, m, k, n)
			var old []float64
			if beta != 0 {
				old = load(out, ct)
			}
			for j := range s {
				if s[j] *= alpha; beta != 0 {
					s[j] += beta * old[j]
				}
			}
			store(out, ct, s)
		}
		return nil
	})
}

// product is the matrix a (m, k) times b (k, n), both row-major.
func product(a, b []float64, m, k, n int) []float64 {
	y := make([]float64, m*n)
	for i := range m {
		row := y[i*n : (i+1)*n]
		for p, x := range a[i*k : (i+1)*k] {
			for j, z := range b[p*n : (p+1)*n] {
				row[j] += x * z
			}
		}
	}
	return y
}
