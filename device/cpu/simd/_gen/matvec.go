package main

// matVec writes simd.matVec32, the same for both instruction sets: what it waits for is memory.
//
//	func matVec32(y, w, x *float32, rows, k, ld int)
//
// Four rows of w are read side by side, then those that are left one by one.
func matVecFile() *file {
	f := newFile("A matrix by a vector, see matvec.go.")
	f.masks(avx2)
	f.text("·matVec32", 48)
	f.op("MOVQ y+0(FP), DI")
	f.op("MOVQ w+8(FP), SI")
	f.op("MOVQ x+16(FP), DX")
	f.op("MOVQ rows+24(FP), R8")
	f.op("MOVQ k+32(FP), R9")
	f.op("MOVQ ld+40(FP), R10")
	f.op("SHLQ $2, R10")
	f.op("MOVQ R9, CX")
	f.op("ANDQ $7, CX")
	f.op("SHLQ $2, CX")
	f.op("LEAQ firsts<>+32(SB), AX")
	f.op("SUBQ CX, AX")
	f.op("VMOVUPS (AX), Y15")
	ones, done := f.label("ones"), f.label("done")
	f.op("SUBQ $4, R8")
	f.op("JL %s", ones)
	f.matVecRows(4)
	f.at(ones)
	f.op("ADDQ $3, R8")
	f.op("JL %s", done)
	f.matVecRows(1)
	f.at(done)
	f.end()
	return f
}

// matVecRows goes on by so many rows as long as R8 is not below zero. A row has two sums of eight lanes.
func (f *file) matVecRows(rows int) {
	next, loop, rest, part, sum := f.label("next"), f.label("loop"), f.label("rest"), f.label("part"), f.label("sum")
	bases := []string{"SI", "R11", "R12", "R13"}[:rows]
	f.at(next)
	for r := 1; r < rows; r++ {
		f.op("LEAQ (%s)(R10*1), %s", bases[r-1], bases[r])
	}
	for i := range 8 {
		f.op("VXORPS Y%[1]d, Y%[1]d, Y%[1]d", i)
	}
	f.op("XORL AX, AX")
	f.op("MOVQ R9, CX")
	f.op("SUBQ $16, CX")
	f.op("JL %s", rest)
	f.at(loop)
	f.op("VMOVUPS (DX)(AX*1), Y8")
	f.op("VMOVUPS 32(DX)(AX*1), Y9")
	for r, base := range bases {
		f.op("VFMADD231PS (%s)(AX*1), Y8, Y%d", base, 2*r)
		f.op("VFMADD231PS 32(%s)(AX*1), Y9, Y%d", base, 2*r+1)
	}
	f.op("ADDQ $64, AX")
	f.op("SUBQ $16, CX")
	f.op("JGE %s", loop)
	f.at(rest) // the low bits of CX are those of k
	f.op("TESTQ $8, CX")
	f.op("JZ %s", part)
	f.op("VMOVUPS (DX)(AX*1), Y8")
	for r, base := range bases {
		f.op("VFMADD231PS (%s)(AX*1), Y8, Y%d", base, 2*r)
	}
	f.op("ADDQ $32, AX")
	f.at(part)
	f.op("TESTQ $7, CX")
	f.op("JZ %s", sum)
	f.op("VMASKMOVPS (DX)(AX*1), Y15, Y8")
	for r, base := range bases {
		f.op("VMASKMOVPS (%s)(AX*1), Y15, Y9", base)
		f.op("VFMADD231PS Y9, Y8, Y%d", 2*r+1)
	}
	f.at(sum)
	for r := range bases {
		f.op("VADDPS Y%[1]d, Y%[2]d, Y%[2]d", 2*r+1, 2*r)
	}
	f.op("VHADDPS Y2, Y0, Y0")
	f.op("VHADDPS Y6, Y4, Y4")
	f.op("VHADDPS Y4, Y0, Y0")
	f.op("VEXTRACTF128 $1, Y0, X1")
	f.op("VADDPS X1, X0, X0")
	store := "VMOVUPS"
	if rows == 1 {
		store = "VMOVSS"
	}
	f.op("%s X0, (DI)", store)
	f.op("ADDQ $%d, DI", 4*rows)
	f.op("LEAQ (%s)(R10*1), SI", bases[rows-1])
	f.op("SUBQ $%d, R8", rows)
	f.op("JGE %s", next)
}
