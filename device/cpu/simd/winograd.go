package simd

import (
	"math"
	"slices"
)

// A Transform turns a grid of pixels, each of some channels, into another grid: L grid L^T, with a small matrix L. These are
// those of convolution by F(2x2, 3x3), F(4x4, 3x3) and F(2x2, 5x5) and of its gradients: Lavin, Gray, Fast Algorithms for
// Convolutional Neural Networks, arXiv 1509.09308, equations 7 and 8, with the signs of a row of B^T and of A^T exchanged.
// Tiles of 6x6 are made in the same way at the points 0, both roots of 1/2, both roots of 2, and infinity: with the roots of 1
// and 4 that are usual rounding errors are twice as large.
type Transform int

// With these names the convolution of a grid d with a filter is Y = A^T ((G g G^T) * (B^T d B)) A, * element by element.
// It is linear in g and in d, so that gradients have the transposed matrices: dg = G^T ((A dY A^T) * (B^T d B)) G.
const (
	WinogradData4        Transform = iota // B^T d B: 4x4 to 4x4
	WinogradResult23                      // A^T m A + Tiles.Bias: 4x4 to 2x2, no less than Tiles.Low
	WinogradGrad23                        // A dY A^T: 2x2 to 4x4
	WinogradFilter23                      // G g G^T: 3x3 to 4x4
	WinogradFilterGrad23                  // G^T s G: 4x4 to 3x3
	WinogradData6                         // B^T d B: 6x6 to 6x6
	WinogradResult43                      // 6x6 to 4x4
	WinogradGrad43                        // 4x4 to 6x6
	WinogradFilter43                      // 3x3 to 6x6
	WinogradFilterGrad43                  // 6x6 to 3x3
	WinogradResult25                      // 6x6 to 2x2
	WinogradGrad25                        // 2x2 to 6x6
	WinogradFilter25                      // 5x5 to 6x6
	WinogradFilterGrad25                  // 6x6 to 5x5
)

