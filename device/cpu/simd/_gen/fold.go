package main

import "fmt"

// fold is a kernel that folds values to one, and may store others. What the lanes have come to is left in the call's vec:
// sums as f64, largest values as f32.
type fold struct {
	name   string
	how    string
	values func(b *body) (outs []val, v []val)
}

// The ways to fold.
const (
	foldSum     = "sum"     // of one value, or of products of two, in f64
	foldLargest = "largest" // of one value; vecNaN is set if there was a NaN
	foldBits    = "bits"    // the largest of one value, as whole numbers
)

// folder holds the registers of a fold: accumulators, two for each of two vectors, and a spare pair.
type folder struct {
	*vectors
	fold
	sums  [4]int
	spare [2]int
}

func (f *vectors) fold(k fold) {
	top := f.regs - 1
	if f.isa == avx2 {
		top-- // the mask of the tail
	}
	d := &folder{vectors: f, fold: k, sums: [4]int{top, top - 1, top - 2, top - 3}, spare: [2]int{top - 4, top - 5}}
	b := &body{isa: f.isa}
	outs, v := k.values(b)
	p := b.place(top-5, append(outs, v...))
	f.begin(b, p, k.name)
	start := 0
	if k.how == foldLargest {
		start = 0xff800000
	}
	for _, r := range d.sums {
		if start == 0 {
			f.op("VXORPS %[1]s, %[1]s, %[1]s", f.v(r))
		} else {
			f.op("VBROADCASTSS %s, %s", f.constant(uint32(start)), f.v(r))
		}
	}
	if k.how == foldLargest {
		f.op("MOVQ $0, %d(DI)", vecNaN)
		if f.isa == avx512 {
			f.op("KXORW K7, K7, K7")
		} else {
			f.op("VXORPS %[1]s, %[1]s, %[1]s", f.v(d.sums[3]))
		}
	}
	f.passes(2, false, func(vec int, store string, part bool) {
		f.body(p, vec, part)
		for i, reg := range p.outs[:len(outs)] {
			f.store(store, reg, f.place(i, vec), part)
		}
		d.add(vec, p.outs[len(outs):], part)
	})
	d.finish()
}

// num is the number of a register, for its halves.
func (d *folder) num(reg string) (n int) {
	fmt.Sscanf(reg[1:], "%d", &n)
	return n
}

func (d *folder) add(vec int, regs []string, part bool) {
	v := d.num(regs[0])
	switch d.how {
	case foldBits: // what is not there is 0
		d.op("VPMAXUD %s, %s, %s", d.v(v), d.v(d.sums[vec]), d.v(d.sums[vec]))
		return
	case foldLargest:
		acc := d.v(d.sums[vec])
		if d.isa == avx512 {
			mask := ""
			d.op("VCMPPS $3, %s, %s, K6", d.v(v), d.v(v))
			d.op("KORW K6, K7, K7")
			if part {
				mask = " K1,"
			}
			d.op("VMAXPS %s, %s,%s %s", acc, d.v(v), mask, acc)
			return
		}
		s, nan := d.v(d.spare[0]), d.v(d.sums[3])
		d.op("VCMPPS $3, %s, %s, %s", d.v(v), d.v(v), s)
		d.op("VORPS %s, %s, %s", s, nan, nan)
		if part { // in place of what is not there, what there is already
			d.op("VBLENDVPS Y15, %s, %s, %s", d.v(v), acc, s)
			v = d.spare[0]
		}
		d.op("VMAXPS %s, %s, %s", acc, d.v(v), acc)
		return
	}
	for half := range 2 {
		acc := d.v(d.sums[2*vec+half])
		var wide [2]string
		for i, reg := range regs {
			wide[i] = d.v(d.spare[i])
			d.widen(d.num(reg), d.spare[i], half, part)
		}
		if len(regs) == 1 {
			d.op("VADDPD %s, %s, %s", wide[0], acc, acc)
		} else {
			d.op("VFMADD231PD %s, %s, %s", wide[0], wide[1], acc)
		}
	}
}

// widen makes f64 of half a register; what is not there becomes 0.
func (d *folder) widen(from, to, half int, part bool) {
	if d.isa == avx512 {
		if part {
			d.op("VMOVAPS.Z Z%d, K1, Z%d", from, from)
		}
		if half == 1 {
			d.op("VEXTRACTF64X4 $1, Z%d, Y%d", from, to)
			from = to
		}
		d.op("VCVTPS2PD Y%d, Z%d", from, to)
		return
	}
	if part {
		d.op("VANDPS Y15, Y%d, Y%d", from, from)
	}
	if half == 1 {
		d.op("VEXTRACTF128 $1, Y%d, X%d", from, to)
		from = to
	}
	d.op("VCVTPS2PD X%d, Y%d", from, to)
}

// finish leaves in the call's vec what the accumulators have come to.
func (d *folder) finish() {
	s := d.sums
	join := func(op string, from, to int) { d.op("%s %s, %s, %s", op, d.v(from), d.v(to), d.v(to)) }
	switch d.how {
	case foldSum:
		join("VADDPD", s[1], s[0])
		join("VADDPD", s[3], s[2])
		join("VADDPD", s[2], s[0])
	case foldLargest:
		join("VMAXPS", s[1], s[0])
		if d.isa == avx512 {
			d.op("KMOVW K7, R11")
		} else {
			d.op("VMOVMSKPS %s, R11", d.v(s[3]))
		}
		d.op("MOVQ R11, %d(DI)", vecNaN)
	default:
		join("VPMAXUD", s[1], s[0])
	}
	d.op("VMOVUPS %s, %d(DI)", d.v(s[0]), vecLanes)
	d.end()
}

// folds are the kernels of fold.go of package simd.
var folds = []fold{
	{"sum", foldSum, func(b *body) (outs, v []val) { return nil, []val{b.load(0)} }},
	{"dot", foldSum, func(b *body) (outs, v []val) { return nil, []val{b.load(0), b.load(1)} }},
	{"largest", foldLargest, func(b *body) (outs, v []val) { return nil, []val{b.load(0)} }},
	{"maxAbs", foldBits, func(b *body) (outs, v []val) { return nil, []val{b.abs(b.load(0))} }},
	{"expSum", foldSum, func(b *body) (outs, v []val) { return nil, []val{b.exp(b.sub(b.load(0), b.param(0)))} }},
	{"expInto", foldSum, func(b *body) (outs, v []val) {
		e := b.exp(b.sub(b.load(1), b.param(0)))
		return []val{e}, []val{e}
	}},
}
