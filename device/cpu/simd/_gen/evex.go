package main

import (
	"fmt"
	"strings"
)

// Go's assembler does not know the instructions of AVX512_BF16: they stand in the files as bytes. Beside them is what GNU's
// disassembler makes of them, which a test holds them against.

// place is a place in memory, disp(base)(index*scale); index may be empty.
type place struct {
	disp        int
	base, index string
	scale       int
}

// String is the place as Go's assembler writes it.
func (p place) String() string {
	s := fmt.Sprintf("%d(%s)", p.disp, p.base)
	if p.index != "" {
		s += fmt.Sprintf("(%s*%d)", p.index, p.scale)
	}
	return s
}

// general is the numbers of general registers.
var general = map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9, "R10": 10, "R11": 11, "R12": 12, "R13": 13, "R14": 14, "R15": 15}

// gnu is the name that GNU gives a general register.
func gnu(reg string) string {
	if reg[0] == 'R' {
		return "%" + strings.ToLower(reg)
	}
	return "%r" + strings.ToLower(reg)
}

// gnu is the place as GNU writes it.
func (p place) gnu() string {
	s := gnu(p.base)
	if p.index != "" {
		s += fmt.Sprintf(",%s,%d", gnu(p.index), p.scale)
	}
	return fmt.Sprintf("%#x(%s)", p.disp, s)
}

// evex is an instruction of 512 bits, or 256 where half, in opcode map 0F38 without mask: reg = op(vvvv, rm).
type evex struct {
	prefix    int // 1: 66, 2: F3, 3: F2
	opcode    int
	reg, vvvv int
	half      bool
}

// head is the prefix for the inverted bits 3 of base or register (b) and of index or bit 4 of the register (x).
func (e evex) head(b, x, broadcast int) []int {
	not := func(bit int) int { return bit&1 ^ 1 }
	length := 2
	if e.half {
		length = 1
	}
	return []int{0x62, not(e.reg>>3)<<7 | not(x)<<6 | not(b)<<5 | not(e.reg>>4)<<4 | 2, (e.vvvv&15^15)<<3 | 4 | e.prefix, length<<5 | broadcast<<4 | not(e.vvvv>>4)<<3, e.opcode}
}

// registers encodes the form whose last operand is a register.
func (e evex) registers(rm int) []int {
	return append(e.head(rm>>3, rm>>4, 0), 0xc0|e.reg&7<<3|rm&7)
}

// broadcast encodes the form whose last operand is 32 bits of memory for all lanes; the displacement counts in those.
func (e evex) broadcast(p place) []int {
	base, index := general[p.base], general[p.index]
	code := e.head(base>>3, index>>3, 1)
	switch {
	case p.index != "":
		code = append(code, 0x40|e.reg&7<<3|4, p.scale/2<<6|index&7<<3|base&7)
	case base&7 == 4: // needs the second byte, too, which then names no index
		code = append(code, 0x40|e.reg&7<<3|4, 4<<3|base&7)
	default:
		code = append(code, 0x40|e.reg&7<<3|base&7)
	}
	return append(code, p.disp/4)
}

func (f *file) encoded(code []int, meaning string) {
	var s []string
	for _, b := range code {
		s = append(s, fmt.Sprintf("BYTE $0x%02x", b))
	}
	f.op("%s // %s", strings.Join(s, "; "), meaning)
}

// dotAt adds the products of the pairs of b with that at p to the sums, all in registers but p: of 512 bits, or 256 where half.
func (f *file) dotAt(p place, b, sum int, half bool) {
	lanes, reg := 16, "zmm"
	if half {
		lanes, reg = 8, "ymm"
	}
	meaning := fmt.Sprintf("vdpbf16ps %s{1to%d},%%%s%d,%%%s%d", p.gnu(), lanes, reg, b, reg, sum)
	f.encoded(evex{prefix: 2, opcode: 0x52, reg: sum, vvvv: b, half: half}.broadcast(p), meaning)
}

// dot is dotAt of pairs that are in register a.
func (f *file) dot(a, b, sum int, half bool) {
	reg := "zmm"
	if half {
		reg = "ymm"
	}
	meaning := fmt.Sprintf("vdpbf16ps %%%[1]s%[2]d,%%%[1]s%[3]d,%%%[1]s%[4]d", reg, a, b, sum)
	f.encoded(evex{prefix: 2, opcode: 0x52, reg: sum, vvvv: b, half: half}.registers(a), meaning)
}

// narrow rounds two registers of f32 to bf16; low goes to the lower half of dst.
func (f *file) narrow(low, high, dst int) {
	f.encoded(evex{prefix: 3, opcode: 0x72, reg: dst, vvvv: high}.registers(low), fmt.Sprintf("vcvtne2ps2bf16 %%zmm%d,%%zmm%d,%%zmm%d", low, high, dst))
}
