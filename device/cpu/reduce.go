package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

var reduceNames = func() (s []string) {
	for op := range device.RedOp(device.RedOps()) {
		s = append(s, "Reduce."+op.String())
	}
	return
}()

// reduceBlock is how many elements are folded one after the other; longer sums are of such blocks, in their order.
const reduceBlock = 16384

// maxBlocks limits the blocks of a column, since each has a row of sums.
const maxBlocks = 64

// Reduce folds x along the axes in which y's extent is 1. Sums are kept in f64, whatever the types.
func (d *Device) Reduce(op device.RedOp, y, x device.View) {
	name := reduceNames[op]
	if y.Rank != x.Rank {
		panic(fmt.Sprintf("cpu.%s: %s to %s: not of one rank", name, x, y))
	}
	if op == device.ArgMax && y.Type != device.I32 {
		panic(fmt.Sprintf("cpu.%s: %s to %s: an index is i32", name, x, y))
	}
	r := reduction{op: op, xs: typedOf(x), ys: typedOf(y), x0: x.Off, y0: y.Off, outs: 1, n: 1}
	for a := range int(x.Rank) {
		switch {
		case y.Dim[a] == x.Dim[a] && x.Dim[a] != 1:
			r.kept = r.kept.add(int(x.Dim[a]), int(x.Str[a]), int(y.Str[a]))
			r.outs *= int(x.Dim[a])
		case y.Dim[a] == 1:
			r.over = r.over.add(int(x.Dim[a]), int(x.Str[a]), 0)
			r.n *= int(x.Dim[a])
		default:
			panic(fmt.Sprintf("cpu.%s: %s to %s: axis %d", name, x, y, a))
		}
	}
	if r.n == 0 && r.outs > 0 && (op == device.ReduceMax || op == device.ReduceMin || op == device.ArgMax) {
		panic(fmt.Sprintf("cpu.%s: %s to %s: of no elements", name, x, y))
	}
	var phases []phase
	switch {
	case r.outs == 0:
	case r.byColumn():
		phases = r.columns(d)
	default:
		phases = r.rows(d)
	}
	d.enqueue(name, []device.View{y}, []device.View{x}, float64(x.Len()), phases...)
}

// axes is a row-major walk with strides in x and y, neighbours merged where they can be.
type axes struct {
	rank       int
	dim        [device.MaxRank]int
	strX, strY [device.MaxRank]int
}

func (a axes) add(dim, strX, strY int) axes {
	if dim == 1 {
		return a
	}
	if r := a.rank - 1; r >= 0 && a.strX[r] == strX*dim && a.strY[r] == strY*dim {
		a.dim[r] *= dim
		a.strX[r], a.strY[r] = strX, strY
		return a
	}
	a.dim[a.rank], a.strX[a.rank], a.strY[a.rank] = dim, strX, strY
	a.rank++
	return a
}

// at is where element i of the walk lies.
func (a *axes) at(i int) (x, y int) {
	for k := a.rank - 1; k >= 0; k-- {
		q := i % a.dim[k]
		i /= a.dim[k]
		x += q * a.strX[k]
		y += q * a.strY[k]
	}
	return x, y
}

// inner is extent and stride of the last axis.
func (a *axes) inner() (n, str int) {
	if a.rank == 0 {
		return 1, 0
	}
	return a.dim[a.rank-1], a.strX[a.rank-1]
}

type reduction struct {
	op         device.RedOp
	xs, ys     typed
	x0, y0     int
	kept, over axes
	outs, n    int
}

func (r *reduction) start() float64 {
	switch r.op {
	case device.ReduceMax, device.ArgMax:
		return math.Inf(-1)
	case device.ReduceMin:
		return math.Inf(1)
	}
	return 0
}

// partial is a fold under way; at is the index of the largest, for ArgMax.
type partial struct {
	v  float64
	at int
}

// merge folds q, of later elements, into p.
func (r *reduction) merge(p *partial, q partial) {
	switch r.op {
	case device.Sum, device.SumSq:
		p.v += q.v
	case device.ReduceMin:
		if q.v < p.v || q.v != q.v {
			p.v = q.v
		}
	default:
		if p.at < 0 || q.v > p.v || q.v != q.v && p.v == p.v {
			*p = q
		}
	}
}

