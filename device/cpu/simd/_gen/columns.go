package main

import "fmt"

// columns is what a kernel does with some columns of all rows: with those of vecs vectors, or with fewer than a vector
// has. Then loads and stores are masked, by K1 (K1 and K2 for halves of f64) or, in AVX2, register 15.
type columns struct {
	*file
	isa
	vecs int
	part bool
	get  getter

	place string // index that addresses have
}

// eachColumns goes over the columns of rows, whose number is in CX: four vectors at a time while there are so many, then
// one, and the rest. R15 has the place of the first in bytes.
func (f *file) eachColumns(i isa, get getter, body func(c *columns)) {
	four, ones := f.label("four"), f.label("ones")
	f.op("XORQ R15, R15")
	f.op("SUBQ $%d, CX", 4*i.lanes)
	f.op("JL %s", ones)
	f.at(four)
	body(&columns{file: f, isa: i, vecs: 4, get: get})
	f.op("ADDQ $%d, R15", 4*i.bytes())
	f.op("SUBQ $%d, CX", 4*i.lanes)
	f.op("JGE %s", four)
	f.at(ones)
	f.op("ADDQ $%d, CX", 4*i.lanes)
	f.vectorsFrom(i, get, body)
}

// eachVector is eachColumns with one vector at a time.
func (f *file) eachVector(i isa, get getter, body func(c *columns)) {
	f.op("XORQ R15, R15")
	f.vectorsFrom(i, get, body)
}

// vectorsFrom goes over CX columns from place R15 on, a vector at a time, and the rest.
func (f *file) vectorsFrom(i isa, get getter, body func(c *columns)) {
	one, rest, done := f.label("one"), f.label("rest"), f.label("done")
	f.op("SUBQ $%d, CX", i.lanes)
	f.op("JL %s", rest)
	f.at(one)
	body(&columns{file: f, isa: i, vecs: 1, get: get})
	f.op("ADDQ $%d, R15", i.bytes())
	f.op("SUBQ $%d, CX", i.lanes)
	f.op("JGE %s", one)
	f.at(rest)
	f.op("ADDQ $%d, CX", i.lanes)
	f.op("JZ %s", done)
	if i == avx512 {
		f.op("MOVQ $-1, AX")
		f.op("BZHIQ CX, AX, AX")
		f.op("KMOVW AX, K1")
		f.op("SHRQ $8, AX")
		f.op("KMOVW AX, K2")
	} else {
		f.op("LEAQ firsts<>+32(SB), AX")
		f.op("SHLQ $2, CX")
		f.op("SUBQ CX, AX")
		f.op("VMOVUPS (AX), Y15")
	}
	body(&columns{file: f, isa: i, vecs: 1, part: true, get: get})
	f.at(done)
}

// masks is data for eachColumns: the first n of 8 lanes are -1 from byte 32 - 4n on.
func (f *file) masks(i isa) {
	if i == avx512 {
		return
	}
	f.WriteString("\n")
	for at := 0; at < 32; at += 8 {
		fmt.Fprintf(f, "DATA firsts<>+%d(SB)/8, $-1\n", at)
	}
	f.WriteString("GLOBL firsts<>(SB), RODATA|NOPTR, $64\n")
}

// order is data: the numbers of a vector's lanes.
func (f *file) order() {
	f.WriteString("\n")
	for n := 0; n < 8; n += 2 {
		fmt.Fprintf(f, "DATA order<>+%d(SB)/8, $0x%08x%08x\n", 4*n, n+1, n)
	}
	f.WriteString("GLOBL order<>(SB), RODATA|NOPTR, $32\n")
}

// row points a register at these columns of the first row of an argument.
func (c *columns) row(arg, reg string) {
	c.get(arg, reg)
	c.op("ADDQ R15, %s", reg)
}

// vec is the address of vector v of the columns, which a register points at.
func (c *columns) vec(v int, row string) string {
	return fmt.Sprintf("%d(%s)%s", v*c.bytes(), row, c.place)
}

func (c *columns) load(at, dst string) {
	switch {
	case !c.part:
		c.op("VMOVUPS %s, %s", at, dst)
	case c.isa == avx512:
		c.op("VMOVUPS.Z %s, K1, %s", at, dst)
	default:
		c.op("VMASKMOVPS %s, Y15, %s", at, dst)
	}
}

