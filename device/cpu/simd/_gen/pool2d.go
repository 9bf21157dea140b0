package main

import (
	"fmt"
	"slices"
)

// windowsFields are the fields of simd.windows32, of 8 bytes each. A test holds them against the structure.
var windowsFields = []string{"n", "c", "y", "x", "tapsH", "tapsW", "skipH", "stepW", "place", "placeStep", "placeSkipH", "placeW", "scale", "add", "stream"}

// pooler writes the kernels of pooling. They go over n windows, in each over the columns of channels, and there over the
// taps. DI points at y, SI at the first tap, R8 at the index of y; BX is the place of the first tap, R9 counts windows. In
// a window R11 points at a tap, DX is its place, R12 and R13 count rows and taps of a row; AX points at the structure.
type pooler struct {
	*columns
	index bool
	piece int // bytes, see inPieces
}

// field is the operand of a field of the structure in AX.
func field(name string) string {
	n := slices.Index(windowsFields, name)
	if n < 0 {
		panic("windows32 has no " + name)
	}
	return fmt.Sprintf("%d(AX)", 8*n)
}

// windows writes a kernel: body is what it does in a window.
func (f *file) windows(i isa, name string, index bool, body func(p *pooler)) {
	args := []string{"y", "x", "w"}
	if index {
		args = []string{"y", "index", "x", "w"}
	}
	get := f.kernel(i, name, args...)
	get("y", "DI")
	get("x", "SI")
	if index {
		get("index", "R8")
	}
	get("w", "AX")
	f.op("MOVQ %s, BX", field("place"))
	f.op("MOVQ %s, R9", field("n"))
	window := f.label("window")
	f.at(window)
	get("w", "AX")
	f.op("MOVQ %s, CX", field("c"))
	f.eachColumns(i, get, func(c *columns) {
		c.place = "(R15*1)"
		get("w", "AX")
		c.inPieces(func(piece int) { body(&pooler{c, index, piece}) })
	})
	get("w", "AX")
	f.op("ADDQ %s, DI", field("y"))
	f.op("ADDQ %s, SI", field("x"))
	if index {
		f.op("MOVQ %s, DX", field("c"))
		f.op("LEAQ (R8)(DX*4), R8")
		f.op("ADDQ %s, BX", field("placeStep"))
	}
	f.op("DECQ R9")
	f.op("JNZ %s", window)
	f.end()
}

// store writes register n to vector v of the columns, which a register points at.
func (p *pooler) store(n, v int, row string) {
	if p.piece > 0 {
		p.storePieces(n, row, p.piece)
	} else {
		p.columns.store(p.v(n), p.vec(v, row))
	}
}

// taps repeats body for each tap of the window, from the second on if first is not nil: then that is for the first.
func (p *pooler) taps(first, body func()) {
	tap, next := p.label("tap"), p.label("next")
	p.op("MOVQ SI, R11")
	if p.index {
		p.op("MOVQ BX, DX")
	}
	p.op("MOVQ %s, R12", field("tapsH"))
	p.op("MOVQ %s, R13", field("tapsW"))
	if first != nil {
		first()
		p.op("JMP %s", next)
	}
	p.at(tap)
	body()
	p.at(next)
	p.op("ADDQ %s, R11", field("stepW"))
	if p.index {
		p.op("ADDQ %s, DX", field("placeW"))
	}
	p.op("DECQ R13")
	p.op("JNZ %s", tap)
	p.op("MOVQ %s, R13", field("tapsW"))
	p.op("ADDQ %s, R11", field("skipH"))
	if p.index {
		p.op("ADDQ %s, DX", field("placeSkipH"))
	}
	p.op("DECQ R12")
	p.op("JNZ %s", tap)
}

// spread fills register n with the place of the tap.
func (p *pooler) spread(n int) {
	if p.isa == avx512 {
		p.op("VPBROADCASTD DX, Z%d", n)
		return
	}
	p.op("VMOVD DX, X%d", n)
	p.op("VPBROADCASTD X%[1]d, Y%[1]d", n)
}

