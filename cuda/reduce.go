package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

var (
	// by type of x: f32, f16, bf16
	kReduceRows    = map[device.DType]kernelID{device.F32: kernel("reduce", "reduce_rows_f32"), device.F16: kernel("reduce", "reduce_rows_f16"), device.BF16: kernel("reduce", "reduce_rows_bf16")}
	kReduceColumns = map[device.DType]kernelID{device.F32: kernel("reduce", "reduce_columns_f32"), device.F16: kernel("reduce", "reduce_columns_f16"), device.BF16: kernel("reduce", "reduce_columns_bf16")}
	// by what is calculated in: f32, f64, integers
	kReduceRowsAs    = [...]kernelID{asF32: kernel("reduce", "reduce_rows_as_f32"), asF64: kernel("reduce", "reduce_rows_as_f64"), asI64: kernel("reduce", "reduce_rows_as_i64")}
	kReduceColumnsAs = [...]kernelID{asF32: kernel("reduce", "reduce_columns_as_f32"), asF64: kernel("reduce", "reduce_columns_as_f64"), asI64: kernel("reduce", "reduce_columns_as_i64")}
	kReduceMerge     = [...]kernelID{asF32: kernel("reduce", "reduce_merge_f32"), asF64: kernel("reduce", "reduce_merge_f64"), asI64: kernel("reduce", "reduce_merge_i64")}
)

const (
	asF32 = iota
	asF64
	asI64
)

var reduceNames = func() (s []string) {
	for op := range device.RedOp(device.RedOps()) {
		s = append(s, "Reduce."+op.String())
	}
	return
}()

// axes is the twin of struct Axes in reduce.cu: a row-major walk with strides in x and y.
type axes struct {
	rank      int32
	dim, x, y [device.MaxRank]int32
}

// add appends an axis, or merges it with the one before if both strides allow that.
func (a *axes) add(dim, x, y int32) {
	if dim == 1 {
		return
	}
	if r := a.rank - 1; r >= 0 {
		whole := int(dim) * int(a.dim[r])
		if int(a.x[r]) == int(x)*int(dim) && int(a.y[r]) == int(y)*int(dim) && whole == int(int32(whole)) {
			a.dim[r], a.x[r], a.y[r] = int32(whole), x, y
			return
		}
	}
	a.dim[a.rank], a.x[a.rank], a.y[a.rank] = dim, x, y
	a.rank++
}

// inner is extent and stride in x of the last axis.
func (a *axes) inner() (dim, str int) {
	if a.rank == 0 {
		return 1, 0
	}
	return int(a.dim[a.rank-1]), int(a.x[a.rank-1])
}

// filled has at least one axis, as kernels want it.
func (a axes) filled() axes {
	if a.rank == 0 {
		a.rank, a.dim[0] = 1, 1
	}
	return a
}

type reduceParams struct {
	fault, x, y, part uintptr
	outs, n, chunk    int64
	chunks, op        int32
	xtype, ytype      int32
	wide, tall        int32
	cols              int32
	vector            int32
	kept, over        axes
}

const reduceThreads = 256

// reduction is how a Reduce is done. All of it follows from shapes, strides and types.
type reduction struct {
	p         reduceParams
	as        int
	kernel    kernelID
	blocks    int
	partBytes int
	x, y      device.View
	mergeCols int // outputs whose results of one chunk lie side by side
}