// operand is the vector at an address as an operand: the address, or, since an address has no mask, spare.
func (c *columns) operand(at, spare string) string {
	if !c.part {
		return at
	}
	c.load(at, spare)
	return spare
}

func (c *columns) store(src, at string) {
	switch {
	case !c.part:
		c.op("VMOVUPS %s, %s", src, at)
	case c.isa == avx512:
		c.op("VMOVUPS %s, K1, %s", src, at)
	default:
		c.op("VMASKMOVPS %s, Y15, %s", src, at)
	}
}

// pieceMoves are the moves of inPieces.
var pieceMoves = []struct {
	bytes int
	move  string
}{{16, "VMOVUPS"}, {8, "VMOVLPS"}}

// inPieces writes a body that stores with storePieces where it can: fewer columns than a vector has, as two pieces of so
// many bytes, of which the second ends with them, for AMD's processors are slow at masked stores of AVX2. 0 is
// for all else. A body leaves CX, R10, R15 and register 14 as they are, and has 13 for storePieces.
func (c *columns) inPieces(body func(piece int)) {
	if !c.part || c.isa != avx2 {
		body(0)
		return
	}
	end := c.label("end")
	for _, p := range pieceMoves {
		shorter := c.label("shorter")
		c.op("CMPQ CX, $%d", p.bytes)
		c.op("JL %s", shorter)
		c.op("LEAQ order<>-%d(SB), R10", p.bytes)
		c.op("VMOVUPS (R10)(CX*1), X14")
		c.op("LEAQ -%d(R15)(CX*1), R10", p.bytes)
		body(p.bytes)
		c.op("JMP %s", end)
		c.at(shorter)
	}
	body(0)
	c.at(end)
}

// storePieces writes register n as inPieces says. Addresses have the place in the row.
func (c *columns) storePieces(n int, row string, bytes int) {
	for _, p := range pieceMoves {
		if p.bytes == bytes {
			c.op("VPERMPS %s, Y14, Y13", c.v(n))
			c.op("%s X%d, (%s)(R15*1)", p.move, n, row)
			c.op("%s X13, (%s)(R10*1)", p.move, row)
		}
	}
}

// loads reads the columns of an argument with one row to registers from first on. It changes AX.
func (c *columns) loads(arg string, first int) {
	c.row(arg, "AX")
	for v := range c.vecs {
		c.load(c.vec(v, "AX"), c.v(first+v))
	}
}

// addWide adds registers from first on to the columns of a row of f64. It changes AX, and registers lo and hi.
func (c *columns) addWide(arg string, first, lo, hi int) {
	c.get(arg, "AX")
	c.op("LEAQ (AX)(R15*2), AX")
	for v := range c.vecs {
		n, l, h := first+v, c.vec(2*v, "AX"), c.vec(2*v+1, "AX")
		if c.isa == avx512 {
			c.op("VEXTRACTF64X4 $1, Z%d, Y%d", n, hi)
			c.op("VCVTPS2PD Y%d, Z%d", n, lo)
			c.op("VCVTPS2PD Y%d, Z%d", hi, hi)
			if c.part {
				c.op("VADDPD.Z %s, Z%d, K1, Z%d", l, lo, lo)
				c.op("VADDPD.Z %s, Z%d, K2, Z%d", h, hi, hi)
				c.op("VMOVUPD Z%d, K1, %s", lo, l)
				c.op("VMOVUPD Z%d, K2, %s", hi, h)
				continue
			}
		} else {
			c.op("VEXTRACTF128 $1, Y%d, X%d", n, hi)
			c.op("VCVTPS2PD X%d, Y%d", n, lo)
			c.op("VCVTPS2PD X%d, Y%d", hi, hi)
			if c.part { // halves of the mask take the place of what was converted
				c.op("VPMOVSXDQ X15, Y%d", n)
				c.op("VMASKMOVPD %s, Y%d, Y14", l, n)
				c.op("VADDPD Y14, Y%d, Y%d", lo, lo)
				c.op("VMASKMOVPD Y%d, Y%d, %s", lo, n, l)
				c.op("VEXTRACTF128 $1, Y15, X%d", n)
				c.op("VPMOVSXDQ X%d, Y%d", n, n)
				c.op("VMASKMOVPD %s, Y%d, Y14", h, n)
				c.op("VADDPD Y14, Y%d, Y%d", hi, hi)
				c.op("VMASKMOVPD Y%d, Y%d, %s", hi, n, h)
				continue
			}
		}
		c.op("VADDPD %s, %s, %s", l, c.v(lo), c.v(lo))
		c.op("VADDPD %s, %s, %s", h, c.v(hi), c.v(hi))
		c.op("VMOVUPD %s, %s", c.v(lo), l)
		c.op("VMOVUPD %s, %s", c.v(hi), h)
	}
}

