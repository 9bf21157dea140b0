package main

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
)

// Offsets of the fields of simd.vec. A test holds them against the structure.
const (
	vecN, vecAt, vecK = 0, 8, 48
	vecStream, vecNaN = 88, 96
	vecLanes          = 104
)

// arrays are registers that hold the addresses of a call's arrays.
var arrays = []string{"SI", "DX", "R8", "R9", "R10"}

// kernel is a function on the elements of arrays. Array i gets result i.
type kernel struct {
	name    string
	results func(b *body) []val
}

// vectors is a file of kernels, and a function that runs one of them by its number.
type vectors struct {
	*file
	isa
	constants []uint32
	tables    map[string][16]float32
	names     []string
}

func newVectors(what string, i isa) *vectors {
	return &vectors{file: newFile(what), isa: i, tables: map[string][16]float32{}}
}

// tableName is a name that no other table has.
func tableName(t [16]float32) string {
	h := fnv.New64a()
	for _, x := range t {
		fmt.Fprintf(h, "%08x", math.Float32bits(x))
	}
	return fmt.Sprintf("table%016x<>", h.Sum64())
}

func constantName(bits uint32) string { return fmt.Sprintf("f%08x<>", bits) }

// begin begins the function of a kernel, which joins the table. DI has the address of the call's vec, CX the number of
// elements.
func (f *vectors) begin(b *body, p placed, name string) {
	f.names = append(f.names, name)
	f.text(name+"_"+f.isa.name+"<>", 16)
	f.op("MOVQ %d(DI), CX", vecN)
	count := 1
	for i, n := range b.code {
		switch n.op {
		case opLoad:
			count = max(count, b.n[i]+1)
		case opConst:
			f.constant(uint32(b.n[i]))
		case opTable:
			f.tables[tableName(b.tables[b.n[i]])] = b.tables[b.n[i]]
		}
	}
	for i := range count {
		f.op("MOVQ %d(DI), %s", vecAt+8*i, arrays[i])
	}
	for i, v := range p.held {
		f.op("%s", b.fetch(v, f.v(p.first+i)))
	}
}

// constant is where a constant lies.
func (f *vectors) constant(bits uint32) string {
	if !slices.Contains(f.constants, bits) {
		f.constants = append(f.constants, bits)
	}
	return constantName(bits) + "(SB)"
}

// elementwise writes a kernel.
func (f *vectors) elementwise(k kernel) {
	b := &body{isa: f.isa}
	outs := k.results(b)
	limit := f.regs
	if f.isa == avx2 {
		limit-- // the last has the mask of the tail
	}
	p := b.place(limit, outs)
	f.begin(b, p, k.name)
	unroll := 1
	if len(p.lines) < 20 {
		unroll = 4
	}
	f.passes(unroll, true, func(vec int, store string, part bool) {
		f.body(p, vec, part)
		for i, reg := range p.outs {
			f.store(store, reg, f.place(i, vec), part)
		}
	})
	f.end()
}

// body writes what is done with a vector, up to its stores.
func (f *vectors) body(p placed, vec int, part bool) {
	for _, line := range p.lines {
		var array int
		var reg string
		if _, err := fmt.Sscanf(line, "load %d %s", &array, &reg); err == nil {
			f.load(f.place(array, vec), reg, part)
		} else {
			f.op("%s", line)
		}
	}
}

// place is the address of a vector of an array, vec vectors on.
func (f *vectors) place(array, vec int) string {
	return fmt.Sprintf("%d(%s)(AX*1)", vec*f.bytes(), arrays[array])
}

// load reads a vector; of the last, part, the elements that there are, and zeros.
func (f *vectors) load(at, reg string, part bool) {
	switch {
	case !part:
		f.op("VMOVUPS %s, %s", at, reg)
	case f.isa == avx512:
		f.op("VMOVUPS.Z %s, K1, %s", at, reg)
	default:
		f.op("VMASKMOVPS %s, Y15, %s", at, reg)
	}
}

func (f *vectors) store(how, reg, at string, part bool) {
	switch {
	case !part:
		f.op("%s %s, %s", how, reg, at)
	case f.isa == avx512:
		f.op("VMOVUPS %s, K1, %s", reg, at)
	default:
		f.op("VMASKMOVPS %s, Y15, %s", reg, at)
	}
}

