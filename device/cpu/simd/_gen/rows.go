package main

import "fmt"

// sumRows writes the kernel of SumRows: columns as wide as a register of f64, four of them at a time, then one, then a part
// of one. A column's sums stay in registers over all rows.
func sumRows(f *file, i isa) {
	unit := i.lanes / 2
	get := f.kernel(i, "sumRows", "sum", "x", "rows", "c", "stride")
	get("sum", "DI")
	get("x", "SI")
	get("c", "CX")
	get("stride", "R8")
	f.op("SHLQ $2, R8")
	columns := func(units int, part bool) {
		row := f.label("row")
		sum := func(u int) string { return fmt.Sprintf("%d(DI)", 8*unit*u) }
		masked := func(mov, at, reg string) { // a load of what there is, or its store
			switch {
			case !part:
				f.op("%s %s, %s", mov, at, reg)
			case i == avx512 && at[0] == i.reg[0]:
				f.op("%s %s, K1, %s", mov, at, reg)
			case i == avx512:
				f.op("%s.Z %s, K1, %s", mov, at, reg)
			default:
				f.op("VMASKMOVPD %s, Y15, %s", at, reg)
			}
		}
		for u := range units {
			masked("VMOVUPD", sum(u), i.v(u))
		}
		f.op("MOVQ SI, DX")
		get("rows", "R13")
		f.at(row)
		for u := range units {
			at := fmt.Sprintf("%d(DX)", 4*unit*u)
			if part && i == avx2 {
				f.op("VMASKMOVPS %s, X14, X%d", at, units+u)
				f.op("VCVTPS2PD X%[1]d, Y%[1]d", units+u)
			} else {
				masked("VCVTPS2PD", at, i.v(units+u))
			}
			f.op("VADDPD %s, %s, %s", i.v(units+u), i.v(u), i.v(u))
		}
		f.op("ADDQ R8, DX")
		f.op("DECQ R13")
		f.op("JNZ %s", row)
		for u := range units {
			masked("VMOVUPD", i.v(u), sum(u))
		}
		f.op("ADDQ $%d, DI", 8*unit*units)
		f.op("ADDQ $%d, SI", 4*unit*units)
	}
	four, ones, one, rest, done := f.label("four"), f.label("ones"), f.label("one"), f.label("rest"), f.label("done")
	f.op("SUBQ $%d, CX", 4*unit)
	f.op("JL %s", ones)
	f.at(four)
	columns(4, false)
	f.op("SUBQ $%d, CX", 4*unit)
	f.op("JGE %s", four)
	f.at(ones)
	f.op("ADDQ $%d, CX", 3*unit)
	f.op("JL %s", rest)
	f.at(one)
	columns(1, false)
	f.op("SUBQ $%d, CX", unit)
	f.op("JGE %s", one)
	f.at(rest)
	f.op("ADDQ $%d, CX", unit)
	f.op("JZ %s", done)
	if i == avx512 {
		f.op("MOVQ $-1, AX")
		f.op("BZHIQ CX, AX, AX")
		f.op("KMOVW AX, K1")
	} else {
		f.op("LEAQ firsts<>+32(SB), AX")
		f.op("SHLQ $2, CX")
		f.op("SUBQ CX, AX")
		f.op("VMOVUPS (AX), X14")
		f.op("VPMOVSXDQ X14, Y15")
	}
	columns(1, true)
	f.at(done)
	f.end()
}

func rowsFile(i isa) *file {
	f := newFile("Sums of rows, see rows.go.")
	f.masks(i)
	sumRows(f, i)
	return f
}
