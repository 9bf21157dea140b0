package cpu

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// matMulInt is the product of integers, in int64, and stored toward zero, with saturation.
func matMulInt(d *Device, y, a, b device.View, alpha, beta float64) {
	oy, oa, ob := newOperand[float64](y), newOperand[float64](a), newOperand[float64](b)
	m, n, k := y.D(-2), y.D(-1), a.D(-1)
	lead := y.Dim[:y.Rank-2]
	batches := 1
	for _, x := range lead {
		batches *= int(x)
	}
	d.enqueue("MatMul", []device.View{y}, []device.View{a, b}, 2*float64(batches)*float64(m)*float64(n)*float64(k), phase{
		n: batches * m,
		run: func(part, worker int) {
			batch, i := part/m, part%m
			atY, atA, atB := oy.origin(batch, lead)+i*oy.r, oa.origin(batch, lead)+i*oa.r, ob.origin(batch, lead)
			for j := range n {
				var sum int64
				for l := range k {
					sum += int64(oa.at(atA+l*oa.c)) * int64(ob.at(atB+l*ob.r+j*ob.c))
				}
				v := alpha * float64(sum)
				if beta != 0 {
					v += beta * oy.at(atY+j*oy.c)
				}
				oy.to(atY+j*oy.c, math.Trunc(v))
			}
		},
	})
}
