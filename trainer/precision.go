package trainer

import (
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// tf32er is a device whose products of f32 numbers can take their factors rounded to TF32, 10 bits behind the point, and
// sum in f32. TF32 switches that for the calls that follow, recorded ones included, and reports whether the device is
// now as asked: false to true means that it cannot. A device starts with it off.
type tf32er interface{ TF32(on bool) bool }

// bf16er is the same for factors rounded to bf16, 7 bits behind the point: precision bf16 is that on such a device, and all
// but the factors of products is f32.
type bf16er interface{ BF16Products(on bool) bool }

// arithmetic is how a network is computed on a device.
type arithmetic struct {
	typ        device.DType // of activations and of the weights that they are computed with
	tf32, bf16 bool         // to which products round their factors, if they are f32
}

// arithmeticOf is what a precision means on dev.
func arithmeticOf(dev device.Device, t device.DType, tf32Products bool) arithmetic {
	a := arithmetic{typ: t, tf32: tf32Products}
	if k, ok := device.As[bf16er](dev); ok && t == device.BF16 && k.BF16Products(true) {
		k.BF16Products(false)
		a = arithmetic{typ: device.F32, bf16: true}
	}
	return a
}

// choose brings a device into the state that a network wants for the calls that follow: several networks may share a handle.
// The zero arithmetic is the state in which it began.
func (a arithmetic) choose(dev device.Device) {
	if k, ok := device.As[tf32er](dev); ok {
		k.TF32(a.tf32)
	}
	if k, ok := device.As[bf16er](dev); ok {
		k.BF16Products(a.bf16)
	}
}

const tf32 = "tf32"

var precisions = map[string]device.DType{"f32": device.F32, tf32: device.F32, "bf16": device.BF16, "f16": device.F16, "f64": device.F64}

// Precision is what a configuration's word for it means: the type of activations, and whether products of f32 numbers
// may be TF32. ok is false for a word that is not known.
func Precision(name string) (t device.DType, tf32Products, ok bool) {
	t, ok = precisions[name]
	return t, name == tf32, ok
}

// precisionName is the configuration's word for t.
func precisionName(t device.DType, tf32Products bool) string {
	if tf32Products {
		return tf32
	}
	return t.String()
}

// HasTF32 reports whether dev can round the factors of products to TF32.
func HasTF32(dev device.Device) bool {
	k, ok := device.As[tf32er](dev)
	if !ok {
		return false
	}
	can := k.TF32(true)
	k.TF32(false)
	return can
}

// CheckPrecision refuses what dev cannot do, or what makes no sense.
func CheckPrecision(dev device.Device, t device.DType, tf32Products bool) error {
	switch {
	case t.IsInt():
		return fault.Usagef("one of f32, tf32, bf16, f16, f64", "precision: %s is no type to compute with", t)
	case tf32Products && t != device.F32:
		return fault.Usagef("choose one of them", "precision: tf32 is about products of f32 numbers, not of %s", t)
	case tf32Products && !HasTF32(dev):
		var can []string
		for name := range precisions {
			if name != tf32 {
				can = append(can, name)
			}
		}
		slices.Sort(can)
		return fault.Usagef("use f32, which is more exact, or a GPU that has it (compute capability 8.0 or later)", "precision: device %s has no tf32; it has %s", dev.Name(), strings.Join(can, ", "))
	}
	return nil
}