// Reduce folds x along the axes in which y's extent is 1.
func (d *Device) Reduce(op device.RedOp, y, x device.View) {
	name := reduceNames[op]
	if y.Rank != x.Rank {
		panic(fmt.Sprintf("cuda.%s: %s to %s: not of one rank", name, x, y))
	}
	if op == device.ArgMax && y.Type != device.I32 {
		panic(fmt.Sprintf("cuda.%s: %s to %s: an index is i32", name, x, y))
	}
	for a := range int(x.Rank) {
		if y.Dim[a] != 1 && y.Dim[a] != x.Dim[a] {
			panic(fmt.Sprintf("cuda.%s: %s to %s: axis %d", name, x, y, a))
		}
	}
	r := newReduction(op, y, x)
	if r.p.n == 0 && r.p.outs > 0 && (op == device.ReduceMax || op == device.ReduceMin || op == device.ArgMax) {
		panic(fmt.Sprintf("cuda.%s: %s to %s: of no elements", name, x, y))
	}
	d.reserve(r.partBytes)
	d.enqueue(name, []device.View{y}, []device.View{x}, float64(x.Len()), func() error { return d.reduce(&r) })
}

func (d *Device) reduce(r *reduction) error {
	p := r.p
	if p.outs == 0 {
		return nil
	}
	p.fault, p.x, p.y = d.fault(), address(r.x), address(r.y)
	if p.chunks > 1 {
		var err error
		if p.part, err = d.borrow(r.partBytes); err != nil {
			return err
		}
	}
	if err := launch(d, r.kernel, gridOf(r.blocks), reduceThreads, 0, &p); err != nil || p.chunks == 1 {
		return err
	}
	p.tall = int32(min(reduceThreads, pow2(int(p.chunks))))
	if r.mergeCols > 1 {
		p.tall = min(p.tall, 16)
	}
	p.wide, p.cols = reduceThreads/p.tall, int32(r.mergeCols)
	return launch(d, kReduceMerge[r.as], gridOf(ceilDiv(int(p.outs), int(p.wide))), reduceThreads, 0, &p)
}

// gridOf is a grid of n blocks in a row, as far as there can be so many; kernels loop over the rest.
func gridOf(n int) [3]uint32 { return [3]uint32{uint32(max(1, min(n, 1<<30))), 1, 1} }

func ceilDiv(n, by int) int { return (n + by - 1) / by }