var winogradMatrix = [...][][]float32{
	WinogradData4:        {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
	WinogradResult23:     {{1, 1, 1, 0}, {0, 1, -1, 1}},
	WinogradGrad23:       {{1, 0}, {1, 1}, {1, -1}, {0, 1}},
	WinogradFilter23:     {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
	WinogradFilterGrad23: {{1, .5, .5, 0}, {0, .5, -.5, 0}, {0, .5, .5, 1}},
	WinogradData6: {{1, 0, -2.5, 0, 1, 0}, {0, -root, -2, half, 1, 0}, {0, root, -2, -half, 1, 0}, {0, -half, -.5, root, 1, 0}, {0, half, -.5, -root, 1, 0},
		{0, 1, 0, -2.5, 0, 1}},
	WinogradResult43:     {{1, 1, 1, 1, 1, 0}, {0, half, -half, root, -root, 0}, {0, .5, .5, 2, 2, 0}, {0, half / 2, -half / 2, 2 * root, -2 * root, 1}},
	WinogradGrad43:       {{1, 0, 0, 0}, {1, half, .5, half / 2}, {1, -half, .5, -half / 2}, {1, root, 2, 2 * root}, {1, -root, 2, -2 * root}, {0, 0, 0, 1}},
	WinogradFilter43:     {{1, 0, 0}, {-over, -over * half, -over / 2}, {-over, over * half, -over / 2}, {over / 4, over * root / 4, over / 2}, {over / 4, -over * root / 4, over / 2}, {0, 0, 1}},
	WinogradFilterGrad43: {{1, -over, -over, over / 4, over / 4, 0}, {0, -over * half, over * half, over * root / 4, -over * root / 4, 0}, {0, -over / 2, -over / 2, over / 2, over / 2, 1}},
	WinogradResult25:     {{1, 1, 1, 1, 1, 0}, {0, half, -half, root, -root, 1}},
	WinogradGrad25:       {{1, 0}, {1, half}, {1, -half}, {1, root}, {1, -root}, {0, 1}},
	WinogradFilter25: {{1, 0, 0, 0, 0}, {-over, -over * half, -over / 2, -over * half / 2, -over / 4}, {-over, over * half, -over / 2, over * half / 2, -over / 4},
		{over / 4, over * root / 4, over / 2, over * root / 2, over}, {over / 4, -over * root / 4, over / 2, -over * root / 2, over}, {0, 0, 0, 0, 1}},
	WinogradFilterGrad25: {{1, -over, -over, over / 4, over / 4, 0}, {0, -over * half, over * half, over * root / 4, -over * root / 4, 0}, {0, -over / 2, -over / 2, over / 2, over / 2, 0},
		{0, -over * half / 2, over * half / 2, over * root / 2, -over * root / 2, 0}, {0, -over / 4, -over / 4, over, over, 1}},
}

// Of the matrices for tiles of 6: the points, and one over the product of the distances of half from the others, but for the sign.
const root, half, over = math.Sqrt2, math.Sqrt2 / 2, 1 / 1.5

// Steps says where the pixels of N grids lie: pixel (r, c) of grid i at element At + i Next + r Row + c Col.
type Steps struct{ At, Next, Row, Col int }

// Tiles is N grids of pixels of C channels, and where they go. Bias (C) is added to results, if it is not nil.
type Tiles struct {
	N, C     int
	To, From Steps
	Low      float32
	Bias     []float32
}

// check panics unless all of n grids of rows x rows pixels of c channels are in a slice of some length.
func (s *Steps) check(n, rows, c, length int) {
	lo, hi := s.At, s.At+c
	for _, x := range [3]int{(n - 1) * s.Next, (rows - 1) * s.Row, (rows - 1) * s.Col} {
		lo, hi = lo+min(x, 0), hi+max(x, 0)
	}
	if lo < 0 || hi > length {
		panic("simd: tiles leave their slice")
	}
}

var noBias [64]float32 // more channels than a panel has

// Winograd transforms grids of src to grids of dst. Vector kernels fuse products with sums; those of F(2x2, 3x3) are exact.
func Winograd(l Level, w Transform, dst, src []float32, t *Tiles) {
	if t.N <= 0 || t.C <= 0 {
		return
	}
	matrix := winogradMatrix[w]
	t.To.check(t.N, len(matrix), t.C, len(dst))
	t.From.check(t.N, len(matrix[0]), t.C, len(src))
	low, bias := float32(math.Inf(-1)), noBias[:]
	bounded := w == WinogradResult23 || w == WinogradResult43 || w == WinogradResult25
	if bounded {
		if low = t.Low; t.Bias != nil {
			bias = t.Bias[:t.C]
		} else if t.C > len(bias) {
			bias = make([]float32, t.C)
		}
	}
	if winograd32(l, w, &dst[t.To.At], &src[t.From.At], t, len(matrix), int(math.Float32bits(low)), &bias[0]) {
		return
	}
	for i := range t.N {
		for c := range t.C {
			to, from := t.To.At+i*t.To.Next+c, t.From.At+i*t.From.Next+c
			for r, row := range matrix {
				var sums [6]float32
				for q := range row {
					sums[q] = combine(row, func(p int) float32 { return src[from+p*t.From.Row+q*t.From.Col] })
				}
				for s, col := range matrix {
					v := combine(col, func(q int) float32 { return sums[q] })
					if bounded {
						v = max(low, v+bias[c])
					}
					dst[to+r*t.To.Row+s*t.To.Col] = v
				}
			}
		}
	}
}

// combine is the sum of x(k) times factors, that with a factor of 1 first.
func combine(factors []float32, x func(k int) float32) float32 {
	first := max(slices.Index(factors, 1), 0)
	sum := float32(0)
	if factors[first] != 0 {
		sum = factors[first] * x(first)
	}
	for k, f := range factors {
		if k != first && f != 0 {
			sum += f * x(k)
		}
	}
	return sum
}
