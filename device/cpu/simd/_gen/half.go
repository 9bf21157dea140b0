package main

// Kernels of half.go of package simd: whole vectors of f32 to and from numbers of 16 bits.

// half is the half of a register that holds as many numbers of 16 bits as a register does of f32.
func (i isa) half(n int) string {
	if i == avx512 {
		return avx2.v(n)
	}
	return isa{reg: "X"}.v(n)
}

// halves writes a kernel that goes over n whole vectors; SI has the place of f32, DX that of 16 bits.
func halves(f *file, i isa, name string, body func()) {
	get := f.kernel(i, name, "wide", "narrow", "n")
	get("wide", "SI")
	get("narrow", "DX")
	get("n", "CX")
	switch name {
	case "toF16":
		f.constant32(i, "R8", 0x80000000, 8)
		f.constant32(i, "R8", 0x7fc00000, 9)
	case "toBF16":
		f.constant32(i, "R8", 1, 8)
		f.constant32(i, "R8", 0x7fff, 9)
		f.constant32(i, "R8", 0x40, 10)
	}
	loop := f.label("loop")
	f.at(loop)
	body()
	f.op("ADDQ $%d, SI", i.bytes())
	f.op("ADDQ $%d, DX", i.bytes()/2)
	f.op("DECQ CX")
	f.op("JNZ %s", loop)
	f.end()
}

// constant32 fills a register with a number, by way of a general one.
func (f *file) constant32(i isa, general string, bits uint32, reg int) {
	f.op("MOVL $0x%08x, %s", bits, general)
	if i == avx512 {
		f.op("VPBROADCASTD %s, %s", general, i.v(reg))
		return
	}
	f.op("VMOVD %s, X%d", general, reg)
	f.op("VPBROADCASTD X%d, %s", reg, i.v(reg))
}

func halfFile(i isa) *file {
	f := newFile("Numbers of 16 bits, see half.go.")
	v := i.v
	halves(f, i, "fromF16", func() {
		f.op("VCVTPH2PS (DX), %s", v(0))
		f.op("VMOVUPS %s, (SI)", v(0))
	})
	halves(f, i, "fromBF16", func() {
		f.op("VPMOVZXWD (DX), %s", v(0))
		f.op("VPSLLD $16, %[1]s, %[1]s", v(0))
		f.op("VMOVUPS %s, (SI)", v(0))
	})
	halves(f, i, "toF16", func() { // NaN becomes a quiet one of the same sign
		f.op("VMOVUPS (SI), %s", v(0))
		f.op("VANDPS %s, %s, %s", v(0), v(8), v(1))
		f.op("VORPS %s, %s, %s", v(1), v(9), v(1))
		if i == avx512 {
			f.op("VCMPPS $3, %[1]s, %[1]s, K1", v(0))
			f.op("VMOVAPS %s, K1, %s", v(1), v(0))
		} else {
			f.op("VCMPPS $3, %[1]s, %[1]s, %[2]s", v(0), v(2))
			f.op("VBLENDVPS %s, %s, %s, %s", v(2), v(1), v(0), v(0))
		}
		f.op("VCVTPS2PH $0, %s, (DX)", v(0))
	})
	halves(f, i, "toBF16", func() { // to nearest, ties to even; NaN stays, as a quiet one
		f.op("VMOVUPS (SI), %s", v(0))
		f.op("VPSRLD $16, %s, %s", v(0), v(1))
		f.op("VANDPS %s, %s, %s", v(1), v(8), v(2))
		f.op("VPADDD %s, %s, %s", v(9), v(2), v(2))
		f.op("VPADDD %s, %s, %s", v(0), v(2), v(2))
		f.op("VPSRLD $16, %[1]s, %[1]s", v(2))
		f.op("VORPS %s, %s, %s", v(1), v(10), v(1))
		if i == avx512 {
			f.op("VCMPPS $3, %[1]s, %[1]s, K1", v(0))
			f.op("VMOVAPS %s, K1, %s", v(1), v(2))
			f.op("VPMOVDW %s, (DX)", v(2))
			return
		}
		f.op("VCMPPS $3, %[1]s, %[1]s, %[1]s", v(0))
		f.op("VBLENDVPS %s, %s, %s, %s", v(0), v(1), v(2), v(2))
		f.op("VPACKUSDW %[1]s, %[1]s, %[1]s", v(2))
		f.op("VPERMQ $0x08, %[1]s, %[1]s", v(2))
		f.op("VMOVUPS %s, (DX)", i.half(2))
	})
	return f
}
