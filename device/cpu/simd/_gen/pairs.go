package main

import "fmt"

// pairer writes the kernels of pairs.go of package simd. DI and SI are at a row of dst and src, R8 and R9 bytes from row to
// row, CX rows are left. BX and AX go along the row; a vector of dst is made of two of src, which has the second behind the
// first in PairRows, and R11 bytes on in ZipRows.
type pairer struct {
	*file
	isa
}

// begin reads what both kernels have in common; along is the elements of src along a row that a vector of dst is made of.
func (p pairer) begin(get getter, along int) {
	get("dst", "DI")
	get("n", "CX")
	get("size", "R13")
	get("dstStride", "R8")
	get("srcStride", "R9")
	p.op("SHLQ $2, R8")
	p.op("SHLQ $2, R9")
	p.op("MOVQ R13, R12")
	p.op("ANDQ $%d, R13", along-1)
	p.op("SUBQ R13, R12")
	p.op("MOVQ R13, DX")
	p.firsts(1, "DX")
	if along > p.lanes {
		p.op("MOVL $0, R10")
		p.op("SUBQ $%d, DX", p.lanes)
		p.op("CMOVQLT R10, DX")
		p.firsts(2, "DX")
		p.op("LEAQ 1(R13), DX")
		p.op("SHRQ $1, DX")
	}
	p.firsts(3, "DX")
	if p.isa == avx512 {
		p.op("VMOVDQU32 zipped<>(SB), Z31")
		return
	}
	for n, bits := range []uint32{0x7fffffff, 0x7fff, 1, 0x00800000, 0x7f800000, 0x00400000} {
		p.constant32(p.isa, "AX", bits, 10+n)
	}
}

// firsts makes mask 1, 2 or 3 of the first lanes, as many as a register says, at most all.
func (p pairer) firsts(mask int, reg string) {
	if p.isa == avx512 {
		p.op("MOVQ $0xffff, AX")
		p.op("BZHIQ %s, AX, AX", reg)
		p.op("KMOVW AX, K%d", mask)
		return
	}
	p.op("MOVQ %s, AX", reg)
	p.op("MOVL $8, R10")
	p.op("CMPQ AX, R10")
	p.op("CMOVQGT R10, AX")
	p.op("SHLQ $2, AX")
	p.op("LEAQ firsts<>+32(SB), R10")
	p.op("SUBQ AX, R10")
	p.op("VMOVUPS (R10), Y%d", 5+mask)
}

// load reads a vector, or where part the lanes of a mask and zeros.
func (p pairer) load(at string, part bool, mask, dst int) {
	switch {
	case !part:
		p.op("VMOVUPS %s, %s", at, p.v(dst))
	case p.isa == avx512:
		p.op("VMOVUPS.Z %s, K%d, %s", at, mask, p.v(dst))
	default:
		p.op("VMASKMOVPS %s, Y%d, %s", at, 5+mask, p.v(dst))
	}
}

func (p pairer) store(src int, part bool) { p.storeAt("(BX)", src, part) }

func (p pairer) storeAt(at string, src int, part bool) {
	switch {
	case !part:
		p.op("VMOVUPS %s, %s", p.v(src), at)
	case p.isa == avx512:
		p.op("VMOVUPS %s, K3, %s", p.v(src), at)
	default:
		p.op("VMASKMOVPS %s, Y8, (BX)", p.v(src))
	}
}

// round leaves in the upper half of each lane its number in bf16: to nearest, ties to even; NaN is a quiet one, what is
// under 2^-126 is 0.
func (p pairer) round(reg int) {
	x := p.v(reg)
	p.op("VPAND %s, Y10, Y3", x)
	p.op("VPCMPGTD Y3, Y13, Y4") // tiny
	p.op("VPCMPGTD Y14, Y3, Y5") // NaN
	p.op("VPXOR %s, Y3, Y9", x)  // the sign
	p.op("VPSRLD $16, %s, Y3", x)
	p.op("VPAND Y3, Y12, Y3")
	p.op("VPADDD Y3, Y11, Y3")
	p.op("VPADDD %s, Y3, Y3", x)
	p.op("VPOR %[1]s, Y15, %[1]s", x)
	p.op("VBLENDVPS Y5, %[1]s, Y3, %[1]s", x)
	p.op("VBLENDVPS Y4, Y9, %[1]s, %[1]s", x)
}

// rows goes over all rows; body makes one vector of dst.
func (p pairer) rows(along int, body func(part bool)) {
	row, chunk, tail, next := p.label("row"), p.label("chunk"), p.label("tail"), p.label("next")
	p.at(row)
	p.op("MOVQ SI, AX")
	p.op("MOVQ DI, BX")
	p.op("MOVQ R12, R10")
	p.op("TESTQ R10, R10")
	p.op("JZ %s", tail)
	p.at(chunk)
	body(false)
	p.op("ADDQ $%d, AX", 4*along)
	p.op("ADDQ $%d, BX", p.bytes())
	p.op("SUBQ $%d, R10", along)
	p.op("JNZ %s", chunk)
	p.at(tail)
	p.op("TESTQ R13, R13")
	p.op("JZ %s", next)
	body(true)
	p.at(next)
	p.op("ADDQ R9, SI")
	p.op("ADDQ R8, DI")
	p.op("DECQ CX")
	p.op("JNZ %s", row)
	p.end()
}

