package main

import "fmt"

// widths is the shapes of rows, in steps of eight columns.
func widths(i isa) []tiler {
	if i == avx512 {
		return []tiler{{vecs: 1, half: true}, {vecs: 1}, {vecs: 2, half: true}, {vecs: 2}}
	}
	return []tiler{{vecs: 1}, {vecs: 2}}
}

func tileFile(i isa) *file { return tilesOf(i, false) }

func tilePairsFile(i isa) *file { return tilesOf(i, true) }

// tilesOf is all kernels of an instruction set for one kind of elements, and the function that picks one.
func tilesOf(i isa, pairs bool) *file {
	f := newFile("Tiles of sums of products in registers, see Tile.")
	if i == avx2 {
		f.WriteString("\n// The first n of 16 columns: -1 from byte 64 - 4n on.\n")
		for at := 0; at < 64; at += 8 {
			fmt.Fprintf(f, "DATA columns<>+%d(SB)/8, $-1\n", at)
		}
		f.WriteString("GLOBL columns<>(SB), RODATA|NOPTR, $128\n")
		f.order()
	}
	var names []string
	for _, byCols := range []bool{false, true} {
		for _, t := range widths(i) {
			for rows := 1; rows <= 15; rows++ {
				if rows > maxRows(i, t.vecs) {
					names = append(names, "")
					continue
				}
				t.file, t.isa, t.rows, t.byCols, t.pairs = f, i, rows, byCols, pairs
				t.kernel()
				names = append(names, t.name())
			}
		}
	}
	suffix := (&tiler{isa: i, pairs: pairs}).suffix()
	table := "tiles_" + suffix + "<>"
	f.WriteString("\n")
	for n, name := range names {
		if name != "" {
			fmt.Fprintf(f, "DATA %s+%d(SB)/8, $%s(SB)\n", table, 8*n, name)
		}
	}
	fmt.Fprintf(f, "GLOBL %s(SB), RODATA, $%d\n", table, 8*len(names))
	f.text("·tile_"+suffix, 8)
	f.op("MOVQ t+0(FP), DI")
	if loops := (&tiler{isa: i}).loops(); loops {
		f.op("XORQ R15, R15")
		f.op("JMP pick_%s<>(SB)", suffix)
		f.pick(i, suffix)
	} else {
		f.op("MOVQ %d(DI), AX", tileByCols)
		f.op("IMULQ $%d, AX", len(widths(i)))
		f.op("MOVQ %d(DI), DX", tileWidth)
		f.op("DECQ DX")
		f.op("SHRQ $3, DX")
		f.op("ADDQ DX, AX")
		f.op("IMULQ $15, AX")
		f.op("ADDQ %d(DI), AX", tileRows)
	}
	f.op("LEAQ %s-8(SB), DX", table)
	f.op("MOVQ (DX)(AX*8), AX")
	f.op("JMP AX")
	return f
}

// pick begins the function that goes on, R15 rows being done, with a kernel for the next ones: as many as fit, but the last two
// kernels share what is left, since one of few rows waits for its sums. It leaves the number of the kernel, from 1 on, in AX.
func (f *file) pick(i isa, suffix string) {
	const most = 24 // rows in a row of the table, with which they end
	fmt.Fprintf(f, "\n// Rows of the next kernel when 0 to %d are left, for each width.\n", most)
	table := "heights_" + suffix + "<>"
	var heights []int
	for _, t := range widths(i) {
		high := maxRows(i, t.vecs)
		for n := range most + 1 {
			switch {
			case n >= 2*high:
				n = high
			case n > high:
				n = (n + 1) / 2
			}
			heights = append(heights, n)
		}
	}
	for at, n := range heights {
		fmt.Fprintf(f, "DATA %s+%d(SB)/1, $%d\n", table, at, n)
	}
	fmt.Fprintf(f, "GLOBL %s(SB), RODATA|NOPTR, $%d\n", table, len(heights))
	f.text("pick_"+suffix+"<>", 8)
	f.op("MOVQ %d(DI), DX", tileWidth)
	f.op("DECQ DX")
	f.op("SHRQ $3, DX")
	f.op("MOVQ %d(DI), AX", tileRows)
	f.op("SUBQ R15, AX")
	f.op("MOVQ $%d, CX", most)
	f.op("CMPQ AX, CX")
	f.op("CMOVQGT CX, AX")
	f.op("IMUL3Q $%d, DX, CX", most+1)
	f.op("ADDQ CX, AX")
	f.op("LEAQ %s(SB), CX", table)
	f.op("MOVBQZX (CX)(AX*1), AX")
	f.op("MOVQ %d(DI), CX", tileByCols)
	f.op("IMUL3Q $%d, CX, CX", len(widths(i)))
	f.op("ADDQ CX, DX")
	f.op("IMUL3Q $15, DX, DX")
	f.op("ADDQ DX, AX")
}
