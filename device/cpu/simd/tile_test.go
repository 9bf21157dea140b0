package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// levels is the levels that this machine has vector kernels of.
func levels() []Level {
	var all []Level
	for l := AVX2; l <= detect(); l++ {
		all = append(all, l)
	}
	return all
}

// widths is the widths of a level's tiles.
func widths(l Level) (all []int) {
	for w := l.Width(1); w <= l.Panel(); w += l.Width(1) {
		all = append(all, w)
	}
	return all
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// most is more rows than two kernels take at once.
func most(l Level, width int) int { return 3*l.Rows(width) - 1 }

// randomTile is a tile with segments of the lengths ks, which lie in another order than they are summed in.
func randomTile(r *rand.Rand, rows, cols, width, byCols, flags int, ks ...int) Tile[float32] {
	t := Tile[float32]{Rows: rows, Cols: cols, Width: width, ByCols: byCols, Flags: flags, Alpha: 1.5, CRow: cols + r.IntN(3)}
	total := 0
	for _, k := range ks {
		total += k
	}
	t.ARow, t.AK = total+r.IntN(4), 1
	if byCols == 1 {
		t.ARow, t.AK = 1, rows+r.IntN(4)
	}
	t.BK = width + r.IntN(2)*r.IntN(9)
	at := 0
	for _, k := range ks {
		t.Segs = append(t.Segs, Seg{A: at * t.AK, B: at * t.BK, K: k})
		at += k
	}
	r.Shuffle(len(t.Segs), func(i, j int) { t.Segs[i], t.Segs[j] = t.Segs[j], t.Segs[i] })
	if total > 0 {
		t.A = random(r, (rows-1)*t.ARow+(total-1)*t.AK+1)
		t.B = random(r, (total-1)*t.BK+width)
	}
	t.C = random(r, (rows-1)*t.CRow+cols)
	if r.IntN(2) == 0 {
		t.Bias = random(r, cols)
	}
	return t
}

func TestTile(t *testing.T) {
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for _, width := range widths(l) {
				for rows := 1; rows <= most(l, width); rows++ {
					for byCols := range 2 {
						for _, ks := range [][]int{{}, {0}, {1}, {3}, {4}, {5, 0, 2}, {16, 7}, {33}} {
							cols, flags := 1+r.IntN(width), r.IntN(8)
							a := randomTile(r, rows, cols, width, byCols, flags, ks...)
							b := a
							b.C = append([]float32(nil), a.C...)
							a.Run(l)
							b.Run(Generic)
							// at most 33 products of order 1, summed with another rounding
							require.InDeltaSlice(t, b.C, a.C, 3e-5, "%d x %d of %d, by columns %d, flags %d, k %v", rows, cols, width, byCols, flags, ks)
						}
					}
				}
			}
		})
	}
}

// against is a copy of x next to a page without access.
func against(t testing.TB, x []float32, atEnd bool) []float32 {
	if x == nil {
		return nil
	}
	end, start := guarded(t, len(x))
	if atEnd {
		copy(end, x)
		return end
	}
	copy(start, x)
	return start
}

// TestTileStaysInside places every operand against a page without access, at its end and at its start.
func TestTileStaysInside(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, l := range levels() {
		for _, width := range widths(l) {
			for rows := 1; rows <= most(l, width); rows += 2 {
				for mode := range 4 {
					a := randomTile(r, rows, 1+r.IntN(width), width, mode%2, Add, 3, 6)
					b := a
					for _, x := range []*[]float32{&a.A, &a.B, &a.C, &a.Bias} {
						*x = against(t, *x, mode < 2)
					}
					b.C = append([]float32(nil), a.C...)
					a.Run(l)
					b.Run(Generic)
					require.InDeltaSlice(t, b.C, a.C, 3e-5) // 9 products
				}
			}
		}
	}
}

// FuzzTile compares the vector kernels with their definition.
func FuzzTile(f *testing.F) {
	f.Add(uint64(1), uint8(14), uint8(31), uint8(3), uint8(9), uint8(200))
	f.Add(uint64(2), uint8(0), uint8(0), uint8(0), uint8(0), uint8(1))
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, mode, k0, k1 uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, l := range levels() {
			width := l.Width(1 + int(cols)%l.Panel())
			a := randomTile(r, 1+int(rows)%most(l, width), 1+int(cols)%width, width, int(mode>>1&1), int(mode>>2)%8, int(k0), int(k1))
			b := a
			b.C = append([]float32(nil), a.C...)
			a.Run(l)
			b.Run(Generic)
			// sums of up to 510 products of order 1, each rounding 2^-24 of a sum of up to some 60
			require.InDeltaSlice(t, b.C, a.C, 1e-3)
		}
	})
}

// BenchmarkTile tells the speed of the fastest of many short runs: that of the kernel, whatever else the machine does. Rows are
// those of one kernel, and ten times as many.
func BenchmarkTile(b *testing.B) {
	for _, l := range levels() {
		for _, width := range widths(l) {
			for _, k := range []int{32, 64, 192} {
				for mode := range 4 {
					byCols, rows := mode%2, l.Rows(width)
					if mode >= 2 {
						rows *= 10
					}
					b.Run(fmt.Sprintf("%s/%dx%dx%d/bycols%d", l, rows, k, width, byCols), func(b *testing.B) {
						t := randomTile(rand.New(rand.NewPCG(1, 2)), rows, width, width, byCols, 0, k)
						b.ReportMetric(2*float64(k*rows*width)/fastest(b, func() { t.Run(l) }).Seconds()/1e9, "GFLOP/s")
					})
				}
			}
		}
	}
}