// maxPool writes the kernels of MaxPool.
func maxPool(f *file, i isa, index bool) {
	name := "maxPool"
	if index {
		name = "maxPoolIndex"
	}
	f.windows(i, name, index, func(p *pooler) {
		best, at, place, x, m := 0, p.vecs, 2*p.vecs, 2*p.vecs+1, 2*p.vecs+2
		p.taps(func() {
			for v := range p.vecs {
				p.load(p.vec(v, "R11"), p.v(best+v))
				if index {
					p.spread(at + v)
				}
			}
		}, func() {
			if index {
				p.spread(place)
			}
			for v := range p.vecs {
				b, x := p.v(best+v), p.v(x)
				p.load(p.vec(v, "R11"), x)
				if p.isa == avx512 { // not x <= best, and best is a number
					p.op("VCMPPS $0x16, %s, %s, K3", b, x)
					p.op("VCMPPS $7, %s, %s, K3, K3", b, b)
					p.op("VMOVAPS %s, K3, %s", x, b)
					if index {
						p.op("VMOVDQA32 %s, K3, %s", p.v(place), p.v(at+v))
					}
					continue
				}
				p.op("VCMPPS $0x16, %s, %s, %s", b, x, p.v(m))
				p.op("VCMPPS $7, %s, %s, %s", b, b, p.v(m+1))
				p.op("VANDPS %[1]s, %[2]s, %[2]s", p.v(m+1), p.v(m))
				p.op("VBLENDVPS %s, %s, %s, %s", p.v(m), x, b, b)
				if index {
					p.op("VBLENDVPS %s, %s, %s, %s", p.v(m), p.v(place), p.v(at+v), p.v(at+v))
				}
			}
		})
		for v := range p.vecs {
			p.store(best+v, v, "DI")
			if index {
				p.store(at+v, v, "R8")
			}
		}
	})
}

// give writes what a window gives to its taps: give puts the part of a tap in register part, of vector v. It is there
// three times: added to what is there, stored, and stored past the caches.
func (p *pooler) give(part int, give func(v int)) {
	set, stream, end := p.label("set"), p.label("stream"), p.label("end")
	p.op("CMPQ %s, $0", field("add"))
	p.op("JE %s", set)
	each := func(put func(v int)) {
		p.taps(nil, func() {
			if p.index {
				p.spread(part + 1)
			}
			for v := range p.vecs {
				give(v)
				put(v)
			}
		})
	}
	each(func(v int) {
		p.op("VADDPS %[1]s, %[2]s, %[2]s", p.operand(p.vec(v, "R11"), p.v(part+2)), p.v(part))
		p.store(part, v, "R11")
	})
	p.op("JMP %s", end)
	p.at(set)
	if p.vecs > 1 {
		p.op("CMPQ %s, $0", field("stream"))
		p.op("JNE %s", stream)
	}
	each(func(v int) { p.store(part, v, "R11") })
	if p.vecs > 1 {
		p.op("JMP %s", end)
		p.at(stream)
		each(func(v int) { p.op("VMOVNTPS %s, %s", p.v(part), p.vec(v, "R11")) })
	}
	p.at(end)
}

// maxPoolGrad writes the kernel of MaxPoolGrad.
func maxPoolGrad(f *file, i isa) {
	f.windows(i, "maxPoolGrad", true, func(p *pooler) {
		g, at, part := 0, p.vecs, 2*p.vecs
		for v := range p.vecs {
			p.load(p.vec(v, "DI"), p.v(g+v))
			p.load(p.vec(v, "R8"), p.v(at+v))
		}
		p.give(part, func(v int) {
			if p.isa == avx512 {
				p.op("VPCMPEQD %s, %s, K3", p.v(part+1), p.v(at+v))
				p.op("VMOVAPS.Z %s, K3, %s", p.v(g+v), p.v(part))
				return
			}
			p.op("VPCMPEQD %s, %s, %s", p.v(part+1), p.v(at+v), p.v(part))
			p.op("VANDPS %[1]s, %[2]s, %[2]s", p.v(g+v), p.v(part))
		})
	})
}

// avgPool writes the kernel of AvgPool.
func avgPool(f *file, i isa) {
	f.windows(i, "avgPool", false, func(p *pooler) {
		sum, spare := 0, p.vecs
		p.zero(sum)
		p.taps(nil, func() {
			for v := range p.vecs {
				p.op("VADDPS %[1]s, %[2]s, %[2]s", p.operand(p.vec(v, "R11"), p.v(spare)), p.v(sum+v))
			}
		})
		p.op("VBROADCASTSS %s, %s", field("scale"), p.v(spare))
		for v := range p.vecs {
			p.op("VMULPS %[1]s, %[2]s, %[2]s", p.v(spare), p.v(sum+v))
			p.store(sum+v, v, "DI")
		}
	})
}

// avgPoolGrad writes the kernel of AvgPoolGrad.
func avgPoolGrad(f *file, i isa) {
	f.windows(i, "avgPoolGrad", false, func(p *pooler) {
		g, part := 0, p.vecs
		p.op("VBROADCASTSS %s, %s", field("scale"), p.v(part))
		for v := range p.vecs {
			p.load(p.vec(v, "DI"), p.v(g+v))
			p.op("VMULPS %[1]s, %[2]s, %[2]s", p.v(part), p.v(g+v))
		}
		p.give(part, func(v int) { p.op("VMOVAPS %s, %s", p.v(g+v), p.v(part)) })
	})
}

func pool2dFile(i isa) *file {
	f := newFile("Pooling, see pool2d.go.")
	f.masks(i)
	if i == avx2 {
		f.order()
	}
	maxPool(f, i, false)
	maxPool(f, i, true)
	maxPoolGrad(f, i)
	avgPool(f, i)
	avgPoolGrad(f, i)
	return f
}
