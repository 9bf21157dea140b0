package main

// pixels writes the kernel of Pixels: n vectors, with numbers that repeat after period bytes.
func pixels(f *file, i isa) {
	get := f.kernel(i, "pixels", "y", "x", "scale", "bias", "n", "period")
	for n, arg := range []string{"y", "x", "scale", "bias", "n", "period"} {
		get(arg, []string{"DI", "SI", "R10", "R11", "CX", "R9"}[n])
	}
	f.op("XORQ R12, R12")
	f.op("XORQ R15, R15")
	loop := f.label("loop")
	f.op("PCALIGN $32")
	f.at(loop)
	f.op("VPMOVZXBD (SI), %s", i.v(0))
	f.op("VCVTDQ2PS %[1]s, %[1]s", i.v(0))
	f.op("VMULPS (R10)(R15*1), %[1]s, %[1]s", i.v(0))
	f.op("VADDPS (R11)(R15*1), %[1]s, %[1]s", i.v(0)) // a rounding of its own, as in plain Go
	f.op("VMOVUPS %s, (DI)", i.v(0))
	f.op("ADDQ $%d, SI", i.lanes)
	f.op("ADDQ $%d, DI", i.bytes())
	f.op("ADDQ $%d, R15", i.bytes())
	f.op("CMPQ R15, R9")
	f.op("CMOVQEQ R12, R15")
	f.op("DECQ CX")
	f.op("JNZ %s", loop)
	f.end()
}

func pixelsFile(i isa) *file {
	f := newFile("Bytes to numbers, see pixels.go.")
	pixels(f, i)
	return f
}
