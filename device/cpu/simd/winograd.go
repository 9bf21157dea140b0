package simd

import "math"

// A Transform turns a grid of pixels, each of some channels, into another grid: L grid L^T, with a small matrix L. These are
// the five of convolution by F(2x2, 3x3) and of its gradients: Lavin, Gray, Fast Algorithms for Convolutional Neural Networks,
// arXiv 1509.09308, equations 7 and 8, with the signs of a row of B^T and of A^T exchanged.
type Transform int

// With these names the convolution of a 4x4 grid with a 3x3 filter is Y = A^T ((G g G^T) * (B^T d B)) A, * element by element.
// It is linear in g and in d, so that gradients have the transposed matrices: dg = G^T ((A dY A^T) * (B^T d B)) G.
const (
	WinogradData       Transform = iota // B^T d B: 4x4 to 4x4
	WinogradResult                      // A^T m A: 4x4 to 2x2, no less than Tiles.Low
	WinogradGrad                        // A dY A^T: 2x2 to 4x4
	WinogradFilter                      // G g G^T: 3x3 to 4x4
	WinogradFilterGrad                  // G^T s G: 4x4 to 3x3
)

var winogradMatrix = [...][][]float32{
	WinogradData:       {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
	WinogradResult:     {{1, 1, 1, 0}, {0, 1, -1, 1}},
	WinogradGrad:       {{1, 0}, {1, 1}, {1, -1}, {0, 1}},
	WinogradFilter:     {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
	WinogradFilterGrad: {{1, .5, .5, 0}, {0, .5, -.5, 0}, {0, .5, .5, 1}},
}

// Steps says where the pixels of N grids lie: pixel (r, c) of grid i at element At + i Next + r Row + c Col.
type Steps struct{ At, Next, Row, Col int }

// Tiles is N grids of pixels of C channels, and where they go.
type Tiles struct {
	N, C     int
	To, From Steps
	Low      float32
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

// Winograd transforms grids of src to grids of dst. Results are the same bits at all levels.
func Winograd(l Level, w Transform, dst, src []float32, t *Tiles) {
	if t.N <= 0 || t.C <= 0 {
		return
	}
	matrix := winogradMatrix[w]
	t.To.check(t.N, len(matrix), t.C, len(dst))
	t.From.check(t.N, len(matrix[0]), t.C, len(src))
	low := float32(math.Inf(-1))
	if w == WinogradResult {
		low = t.Low
	}
	if winograd32(l, w, &dst[t.To.At], &src[t.From.At], t, len(matrix), int(math.Float32bits(low))) {
		return
	}
	for i := range t.N {
		for c := range t.C {
			to, from := t.To.At+i*t.To.Next+c, t.From.At+i*t.From.Next+c
			for r, row := range matrix {
				var sums [4]float32
				for q := range row {
					sums[q] = combine(row, func(p int) float32 { return src[from+p*t.From.Row+q*t.From.Col] })
				}
				for s, col := range matrix {
					v := combine(col, func(q int) float32 { return sums[q] })
					dst[to+r*t.To.Row+s*t.To.Col] = max(low, v)
				}
			}
		}
	}
}

// combine is the sum of x(k) times factors, that with a factor of 1 first, or else with 1/2.
func combine(factors []float32, x func(k int) float32) float32 {
	first := 0
	for k, f := range factors {
		if f > factors[first] {
			first = k
		}
	}
	sum := factors[first] * x(first)
	for k, f := range factors {
		if k != first && f != 0 {
			sum += f * x(k)
		}
	}
	return sum
}
