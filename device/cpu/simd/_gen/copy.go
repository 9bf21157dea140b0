package main

// copyRows writes the kernel of CopyRows. A row of at least a vector is whole vectors and then one that ends with the
// row; a shorter row is two pieces of which the second ends with it. So a last piece may overlap those before it. On AVX2,
// where a panel is two vectors wide, rows of up to two are two pieces too.
func copyRows(f *file, i isa) {
	f.text("·copyRows_"+i.name, 48)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	f.op("MOVQ n+16(FP), CX")
	f.op("MOVQ size+24(FP), DX")
	f.op("MOVQ dstStride+32(FP), R8")
	f.op("MOVQ srcStride+40(FP), R9")
	f.op("SHLQ $2, DX")
	f.op("SHLQ $2, R8")
	f.op("SHLQ $2, R9")
	next := func(row string) {
		f.op("ADDQ R9, SI")
		f.op("ADDQ R8, DI")
		f.op("DECQ CX")
		f.op("JNZ %s", row)
		f.op("VZEROUPPER")
		f.op("RET")
	}

	pair := func(move, a, b string, bytes int) {
		row := f.label("row")
		f.at(row)
		f.op("%s (SI), %s", move, a)
		f.op("%s -%d(SI)(DX*1), %s", move, bytes, b)
		f.op("%s %s, (DI)", move, a)
		f.op("%s %s, -%d(DI)(DX*1)", move, b, bytes)
		next(row)
	}
	long := f.label("long")
	f.op("CMPQ DX, $%d", i.bytes())
	f.op("JGE %s", long)
	for _, piece := range []struct {
		bytes      int
		move, a, b string
	}{{32, "VMOVUPS", "Y0", "Y1"}, {16, "VMOVUPS", "X0", "X1"}, {8, "MOVQ", "R10", "R11"}, {4, "MOVL", "R10", "R11"}} {
		if piece.bytes >= i.bytes() {
			continue
		}
		shorter := f.label("shorter")
		if piece.bytes > 4 {
			f.op("CMPQ DX, $%d", piece.bytes)
			f.op("JL %s", shorter)
		}
		pair(piece.move, piece.a, piece.b, piece.bytes)
		if piece.bytes > 4 {
			f.at(shorter)
		}
	}

	row, four, ones, one, tail, done := f.label("row"), f.label("four"), f.label("ones"), f.label("one"), f.label("tail"), f.label("done")
	f.at(long)
	if i == avx2 {
		longer := f.label("longer")
		f.op("CMPQ DX, $%d", 2*i.bytes())
		f.op("JG %s", longer)
		pair("VMOVUPS", "Y0", "Y1", i.bytes())
		f.at(longer)
	}
	f.at(row)
	f.op("XORQ R10, R10")
	f.op("LEAQ -%d(DX), R11", 4*i.bytes())
	f.op("CMPQ R10, R11")
	f.op("JG %s", ones)
	f.at(four)
	for v := range 4 {
		f.op("VMOVUPS %d(SI)(R10*1), %s", v*i.bytes(), i.v(v))
	}
	for v := range 4 {
		f.op("VMOVUPS %s, %d(DI)(R10*1)", i.v(v), v*i.bytes())
	}
	f.op("ADDQ $%d, R10", 4*i.bytes())
	f.op("CMPQ R10, R11")
	f.op("JLE %s", four)
	f.at(ones)
	f.op("LEAQ -%d(DX), R11", i.bytes())
	f.op("CMPQ R10, R11")
	f.op("JG %s", tail)
	f.at(one)
	f.op("VMOVUPS (SI)(R10*1), %s", i.v(0))
	f.op("VMOVUPS %s, (DI)(R10*1)", i.v(0))
	f.op("ADDQ $%d, R10", i.bytes())
	f.op("CMPQ R10, R11")
	f.op("JLE %s", one)
	f.at(tail)
	f.op("CMPQ R10, DX")
	f.op("JE %s", done)
	f.op("VMOVUPS (SI)(R11*1), %s", i.v(0))
	f.op("VMOVUPS %s, (DI)(R11*1)", i.v(0))
	f.at(done)
	next(row)
}

func copyFile(i isa) *file {
	f := newFile("Copies, see copy.go.")
	copyRows(f, i)
	return f
}
