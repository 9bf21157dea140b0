package main

import "fmt"

// transpose writes simd.transpose32: blocks of 8 x 8, the same for both instruction sets.
//
//	func transpose32(dst, src *float32, rows, cols, dstStride, srcStride int)
//
// rows and cols are multiples of 8, strides are in elements.
func transposeFile() *file {
	f := newFile("Transposition of matrices in blocks of 8 x 8.")
	f.text("·transpose32", 48)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	f.op("MOVQ rows+16(FP), R8")
	f.op("MOVQ dstStride+32(FP), R10")
	f.op("MOVQ srcStride+40(FP), R11")
	f.op("SHLQ $2, R10")
	f.op("SHLQ $2, R11")
	f.op("LEAQ (R10)(R10*2), R12")
	f.op("LEAQ (R11)(R11*2), R13")
	f.at("rows")
	f.op("MOVQ cols+24(FP), R9")
	f.op("MOVQ SI, AX")
	f.op("MOVQ DI, BX")
	f.at("block")
	f.op("LEAQ (AX)(R11*4), CX")
	f.op("LEAQ (BX)(R10*4), DX")
	at := func(low, high, one, three string, i int) string {
		base := low
		if i >= 4 {
			base = high
		}
		switch i % 4 {
		case 1:
			return fmt.Sprintf("(%s)(%s*1)", base, one)
		case 2:
			return fmt.Sprintf("(%s)(%s*2)", base, one)
		case 3:
			return fmt.Sprintf("(%s)(%s*1)", base, three)
		}
		return "(" + base + ")"
	}
	// Rows i and i+4 meet in one register, so that lanes need no exchange later.
	for i := range 4 {
		f.op("VMOVUPS %s, X%d", at("AX", "CX", "R11", "R13", i), i)
		f.op("VINSERTF128 $1, %s, Y%d, Y%d", at("AX", "CX", "R11", "R13", i+4), i, i)
	}
	f.op("ADDQ $16, AX")
	f.op("ADDQ $16, CX")
	for i := range 4 {
		f.op("VMOVUPS %s, X%d", at("AX", "CX", "R11", "R13", i), i+4)
		f.op("VINSERTF128 $1, %s, Y%d, Y%d", at("AX", "CX", "R11", "R13", i+4), i+4, i+4)
	}
	for h := range 2 { // columns 0 to 3, then 4 to 7
		r := 4 * h
		f.op("VUNPCKLPS Y%d, Y%d, Y8", r+1, r)
		f.op("VUNPCKHPS Y%d, Y%d, Y9", r+1, r)
		f.op("VUNPCKLPS Y%d, Y%d, Y10", r+3, r+2)
		f.op("VUNPCKHPS Y%d, Y%d, Y11", r+3, r+2)
		f.op("VUNPCKLPD Y10, Y8, Y12")
		f.op("VUNPCKHPD Y10, Y8, Y13")
		f.op("VUNPCKLPD Y11, Y9, Y14")
		f.op("VUNPCKHPD Y11, Y9, Y15")
		for i := range 4 {
			f.op("VMOVUPS Y%d, %s", 12+i, at("BX", "DX", "R10", "R12", 4*h+i))
		}
	}
	f.op("ADDQ $16, AX")
	f.op("LEAQ (BX)(R10*8), BX")
	f.op("SUBQ $8, R9")
	f.op("JNZ block")
	f.op("LEAQ (SI)(R11*8), SI")
	f.op("ADDQ $32, DI")
	f.op("SUBQ $8, R8")
	f.op("JNZ rows")
	f.op("VZEROUPPER")
	f.op("RET")
	return f
}