// rows folds each output by itself: outputs side by side, long ones in blocks.
func (r reduction) rows(d *Device) []phase {
	blocks := max(1, (r.n+reduceBlock-1)/reduceBlock)
	group := max(1, reduceBlock/max(r.n, 1)) // outputs of a part
	if blocks > 1 {
		group = 1
	}
	if blocks > 1 {
		d.shared(r.outs * blocks * int(unsafe.Sizeof(partial{})))
	}
	groups := ceil(r.outs, group)
	fold := phase{n: groups * blocks, run: func(part, _ int) {
		var all []partial
		if blocks > 1 {
			all = sharedOf[partial](d, 0, r.outs*blocks)
		}
		b := part % blocks
		lo, hi := b*reduceBlock, min(r.n, (b+1)*reduceBlock)
		for o := part / blocks * group; o < min(r.outs, (part/blocks+1)*group); o++ {
			x, y := r.kept.at(o)
			p := r.stretch(r.x0+x, lo, hi)
			if blocks > 1 {
				all[o*blocks+b] = p
			} else {
				r.put(r.y0+y, p)
			}
		}
	}}
	if blocks == 1 {
		return []phase{fold}
	}
	return []phase{fold, {n: 1, run: func(int, int) {
		all := sharedOf[partial](d, 0, r.outs*blocks)
		for o := range r.outs {
			p := all[o*blocks]
			for _, q := range all[o*blocks+1 : (o+1)*blocks] {
				r.merge(&p, q)
			}
			_, y := r.kept.at(o)
			r.put(r.y0+y, p)
		}
	}}}
}

func (r *reduction) put(at int, p partial) {
	v := [1]float64{p.v}
	if r.op == device.ArgMax {
		v[0] = float64(p.at)
	}
	store(&r.ys, at, 1, v[:])
}

// stretch folds elements lo to hi-1 of the output whose first element lies at x.
func (r *reduction) stretch(x, lo, hi int) partial {
	p := partial{r.start(), -1}
	inner, str := r.over.inner()
	for lo < hi {
		off, _ := r.over.at(lo)
		count := min(hi-lo, inner-lo%inner)
		r.merge(&p, r.run(x+off, str, count, lo))
		lo += count
	}
	return p
}

// run folds count elements str apart; first is the index of the first.
func (r *reduction) run(at, str, count, first int) partial {
	switch r.xs.typ {
	case device.F32:
		if str == 1 && count >= 8 {
			if p, ok := foldVector(r.op, r.xs.f32[at:at+count]); ok {
				return p
			}
		}
		return foldRun(r.op, r.xs.f32, at, str, count, first)
	case device.F64:
		return foldRun(r.op, r.xs.f64, at, str, count, first)
	case device.I32:
		return foldRun(r.op, r.xs.i32, at, str, count, first)
	case device.U8:
		return foldRun(r.op, r.xs.u8, at, str, count, first)
	}
	p, one := partial{r.start(), -1}, [1]float64{}
	for i := range count {
		load(&r.xs, at+i*str, 1, 1, one[:])
		r.merge(&p, foldRun(r.op, one[:], 0, 1, 1, first+i))
	}
	return p
}

// foldVector is foldRun of what lies side by side, for what vector kernels do; false for other ops.
func foldVector(op device.RedOp, x []float32) (partial, bool) {
	l := levelFor[float32]()
	switch op {
	case device.Sum:
		return partial{simd.Sum(l, x), -1}, true
	case device.SumSq:
		return partial{simd.Dot(l, x, x), -1}, true
	case device.ReduceMax:
		return partial{float64(simd.Largest(l, x)), 0}, true
	case device.MaxAbs:
		return partial{float64(simd.MaxAbs(l, x)), 0}, true
	}
	return partial{}, false
}