// pow2 is the least power of two that is not under n.
func pow2(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

func newReduction(op device.RedOp, y, x device.View) reduction {
	r := reduction{x: x, y: y}
	kept, over := splitAxes(&r, op == device.ArgMax)
	r.as = accumulator(op, y.Type, x.Type)
	r.p.op, r.p.xtype, r.p.ytype = int32(op), int32(x.Type), int32(y.Type)
	if r.p.outs == 0 {
		return r
	}
	cols, str := kept.inner()
	n, step := over.inner()
	if kept.rank > 0 && (over.rank == 0 || abs(int32(str)) < abs(int32(step)) || step == 0 && n > 1) {
		r.columns(cols, str, &kept, &over)
	} else {
		r.rows(&kept, &over)
	}
	r.p.kept, r.p.over = kept.filled(), over.filled()
	if r.p.chunks > 1 {
		size := 8
		switch {
		case op == device.ArgMax && r.as != asF32:
			size = 16
		case op != device.ArgMax && r.as == asF32:
			size = 4
		}
		r.partBytes = int(r.p.outs) * int(r.p.chunks) * size
	}
	return r
}

// accumulator is what is calculated in: integers exactly, but for sums of squares, which may be too large.
func accumulator(op device.RedOp, y, x device.DType) int {
	switch {
	case x.IsInt() && op != device.SumSq:
		return asI64
	case x.IsInt() || x == device.F64 || y == device.F64:
		return asF64
	}
	return asF32
}

// splitAxes makes the walks over the kept and the folded axes, in the order of their strides; folded axes stay as they are
// if inOrder. Axes that run backwards are turned round.
func splitAxes(r *reduction, inOrder bool) (kept, over axes) {
	r.p.outs, r.p.n = 1, 1
	x, y := &r.x, &r.y
	var order [device.MaxRank]int
	k := 0
	for a := range int(x.Rank) {
		folded := y.Dim[a] == 1
		if folded {
			r.p.n *= int64(x.Dim[a])
		} else {
			r.p.outs *= int64(x.Dim[a])
		}
		if x.Dim[a] > 1 && x.Str[a] < 0 && !(folded && inOrder) {
			*x = x.Flip(a)
			if !folded {
				*y = y.Flip(a)
			}
		}
		at := k
		for ; at > 0 && x.Str[order[at-1]] < x.Str[a] && !(folded && inOrder && y.Dim[order[at-1]] == 1); at-- {
			order[at] = order[at-1]
		}
		order[at] = a
		k++
	}
	for _, a := range order[:k] {
		if y.Dim[a] == 1 {
			over.add(x.Dim[a], x.Str[a], 0)
		} else {
			kept.add(x.Dim[a], x.Str[a], y.Str[a])
		}
	}
	return kept, over
}

// aligned16 reports whether all these strides, and where x begins, are multiples of 16 bytes.
func aligned16(x device.View, strides ...int32) bool {
	n := 16 / x.Type.Size()
	ok := x.Off%n == 0
	for _, s := range strides {
		ok = ok && int(s)%n == 0
	}
	return ok
}

// rows folds each output by itself: by up to 32 threads, by a block, or, long ones, in chunks by several.
func (r *reduction) rows(kept, over *axes) {
	p := &r.p
	n, outs := int(p.n), int(p.outs)
	per := 1
	_, step := over.inner()
	r.kernel = kReduceRowsAs[r.as]
	if k, ok := kReduceRows[r.x.Type]; ok && r.as == asF32 && over.rank == 1 && step == 1 {
		r.kernel = k
		if aligned16(r.x, kept.x[:kept.rank]...) {
			p.vector, per = 1, 16/r.x.Type.Size()
		}
	}
	p.tall, p.cols = 1, 1
	p.wide, p.chunks, p.chunk = int32(pow2(max(1, min(32, ceilDiv(n, per))))), 1, p.n
	if n > 1024 {
		p.wide = reduceThreads
		const least, most = 8192, 1 << 18 // so few are not worth a block; so many are a long sum
		p.chunks = int32(max(min(ceilDiv(n, least), max(1, 4096/outs)), ceilDiv(n, most)))
		p.chunk = int64(ceilDiv(ceilDiv(n, int(p.chunks)), 1024) * 1024)
		p.chunks = int32(ceilDiv(n, int(p.chunk)))
	}
	r.mergeCols = 1
	r.blocks = ceilDiv(outs*int(p.chunks), reduceThreads/int(p.wide))
}

// columns folds outputs that lie side by side, all rows of a chunk by the threads of a column.
func (r *reduction) columns(cols, str int, kept, over *axes) {
	p := &r.p
	n, outs := int(p.n), int(p.outs)
	per := 1
	r.kernel = kReduceColumnsAs[r.as]
	if k, ok := kReduceColumns[r.x.Type]; ok && r.as == asF32 && str == 1 && cols%(16/r.x.Type.Size()) == 0 &&
		aligned16(r.x, kept.x[:kept.rank-1]...) && aligned16(r.x, over.x[:over.rank]...) {
		r.kernel, per = k, 16/r.x.Type.Size()
	}
	p.cols = int32(cols)
	wide := min(32, pow2(ceilDiv(cols, per)))
	tall := min(reduceThreads/wide, pow2(max(1, n)))
	p.wide, p.tall, p.chunks, p.chunk = int32(wide), int32(tall), 1, p.n
	deep := reduceThreads / (wide * tall)
	tiles := outs / cols * ceilDiv(cols, wide*per)
	if n > 8*tall {
		whole := ceilDiv(tiles, deep)
		p.chunks = int32(max(min(ceilDiv(n, 8*tall), max(1, 2048/whole)), ceilDiv(n, 1024*tall)))
		p.chunk = int64(ceilDiv(ceilDiv(n, int(p.chunks)), tall) * tall)
		p.chunks = int32(ceilDiv(n, int(p.chunk)))
	}
	r.mergeCols = cols
	r.blocks = ceilDiv(tiles*int(p.chunks), deep)
}