// passes goes over CX elements, AX being the place in bytes: unroll vectors at a time, then one, then a part of one, whose
// elements are those that K1 or Y15 names. store is the instruction for whole vectors; where a call may ask for stores past
// the caches there are two loops. Loops are not aligned: of a PCALIGN that branches pass over, Go's assembler (1.26) may
// never find the place.
func (f *vectors) passes(unroll int, stream bool, once func(vec int, store string, part bool)) {
	rest, one, tail, done := f.label("rest"), f.label("one"), f.label("tail"), f.label("done")
	f.op("XORQ AX, AX")
	f.op("SUBQ $%d, CX", unroll*f.lanes)
	f.op("JL %s", rest)
	loop := func(store string) {
		again := f.label("loop")
		f.at(again)
		for u := range unroll {
			once(u, store, false)
		}
		f.op("ADDQ $%d, AX", unroll*f.bytes())
		f.op("SUBQ $%d, CX", unroll*f.lanes)
		f.op("JGE %s", again)
	}
	if stream {
		plain := f.label("plain")
		f.op("CMPQ %d(DI), $0", vecStream)
		f.op("JE %s", plain)
		loop("VMOVNTPS")
		f.op("SFENCE")
		f.op("JMP %s", rest)
		f.at(plain)
	}
	loop("VMOVUPS")
	f.at(rest)
	f.op("ADDQ $%d, CX", (unroll-1)*f.lanes)
	f.op("JL %s", tail)
	f.at(one)
	if unroll > 1 {
		once(0, "VMOVUPS", false)
		f.op("ADDQ $%d, AX", f.bytes())
		f.op("SUBQ $%d, CX", f.lanes)
		f.op("JGE %s", one)
	}
	f.at(tail)
	f.op("ADDQ $%d, CX", f.lanes)
	f.op("JZ %s", done)
	if f.isa == avx512 {
		f.op("MOVQ $-1, R11")
		f.op("BZHIQ CX, R11, R11")
		f.op("KMOVW R11, K1")
	} else {
		f.op("LEAQ firsts<>+32(SB), R11")
		f.op("SHLQ $2, CX")
		f.op("SUBQ CX, R11")
		f.op("VMOVUPS (R11), Y15")
	}
	once(0, "", true)
	f.at(done)
}

// finish writes the function name, which runs a kernel, and the data.
func (f *vectors) finish(name string) *file {
	table := "kernels_" + f.isa.name + "<>"
	f.WriteString("\n")
	for i, k := range f.names {
		fmt.Fprintf(f, "DATA %s+%d(SB)/8, $%s_%s<>(SB)\n", table, 8*i, k, f.isa.name)
	}
	fmt.Fprintf(f, "GLOBL %s(SB), RODATA, $%d\n", table, 8*len(f.names))
	f.text("·"+name+"_"+f.isa.name, 16)
	f.op("MOVQ kernel+0(FP), AX")
	f.op("MOVQ v+8(FP), DI")
	f.op("LEAQ %s(SB), DX", table)
	f.op("MOVQ (DX)(AX*8), AX")
	f.op("JMP AX")
	f.masks(f.isa)
	f.WriteString("\n")
	copies := 1
	if f.isa == avx2 {
		copies = f.lanes // memory operands are whole vectors
	}
	slices.Sort(f.constants)
	for _, c := range f.constants {
		for i := range copies {
			fmt.Fprintf(f, "DATA %s+%d(SB)/4, $0x%08x\n", constantName(c), 4*i, c)
		}
		fmt.Fprintf(f, "GLOBL %s(SB), RODATA|NOPTR, $%d\n", constantName(c), 4*copies)
	}
	for _, name := range slices.Sorted(maps.Keys(f.tables)) {
		for i, x := range f.tables[name] {
			fmt.Fprintf(f, "DATA %s+%d(SB)/4, $0x%08x\n", name, 4*i, math.Float32bits(x))
		}
		fmt.Fprintf(f, "GLOBL %s(SB), RODATA|NOPTR, $64\n", name)
	}
	return f.file
}

// kernelNumbers is a Go file with the numbers of kernels.
func kernelNumbers(names []string) *file {
	f := &file{}
	f.WriteString("// Code generated by device/cpu/simd/_gen. DO NOT EDIT.\n\npackage simd\n\n// The kernels, as the tables in assembly have them.\nconst (\n")
	for i, n := range names {
		suffix := ""
		if i == 0 {
			suffix = " = iota"
		}
		fmt.Fprintf(f, "\tkernel%s%s%s\n", strings.ToUpper(n[:1]), n[1:], suffix)
	}
	f.WriteString(")\n")
	return f
}
