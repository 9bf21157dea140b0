package device

import (
	"fmt"
	"strings"
)

// Memory is one allocation of a device. The host cannot reach into it: Upload, Download and Fetch carry bytes.
type Memory interface {
	// Bytes is the size that was asked for.
	Bytes() int
	// Free gives the memory back. A second call, or one while capturing, is an error at the next Sync.
	Free()
}

// MaxRank is the largest number of axes of a View.
const MaxRank = 8

// View is a strided window on a Memory, counted in elements. It is passed by value; a View over 128 bytes would cost a
// heap allocation at every call, and a test keeps it smaller. A stride may be 0 (broadcast), negative (flip), or make
// elements overlap (windows); overlapping views are for reading only.
type View struct {
	Mem  Memory
	Off  int            // first element, in elements of Type
	Dim  [MaxRank]int32 // extents; those at Rank and beyond are 0
	Str  [MaxRank]int32 // strides in elements
	Rank uint8
	Type DType
}

// Make is the row-major view of dims elements of type t that starts off elements into m.
func Make(m Memory, t DType, off int, dims ...int) View {
	if len(dims) > MaxRank {
		panic(fmt.Sprintf("device.Make: rank %d of shape %v is over %d", len(dims), dims, MaxRank))
	}
	v := View{Mem: m, Type: t, Off: off, Rank: uint8(len(dims))}
	s := 1
	for i := len(dims) - 1; i >= 0; i-- {
		if dims[i] < 0 {
			panic(fmt.Sprintf("device.Make: negative extent in shape %v", dims))
		}
		v.Dim[i], v.Str[i] = int32(dims[i]), int32(s)
		s *= dims[i]
	}
	return v
}

// Valid reports whether v stands for anything; the zero View means "none" where an argument is optional.
func (v View) Valid() bool { return v.Mem != nil }

// Len is the number of elements, 1 for rank 0.
func (v View) Len() int {
	n := 1
	for i := 0; i < int(v.Rank); i++ {
		n *= int(v.Dim[i])
	}
	return n
}

// Bytes is Len times the element size.
func (v View) Bytes() int { return v.Len() * v.Type.Size() }

// D is the extent of axis i; a negative i counts from the last axis.
func (v View) D(i int) int {
	if i < 0 {
		i += int(v.Rank)
	}
	if i < 0 || i >= int(v.Rank) {
		panic(fmt.Sprintf("device.View: axis %d of shape %v", i, v.Shape()))
	}
	return int(v.Dim[i])
}

// Shape is the extents as a slice.
func (v View) Shape() []int {
	s := make([]int, v.Rank)
	for i := range s {
		s[i] = int(v.Dim[i])
	}
	return s
}

// String is for messages: f32[2 3] or f32[2 3] strides [1 2].
func (v View) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%v", v.Type, v.Shape())
	if !v.Contiguous() {
		fmt.Fprintf(&b, " strides %v", v.Str[:v.Rank])
	}
	return b.String()
}

// SameShape reports whether v and w have equal extents.
func (v View) SameShape(w View) bool { return v.Rank == w.Rank && v.Dim == w.Dim }

// Contiguous reports whether the elements lie row by row without gaps.
func (v View) Contiguous() bool {
	s := int32(1)
	for i := int(v.Rank) - 1; i >= 0; i-- {
		if v.Dim[i] != 1 && v.Str[i] != s {
			return v.Len() == 0
		}
		s *= v.Dim[i]
	}
	return true
}

// As is v's elements read as another type of the same size; it panics for another size.
func (v View) As(t DType) View {
	if t.Size() != v.Type.Size() {
		panic(fmt.Sprintf("device.View.As: %s as %s", v, t))
	}
	v.Type = t
	return v
}

// Reshape gives v another shape of as many elements without moving data. Axes are merged and split where the strides
// allow; else it panics, as CanReshape tells beforehand.
func (v View) Reshape(dims ...int) View {
	w, ok := v.reshape(dims)
	if !ok {
		panic(fmt.Sprintf("device.View.Reshape: %s to %v", v, dims))
	}
	return w
}

// CanReshape reports whether Reshape(dims...) needs no copy.
func (v View) CanReshape(dims ...int) bool {
	_, ok := v.reshape(dims)
	return ok
}

func (v View) reshape(dims []int) (View, bool) {
	w := Make(v.Mem, v.Type, v.Off, dims...)
	if w.Len() != v.Len() {
		return w, false
	}
	if v.Contiguous() {
		return w, true
	}
	// Walk both shapes from the right; each group of old axes that a group of new axes covers must be evenly strided.
	i, j := int(v.Rank)-1, len(dims)-1
	for i >= 0 || j >= 0 {
		var n, m, step int32 = 1, 1, 0
		lo := i
		for lo >= 0 && v.Dim[lo] == 1 {
			lo--
		}
		if lo >= 0 {
			step = v.Str[lo]
			n = v.Dim[lo]
		}
		end := lo
		if lo < 0 {
			for ; j >= 0; j-- { // only extents of 1 are left
				w.Str[j] = 1
			}
			return w, true
		}
		s := step
		for {
			for j >= 0 && m < n && n%m == 0 {
				w.Str[j] = s
				s *= w.Dim[j]
				m *= w.Dim[j]
				j--
			}
			if m == n {
				break
			}
			end--
			for end >= 0 && v.Dim[end] == 1 {
				end--
			}
			if end < 0 || v.Str[end] != step*n {
				return w, false
			}
			n *= v.Dim[end]
		}
		i = end - 1
	}
	return w, true
}

