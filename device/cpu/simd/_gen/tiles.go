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
	f.op("MOVQ %d(DI), AX", tileByCols)
	f.op("IMULQ $%d, AX", len(widths(i)))
	f.op("MOVQ %d(DI), DX", tileWidth)
	f.op("DECQ DX")
	f.op("SHRQ $3, DX")
	f.op("ADDQ DX, AX")
	f.op("IMULQ $15, AX")
	f.op("ADDQ %d(DI), AX", tileRows)
	f.op("LEAQ %s-8(SB), DX", table)
	f.op("MOVQ (DX)(AX*8), AX")
	f.op("JMP AX")
	return f
}
