package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// operand is a matrix, or a batch of them, as the loops below see it: the memory of a view from its lowest element on,
// the place of element 0, and strides.
type operand[T float] struct {
	s     []T              // nil if the view holds another type
	at    func(i int) T    // reads any type, nil if s is there
	to    func(i int, v T) // writes any type
	off   int
	r, c  int // strides of rows and columns
	batch [device.MaxRank]int32
}

func newOperand[T float](v device.View) operand[T] {
	n := int(v.Rank)
	o := operand[T]{r: int(v.Str[n-2]), c: int(v.Str[n-1]), batch: v.Str}
	low := v
	for i := range n {
		if v.Str[i] < 0 && v.Dim[i] > 0 {
			o.off -= int(v.Dim[i]-1) * int(v.Str[i])
		}
	}
	low.Off -= o.off
	if v.Type == dtypeOf[T]() {
		o.s = slice[T](low)
	} else {
		o.at, o.to = accessors[T](low)
	}
	return o
}

// origin is the place of element (0, 0) of matrix i of the batch with extents dims.
func (o *operand[T]) origin(i int, dims []int32) int {
	at := o.off
	for x := len(dims) - 1; x >= 0; x-- {
		at += i % int(dims[x]) * int(o.batch[x])
		i /= int(dims[x])
	}
	return at
}

// rows packs m rows of k elements, ld apart, from (i, l) at off + i rs + l ks.
func (o *operand[T]) rows(lv simd.Level, dst []T, off, rs, ks, m, k, ld int) {
	if o.s != nil {
		packRows(lv, dst, o.s, off, rs, ks, m, k, ld)
		return
	}
	for i := range m {
		for l := range k {
			dst[i*ld+l] = o.at(off + i*rs + l*ks)
		}
	}
}

// panel packs k rows of cols columns as a panel.
func (o *operand[T]) panel(lv simd.Level, dst []T, off, k, cols, width int) {
	if o.s != nil {
		packPanel(lv, dst, o.s, off, o.r, o.c, k, cols, width)
		return
	}
	for l := range k {
		for j := range width {
			if j < cols {
				dst[l*width+j] = o.at(off + l*o.r + j*o.c)
			} else {
				dst[l*width+j] = 0
			}
		}
	}
}

// add is element i = v + beta times what it was.
func (o *operand[T]) add(i int, v, beta T) {
	if o.s != nil {
		if beta != 0 {
			v += beta * o.s[i]
		}
		o.s[i] = v
		return
	}
	if beta != 0 {
		v += beta * o.at(i)
	}
	o.to(i, v)
}
