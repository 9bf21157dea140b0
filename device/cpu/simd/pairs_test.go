package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// pairLevels is the levels that this machine has vector kernels for pairs of.
func pairLevels() []Level {
	var all []Level
	for l := AVX2; l <= ForPairs(); l++ {
		all = append(all, l)
	}
	return all
}

// odd is numbers that rounding treats in ways of their own, some at any place.
func odd(r *rand.Rand, x []float32) {
	fillRandom(r, x)
	special := []uint32{0x7fc00000, 0xffc00001, 0x7f800001, 0x7f800000, 0xff800000, 0, 0x80000000, 1, 0x807fffff, 0x007fffff, 0x00800000, 0x3f808000, 0x3f818000, 0x3f807fff,
		0x3f808001, 0x7f7fffff, 0xff7f8000, 0x00ffffff}
	for i := range x {
		if r.IntN(3) == 0 {
			x[i] = math.Float32frombits(special[r.IntN(len(special))])
		}
	}
}

func TestPairIsTwoNumbers(t *testing.T) {
	for _, c := range []struct {
		x    uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf807fff, 0xbf80}, {0x7f7fffff, 0x7f80}, {0x007fffff, 0}, {0x80000001, 0x8000},
		{0x00800000, 0x0080}, {0x7f800000, 0x7f80}, {0x7f800001, 0x7fc0}, {0xffc12345, 0xffc1},
	} {
		p := pair(math.Float32frombits(c.x), 2)
		require.Equal(t, uint32(c.want)<<16, math.Float32bits(first(p)), "%#x", c.x)
		require.Equal(t, float32(2), second(p))
	}
}

func checkPairRows(t testing.TB, l Level, r *rand.Rand, n, size, dstGap, srcGap int) {
	half := (size + 1) / 2
	ds, ss := half+dstGap, size+srcGap
	src, src2 := guarded(t, rowsOf(n, size, ss))
	dst, dst2 := guarded(t, rowsOf(n, half, ds))
	odd(r, src)
	copy(src2, src)
	want := make([]float32, len(dst))
	PairRows(Generic, want, src, n, size, ds, ss)
	PairRows(l, dst, src, n, size, ds, ss)
	PairRows(l, dst2, src2, n, size, ds, ss)
	require.Equal(t, bitsOf(want), bitsOf(dst), "%s: %d rows of %d", l, n, size)
	require.Equal(t, bitsOf(want), bitsOf(dst2), "%s: %d rows of %d", l, n, size)
	if ds <= ss {
		PairRows(l, src, src, n, size, ds, ss)
		for i := range n {
			require.Equal(t, bitsOf(want[i*ds:][:half]), bitsOf(src[i*ds:][:half]), "%s: %d rows of %d, in place, row %d", l, n, size, i)
		}
	}
}

func checkZipRows(t testing.TB, l Level, r *rand.Rand, n, size, dstGap, srcGap int) {
	ds, ss := size+dstGap, size+srcGap
	a, a2 := guarded(t, rowsOf(n, size, ss))
	b, b2 := guarded(t, rowsOf(n, size, ss))
	dst, dst2 := guarded(t, rowsOf(n, size, ds))
	odd(r, a)
	odd(r, b)
	copy(a2, a)
	copy(b2, b)
	want := make([]float32, len(dst))
	for _, alone := range []bool{false, true} {
		if alone {
			b, b2 = nil, nil
		}
		ZipRows(Generic, want, a, b, n, size, ds, ss)
		ZipRows(l, dst, a, b, n, size, ds, ss)
		ZipRows(l, dst2, a2, b2, n, size, ds, ss)
		require.Equal(t, bitsOf(want), bitsOf(dst), "%s: %d rows of %d", l, n, size)
		require.Equal(t, bitsOf(want), bitsOf(dst2), "%s: %d rows of %d", l, n, size)
	}
	both := make([]float32, 2*n*size) // rows of a and b in turn, in place
	odd(r, both)
	if n > 0 && size > 0 {
		want = make([]float32, n*size)
		ZipRows(Generic, want, both, both[size:], n, size, size, 2*size)
		ZipRows(l, both, both, both[size:], n, size, size, 2*size)
		require.Equal(t, bitsOf(want), bitsOf(both[:n*size]), "%s: %d rows of %d, in place", l, n, size)
	}
}

