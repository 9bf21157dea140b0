package cuda

import (
	"math/bits"

	"github.com/acumen-ml/acumen/device"
)

// packed is a family of kernels that the macro PACKED of pack.cuh declares: for each type one whose threads have 16 bytes
// of adjacent elements, and one whose threads have single ones.
type packed struct{ wide, single [device.BF16 + 1]kernelID }

func packedKernels(file, name string) (p packed) {
	p.wide = [...]kernelID{device.F32: kernel(file, name+"_f32x4"), device.F16: kernel(file, name+"_f16x8"), device.BF16: kernel(file, name+"_bf16x8")}
	p.single = [...]kernelID{device.F32: kernel(file, name+"_f32x1"), device.F64: kernel(file, name+"_f64x1"), device.F16: kernel(file, name+"_f16x1"), device.BF16: kernel(file, name+"_bf16x1")}
	return p
}

// of is the kernel for rows of c adjacent elements of type t, and how many its threads have. Where they lie in memory has
// no part in the choice, so that the order of sums has none.
func (p *packed) of(t device.DType, c int) (k kernelID, v int) {
	if v = packOf(t, c); v > 1 {
		return p.wide[t], v
	}
	return p.single[t], 1
}

// packOf is how many of c adjacent elements of a floating-point type a thread has.
func packOf(t device.DType, c int) int {
	if v := 16 / t.Size(); t != device.F64 && c%v == 0 {
		return v
	}
	return 1
}

// aligned is 1 if accesses of v elements to these views, at steps of their strides but the last, may be of 16 bytes.
func aligned(v int, views ...device.View) int32 {
	for _, x := range views {
		if !x.Valid() {
			continue
		}
		at := uintptr(x.Off * x.Type.Size())
		for a := range int(x.Rank) - 1 {
			if x.Dim[a] > 1 {
				at |= uintptr(abs(x.Str[a])) * uintptr(x.Type.Size())
			}
		}
		if at%uintptr(min(16, v*x.Type.Size())) != 0 {
			return 0
		}
	}
	return 1
}

// divider is the twin of struct Divider in pack.cuh.
type divider struct{ by, factor, shift uint32 }

// newDivider divides numbers under 2^31 by d: with 2^s >= d the factor is 2^(31+s)/d rounded up.
func newDivider(d int) divider {
	if d <= 1 {
		return divider{by: 1}
	}
	s := bits.Len32(uint32(d - 1))
	return divider{uint32(d), uint32((1<<(31+s) + d - 1) / d), uint32(s - 1)}
}

// isFloat reports whether t is one of the floating-point types.
func isFloat(t device.DType) bool { return t <= device.BF16 }

// sumType is the type of statistics over elements of type t.
func sumType(t device.DType) device.DType {
	if t == device.F64 {
		return device.F64
	}
	return device.F32
}

// vectors reports whether all views that are there are contiguous, of type t and of n elements.
func vectors(t device.DType, n int, vs ...device.View) bool {
	for _, v := range vs {
		if v.Valid() && (v.Type != t || v.Len() != n || !v.Contiguous()) {
			return false
		}
	}
	return true
}

// present are the views that are there.
func present(vs ...device.View) []device.View {
	out := vs[:0]
	for _, v := range vs {
		if v.Valid() {
			out = append(out, v)
		}
	}
	return out
}

// addressOf is address, or 0 for no view.
func addressOf(v device.View) uintptr {
	if !v.Valid() {
		return 0
	}
	return address(v)
}

// flag is 1 for true.
func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
