package main

import "fmt"

// Offsets of the fields of simd.tmul. A test holds them against the structure.
const (
	tmulA, tmulB, tmulC            = 64, 72, 80
	tmulSegs, tmulNSegs            = 88, 96
	tmulARow, tmulBRow, tmulCRow   = 104, 112, 120
	tmulAStep, tmulBStep           = 128, 136
	tmulALast, tmulChunk           = 144, 152
	tmulBlocks, tmulABlock         = 160, 168
	tmulCBlock                     = 176
	tmulASecond, tmulCSecond       = 184, 192
	tmulAdd, tmulKind              = 200, 208
	tmulFirst, tmulRest, tmulSpace = 216, 224, 232
	tmulAPlane, tmulBPlane         = 240, 248
)

// amxer writes the kernels of tmul: sums in one or two tile registers down and across. Where a lies by columns its tiles are
// transposed on their way, as the unit wants elements that are neighbours along k side by side.
type amxer struct {
	*file
	down, across int
	byCols       bool
	split        bool // numbers in parts
}

// vex is an instruction of AMX, all of which are in opcode map 0F38.
func (f *file) vex(prefix, opcode, reg, vvvv int, p *place, rm int, meaning string, args ...any) {
	head := func(b, x int) []int {
		return []int{0xc4, (reg>>3&1^1)<<7 | (x>>3&1^1)<<6 | (b>>3&1^1)<<5 | 2, (vvvv&15^15)<<3 | prefix, opcode}
	}
	var code []int
	switch {
	case p == nil:
		code = append(head(0, 0), 0xc0|reg&7<<3|rm)
	case p.index == "":
		base := general[p.base]
		code = append(head(base, 0), 0x40|reg&7<<3|base&7, p.disp)
	default:
		base, index := general[p.base], general[p.index]
		code = append(head(base, index), 0x40|reg&7<<3|4, index&7<<3|base&7, p.disp)
	}
	f.encoded(code, fmt.Sprintf(meaning, args...))
}

func (f *file) tileConfig(p place) { f.vex(0, 0x49, 0, 0, &p, 0, "ldtilecfg %s", p.gnu()) }
func (f *file) tileRelease()       { f.vex(0, 0x49, 0, 0, nil, 0, "tilerelease") }
func (f *file) tileZero(t int)     { f.vex(3, 0x49, t, 0, nil, 0, "tilezero %%tmm%d", t) }
func (f *file) tileLoad(p place, t int) {
	f.vex(3, 0x4b, t, 0, &p, 0, "tileloadd %s,%%tmm%d", p.gnu(), t)
}
func (f *file) tileStore(t int, p place) {
	f.vex(2, 0x4b, t, 0, &p, 0, "tilestored %%tmm%d,%s", t, p.gnu())
}

// tileDot adds the products of the pairs of a and b to the sums, all in tile registers.
func (f *file) tileDot(a, b, sum int) {
	f.vex(2, 0x5c, sum, b, nil, a, "tdpbf16ps %%tmm%d,%%tmm%d,%%tmm%d", b, a, sum)
}

func (m amxer) name() string {
	form := "r"
	if m.byCols {
		form = "c"
	}
	if m.split {
		form = "s"
	}
	return fmt.Sprintf("%s%dx%d_amx<>", form, m.down, m.across)
}

// Sums are in tile registers 0 to 3, a in 4 and 5, b in 6 and 7.
func (m amxer) sums(f func(t int, p place)) {
	m.op("MOVQ R10, R12")
	for d := range m.down {
		for x := range m.across {
			f(2*d+x, place{64 * x, "R12", "R15", 1})
		}
		if d+1 < m.down {
			m.op("ADDQ %d(DI), R12", tmulCSecond)
		}
	}
}