// zero clears registers from first on, one a vector.
func (c *columns) zero(first int) {
	for v := range c.vecs {
		if c.isa == avx512 {
			c.op("VPXORD %[1]s, %[1]s, %[1]s", c.v(first+v))
		} else {
			c.op("VXORPS %[1]s, %[1]s, %[1]s", c.v(first+v))
		}
	}
}

// eachRow repeats body as often as the argument rows says, with the count in R13.
func (c *columns) eachRow(body func()) {
	row := c.label("row")
	c.get("rows", "R13")
	c.op("PCALIGN $32")
	c.at(row)
	body()
	c.op("DECQ R13")
	c.op("JNZ %s", row)
}

// ahead is a register for each matrix that rows are read from.
type ahead []string

// behind points registers at what follows the rows of matrices: argument, stride in bytes and register of each. It
// changes AX.
func (f *file) behind(get getter, matrices ...[3]string) (next ahead) {
	for _, m := range matrices {
		get("rows", m[2])
		f.op("IMULQ %s, %s", m[1], m[2])
		get(m[0], "AX")
		f.op("ADDQ AX, %s", m[2])
		next = append(next, m[2])
	}
	return next
}

// eachRowAhead is eachRow. If rows have more than four vectors, so that memory is not read in its order, it fetches what
// comes after these rows in that order.
func (c *columns) eachRowAhead(next ahead, body func()) {
	if c.vecs == 1 {
		c.eachRow(body)
		return
	}
	whole, end := c.label("whole"), c.label("end")
	c.get("c", "AX")
	c.op("CMPQ AX, $%d", c.vecs*c.lanes)
	c.op("JE %s", whole)
	c.eachRow(func() {
		body()
		for _, reg := range next {
			for at := 0; at < c.vecs*c.bytes(); at += 64 {
				c.op("PREFETCHT1 %d(%s)", at, reg)
			}
			c.op("ADDQ $%d, %s", c.vecs*c.bytes(), reg)
		}
	})
	c.op("JMP %s", end)
	c.at(whole)
	c.eachRow(body)
	c.at(end)
}

// rowByRow writes a function's body that goes over each row from left to right. Registers and the arguments with their
// strides alternate in moves; vec gives addresses with the place in the row. It is there twice: with stores past the
// caches, which the argument stream asks for if it is not 0 and which there are of four vectors only, and plain.
func (f *file) rowByRow(i isa, get getter, moves []string, body func(c *columns, store func(src, at string))) {
	plain, rows := f.label("plain"), func(stream bool) {
		row := f.label("row")
		get("rows", "R13")
		f.at(row)
		get("c", "CX")
		f.eachColumns(i, get, func(c *columns) {
			c.place = "(R15*1)"
			store := c.store
			if stream && c.vecs > 1 {
				store = func(src, at string) { c.op("VMOVNTPS %s, %s", src, at) }
			}
			body(c, store)
		})
		for n := 0; n < len(moves); n += 2 {
			get(moves[n+1], "AX")
			f.op("LEAQ (%[1]s)(AX*4), %[1]s", moves[n])
		}
		f.op("DECQ R13")
		f.op("JNZ %s", row)
	}
	get("stream", "AX")
	f.op("TESTQ AX, AX")
	f.op("JZ %s", plain)
	rows(true)
	f.end()
	f.at(plain)
	rows(false)
	f.end()
}
