package main

import "fmt"

// What a tile kernel does with its sums when they are complete.

// sumsAt points AX at the first row of sums, and puts the distance of rows, in elements, into a register.
func (t *tiler) sumsAt(row string) {
	if !t.loops() {
		t.op("MOVQ %d(DI), AX", tileC)
		t.op("MOVQ %d(DI), %s", tileCRow, row)
		return
	}
	t.op("MOVQ %d(DI), %s", tileCRow, row)
	t.op("MOVQ R15, AX")
	t.op("IMULQ %s, AX", row)
	t.op("SHLQ $2, AX")
	t.op("ADDQ %d(DI), AX", tileC)
}

// finish scales, adds bias and what is there, applies ReLU and stores.
func (t *tiler) finish() {
	noScale, noBias, noAdd, noRelu := t.label("noscale"), t.label("nobias"), t.label("noadd"), t.label("norelu")
	free := t.v(t.regs - 1)
	t.op("MOVQ %d(DI), DX", tileFlags)
	t.sumsAt("R9")
	t.op("SHLQ $2, R9")
	t.op("MOVQ %d(DI), CX", tileCols)
	t.masks()
	t.op("TESTQ $%d, DX", flagScale)
	t.op("JZ %s", noScale)
	t.op("VBROADCASTSS %d(DI), %s", tileAlpha, free)
	for i := range t.rows * t.vecs {
		t.op("VMULPS %s, %s, %s", free, t.v(i), t.v(i))
	}
	t.at(noScale)
	t.op("MOVQ %d(DI), R10", tileBias)
	t.op("TESTQ R10, R10")
	t.op("JZ %s", noBias)
	for v := range t.vecs {
		t.load(v, "R10", t.b(v))
		for r := range t.rows {
			t.op("VADDPS %s, %s, %s", t.b(v), t.sum(r, v), t.sum(r, v))
		}
	}
	t.at(noBias)
	t.op("TESTQ $%d, DX", flagAdd)
	t.op("JZ %s", noAdd)
	t.op("MOVQ AX, BX")
	if t.isa == avx2 {
		part := t.label("part")
		t.op("CMPQ CX, $%d", 4*t.columns())
		t.op("JL %s", part)
		for r := range t.rows {
			for v := range t.vecs {
				t.op("VADDPS %d(BX), %s, %s", t.bytes()*v, t.sum(r, v), t.sum(r, v))
			}
			if r+1 < t.rows {
				t.op("ADDQ R9, BX")
			}
		}
		t.op("JMP %s", noAdd)
		t.at(part)
	}
	for r := range t.rows {
		for v := range t.vecs {
			there := t.vector(t.regs-1, v)
			t.load(v, "BX", there)
			t.op("VADDPS %s, %s, %s", there, t.sum(r, v), t.sum(r, v))
		}
		if r+1 < t.rows {
			t.op("ADDQ R9, BX")
		}
	}
	t.at(noAdd)
	t.op("TESTQ $%d, DX", flagRelu)
	t.op("JZ %s", noRelu)
	if t.isa == avx512 {
		t.op("VPXORD %[1]s, %[1]s, %[1]s", free)
	} else {
		t.op("VXORPS %[1]s, %[1]s, %[1]s", free)
	}
	for i := range t.rows * t.vecs {
		t.op("VMAXPS %s, %s, %s", t.v(i), free, t.v(i)) // of two, the second where one is NaN: NaN stays
	}
	t.at(noRelu)
	t.store()
}

// masks makes, of the number of columns in CX, the masks of the vectors: k registers, or points R11 at those in
// memory for AVX2.
func (t *tiler) masks() {
	if t.isa == avx512 {
		t.op("MOVQ $-1, R10")
		t.op("BZHIQ CX, R10, R10")
		t.op("KMOVW R10, K1")
		if t.vecs == 2 {
			t.op("SHRQ $16, R10")
			t.op("KMOVW R10, K2")
		}
		return
	}
	t.op("LEAQ columns<>+64(SB), R11")
	t.op("SHLQ $2, CX")
	t.op("SUBQ CX, R11")
}

// mask is the address of the mask of vector v for AVX2.
func (t *tiler) mask(v int) string { return fmt.Sprintf("%d(R11)", t.bytes()*v) }

// load reads the columns that there are of vector v at the address in a register, for AVX2 with its mask in dst.
func (t *tiler) load(v int, at, dst string) {
	if t.isa == avx512 {
		t.op("VMOVUPS.Z %d(%s), K%d, %s", t.bytes()*v, at, v+1, dst)
		return
	}
	t.op("VMOVUPS %s, %s", t.mask(v), dst)
	t.op("VMASKMOVPS %d(%s), %s, %s", t.bytes()*v, at, dst, dst)
}

func (t *tiler) store() {
	if t.isa == avx512 {
		for r := range t.rows {
			for v := range t.vecs {
				t.op("VMOVUPS %s, K%d, %d(AX)", t.sum(r, v), v+1, t.bytes()*v)
			}
			if r+1 < t.rows {
				t.op("ADDQ R9, AX")
			}
		}
		return
	}
	part, end := t.label("part"), t.label("end")
	t.op("CMPQ CX, $%d", 4*t.lanes*t.vecs)
	t.op("JL %s", part)
	t.eachSum(func(r, v int) { t.op("VMOVUPS %s, %d(AX)", t.sum(r, v), t.bytes()*v) })
	t.op("JMP %s", end)
	t.at(part)
	t.op("LEAQ -%d(CX), R10", t.bytes()*(t.vecs-1))
	for _, p := range pieceMoves {
		shorter := t.label("shorter")
		t.op("CMPQ R10, $%d", p.bytes)
		t.op("JL %s", shorter)
		t.pieces(p.bytes, p.move)
		t.op("JMP %s", end)
		t.at(shorter)
	}
	for v := range t.vecs {
		t.op("VMOVUPS %s, %s", t.mask(v), t.b(v))
	}
	t.eachSum(func(r, v int) { t.op("VMASKMOVPS %s, %s, %d(AX)", t.sum(r, v), t.b(v), t.bytes()*v) })
	t.at(end)
}

// eachSum calls f for each vector of sums, AX pointing at its row.
func (t *tiler) eachSum(f func(r, v int)) {
	for r := range t.rows {
		for v := range t.vecs {
			f(r, v)
		}
		if r+1 < t.rows {
			t.op("ADDQ R9, AX")
		}
	}
}

// pieces stores rows whose last vector has only R10 bytes, at least bytes and less than twice as many, as inPieces does.
func (t *tiler) pieces(bytes int, move string) {
	last := t.vecs - 1
	order, piece := t.regs-1, t.regs-2
	t.op("LEAQ order<>-%d(SB), R11", bytes)
	t.op("VMOVUPS (R11)(R10*1), X%d", order)
	t.eachSum(func(r, v int) {
		at := t.bytes() * v
		if v < last {
			t.op("VMOVUPS %s, %d(AX)", t.sum(r, v), at)
			return
		}
		t.op("VPERMPS %s, Y%d, Y%d", t.sum(r, v), order, piece)
		t.op("%s X%d, %d(AX)", move, r*t.vecs+v, at)
		t.op("%s X%d, %d(AX)(R10*1)", move, piece, at-bytes)
	})
}