func (m amxer) kernel() {
	m.text(m.name(), 8)
	m.tileConfig(place{base: "DI"})
	m.op("MOVQ %d(DI), R9", tmulARow)
	m.op("MOVQ %d(DI), R11", tmulBRow)
	m.op("MOVQ %d(DI), R15", tmulCRow)
	m.op("MOVQ %d(DI), R10", tmulC)
	if m.byCols {
		m.op("MOVQ %d(DI), AX", tmulFirst)
		m.op("KMOVW AX, K1")
		m.op("MOVQ %d(DI), AX", tmulRest)
		m.op("KMOVW AX, K2")
		m.op("MOVQ %d(DI), R13", tmulSpace)
		m.op("ADDQ $%d, R13", line-1)
		m.op("ANDQ $-%d, R13", line)
	}
	if m.split {
		m.op("MOVQ %d(DI), R13", tmulAPlane)
		m.op("MOVQ %d(DI), R14", tmulBPlane)
	}
	block, zero, begin, seg, loop, next := m.label("block"), m.label("zero"), m.label("begin"), m.label("seg"), m.label("loop"), m.label("next")
	m.at(block)
	m.op("CMPQ %d(DI), $0", tmulAdd)
	m.op("JEQ %s", zero)
	m.sums(func(t int, p place) { m.tileLoad(p, t) })
	m.op("JMP %s", begin)
	m.at(zero)
	for d := range m.down {
		for x := range m.across {
			m.tileZero(2*d + x)
		}
	}
	m.at(begin)
	m.op("MOVQ %d(DI), SI", tmulSegs)
	m.op("MOVQ %d(DI), CX", tmulNSegs)
	m.at(seg)
	m.op("MOVQ 0(SI), AX")
	m.op("SHLQ $2, AX")
	m.op("ADDQ %d(DI), AX", tmulA)
	m.op("MOVQ 8(SI), BX")
	m.op("SHLQ $2, BX")
	m.op("ADDQ %d(DI), BX", tmulB)
	m.op("MOVQ 16(SI), DX")
	m.op("TESTQ DX, DX")
	m.op("JLE %s", next)
	if m.down == 2 && !m.byCols {
		m.op("MOVQ %d(DI), R8", tmulASecond)
		m.op("ADDQ AX, R8")
	}
	m.at(loop)
	if m.split {
		m.products()
	} else {
		for x := range m.across {
			m.tileLoad(place{64 * x, "BX", "R11", 1}, 6+x)
		}
		for d := range m.down {
			switch {
			case m.byCols:
				m.transpose(d)
				m.op("MOVQ $%d, R8", line)
				m.tileLoad(place{0, "R13", "R8", 1}, 4+d)
				if m.down == 2 {
					m.op("ADDQ $%d, R13", []int{16 * line, -16 * line}[d]) // each has a space of its own
				}
			case d == 0:
				m.tileLoad(place{0, "AX", "R9", 1}, 4)
			default:
				m.tileLoad(place{0, "R8", "R9", 1}, 5)
			}
			for x := range m.across {
				m.tileDot(4+d, 6+x, 2*d+x)
			}
		}
	}
	m.op("MOVQ %d(DI), R12", tmulAStep)
	m.op("ADDQ R12, AX")
	if m.down == 2 && !m.byCols {
		m.op("ADDQ R12, R8")
	}
	m.op("ADDQ %d(DI), BX", tmulBStep)
	m.op("SUBQ %d(DI), DX", tmulChunk)
	m.op("JG %s", loop)
	m.at(next)
	m.op("ADDQ $%d, SI", segSize)
	m.op("DECQ CX")
	m.op("JNZ %s", seg)
	m.sums(func(t int, p place) { m.tileStore(t, p) })
	m.op("MOVQ %d(DI), R12", tmulABlock)
	m.op("ADDQ R12, %d(DI)", tmulA)
	m.op("ADDQ %d(DI), R10", tmulCBlock)
	m.op("DECQ %d(DI)", tmulBlocks)
	m.op("JNZ %s", block)
	m.tileRelease()
	m.op("VZEROUPPER")
	m.op("RET")
}

