package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A transform turns a grid of pixels into another one: L grid L^T.
type transform struct {
	name string
	l    [][]float64
}

// transforms are those of F(2x2, 3x3), F(4x4, 3x3) and F(2x2, 5x5), as winograd.go has them.
var transforms = []transform{
	{"winogradData4", [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}},
	{"winogradResult23", [][]float64{{1, 1, 1, 0}, {0, 1, -1, 1}}},
	{"winogradGrad23", transposed([][]float64{{1, 1, 1, 0}, {0, 1, -1, 1}})},
	{"winogradFilter23", [][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}},
	{"winogradFilterGrad23", transposed([][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}})},
	{"winogradData6", [][]float64{
		{1, 0, -2.5, 0, 1, 0}, {0, -math.Sqrt2, -2, math.Sqrt2 / 2, 1, 0}, {0, math.Sqrt2, -2, -math.Sqrt2 / 2, 1, 0},
		{0, -math.Sqrt2 / 2, -.5, math.Sqrt2, 1, 0}, {0, math.Sqrt2 / 2, -.5, -math.Sqrt2, 1, 0}, {0, 1, 0, -2.5, 0, 1}}},
	{"winogradResult43", winogradA(4)},
	{"winogradGrad43", transposed(winogradA(4))},
	{"winogradFilter43", winogradG(3)},
	{"winogradFilterGrad43", transposed(winogradG(3))},
	{"winogradResult25", winogradA(2)},
	{"winogradGrad25", transposed(winogradA(2))},
	{"winogradFilter25", winogradG(5)},
	{"winogradFilterGrad25", transposed(winogradG(5))},
}

// winogradPoints are the finite points at which the polynomials of a tile of 6 are taken.
var winogradPoints = []float64{0, math.Sqrt2 / 2, -math.Sqrt2 / 2, math.Sqrt2, -math.Sqrt2}

// winogradA is A^T of tiles of 6: m powers of the points.
func winogradA(m int) (a [][]float64) {
	for i := range m {
		row := make([]float64, 6)
		for k, x := range winogradPoints {
			row[k] = power(x, i)
		}
		if i == m-1 {
			row[5] = 1
		}
		a = append(a, row)
	}
	return a
}

// winogradG is G of tiles of 6: r powers of each point, over the product of its distances from the others.
func winogradG(r int) (g [][]float64) {
	for k, over := range []float64{1, -1.5, -1.5, 6, 6} {
		row := make([]float64, r)
		for i := range r {
			row[i] = power(winogradPoints[k], i) / over
		}
		g = append(g, row)
	}
	last := make([]float64, r)
	last[r-1] = 1
	return append(g, last)
}

// power is x to the n, to single precision: even powers of roots of 2 are powers of 2.
func power(x float64, n int) float64 {
	p := 1.0
	for range n {
		p *= x
	}
	return float64(float32(p))
}

func transposed(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for i := range t {
		for _, row := range m {
			t[i] = append(t[i], row[i])
		}
	}
	return t
}

// The registers of vectors: sums along columns, what comes of a row, room for a masked operand, and what is given.
const (
	winogradSums = 0
	winogradOut  = 6
	winogradRoom = 7
	winogradKept = 8 // the least result, or factors
)