// checkSplitRows compares both ways of splitting with what they are made of: rounding, and what it leaves.
func checkSplitRows(t testing.TB, l Level, r *rand.Rand, n, size, dstGap, srcGap int) {
	half := (size + 1) / 2
	ss := size + srcGap
	src, src2 := guarded(t, rowsOf(n, size, ss))
	odd(r, src)
	copy(src2, src)
	parts := func(pairs func(dst, src []float32), rows, dstSize, ds, plane int) []float32 {
		want, rest := make([]float32, 2*plane+rowsOf(rows, dstSize, ds)), append([]float32(nil), src...)
		for i := range Parts {
			pairs(want[i*plane:], rest)
			for k, x := range rest {
				rest[k] -= first(pair(x, 0))
			}
		}
		return want
	}
	ds := half + dstGap
	plane := rowsOf(n, half, ds) + dstGap
	dst, dst2 := guarded(t, 2*plane+rowsOf(n, half, ds))
	want := parts(func(dst, src []float32) { PairRows(Generic, dst, src, n, size, ds, ss) }, n, half, ds, plane)
	SplitRows(l, dst, src, n, size, ds, ss, plane)
	SplitRows(l, dst2, src2, n, size, ds, ss, plane)
	require.Equal(t, bitsOf(want), bitsOf(dst), "%s: %d rows of %d", l, n, size)
	require.Equal(t, bitsOf(want), bitsOf(dst2), "%s: %d rows of %d", l, n, size)

	ds = size + dstGap
	for _, alone := range []bool{false, true} {
		rows, b := n/2, func(x []float32) []float32 { return x[ss:] }
		if alone {
			rows, b = n, func([]float32) []float32 { return nil }
		}
		if rows == 0 {
			continue
		}
		from := ss
		if !alone {
			from *= 2
		}
		plane := rowsOf(rows, size, ds) + dstGap
		dst, dst2 := guarded(t, 2*plane+rowsOf(rows, size, ds))
		want := parts(func(dst, src []float32) { ZipRows(Generic, dst, src, b(src), rows, size, ds, from) }, rows, size, ds, plane)
		ZipSplitRows(l, dst, src, b(src), rows, size, ds, from, plane)
		ZipSplitRows(l, dst2, src2, b(src2), rows, size, ds, from, plane)
		require.Equal(t, bitsOf(want), bitsOf(dst), "%s: %d rows of %d", l, n, size)
		require.Equal(t, bitsOf(want), bitsOf(dst2), "%s: %d rows of %d", l, n, size)
	}
}

func TestSplitRows(t *testing.T) {
	for _, l := range append([]Level{Generic}, pairLevels()...) {
		r := rand.New(rand.NewPCG(1, 2))
		for size := range 100 {
			for n := range 5 {
				checkSplitRows(t, l, r, n, size, r.IntN(3), r.IntN(3))
			}
		}
	}
}

func TestPairRows(t *testing.T) {
	for _, l := range pairLevels() {
		r := rand.New(rand.NewPCG(1, 2))
		for size := range 100 {
			for n := range 4 {
				checkPairRows(t, l, r, n, size, r.IntN(3), r.IntN(3))
				checkZipRows(t, l, r, n, size, r.IntN(3), r.IntN(3))
			}
		}
	}
}

func FuzzPairRows(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint16(24), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, size uint16, dst, src uint8) {
		for _, l := range pairLevels() {
			r := rand.New(rand.NewPCG(seed, 2))
			checkPairRows(t, l, r, int(n)%20, int(size)%600, int(dst), int(src))
			checkZipRows(t, l, r, int(n)%20, int(size)%600, int(dst), int(src))
			checkSplitRows(t, l, r, int(n)%20, int(size)%600, int(dst), int(src))
		}
	})
}

// randomPairs is a tile of pairs.
func randomPairs(r *rand.Rand, rows, cols, width, byCols, flags int, ks ...int) Tile[float32] {
	t := randomTile(r, rows, cols, width, byCols, flags|Pairs, ks...)
	for _, x := range [][]float32{t.A, t.B} {
		for i := range x {
			x[i] = pair(float32(r.NormFloat64()), float32(r.NormFloat64()))
		}
	}
	return t
}

// Sums of vector kernels are those of the definition, bit for bit: of normal numbers, all round the same sums.
func TestTilePairs(t *testing.T) {
	defer DisableMatrixUnit()()
	for _, l := range pairLevels() {
		r := rand.New(rand.NewPCG(1, 2))
		for _, width := range widths(l) {
			for rows := 1; rows <= most(l, width); rows++ {
				for byCols := range 2 {
					for _, ks := range [][]int{{}, {0}, {1}, {3}, {4}, {5, 0, 2}, {16, 7}, {33}} {
						a := randomPairs(r, rows, 1+r.IntN(width), width, byCols, r.IntN(8), ks...)
						b := a
						b.C = append([]float32(nil), a.C...)
						a.Run(l)
						b.Run(Generic)
						require.Equal(t, bitsOf(b.C), bitsOf(a.C), "%s: %d x %d of %d, by columns %d, flags %d, k %v", l, rows, a.Cols, width, byCols, a.Flags, ks)
					}
				}
			}
		}
	}
}

func TestTilePairsStaysInside(t *testing.T) {
	defer DisableMatrixUnit()()
	r := rand.New(rand.NewPCG(3, 4))
	for _, l := range pairLevels() {
		for _, width := range widths(l) {
			for rows := 1; rows <= most(l, width); rows += 2 {
				for mode := range 4 {
					a := randomPairs(r, rows, 1+r.IntN(width), width, mode%2, Add, 3, 6)
					b := a
					for _, x := range []*[]float32{&a.A, &a.B, &a.C, &a.Bias} {
						*x = against(t, *x, mode < 2)
					}
					b.C = append([]float32(nil), a.C...)
					a.Run(l)
					b.Run(Generic)
					require.Equal(t, bitsOf(b.C), bitsOf(a.C))
				}
			}
		}
	}
}

