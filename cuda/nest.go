package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

const maxOperands = 5

// operand and nest are the twins of struct Operand and Nest in kernel.cuh.
type operand struct {
	data uintptr
	typ  int32
	str  [device.MaxRank]int32
	_    int32
}

type nest struct {
	n    int64
	rank int32
	dim  [device.MaxRank]int32
	_    int32
	op   [maxOperands]operand
}

// newNest is the loops over views of one shape, the first of which is written: axes in the order of its strides, merged
// where all views allow.
func newNest(views ...device.View) nest {
	y := views[0]
	n := nest{n: int64(y.Len())}
	for i, v := range views {
		n.op[i].data, n.op[i].typ = address(v), int32(v.Type)
	}
	var order [device.MaxRank]int
	axes := 0
	for a := range int(y.Rank) {
		if y.Dim[a] == 1 {
			continue
		}
		at := axes
		for ; at > 0 && abs(y.Str[order[at-1]]) < abs(y.Str[a]); at-- {
			order[at] = order[at-1]
		}
		order[at] = a
		axes++
	}
	for _, a := range order[:axes] {
		r := n.rank - 1
		merges := r >= 0
		for i, v := range views {
			merges = merges && n.op[i].str[r] == v.Str[a]*v.Dim[a]
		}
		if merges {
			n.dim[r] *= y.Dim[a]
		} else {
			r = n.rank
			n.dim[r] = y.Dim[a]
			n.rank++
		}
		for i, v := range views {
			n.op[i].str[r] = v.Str[a]
		}
	}
	if n.rank == 0 {
		n.rank, n.dim[0] = 1, 1
	}
	return n
}

func abs(x int32) int32 {
	if x < 0 {
		return -x
	}
	return x
}

// flat reports whether the first k operands lie side by side in one stretch, each of type typ.
func (n *nest) flat(k int, typ device.DType) bool {
	if n.rank != 1 {
		return false
	}
	for _, o := range n.op[:k] {
		if o.typ != int32(typ) || o.str[0] != 1 && n.n > 1 {
			return false
		}
	}
	return true
}

// operands are the views of an elementwise kernel: the destination, and the sources broadcast to its shape.
func operands(kernel string, y device.View, sources ...device.View) []device.View {
	views := []device.View{y}
	for _, s := range sources {
		if !broadcasts(s, y) {
			panic(fmt.Sprintf("cuda.%s: source %s does not broadcast to %s", kernel, s, y))
		}
		views = append(views, s.BroadcastTo(y))
	}
	for a := range int(y.Rank) {
		if y.Str[a] == 0 && y.Dim[a] > 1 && y.Len() > 0 {
			panic(fmt.Sprintf("cuda.%s: destination %s repeats its elements", kernel, y))
		}
	}
	return views
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

// compute is the type that a kernel over these views calculates in.
func compute(vs ...device.View) device.DType {
	var ts [maxOperands]device.DType
	for i, v := range vs {
		ts[i] = v.Type
	}
	return device.Compute(ts[:len(vs)]...)
}
