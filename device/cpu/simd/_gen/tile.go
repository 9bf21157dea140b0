package main

import "fmt"

// Offsets of the fields of simd.Tile. A test holds them against the structure.
const (
	tileA, tileB, tileC, tileBias = 0, 24, 48, 72
	tileSegs, tileNSegs           = 96, 104
	tileARow, tileAK, tileBK      = 120, 128, 136
	tileCRow                      = 144
	tileRows, tileCols, tileWidth = 152, 160, 168
	tileByCols, tileFlags         = 176, 184
	tileAlpha                     = 192
	tileAhead                     = 200
	segSize                       = 24
	flagAdd, flagRelu, flagScale  = 1, 2, 4
)

// tiler writes the tile kernels of one instruction set. Sums stay in the low registers, row by row; the two above them
// hold a row of b, and where elements of a are broadcast by themselves a third holds one, a fourth the next.
type tiler struct {
	*file
	isa
	rows, vecs int
	half       bool // the last vector of a row is half a register
	byCols     bool // the elements of a that meet one row of b are adjacent
	pairs      bool // an element of a or b is two numbers in bf16
}

func (t *tiler) sum(r, v int) string { return t.vector(r*t.vecs+v, v) }
func (t *tiler) b(v int) string      { return t.vector(t.regs-1-v, v) }
func (t *tiler) elem() string        { return t.v(t.elemReg(0)) }
func (t *tiler) uppers() string      { return t.v(t.regs - 2 - t.vecs) } // for pairs: the mask of upper halves

// elemReg is the number of the register that holds row r's element of a.
func (t *tiler) elemReg(r int) int {
	if t.isa == avx512 {
		return t.regs - 1 - t.vecs - r%2
	}
	return t.regs - 1 - t.vecs
}

// embedded reports whether multiply-adds broadcast a's elements from memory themselves. Each is then a load; where two
// meet the same element it is loaded once instead. Intel's processors load two registers of 512 bits while they multiply two:
// 32 loads for 30 multiply-adds had 0.86 of the rate of 16 for 28.
func (t *tiler) embedded() bool { return t.isa == avx512 && t.vecs == 1 }

// halved reports whether vector v of a row is half a register.
func (t *tiler) halved(v int) bool { return t.half && v == t.vecs-1 }

// vector is register n as it holds vector v of a row.
func (t *tiler) vector(n, v int) string {
	if t.halved(v) {
		return fmt.Sprintf("Y%d", n)
	}
	return t.v(n)
}

// columns is the width of a tile.
func (t *tiler) columns() int {
	if t.half {
		return t.lanes*t.vecs - t.lanes/2
	}
	return t.lanes * t.vecs
}

// loops reports whether kernels go on by themselves to the rows that a tile has beyond those in registers. R15 counts what is
// done, R14 is where the kernel's rows of a begin. AVX-512 has R15 as a base, and tiles so tall that it would gain little.
func (t *tiler) loops() bool { return t.isa == avx2 }

// fetches reports whether a kernel fetches while it multiplies, bit by bit: where what comes takes long, lines that are asked for
// at the same time keep those of the factors waiting. R14 is at Ahead then and R10 at a row of sums; DI bytes lie between these.
func (t *tiler) fetches() bool { return t.isa == avx512 && t.vecs == 2 }

// maxRows is the most rows of sums in registers for tiles of so many vectors.
func maxRows(i isa, vecs int) int {
	switch {
	case i == avx512 && vecs == 2:
		return 14
	case i == avx512:
		return 15
	case vecs == 2:
		return 6
	}
	return 12
}

// bases are registers that hold the addresses of rows 0, 3, 6, 9 and 12 of a; the rows between are reached by index.
var bases = []string{"AX", "R8", "R12", "R13", "R15"}

// indexed reports whether the steps of a round reach their rows of b, and of a by columns, by index: an addition less for each.
// Without embedded broadcasts a step has so many instructions that a core whose other half is busy issues too few of them.
func (t *tiler) indexed() bool { return t.isa == avx2 }

// stepAt is the address of what step k of a round of four reads: disp bytes on from base and k times the distance in register
// index, of which register thrice holds the triple.
func (t *tiler) stepAt(k, disp int, base, index, thrice string) place {
	switch {
	case !t.indexed() || k == 0:
		return place{disp: disp, base: base}
	case k == 3:
		return place{disp, base, thrice, 1}
	}
	return place{disp, base, index, k}
}

// elemAt is the address of a's element for row r, k elements on.
func (t *tiler) elemAt(r, k int) place {
	if t.byCols {
		return t.stepAt(k, 4*r, "AX", "R9", "R8")
	}
	if r%3 == 0 {
		return place{disp: 4 * k, base: bases[r/3]}
	}
	return place{4 * k, bases[r/3], "R9", r % 3}
}

func (t *tiler) name() string {
	form := "r"
	if t.byCols {
		form = "c"
	}
	return fmt.Sprintf("%s%dx%d_%s<>", form, t.rows, t.columns(), t.suffix())
}

