package main

import (
	"fmt"
	"slices"
)

// A transform turns a grid of pixels into another one: L grid L^T, L being a small matrix of 0, 1, -1, 1/2 and -1/2.
type transform struct {
	name string
	l    [][]float64
}

// transforms are those of F(2x2, 3x3), as winograd.go has them.
var transforms = []transform{
	{"winogradData", [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}},
	{"winogradResult", [][]float64{{1, 1, 1, 0}, {0, 1, -1, 1}}},
	{"winogradGrad", [][]float64{{1, 0}, {1, 1}, {1, -1}, {0, 1}}},
	{"winogradFilter", [][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}},
	{"winogradFilterGrad", [][]float64{{1, .5, .5, 0}, {0, .5, -.5, 0}, {0, .5, .5, 1}}},
}

// The registers of vectors: sums along columns, what comes of a row, room for a masked operand, and what is given.
const (
	winogradSums = 0
	winogradOut  = 4
	winogradRoom = 5
	winogradHalf = 6
	winogradLow  = 7
)

// winograd writes the kernel of a transform, for n grids. SI and DI point at a grid and at what comes of it, R12 counts
// them. R8 to R11 point at the rows of a grid, BX and R13 have one and three steps along a row; DX points at the result.
func winograd(f *file, i isa, t transform) {
	args := []string{"dst", "src", "n", "c", "dstNext", "dstCol", "dstSkip", "srcNext", "srcRow", "srcCol", "low"}
	get := f.kernel(i, t.name, args...)
	operand := func(arg string) string { return fmt.Sprintf("%s+%d(FP)", arg, 8*slices.Index(args, arg)) }
	get("dst", "DI")
	get("src", "SI")
	get("n", "R12")
	get("srcCol", "BX")
	f.op("LEAQ (BX)(BX*2), R13")
	f.op("VBROADCASTSS half<>(SB), %s", i.v(winogradHalf))
	if t.name == "winogradResult" {
		get("low", "AX")
		f.op("VMOVD AX, X%d", winogradLow)
		f.op("VBROADCASTSS X%d, %s", winogradLow, i.v(winogradLow))
	}
	next := f.label("next")
	f.at(next)
	get("c", "CX")
	f.eachVector(i, get, func(c *columns) {
		rows := []string{"R8", "R9", "R10", "R11"}[:len(t.l[0])]
		f.op("LEAQ (SI)(R15*1), R8")
		get("srcRow", "AX")
		for k, r := range rows[1:] {
			f.op("LEAQ (%s)(AX*1), %s", rows[k], r)
		}
		f.op("LEAQ (DI)(R15*1), DX")
		get("dstCol", "AX")
		for r, row := range t.l {
			if r > 0 {
				f.op("ADDQ %s, DX", operand("dstSkip"))
			}
			for q := range row {
				c.combine(row, winogradSums+q, func(p int) string {
					return c.operand("("+rows[p]+")"+[]string{"", "(BX*1)", "(BX*2)", "(R13*1)"}[q], i.v(winogradRoom))
				})
			}
			for _, col := range t.l {
				c.combine(col, winogradOut, func(q int) string { return i.v(winogradSums + q) })
				if t.name == "winogradResult" { // NaN stays
					f.op("VMAXPS %[1]s, %[2]s, %[1]s", i.v(winogradOut), i.v(winogradLow))
				}
				c.store(i.v(winogradOut), "(DX)")
				f.op("ADDQ AX, DX")
			}
		}
	})
	f.op("ADDQ %s, SI", operand("srcNext"))
	f.op("ADDQ %s, DI", operand("dstNext"))
	f.op("DECQ R12")
	f.op("JNZ %s", next)
	f.end()
}

// combine makes a register the sum of operands with these factors, the first with a factor of 1 first, or else of 1/2.
func (c *columns) combine(factors []float64, to int, operand func(k int) string) {
	first := slices.Index(factors, 1)
	if first >= 0 {
		c.op("VMOVUPS %s, %s", operand(first), c.v(to))
	} else {
		first = slices.Index(factors, .5)
		c.op("VMULPS %s, %s, %s", operand(first), c.v(winogradHalf), c.v(to))
	}
	for k, x := range factors {
		if k == first || x == 0 {
			continue
		}
		switch at := operand(k); x {
		case 1:
			c.op("VADDPS %[1]s, %[2]s, %[2]s", at, c.v(to))
		case -1:
			c.op("VSUBPS %[1]s, %[2]s, %[2]s", at, c.v(to))
		case .5:
			c.op("VFMADD231PS %s, %s, %s", at, c.v(winogradHalf), c.v(to))
		case -.5:
			c.op("VFNMADD231PS %s, %s, %s", at, c.v(winogradHalf), c.v(to))
		default:
			panic(fmt.Sprintf("a factor of %v", x))
		}
	}
}

func winogradFile(i isa) *file {
	f := newFile("Transforms of Winograd's convolution, see winograd.go.")
	f.masks(i)
	f.WriteString("\nDATA half<>+0(SB)/4, $0x3f000000\nGLOBL half<>(SB), RODATA|NOPTR, $4\n")
	for _, t := range transforms {
		winograd(f, i, t)
	}
	return f
}
