package opstest

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
)

// accOf is the type of sums over numbers of type t.
func accOf(t device.DType) device.DType {
	if t.Size() == 2 {
		return device.F32
	}
	return t
}

// CheckHalf runs a case of a row on dev in f16 or bf16 in every variant, from inputs that the type holds, and compares
// values with the reference and gradients with those of f64. It gives the worst distances in units of the type's
// rounding, relative to the largest element or 1, and an error where a value is off by more than tolValue of them, or a
// gradient by more than tolGrad.
func CheckHalf(dev device.Device, typ device.DType, r Row, c Case, tolValue, tolGrad float64) (value, grad float64, err error) {
	unit := math.Ldexp(1, -11)
	if typ == device.BF16 {
		unit = math.Ldexp(1, -8)
	}
	in := c.inputs()
	for _, a := range in {
		if a != nil && !a.Int {
			a.Data = decode(encode(a, typ), a.Shape, typ).Data
		}
	}
	want := r.Ref(c, in)
	w := NewArray(want[0].Shape...)
	for i := range w.Data {
		w.Data[i] = float64((i*5)%7-3) / 4
	}
	_, exact, err := r.run(dev, device.F64, c, Variant{}, in, w)
	if err != nil {
		return 0, 0, err
	}
	for _, v := range Variants() {
		y, g, e := r.run(dev, typ, c, v, in, w)
		if e != nil {
			return value, grad, fmt.Errorf("%s/%s on %s, %s %s: %w", r.Op, c.Name, dev.Name(), typ, v, e)
		}
		for i := range want {
			d := distance(y[i], want[i]) / unit
			if value = math.Max(value, d); !(d <= tolValue) && err == nil {
				err = fmt.Errorf("%s/%s on %s, %s %s: value %d is off by %.3g roundings\n got %v %.6v\nwant %v %.6v", r.Op, c.Name, dev.Name(), typ, v, i, d, y[i].Shape, head(y[i].Data), want[i].Shape, head(want[i].Data))
			}
		}
		for i := range g {
			if g[i] == nil {
				continue
			}
			d := distance(g[i], exact[i]) / unit
			if grad = math.Max(grad, d); !(d <= tolGrad) && err == nil {
				err = fmt.Errorf("%s/%s on %s, %s %s: gradient of input %d is off by %.3g roundings\n got %v %.6v\nwant %v %.6v", r.Op, c.Name, dev.Name(), typ, v, i, d, g[i].Shape, head(g[i].Data), exact[i].Shape, head(exact[i].Data))
			}
		}
	}
	return value, grad, err
}