func foldRun[T float32 | float64 | int32 | uint8](op device.RedOp, s []T, at, str, count, first int) partial {
	switch op {
	case device.Sum:
		var a, b, c, e float64 // four chains: an addition waits for the one before
		i := 0
		for ; i+4 <= count; i += 4 {
			a += float64(s[at])
			b += float64(s[at+str])
			c += float64(s[at+2*str])
			e += float64(s[at+3*str])
			at += 4 * str
		}
		for ; i < count; i++ {
			a += float64(s[at])
			at += str
		}
		return partial{(a + b) + (c + e), -1}
	case device.SumSq:
		var a, b float64
		i := 0
		for ; i+2 <= count; i += 2 {
			v, w := float64(s[at]), float64(s[at+str])
			a += v * v
			b += w * w
			at += 2 * str
		}
		for ; i < count; i++ {
			v := float64(s[at])
			a += v * v
			at += str
		}
		return partial{a + b, -1}
	case device.MaxAbs:
		m := 0.0
		for range count {
			v := math.Abs(float64(s[at]))
			if v > m {
				m = v
			} else if v != v {
				return partial{v, 0}
			}
			at += str
		}
		return partial{m, 0}
	case device.ReduceMin:
		m := math.Inf(1)
		for range count {
			v := float64(s[at])
			if v < m {
				m = v
			} else if v != v {
				return partial{v, -1}
			}
			at += str
		}
		return partial{m, -1}
	}
	m, where := math.Inf(-1), -1
	for i := range count {
		v := float64(s[at])
		if v > m || where < 0 {
			m, where = v, first+i
		}
		if v != v {
			return partial{v, first + i}
		}
		at += str
	}
	return partial{m, where}
}

// byColumn reports whether it is better to walk the kept inner axis: its elements lie side by side, those of the folded
// one do not.
func (r *reduction) byColumn() bool {
	if r.op == device.ArgMax || r.n == 0 || r.over.rank == 0 {
		return false
	}
	k, str := r.kept.inner()
	_, over := r.over.inner()
	return str == 1 && k >= 4 && abs(over) > 1
}

// columns folds rows of outputs that lie side by side: all rows of a block, then the blocks.
func (r reduction) columns(d *Device) []phase {
	k, _ := r.kept.inner()
	width := min(k, 4096)
	cols, outer := (k+width-1)/width, r.outs/k
	tall := max(1, reduceBlock/width, (r.n+maxBlocks-1)/maxBlocks) // rows of a block
	blocks := ceil(r.n, tall)
	d.shared(outer * blocks * k * 8)
	d.reserve(width * 8)
	fold := phase{n: outer * blocks * cols, run: func(part, worker int) {
		o, b, c := part/cols/blocks, part/cols%blocks, part%cols*width
		w := min(width, k-c)
		acc := sharedOf[float64](d, 8*((o*blocks+b)*k+c), w)
		for i := range acc {
			acc[i] = r.start()
		}
		x, _ := r.kept.at(o * k)
		if lo := b * tall; r.op == device.Sum && r.xs.typ == device.F32 && r.over.rank == 1 && r.over.strX[0] > 0 { // the gradient of a bias
			str := r.over.strX[0]
			simd.SumRows(levelFor[float32](), acc, r.xs.f32[r.x0+x+c+lo*str:], min(tall, r.n-lo), str)
			return
		}
		for i := b * tall; i < min(r.n, (b+1)*tall); i++ {
			off, _ := r.over.at(i)
			r.fold(acc, r.x0+x+c+off, scratchOf[float64](d, worker, width))
		}
	}}
	return []phase{fold, {n: outer, run: func(o, _ int) {
		all := sharedOf[float64](d, 8*o*blocks*k, blocks*k)
		acc := all[:k]
		for b := 1; b < blocks; b++ {
			for i, v := range all[b*k : (b+1)*k] {
				p := partial{acc[i], 0}
				r.merge(&p, partial{v, 0})
				acc[i] = p.v
			}
		}
		_, y := r.kept.at(o * k)
		store(&r.ys, r.y0+y, r.kept.strY[r.kept.rank-1], acc)
	}}}
}

// fold folds the row of len(acc) elements at at into acc.
func (r *reduction) fold(acc []float64, at int, buf []float64) {
	if r.op == device.Sum && r.xs.typ == device.F32 {
		for i, v := range r.xs.f32[at : at+len(acc)] {
			acc[i] += float64(v)
		}
		return
	}
	for i, v := range load(&r.xs, at, 1, len(acc), buf) {
		switch r.op {
		case device.Sum:
			acc[i] += v
		case device.SumSq:
			acc[i] += v * v
		case device.ReduceMax:
			if v > acc[i] || v != v {
				acc[i] = v
			}
		case device.ReduceMin:
			if v < acc[i] || v != v {
				acc[i] = v
			}
		case device.MaxAbs:
			if v = math.Abs(v); v > acc[i] || v != v {
				acc[i] = v
			}
		}
	}
}
