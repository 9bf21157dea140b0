package cpu

import (
	"fmt"
	"unsafe"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// partSize is about how many elements a part of an elementwise kernel has; block is how many are worked on at a time,
// so that what is converted stays in the first cache.
const (
	partSize = 16384
	block    = 512
)

const maxOperands = 5

// nest is the loops over views of one shape, the first of which is written: axes in the order of its strides, merged
// where all views allow.
type nest struct {
	k    int // views
	rank int
	dim  [device.MaxRank]int
	str  [maxOperands][device.MaxRank]int
	off  [maxOperands]int
}

func newNest(views ...device.View) nest {
	n := nest{k: len(views)}
	for i, v := range views {
		n.off[i] = v.Off
	}
	y := views[0]
	var order []int
	for a := range int(y.Rank) {
		if y.Dim[a] == 1 {
			continue
		}
		at := len(order)
		for at > 0 && abs(int(y.Str[order[at-1]])) < abs(int(y.Str[a])) {
			at--
		}
		order = append(order[:at], append([]int{a}, order[at:]...)...)
	}
	for _, a := range order {
		if r := n.rank - 1; r >= 0 && n.merges(r, a, views) {
			n.dim[r] *= int(y.Dim[a])
			for i, v := range views {
				n.str[i][r] = int(v.Str[a])
			}
			continue
		}
		n.dim[n.rank] = int(y.Dim[a])
		for i, v := range views {
			n.str[i][n.rank] = int(v.Str[a])
		}
		n.rank++
	}
	if n.rank == 0 {
		n.rank, n.dim[0] = 1, 1
	}
	return n
}

func (n *nest) merges(r, a int, views []device.View) bool {
	for i, v := range views {
		if n.str[i][r] != int(v.Str[a])*int(v.Dim[a]) {
			return false
		}
	}
	return true
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}

// cursor is where a stretch begins in each view. Each worker has its own, on its own cache line, made beforehand: one on
// the stack would go to the heap, since it is handed to a function that is not known.
type cursor struct {
	at [maxOperands]int
	_  [line - maxOperands*8%line]byte
}

// phase cuts the nest in parts and calls f for each stretch of the innermost axis: at where the stretch begins in each
// view, and of how many elements.
func (n nest) phase(d *Device, f func(worker int, at *[maxOperands]int, count int)) phase {
	inner, rows := n.dim[n.rank-1], 1
	for _, d := range n.dim[:n.rank-1] {
		rows *= d
	}
	if inner == 0 || rows == 0 {
		return phase{}
	}
	width := min(inner, partSize)
	cols, group := (inner+width-1)/width, max(1, partSize/inner)
	groups := ceil(rows, group)
	cursors := make([]cursor, len(d.perWorker))
	return phase{n: cols * groups, run: func(part, worker int) {
		lo, hi, c := part/cols*group, min(rows, (part/cols+1)*group), part%cols*width
		count := min(width, inner-c)
		var index [device.MaxRank]int
		at := &cursors[worker].at
		*at = n.off
		rest := lo
		for a := n.rank - 2; a >= 0; a-- {
			index[a] = rest % n.dim[a]
			rest /= n.dim[a]
			for i := range n.k {
				at[i] += index[a] * n.str[i][a]
			}
		}
		for i := range n.k {
			at[i] += c * n.str[i][n.rank-1]
		}
		for row := lo; ; {
			f(worker, at, count)
			if row++; row == hi {
				return
			}
			for a := n.rank - 2; ; a-- {
				index[a]++
				for i := range n.k {
					at[i] += n.str[i][a]
				}
				if index[a] < n.dim[a] {
					break
				}
				index[a] = 0
				for i := range n.k {
					at[i] -= n.dim[a] * n.str[i][a]
				}
			}
		}
	}}
}

// inner is the stride of the innermost axis in view i.
func (n *nest) inner(i int) int { return n.str[i][n.rank-1] }

// number is what kernels calculate in.
type number interface{ float32 | float64 | int64 }

// typed is a view's memory under its own type.
type typed struct {
	typ device.DType
	f32 []float32
	f64 []float64
	u16 []uint16
	u8  []uint8
	i32 []int32
}

func typedOf(v device.View) typed {
	t := typed{typ: v.Type}
	switch v.Type {
	case device.F32:
		t.f32 = whole[float32](v)
	case device.F64:
		t.f64 = whole[float64](v)
	case device.F16, device.BF16:
		t.u16 = whole[uint16](v)
	case device.U8:
		t.u8 = whole[uint8](v)
	case device.I32:
		t.i32 = whole[int32](v)
	}
	return t
}

// direct is n elements from at on as they are, if they have type C and lie side by side.
func direct[C number](t *typed, at, str, n int) ([]C, bool) {
	if str != 1 && n > 1 {
		return nil, false
	}
	var c C
	switch any(c).(type) {
	case float32:
		if t.typ == device.F32 {
			s := t.f32[at : at+n]
			return *(*[]C)(unsafe.Pointer(&s)), true
		}
	case float64:
		if t.typ == device.F64 {
			s := t.f64[at : at+n]
			return *(*[]C)(unsafe.Pointer(&s)), true
		}
	}
	return nil, false
}

// load gives n elements as type C, in buf unless they are so already.
func load[C number](t *typed, at, str, n int, buf []C) []C {
	if s, ok := direct[C](t, at, str, n); ok {
		return s
	}
	buf = buf[:n]
	switch t.typ {
	case device.F32:
		loadAs(buf, t.f32, at, str)
	case device.F64:
		loadAs(buf, t.f64, at, str)
	case device.U8:
		loadAs(buf, t.u8, at, str)
	case device.I32:
		loadAs(buf, t.i32, at, str)
	case device.F16:
		if w, ok := floats(buf); ok && str == 1 && simd.FromF16(simd.Active(), w, t.u16[at:at+len(w)]) {
			break
		}
		for i := range buf {
			buf[i] = C(device.F16ToF32(t.u16[at+i*str]))
		}
	case device.BF16:
		if w, ok := floats(buf); ok && str == 1 && simd.FromBF16(simd.Active(), w, t.u16[at:at+len(w)]) {
			break
		}
		for i := range buf {
			buf[i] = C(device.BF16ToF32(t.u16[at+i*str]))
		}
	}
	return buf
}

// floats is x if it is of f32.
func floats[C number](x []C) ([]float32, bool) {
	if _, ok := any(C(0)).(float32); !ok {
		return nil, false
	}
	return *(*[]float32)(unsafe.Pointer(&x)), true
}

func loadAs[C number, T float32 | float64 | uint8 | int32](buf []C, s []T, at, str int) {
	switch str {
	case 0:
		v := C(s[at])
		for i := range buf {
			buf[i] = v
		}
	case 1:
		s = s[at : at+len(buf)]
		for i, v := range s {
			buf[i] = C(v)
		}
	default:
		for i := range buf {
			buf[i] = C(s[at+i*str])
		}
	}
}

// store writes x, rounded once into the view's type.
func store[C number](t *typed, at, str int, x []C) {
	switch t.typ {
	case device.F32:
		storeAs(t.f32, at, str, x)
	case device.F64:
		storeAs(t.f64, at, str, x)
	case device.F16:
		if w, ok := floats(x); ok && str == 1 && simd.ToF16(simd.Active(), t.u16[at:at+len(w)], w) {
			return
		}
		for i, v := range x {
			t.u16[at+i*str] = device.F64ToF16(float64(v))
		}
	case device.BF16:
		if w, ok := floats(x); ok && str == 1 && simd.ToBF16(simd.Active(), t.u16[at:at+len(w)], w) {
			return
		}
		for i, v := range x {
			t.u16[at+i*str] = device.F64ToBF16(float64(v))
		}
	case device.U8:
		for i, v := range x {
			t.u8[at+i*str] = uint8(saturate(float64(v), 0, 255))
		}
	case device.I32:
		for i, v := range x {
			t.i32[at+i*str] = int32(saturate(float64(v), -1<<31, 1<<31-1))
		}
	}
}

func storeAs[C number, T float32 | float64](s []T, at, str int, x []C) {
	if str == 1 {
		s = s[at : at+len(x)]
		for i, v := range x {
			s[i] = T(v)
		}
		return
	}
	for i, v := range x {
		s[at+i*str] = T(v)
	}
}

// operands are the views of an elementwise kernel with their memory: sources broadcast to y's shape.
func operands(kernel string, y device.View, sources ...device.View) (views []device.View, mem [maxOperands]typed) {
	views = append(views, y)
	mem[0] = typedOf(y)
	for i, s := range sources {
		if !broadcasts(s, y) {
			panic(fmt.Sprintf("cpu.%s: source %s does not broadcast to %s", kernel, s, y))
		}
		views = append(views, s.BroadcastTo(y))
		mem[i+1] = typedOf(s)
	}
	for a := range int(y.Rank) {
		if y.Str[a] == 0 && y.Dim[a] > 1 && y.Len() > 0 {
			panic(fmt.Sprintf("cpu.%s: destination %s repeats its elements", kernel, y))
		}
	}
	return views, mem
}

func broadcasts(s, y device.View) bool {
	k := int(y.Rank) - int(s.Rank)
	if k < 0 {
		return false
	}
	for a := range int(s.Rank) {
		if s.Dim[a] != 1 && s.Dim[a] != y.Dim[a+k] {
			return false
		}
	}
	return true
}

// eachBlock is the phase that loads elements of each source as C, calls f, and stores what it wrote to y: as many as there
// are side by side, where all lie in memory as f takes them, else up to block at a time.
func eachBlock[C number](d *Device, views []device.View, mem [maxOperands]typed, f func(y, a, b, c, e []C)) phase {
	d.reserve(maxOperands * block * sizeOf[C]())
	n := newNest(views...)
	m := &mem // one copy for the closure's life
	whole := true
	for i := range n.k {
		_, ok := direct[C](&m[i], 0, n.inner(i), 0)
		whole = whole && ok && n.inner(i) == 1
	}
	return n.phase(d, func(worker int, at *[maxOperands]int, count int) {
		step := block
		if whole {
			step = count
		}
		buf := scratchOf[C](d, worker, maxOperands*block)
		var s [maxOperands][]C
		for lo := 0; lo < count; lo += step {
			w := min(step, count-lo)
			for i := 1; i < n.k; i++ {
				str := n.inner(i)
				if str == 0 && lo > 0 { // the same again: f does not write over it
					s[i] = s[i][:w]
					continue
				}
				s[i] = load(&m[i], at[i]+lo*str, str, w, buf[i*block:(i+1)*block])
			}
			str := n.inner(0)
			y, ok := direct[C](&m[0], at[0]+lo*str, str, w)
			if !ok {
				y = buf[:w]
			}
			f(y, s[1], s[2], s[3], s[4])
			if !ok {
				store(&m[0], at[0]+lo*str, str, y)
			}
		}
	})
}

func types(vs ...device.View) device.DType {
	ts := make([]device.DType, len(vs))
	for i, v := range vs {
		ts[i] = v.Type
	}
	return device.Compute(ts...)
}

// saturate is x between lo and hi, for conversion to an integer type; NaN gives 0. In f64, which holds the bounds.
func saturate(x, lo, hi float64) float64 {
	if x != x {
		return 0
	}
	return min(max(x, lo), hi)
}