// winograd writes the kernel of a transform, for n grids. SI and DI point at a grid and at what comes of it, R12 counts
// them. BX, R13 and R9 have one, three and five steps down a grid, R8 points at a column of it; DX points at the
// result, R10 at the bias.
func winograd(f *file, i isa, t transform) {
	args := []string{"dst", "src", "n", "c", "dstNext", "dstCol", "dstSkip", "srcNext", "srcRow", "srcCol", "low", "bias"}
	get := f.kernel(i, t.name, args...)
	operand := func(arg string) string { return fmt.Sprintf("%s+%d(FP)", arg, 8*slices.Index(args, arg)) }
	get("dst", "DI")
	get("src", "SI")
	get("n", "R12")
	get("srcRow", "BX")
	f.op("LEAQ (BX)(BX*2), R13")
	f.op("LEAQ (BX)(BX*4), R9")
	bounded := strings.HasPrefix(t.name, "winogradResult")
	w := &winogradFactors{file: f, isa: i, first: winogradKept}
	if bounded {
		get("low", "AX")
		f.op("VMOVD AX, X%d", winogradKept)
		f.op("VBROADCASTSS X%d, %s", winogradKept, i.v(winogradKept))
		w.first++
		get("bias", "R10")
	}
	w.keep(t.l)
	down := []string{"", "(BX*1)", "(BX*2)", "(R13*1)", "(BX*4)", "(R9*1)"}
	next := f.label("next")
	f.at(next)
	get("c", "CX")
	f.eachVector(i, get, func(c *columns) {
		f.op("LEAQ (DI)(R15*1), DX")
		for r, row := range t.l {
			if r > 0 {
				f.op("ADDQ %s, DX", operand("dstSkip"))
			}
			f.op("LEAQ (SI)(R15*1), R8")
			get("srcCol", "AX")
			for q := range row {
				if q > 0 {
					f.op("ADDQ AX, R8")
				}
				w.combine(c, row, winogradSums+q, func(p int) string { return c.operand("(R8)"+down[p], i.v(winogradRoom)) })
			}
			get("dstCol", "AX")
			for _, col := range t.l {
				w.combine(c, col, winogradOut, func(q int) string { return i.v(winogradSums + q) })
				if bounded { // NaN stays
					f.op("VADDPS %[1]s, %[2]s, %[2]s", c.operand("(R10)(R15*1)", i.v(winogradRoom)), i.v(winogradOut))
					f.op("VMAXPS %[1]s, %[2]s, %[1]s", i.v(winogradOut), i.v(winogradKept))
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

// winogradFactors keeps factors other than 1 and -1 in registers.
type winogradFactors struct {
	*file
	isa
	first  int
	values []float32
}

func (w *winogradFactors) keep(l [][]float64) {
	for _, row := range l {
		for _, x := range row {
			if x := float32(math.Abs(x)); x != 0 && x != 1 && !slices.Contains(w.values, x) {
				w.op("VBROADCASTSS factor%08x<>(SB), %s", math.Float32bits(x), w.v(w.first+len(w.values)))
				w.values = append(w.values, x)
			}
		}
	}
	if last := w.first + len(w.values); last > min(w.regs-1, 31) {
		panic("too many factors")
	}
}

// combine makes a register the sum of operands with these factors, the first with a factor of 1 first, or else the first
// that is positive.
func (w *winogradFactors) combine(c *columns, factors []float64, to int, operand func(k int) string) {
	kept := func(x float64) string { return w.v(w.first + slices.Index(w.values, float32(math.Abs(x)))) }
	first := slices.Index(factors, 1)
	if first >= 0 {
		c.op("VMOVUPS %s, %s", operand(first), c.v(to))
	} else {
		first = slices.IndexFunc(factors, func(x float64) bool { return x > 0 })
		negative := first < 0
		if negative {
			first = slices.IndexFunc(factors, func(x float64) bool { return x != 0 })
			c.op("VXORPS X%[1]d, X%[1]d, X%[1]d", to)
			c.op("VFNMADD231PS %s, %s, %s", operand(first), kept(factors[first]), c.v(to))
		} else {
			c.op("VMULPS %s, %s, %s", operand(first), kept(factors[first]), c.v(to))
		}
	}
	for k, x := range factors {
		if k == first || x == 0 {
			continue
		}
		switch at := operand(k); {
		case x == 1:
			c.op("VADDPS %[1]s, %[2]s, %[2]s", at, c.v(to))
		case x == -1:
			c.op("VSUBPS %[1]s, %[2]s, %[2]s", at, c.v(to))
		case x > 0:
			c.op("VFMADD231PS %s, %s, %s", at, kept(x), c.v(to))
		default:
			c.op("VFNMADD231PS %s, %s, %s", at, kept(x), c.v(to))
		}
	}
}

func winogradFile(i isa) *file {
	f := newFile("Transforms of Winograd's convolution, see winograd.go.")
	f.masks(i)
	f.WriteString("\n")
	var have []uint32
	for _, t := range transforms {
		for _, row := range t.l {
			for _, x := range row {
				if bits := math.Float32bits(float32(math.Abs(x))); x != 0 && math.Abs(x) != 1 && !slices.Contains(have, bits) {
					have = append(have, bits)
					fmt.Fprintf(f, "DATA factor%08x<>+0(SB)/4, $0x%08x\nGLOBL factor%08x<>(SB), RODATA|NOPTR, $4\n", bits, bits, bits)
				}
			}
		}
	}
	for _, t := range transforms {
		winograd(f, i, t)
	}
	return f
}