// The definition itself: against float64, and where it overflows, meets NaN or what is next to nothing.
func TestTilePairsDefinition(t *testing.T) {
	defer DisableMatrixUnit()()
	r := rand.New(rand.NewPCG(5, 6))
	a := randomPairs(r, 7, 5, 8, 0, Pairs, 40)
	a.Bias = nil
	a.Run(Generic)
	for i := range 7 {
		for j := range 5 {
			want := 0.0
			for k := range 40 {
				x, y := a.A[i*a.ARow+k], a.B[k*a.BK+j]
				want += float64(first(x))*float64(first(y)) + float64(second(x))*float64(second(y))
			}
			require.InDelta(t, want, a.C[i*a.CRow+j], 80*0x1p-24*30) // 80 roundings of sums under 30
		}
	}
	inf := float32(math.Inf(1))
	for _, c := range []struct{ a0, a1, b0, b1, want float32 }{
		{1, 2, 3, 4, 11}, {0x1p100, 1, 0x1p100, 1, inf}, {inf, 1, 0, 1, float32(math.NaN())}, {float32(math.NaN()), 0, 1, 0, float32(math.NaN())}, {inf, 1, -1, 1, -inf},
		{0x1p-100, 0, 0x1p-40, 0, 0}, // the definition says 2^-140, the instruction 0
	} {
		for _, l := range append([]Level{Generic}, pairLevels()...) {
			width := l.Width(1)
			b := make([]float32, width)
			b[0] = pair(c.b0, c.b1)
			x := Tile[float32]{A: []float32{pair(c.a0, c.a1)}, B: b, C: make([]float32, 1), Segs: []Seg{{K: 1}}, ARow: 1, AK: 1, BK: width, CRow: 1, Rows: 1, Cols: 1, Width: width, Flags: Pairs}
			x.Run(l)
			if c.want != c.want {
				require.True(t, x.C[0] != x.C[0], "%s: %v", l, c)
			} else if math.IsInf(float64(c.want), 0) {
				require.Equal(t, c.want, x.C[0], "%s: %v", l, c)
			} else {
				require.InDelta(t, c.want, x.C[0], 0x1p-126, "%s: %v", l, c)
			}
		}
	}
}

func FuzzTilePairs(f *testing.F) {
	defer DisableMatrixUnit()()
	f.Add(uint64(1), uint8(14), uint8(31), uint8(3), uint8(9), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, mode, k0, k1 uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, l := range pairLevels() {
			width := l.Width(1 + int(cols)%l.Panel())
			a := randomPairs(r, 1+int(rows)%most(l, width), 1+int(cols)%width, width, int(mode>>1&1), int(mode>>2)%8, int(k0), int(k1))
			b := a
			b.C = append([]float32(nil), a.C...)
			a.Run(l)
			b.Run(Generic)
			require.Equal(t, bitsOf(b.C), bitsOf(a.C))
		}
	})
}

func TestWithoutDots(t *testing.T) {
	defer DisableMatrixUnit()()
	defer DisableDots()()
	require.LessOrEqual(t, ForPairs(), AVX2)
	r := rand.New(rand.NewPCG(1, 2))
	a := randomPairs(r, 5, 9, 32, 0, 0, 12)
	b := a
	b.C = append([]float32(nil), a.C...)
	a.Run(AVX512)
	b.Run(Generic)
	require.Equal(t, b.C, a.C, "there is no other kernel of this level")
}

func BenchmarkTilePairs(b *testing.B) {
	defer DisableMatrixUnit()()
	for _, l := range pairLevels() {
		rows, width := l.Rows(l.Panel()), l.Panel()
		for byCols := range 2 {
			b.Run(fmt.Sprintf("%s/%dx%d/bycols%d", l, rows, width, byCols), func(b *testing.B) {
				t := randomPairs(rand.New(rand.NewPCG(1, 2)), rows, width, width, byCols, 0, 192)
				b.ReportMetric(4*192*float64(rows*width)/fastest(b, func() { t.Run(l) }).Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func BenchmarkPairRows(b *testing.B) {
	for _, l := range append([]Level{Generic}, pairLevels()...) {
		for _, size := range []int{24, 64, 256} {
			n := 4096 / size
			dst, src := make([]float32, n*size), make([]float32, 2*n*size)
			b.Run(fmt.Sprintf("%s/pair%d", l, size), func(b *testing.B) {
				b.ReportMetric(4*float64(n*size)/fastest(b, func() { PairRows(l, dst, src, n, size, size, size) }).Seconds()/1e9, "GB/s")
			})
			b.Run(fmt.Sprintf("%s/zip%d", l, size), func(b *testing.B) {
				b.ReportMetric(8*float64(n*size)/fastest(b, func() { ZipRows(l, dst, src, src[n*size:], n, size, size, size) }).Seconds()/1e9, "GB/s")
			})
		}
	}
}
