package main

import (
	"math"
	"slices"
)

// val is a value of a body: an element of each lane of a register.
type val int

// node makes one value. Its arguments are in the order of Go's assembler, the reverse of Intel's: the first may lie in
// memory.
type node struct {
	op   string
	imm  string // an immediate operand
	args []val
	mask bool // the value is a mask: a K register, or all bits of a lane
}

// The ops of nodes that are no instruction.
const (
	opLoad  = "load"  // n is the array
	opConst = "const" // n is the bits
	opParam = "param" // n is the number's index
	opTable = "table" // n is the number of the table
	opFMA   = "fma"   // of the form imm
)

// body is what a kernel does with the elements of one vector. Its methods add instructions and give what these make;
// registers are given out afterwards.
type body struct {
	isa
	code   []node
	n      []int // of each node: array, bits or index
	tables [][16]float32
	same   map[[2]any]val
}

func (b *body) add1(n node, k int) val {
	b.code, b.n = append(b.code, n), append(b.n, k)
	return val(len(b.code) - 1)
}

// once is the node of an op and number, made when it is first asked for.
func (b *body) once(op string, k int) val {
	key := [2]any{op, k}
	v, ok := b.same[key]
	if !ok {
		v = b.add1(node{op: op}, k)
		if b.same == nil {
			b.same = map[[2]any]val{}
		}
		b.same[key] = v
	}
	return v
}

// f is a constant.
func (b *body) f(x float64) val { return b.bits(math.Float32bits(float32(x))) }

// bits is a constant, given as its bits.
func (b *body) bits(u uint32) val { return b.once(opConst, int(u)) }

// param is number i of the call.
func (b *body) param(i int) val { return b.once(opParam, i) }

// load is the elements of array i.
func (b *body) load(i int) val { return b.once(opLoad, i) }

// outside reports whether v is a constant, a table or a number of the call: it is never written over.
func (b *body) outside(v val) bool {
	op := b.code[v].op
	return op == opConst || op == opTable || op == opParam
}

// table is 16 numbers in a register, for lookup.
func (b *body) table(t [16]float32) val {
	b.tables = append(b.tables, t)
	return b.once(opTable, len(b.tables)-1)
}

// lookup is, in AVX-512, the numbers of a table of 32 that the lowest five bits of index name.
func (b *body) lookup(index val, t [32]float32) val {
	lo, hi := b.table([16]float32(t[:16])), b.table([16]float32(t[16:]))
	return b.do(opLookup, hi, lo, index)
}

// opLookup is an instruction that writes over its last argument.
const opLookup = "VPERMI2PS"

func (b *body) do(op string, args ...val) val { return b.add1(node{op: op, args: args}, 0) }

// either is do for an op whose arguments may change places.
func (b *body) either(op string, x, y val) val {
	if b.outside(y) {
		x, y = y, x
	}
	return b.do(op, x, y)
}

func (b *body) add(x, y val) val { return b.either("VADDPS", x, y) }
func (b *body) mul(x, y val) val { return b.either("VMULPS", x, y) }
func (b *body) sub(x, y val) val { return b.do("VSUBPS", y, x) }
func (b *body) div(x, y val) val { return b.do("VDIVPS", y, x) }
func (b *body) sqrt(x val) val   { return b.do("VSQRTPS", x) }

// max and min give x where it is NaN, and also where both are 0.
func (b *body) max(x, y val) val { return b.do("VMAXPS", x, y) }
func (b *body) min(x, y val) val { return b.do("VMINPS", x, y) }

func (b *body) and(x, y val) val  { return b.either("VANDPS", x, y) }
func (b *body) or(x, y val) val   { return b.either("VORPS", x, y) }
func (b *body) xor(x, y val) val  { return b.either("VXORPS", x, y) }
func (b *body) addi(x, y val) val { return b.either("VPADDD", x, y) }
func (b *body) subi(x, y val) val { return b.do("VPSUBD", y, x) }

func (b *body) imm(op, imm string, args ...val) val {
	return b.add1(node{op: op, imm: imm, args: args}, 0)
}

func (b *body) shl(x val, n string) val { return b.imm("VPSLLD", n, x) }
func (b *body) shr(x val, n string) val { return b.imm("VPSRLD", n, x) }
func (b *body) sar(x val, n string) val { return b.imm("VPSRAD", n, x) }
func (b *body) toInt(x val) val         { return b.do("VCVTPS2DQ", x) }
func (b *body) fromInt(x val) val       { return b.do("VCVTDQ2PS", x) }

// round is x rounded to the nearest whole number, floor the one below.
func (b *body) round(x val) val { return b.imm(b.rounding(), "$8", x) }
func (b *body) floor(x val) val { return b.imm(b.rounding(), "$9", x) }

func (b *body) rounding() string {
	if b.isa == avx512 {
		return "VRNDSCALEPS"
	}
	return "VROUNDPS"
}

// fma is x y + z, rounded once; fnma is z - x y.
func (b *body) fma(x, y, z val) val {
	return b.add1(node{op: opFMA, imm: "VFMADD", args: []val{x, y, z}}, 0)
}
func (b *body) fnma(x, y, z val) val {
	return b.add1(node{op: opFMA, imm: "VFNMADD", args: []val{x, y, z}}, 0)
}

// horner is the polynomial of x with these coefficients, the highest first.
func (b *body) horner(x val, c ...float64) val {
	p := b.f(c[0])
	for _, c := range c[1:] {
		p = b.fma(p, x, b.f(c))
	}
	return p
}

// Comparisons, as VCMPPS numbers them.
const (
	cmpEq      = "$0"
	cmpLess    = "$17"
	cmpNotLess = "$21" // or unordered
	cmpNotEq   = "$4"  // or unordered
	cmpOrdered = "$7"
	cmpGreater = "$30"
	cmpSame    = "$8" // or unordered
)

// compare is a mask of the lanes in which the comparison of x with y holds.
func (b *body) compare(x val, cmp string, y val) val {
	return b.add1(node{op: "VCMPPS", imm: cmp, args: []val{y, x}, mask: true}, 0)
}

// choose is x where mask holds, else y.
func (b *body) choose(mask, x, y val) val {
	if b.isa == avx512 {
		return b.add1(node{op: "VBLENDMPS", args: []val{x, y, mask}}, 0)
	}
	return b.do("VBLENDVPS", mask, x, y)
}

// keep is x where mask holds, else 0.
func (b *body) keep(mask, x val) val {
	if b.isa == avx512 {
		return b.add1(node{op: "VMOVAPS.Z", args: []val{x, mask}}, 0)
	}
	return b.do("VANDPS", mask, x)
}

func (b *body) abs(x val) val { return b.and(x, b.bits(1<<31-1)) }

// held reports whether a constant must have a register.
func (b *body) held(v val) bool { return b.code[v].op == opParam || b.code[v].op == opTable }

// constants are the nodes of tables and numbers of the call, and of constants, those that are used most first.
func (b *body) constants(outs []val) []val {
	uses := map[val]int{}
	var all []val
	for _, n := range append(b.code, node{args: outs}) {
		for _, a := range n.args {
			if b.outside(a) {
				if uses[a] == 0 {
					all = append(all, a)
				}
				uses[a]++
			}
		}
	}
	slices.SortStableFunc(all, func(x, y val) int {
		if p, q := b.held(x), b.held(y); p != q {
			if p {
				return -1
			}
			return 1
		}
		return uses[y] - uses[x]
	})
	return all
}