// products adds those of the parts of one chunk, each of which is read where the one before differs from it.
func (m amxer) products() {
	a, b := -1, -1
	for _, p := range [][2]int{{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}} {
		if p[0] != a {
			a = p[0]
			for d := range m.down {
				base := []string{"AX", "R8"}[d]
				if a > 0 {
					m.op("LEAQ (%s)(R13*%d), R12", base, a)
					base = "R12"
				}
				m.tileLoad(place{0, base, "R9", 1}, 4+d)
			}
		}
		if p[1] != b {
			b = p[1]
			base := "BX"
			if b > 0 {
				m.op("LEAQ (BX)(R14*%d), R12", b)
				base = "R12"
			}
			for x := range m.across {
				m.tileLoad(place{64 * x, base, "R11", 1}, 6+x)
			}
		}
		for d := range m.down {
			for x := range m.across {
				m.tileDot(4+d, 6+x, 2*d+x)
			}
		}
	}
}

// transpose writes up to 16 columns of a's next rows, those of the upper or lower tile, as rows of 64 bytes from R13 on. Rows
// beyond the last repeat it: nobody reads what they become.
func (m amxer) transpose(d int) {
	m.op("LEAQ %d(AX), R12", 64*d)
	m.op("MOVQ %d(DI), R14", tmulALast)
	m.op("ADDQ R12, R14")
	for k := range 16 {
		m.op("VMOVUPS.Z (R12), K%d, Z%d", d+1, k)
		if k < 15 {
			m.op("ADDQ R9, R12")
			m.op("CMPQ R12, R14")
			m.op("CMOVQHI R14, R12")
		}
	}
	at := func(half, n int) string { return fmt.Sprintf("Z%d", 16*half+n) }
	for i := 0; i < 16; i += 2 {
		m.op("VUNPCKLPS %s, %s, %s", at(0, i+1), at(0, i), at(1, i))
		m.op("VUNPCKHPS %s, %s, %s", at(0, i+1), at(0, i), at(1, i+1))
	}
	for i := 0; i < 16; i += 4 {
		for j := range 2 {
			m.op("VUNPCKLPD %s, %s, %s", at(1, i+j+2), at(1, i+j), at(0, i+2*j))
			m.op("VUNPCKHPD %s, %s, %s", at(1, i+j+2), at(1, i+j), at(0, i+2*j+1))
		}
	}
	for _, i := range []int{0, 8} {
		for j := range 4 {
			m.op("VSHUFF32X4 $0x88, %s, %s, %s", at(0, i+4+j), at(0, i+j), at(1, i+j))
			m.op("VSHUFF32X4 $0xdd, %s, %s, %s", at(0, i+4+j), at(0, i+j), at(1, i+4+j))
		}
	}
	for j := range 4 {
		for i, imm := range []string{"$0x88", "$0x88", "$0xdd", "$0xdd"} {
			from := i%2*4 + j
			m.op("VSHUFF32X4 %s, %s, %s, %s", imm, at(1, 8+from), at(1, from), at(0, 4*i+j))
		}
	}
	for n := range 16 {
		m.op("VMOVUPS %s, %d(R13)", at(0, n), 64*n)
	}
}

// amxFile is simd.tmul_amx: the kernels, and the function that picks one.
func amxFile() *file {
	f := newFile("Tiles of sums of products of pairs by the matrix unit of AMX, see tmul.")
	var names []string
	for form := range 3 {
		for down := 1; down <= 2; down++ {
			for across := 1; across <= 2; across++ {
				m := amxer{f, down, across, form == 1, form == 2}
				m.kernel()
				names = append(names, m.name())
			}
		}
	}
	f.WriteString("\n")
	for n, name := range names {
		fmt.Fprintf(f, "DATA kinds_amx<>+%d(SB)/8, $%s(SB)\n", 8*n, name)
	}
	fmt.Fprintf(f, "GLOBL kinds_amx<>(SB), RODATA, $%d\n", 8*len(names))
	f.text("·tmul_amx", 8)
	f.op("MOVQ t+0(FP), DI")
	f.op("MOVQ %d(DI), AX", tmulKind)
	f.op("LEAQ kinds_amx<>(SB), DX")
	f.op("MOVQ (DX)(AX*8), AX")
	f.op("JMP AX")
	return f
}