func (t *tiler) suffix() string {
	if t.pairs {
		return "pairs_" + t.isa.name
	}
	return t.isa.name
}

// rowAt is the address of vector v of b's row in step k of a round.
func (t *tiler) rowAt(v, k int) place { return t.stepAt(k, t.bytes()*v, "BX", "R11", "R10") }

// step multiplies one row of b with the column of a that meets it, k elements on.
func (t *tiler) step(k int) {
	if t.pairs && t.isa == avx2 {
		t.stepHalves(k)
		return
	}
	for v := range t.vecs {
		t.op("VMOVUPS %s, %s", t.rowAt(v, k), t.b(v))
	}
	if !t.indexed() {
		t.op("ADDQ R11, BX")
	}
	for r := range t.rows {
		elem := t.elemReg(r)
		if !t.embedded() {
			t.op("VBROADCASTSS %s, %s", t.elemAt(r, k), t.v(elem))
		}
		for v := range t.vecs {
			switch {
			case t.pairs && t.embedded():
				t.dotAt(t.elemAt(r, k), t.regs-1-v, r*t.vecs+v, t.halved(v))
			case t.pairs:
				t.dot(elem, t.regs-1-v, r*t.vecs+v, t.halved(v))
			case t.embedded():
				t.op("VFMADD231PS.BCST %s, %s, %s", t.elemAt(r, k), t.b(v), t.sum(r, v))
			default:
				t.op("VFMADD231PS %s, %s, %s", t.b(v), t.vector(elem, v), t.sum(r, v))
			}
		}
	}
	if t.byCols && !t.indexed() {
		t.op("ADDQ R9, AX")
	}
}

// stepHalves is step for pairs without an instruction for them: a bf16 is the upper half of the f32 that it is, so the
// second of each pair needs a mask and the first a shift.
func (t *tiler) stepHalves(k int) {
	for _, second := range []bool{true, false} {
		half := func(reg string) {
			if second {
				t.op("VANDPS %[1]s, %[2]s, %[2]s", t.uppers(), reg)
			} else {
				t.op("VPSLLD $16, %[1]s, %[1]s", reg)
			}
		}
		for v := range t.vecs {
			t.op("VMOVUPS %s, %s", t.rowAt(v, k), t.b(v))
			half(t.b(v))
		}
		for r := range t.rows {
			t.op("VBROADCASTSS %s, %s", t.elemAt(r, k), t.elem())
			half(t.elem())
			for v := range t.vecs {
				t.op("VFMADD231PS %s, %s, %s", t.b(v), t.elem(), t.sum(r, v))
			}
		}
	}
}

// forward adds n times a distance, n being 1, 2, 4 or 8.
func (t *tiler) forward(n int, distance, reg string) {
	t.op("LEAQ (%[1]s)(%[2]s*%[3]d), %[1]s", reg, distance, n)
}

// advance goes on by n steps, one or a round.
func (t *tiler) advance(n int) {
	if t.indexed() {
		t.forward(n, "R11", "BX")
		if t.byCols {
			t.forward(n, "R9", "AX")
		}
	}
	if !t.byCols {
		for i := 0; 3*i < t.rows; i++ {
			t.op("ADDQ $%d, %s", 4*n, bases[i])
		}
	}
}

const (
	unroll = 4
	line   = 64 // bytes of a cache line
)

