package main

import "fmt"

// philoxFile writes the kernel of Philox. A counter has a lane of 64 bits, of which products read the lower half: their
// upper half is a shift away, and what else is in upper halves does no harm.
func philoxFile(i isa) *file {
	f := newFile("Random words, see philox.go.")
	counters := i.lanes / 2
	f.WriteString("\n")
	// The order in which counters stand in lanes, so that interleaving within 128 bits gives rising ones.
	for k := range counters {
		fmt.Fprintf(f, "DATA order<>+%d(SB)/8, $%d\n", 8*k, k%2*counters/2+k/2)
	}
	fmt.Fprintf(f, "GLOBL order<>(SB), RODATA|NOPTR, $%d\n", 8*counters)

	get := f.kernel(i, "philox", "out", "n", "counter", "keys")
	get("out", "DI")
	get("n", "CX")
	get("counter", "SI")
	get("keys", "DX")
	v := i.v
	const c0, c1, c2, c3, p0, p1, next, m0, m1, stride = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	splat := func(bits uint32, reg int) {
		f.op("MOVL $0x%08x, AX", bits)
		if i == avx512 {
			f.op("VPBROADCASTQ AX, %s", v(reg))
		} else {
			f.op("VMOVQ AX, X%d", reg)
			f.op("VPBROADCASTQ X%d, %s", reg, v(reg))
		}
	}
	splat(0xD2511F53, m0)
	splat(0xCD9E8D57, m1)
	splat(uint32(counters), stride)
	f.op("VPBROADCASTD (SI), %s", v(next))
	f.op("VPADDQ order<>(SB), %s, %s", v(next), v(next))
	if i == avx512 {
		f.op("MOVL $0xaaaa, AX")
		f.op("KMOVW AX, K1")
	}
	loop := f.label("loop")
	f.at(loop)
	move := "VMOVDQA"
	if i == avx512 {
		move = "VMOVDQA64"
	}
	f.op("%s %s, %s", move, v(next), v(c0))
	f.op("VPADDQ %s, %s, %s", v(stride), v(next), v(next))
	for k := 1; k < 4; k++ {
		f.op("VPBROADCASTD %d(SI), %s", 4*k, v(k))
	}
	a, b, c, d := c0, c1, c2, c3 // of this round
	q, r := p0, p1               // free
	for round := range 10 {
		f.op("VPMULUDQ %s, %s, %s", v(m0), v(a), v(q))
		f.op("VPMULUDQ %s, %s, %s", v(m1), v(c), v(r))
		f.op("VPSRLQ $32, %s, %s", v(r), v(a))
		f.op("VPSRLQ $32, %s, %s", v(q), v(c))
		for _, x := range []struct{ to, with, key int }{{a, b, 8 * round}, {c, d, 8*round + 4}} {
			key := fmt.Sprintf("%d(DX)", x.key)
			if i == avx512 {
				f.op("VPTERNLOGD.BCST $0x96, %s, %s, %s", key, v(x.with), v(x.to))
				continue
			}
			f.op("VPXOR %s, %s, %s", v(x.with), v(x.to), v(x.to))
			f.op("VPBROADCASTD %s, %s", key, v(x.with))
			f.op("VPXOR %s, %s, %s", v(x.with), v(x.to), v(x.to))
		}
		b, d, q, r = r, q, b, d
	}
	// a | b << 32, c | d << 32
	for _, x := range [][2]int{{a, b}, {c, d}} {
		f.op("VPSLLQ $32, %[1]s, %[1]s", v(x[1]))
		if i == avx512 {
			f.op("VMOVDQA32 %s, K1, %s", v(x[1]), v(x[0]))
		} else {
			f.op("VPBLENDD $0xaa, %s, %s, %s", v(x[1]), v(x[0]), v(x[0]))
		}
	}
	f.op("VPUNPCKLQDQ %s, %s, %s", v(c), v(a), v(q))
	f.op("VPUNPCKHQDQ %s, %s, %s", v(c), v(a), v(r))
	f.op("VMOVUPS %s, (DI)", v(q))
	f.op("VMOVUPS %s, %d(DI)", v(r), i.bytes())
	f.op("ADDQ $%d, DI", 2*i.bytes())
	f.op("DECQ CX")
	f.op("JNZ %s", loop)
	f.end()
	return f
}