func (p pairer) pairRows(split bool) {
	along := 2 * p.lanes
	name, args := "pairRows", []string{"dst", "src", "n", "size", "dstStride", "srcStride"}
	if split {
		name, args = "splitRows", append(args, "plane")
	}
	get := p.kernel(p.isa, name, args...)
	get("src", "SI")
	p.begin(get, along)
	if split {
		p.beginSplit(get)
	}
	p.rows(along, func(part bool) {
		p.load("(AX)", part, 1, 0)
		p.load(fmt.Sprintf("%d(AX)", p.bytes()), part, 2, 1)
		switch {
		case split:
			p.split(func(at string) { p.storeAt(at, 2, part) })
			return
		case p.isa == avx512:
			p.narrow(0, 1, 2)
			p.store(2, part)
			return
		}
		p.round(0)
		p.round(1)
		p.op("VPSRLD $16, Y0, Y0")
		p.op("VPSRLD $16, Y1, Y1")
		p.op("VPACKUSDW Y1, Y0, Y2") // half a register of each in turn
		p.op("VPERMQ $0xd8, Y2, Y2")
		p.store(2, part)
	})
}

// beginSplit reads what split needs: bytes from part to part, and where words of bf16 stand in f32.
func (p pairer) beginSplit(get getter) {
	get("plane", "DX")
	p.op("SHLQ $2, DX")
	p.op("VMOVDQU32 widened<>(SB), Z29")
	p.op("VMOVDQU32 widened<>+64(SB), Z30")
	p.op("MOVL $0xaaaaaaaa, R14")
	p.op("KMOVD R14, K4")
}

// split makes the three parts of the numbers in Z0 and Z1, in Z2 one after the other, for store to put there.
func (p pairer) split(store func(at string)) {
	for i, at := range []string{"(BX)", "(BX)(DX*1)", "(BX)(DX*2)"} {
		p.narrow(0, 1, 2)
		if i < 2 {
			p.op("VPERMW.Z Z2, Z29, K4, Z3")
			p.op("VPERMW.Z Z2, Z30, K4, Z4")
			p.op("VSUBPS Z3, Z0, Z0")
			p.op("VSUBPS Z4, Z1, Z1")
		}
		store(at)
	}
}

func (p pairer) zipRows(split bool) {
	name, args := "zipRows", []string{"dst", "a", "b", "n", "size", "dstStride", "srcStride"}
	if split {
		name, args = "zipSplitRows", append(args, "plane")
	}
	get := p.kernel(p.isa, name, args...)
	get("a", "SI")
	p.begin(get, p.lanes)
	get("b", "R11")
	if split {
		p.beginSplit(get)
	}
	alone := p.label("alone")
	p.op("TESTQ R11, R11")
	p.op("JZ %s", alone)
	p.op("SUBQ SI, R11")
	for _, b := range []bool{true, false} {
		if !b {
			p.at(alone)
			if p.isa == avx512 && !split {
				p.op("VPXORD Z1, Z1, Z1")
			} else if !split {
				p.op("VPXOR Y1, Y1, Y1")
			}
		}
		p.rows(p.lanes, func(part bool) {
			p.load("(AX)", part, 1, 0)
			if b {
				p.load("(AX)(R11*1)", part, 1, 1)
			}
			switch {
			case split:
				if !b {
					p.op("VPXORD Z1, Z1, Z1") // what the last left
				}
				p.split(func(at string) {
					p.op("VPERMW Z2, Z31, Z2")
					p.storeAt(at, 2, part)
				})
				return
			case p.isa == avx512:
				p.narrow(0, 1, 2)
				p.op("VPERMW Z2, Z31, Z2")
				p.store(2, part)
				return
			}
			p.round(0)
			if b {
				p.round(1)
			}
			p.op("VPSRLD $16, Y0, Y0")
			p.op("VPBLENDW $0xaa, Y1, Y0, Y2")
			p.store(2, part)
		})
	}
}

func pairsFile(i isa) *file {
	f := newFile("Pairs of numbers in bf16, see pairs.go.")
	f.masks(i)
	if i == avx512 {
		f.WriteString("\n// The places of 32 numbers of which the second half is put between those of the first.\n")
		for at := 0; at < 64; at += 8 {
			n := uint64(at / 4)
			fmt.Fprintf(f, "DATA zipped<>+%d(SB)/8, $0x%016x\n", at, (n+17)<<48|(n+1)<<32|(n+16)<<16|n)
		}
		f.WriteString("GLOBL zipped<>(SB), RODATA|NOPTR, $64\n")
		f.WriteString("\n// The places of words that are the upper halves of the first 16 lanes, and of the others.\n")
		for at := 0; at < 128; at += 8 {
			n := uint64(at / 4)
			fmt.Fprintf(f, "DATA widened<>+%d(SB)/8, $0x%016x\n", at, (n+1)<<48|n<<16)
		}
		f.WriteString("GLOBL widened<>(SB), RODATA|NOPTR, $128\n")
	}
	p := pairer{f, i}
	p.pairRows(false)
	p.zipRows(false)
	if i == avx512 {
		p.pairRows(true)
		p.zipRows(true)
	}
	return f
}