// Permute reorders the axes: axis i of the result is axis axes[i] of v.
func (v View) Permute(axes ...int) View {
	if len(axes) != int(v.Rank) {
		panic(fmt.Sprintf("device.View.Permute: %s by %v", v, axes))
	}
	w := v
	seen := 0
	for i, a := range axes {
		if a < 0 || a >= len(axes) || seen>>a&1 == 1 {
			panic(fmt.Sprintf("device.View.Permute: %s by %v", v, axes))
		}
		seen |= 1 << a
		w.Dim[i], w.Str[i] = v.Dim[a], v.Str[a]
	}
	return w
}

// T swaps the last two axes.
func (v View) T() View {
	r := int(v.Rank)
	if r < 2 {
		panic(fmt.Sprintf("device.View.T: rank of %s is under 2", v))
	}
	v.Dim[r-1], v.Dim[r-2] = v.Dim[r-2], v.Dim[r-1]
	v.Str[r-1], v.Str[r-2] = v.Str[r-2], v.Str[r-1]
	return v
}

// Slice keeps n elements of an axis, from lo on, every step-th. step is at least 1.
func (v View) Slice(axis, lo, n, step int) View {
	if step < 1 || lo < 0 || n < 0 || n > 0 && lo+(n-1)*step >= v.D(axis) {
		panic(fmt.Sprintf("device.View.Slice: axis %d of %s from %d, %d elements, step %d", axis, v, lo, n, step))
	}
	if n > 0 {
		v.Off += lo * int(v.Str[axis])
	}
	v.Dim[axis] = int32(n)
	v.Str[axis] *= int32(step)
	return v
}

// At is v at index i of an axis, which disappears.
func (v View) At(axis, i int) View { return v.Slice(axis, i, 1, 1).Squeeze(axis) }

// Squeeze drops an axis of extent 1.
func (v View) Squeeze(axis int) View {
	if v.D(axis) != 1 {
		panic(fmt.Sprintf("device.View.Squeeze: axis %d of %s", axis, v))
	}
	r := int(v.Rank)
	copy(v.Dim[axis:r], v.Dim[axis+1:r])
	copy(v.Str[axis:r], v.Str[axis+1:r])
	v.Dim[r-1], v.Str[r-1] = 0, 0
	v.Rank--
	return v
}

// Unsqueeze inserts an axis of extent 1 before axis.
func (v View) Unsqueeze(axis int) View {
	r := int(v.Rank)
	if axis < 0 || axis > r || r == MaxRank {
		panic(fmt.Sprintf("device.View.Unsqueeze: axis %d of %s", axis, v))
	}
	copy(v.Dim[axis+1:r+1], v.Dim[axis:r])
	copy(v.Str[axis+1:r+1], v.Str[axis:r])
	v.Dim[axis], v.Str[axis] = 1, 0
	v.Rank++
	return v
}

// Flip reverses an axis.
func (v View) Flip(axis int) View {
	if n := v.D(axis); n > 0 {
		v.Off += (n - 1) * int(v.Str[axis])
	}
	v.Str[axis] = -v.Str[axis]
	return v
}

// Broadcast repeats v to dims as numpy does: shapes are aligned right, extents of 1 are repeated. It panics with both
// shapes where that is not possible.
func (v View) Broadcast(dims ...int) View {
	return v.BroadcastTo(Make(nil, v.Type, 0, dims...))
}

// BroadcastTo is Broadcast to y's shape.
func (v View) BroadcastTo(y View) View {
	if v.SameShape(y) {
		return v
	}
	w := View{Mem: v.Mem, Off: v.Off, Type: v.Type, Rank: y.Rank, Dim: y.Dim}
	k := int(y.Rank) - int(v.Rank)
	if k < 0 {
		panic(fmt.Sprintf("device.View.Broadcast: %v to %v", v.Shape(), y.Shape()))
	}
	for i := k; i < int(y.Rank); i++ {
		if v.Dim[i-k] == y.Dim[i] {
			w.Str[i] = v.Str[i-k]
		} else if v.Dim[i-k] != 1 {
			panic(fmt.Sprintf("device.View.Broadcast: %v to %v", v.Shape(), y.Shape()))
		}
	}
	return w
}

// Window shows images (N,H,W,C) as (N,OH,OW,KH,KW,C), the pixels under each position of a kernel, without moving a
// byte: im2col is Copy of it, pooling is Reduce of it. Padding must be in v already. Where the kernel does not fit, OH
// or OW is 0.
func (v View) Window(kh, kw, strideH, strideW, dilH, dilW int) View {
	if v.Rank != 4 {
		panic(fmt.Sprintf("device.View.Window: %s is not (N,H,W,C)", v))
	}
	n := func(size, k, s, d int) int32 {
		if size < d*(k-1)+1 {
			return 0
		}
		return int32((size-d*(k-1)-1)/s + 1)
	}
	w := View{Mem: v.Mem, Off: v.Off, Type: v.Type, Rank: 6}
	w.Dim = [MaxRank]int32{v.Dim[0], n(v.D(1), kh, strideH, dilH), n(v.D(2), kw, strideW, dilW), int32(kh), int32(kw), v.Dim[3]}
	w.Str = [MaxRank]int32{v.Str[0], v.Str[1] * int32(strideH), v.Str[2] * int32(strideW), v.Str[1] * int32(dilH), v.Str[2] * int32(dilW), v.Str[3]}
	return w
}