func (t *tiler) kernel() {
	t.text(t.name(), 8)
	var again string
	if t.loops() {
		again = t.label("again")
		t.at(again)
	} else {
		t.op("MOVQ t+0(FP), DI")
	}
	for i := range t.rows * t.vecs {
		if t.isa == avx512 {
			t.op("VPXORD %[1]s, %[1]s, %[1]s", t.v(i))
		} else {
			t.op("VXORPS %[1]s, %[1]s, %[1]s", t.v(i))
		}
	}
	if t.pairs && t.isa == avx2 {
		t.constant32(t.isa, "AX", 0xffff0000, t.regs-2-t.vecs)
	}
	t.op("MOVQ %d(DI), SI", tileSegs)
	t.op("MOVQ %d(DI), CX", tileNSegs)
	if t.byCols {
		t.op("MOVQ %d(DI), R9", tileAK)
	} else {
		t.op("MOVQ %d(DI), R9", tileARow)
	}
	t.op("SHLQ $2, R9")
	if t.loops() {
		t.op("MOVQ R15, R14")
		if t.byCols {
			t.op("SHLQ $2, R14")
		} else {
			t.op("IMULQ R9, R14")
		}
		t.op("ADDQ %d(DI), R14", tileA)
	}
	t.op("MOVQ %d(DI), R11", tileBK)
	t.op("SHLQ $2, R11")
	seg, loop, rest, one, next, done := t.label("seg"), t.label("loop"), t.label("rest"), t.label("one"), t.label("next"), t.label("done")
	t.op("TESTQ CX, CX")
	t.op("JZ %s", done)
	if t.vecs == 2 && !t.fetches() {
		t.prefetch(seg)
	}
	if t.fetches() {
		t.op("MOVQ %d(DI), R14", tileAhead)
		t.op("TESTQ R14, R14")
		t.op("CMOVQEQ %d(DI), R14", tileB)
		t.op("MOVQ %d(DI), R10", tileC)
	}
	t.at(seg)
	rows := "R14"
	if !t.loops() {
		rows = "AX"
		t.op("MOVQ %d(DI), AX", tileA)
	}
	t.op("MOVQ 0(SI), DX")
	t.op("LEAQ (%s)(DX*4), AX", rows)
	t.op("MOVQ %d(DI), BX", tileB)
	t.op("MOVQ 8(SI), DX")
	t.op("LEAQ (BX)(DX*4), BX")
	if !t.byCols && t.rows > 3 {
		t.op("LEAQ (R9)(R9*2), DX")
		for i := 1; 3*i < t.rows; i++ {
			t.op("LEAQ (%s)(DX*1), %s", bases[i-1], bases[i])
		}
	}
	t.op("MOVQ 16(SI), DX")
	if t.indexed() {
		t.op("LEAQ (R11)(R11*2), R10")
		if t.byCols {
			t.op("LEAQ (R9)(R9*2), R8")
		}
	}
	if t.fetches() {
		t.fetchFrom()
	}
	t.op("SUBQ $%d, DX", unroll)
	t.op("JL %s", rest)
	t.op("PCALIGN $32")
	t.at(loop)
	for k := range unroll {
		t.step(k)
		if t.fetches() {
			t.fetch(k)
		}
	}
	t.advance(unroll)
	t.op("SUBQ $%d, DX", unroll)
	t.op("JGE %s", loop)
	t.at(rest)
	t.op("ADDQ $%d, DX", unroll)
	t.op("JZ %s", next)
	t.at(one)
	t.step(0)
	t.advance(1)
	t.op("DECQ DX")
	t.op("JNZ %s", one)
	t.at(next)
	if t.fetches() {
		t.op("MOVQ t+0(FP), DI")
	}
	t.op("ADDQ $%d, SI", segSize)
	t.op("DECQ CX")
	t.op("JNZ %s", seg)
	t.at(done)
	t.finish()
	if t.loops() {
		t.goOn(again)
	}
	t.op("VZEROUPPER")
	t.op("RET")
}

// goOn goes on with the rows that are left, if any: a kernel of the most rows with itself, if pick would choose it.
func (t *tiler) goOn(again string) {
	end := t.label("end")
	t.op("ADDQ $%d, R15", t.rows)
	t.op("MOVQ %d(DI), AX", tileRows)
	t.op("SUBQ R15, AX")
	t.op("JLE %s", end)
	if t.rows == maxRows(t.isa, t.vecs) {
		t.op("CMPQ AX, $%d", t.rows)
		t.op("JEQ %s", again)
		t.op("CMPQ AX, $%d", 2*t.rows)
		t.op("JGE %s", again)
	}
	t.op("JMP pick_%s<>(SB)", t.suffix())
	t.at(end)
}

// fetch is what step k of a round of four fetches: a line of Ahead, or of b if there is none, and in a segment's last rounds
// the place of a row of sums.
func (t *tiler) fetch(k int) {
	switch k {
	case 1:
		t.op("PREFETCHT1 (R14)")
		t.op("ADDQ $%d, R14", line)
	case 2:
		early := t.label("early")
		t.op("CMPQ DX, $%d", unroll*(t.rows-1))
		t.op("JGT %s", early)
		t.op("PREFETCHT0 (R10)")
		t.op("PREFETCHT0 %d(R10)", line)
		t.op("ADDQ DI, R10")
		t.at(early)
	}
}

// fetchFrom begins to fetch the places of sums, a row each round, when no more than so many rounds come after this segment;
// before, the first of them again and again.
func (t *tiler) fetchFrom() {
	soon := t.label("soon")
	t.op("MOVQ DX, DI")
	t.op("IMULQ CX, DI")
	t.op("SUBQ DX, DI")
	t.op("CMPQ DI, $%d", unroll*t.rows)
	t.op("MOVQ t+0(FP), DI")
	t.op("MOVQ %d(DI), DI", tileCRow)
	t.op("LEAQ (DI*4), DI")
	t.op("JLT %s", soon)
	t.op("XORQ DI, DI")
	t.at(soon)
}

// prefetch fetches the sums' places while products are summed, unless those are so few that they take no longer.
func (t *tiler) prefetch(skip string) {
	t.op("CMPQ 16(SI), $%d", 4*unroll)
	t.op("JL %s", skip)
	t.sumsAt("R10")
	for r := range t.rows {
		for v := range t.vecs * t.bytes() / line {
			t.op("PREFETCHT0 %d(AX)", line*v)
		}
		if r+1 < t.rows {
			t.op("LEAQ (AX)(R10*4), AX")
		}
	}
}
