package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestMatrixUnitOffsets is TestOffsets for what the kernels of AMX read.
func TestMatrixUnitOffsets(t *testing.T) {
	source, err := os.ReadFile("_gen/amx.go")
	require.NoError(t, err)
	var m tmul
	for names, fields := range map[string][]uintptr{
		"tmulA, tmulB, tmulC = %d, %d, %d":            {unsafe.Offsetof(m.a), unsafe.Offsetof(m.b), unsafe.Offsetof(m.c)},
		"tmulSegs, tmulNSegs = %d, %d":                {unsafe.Offsetof(m.segs), unsafe.Offsetof(m.nSegs)},
		"tmulARow, tmulBRow, tmulCRow = %d, %d, %d":   {unsafe.Offsetof(m.aRow), unsafe.Offsetof(m.bRow), unsafe.Offsetof(m.cRow)},
		"tmulAStep, tmulBStep = %d, %d":               {unsafe.Offsetof(m.aStep), unsafe.Offsetof(m.bStep)},
		"tmulALast, tmulChunk = %d, %d":               {unsafe.Offsetof(m.aLast), unsafe.Offsetof(m.chunk)},
		"tmulBlocks, tmulABlock = %d, %d":             {unsafe.Offsetof(m.blocks), unsafe.Offsetof(m.aBlock)},
		"tmulCBlock = %d":                             {unsafe.Offsetof(m.cBlock)},
		"tmulASecond, tmulCSecond = %d, %d":           {unsafe.Offsetof(m.aSecond), unsafe.Offsetof(m.cSecond)},
		"tmulAdd, tmulKind = %d, %d":                  {unsafe.Offsetof(m.add), unsafe.Offsetof(m.kind)},
		"tmulFirst, tmulRest, tmulSpace = %d, %d, %d": {unsafe.Offsetof(m.first), unsafe.Offsetof(m.rest), unsafe.Offsetof(m.space)},
		"tmulAPlane, tmulBPlane = %d, %d":             {unsafe.Offsetof(m.aPlane), unsafe.Offsetof(m.bPlane)},
	} {
		var offsets []any
		for _, f := range fields {
			offsets = append(offsets, f)
		}
		require.Contains(t, strings.Join(strings.Fields(string(source)), " "), fmt.Sprintf(names, offsets...))
	}
}

// The kernels sum the products of parts that their definition does, in its order.
func TestMatrixUnitPartProducts(t *testing.T) {
	source, err := os.ReadFile("_gen/amx.go")
	require.NoError(t, err)
	var list []string
	for _, p := range partProducts {
		list = append(list, fmt.Sprintf("{%d, %d}", p[0], p[1]))
	}
	require.Contains(t, string(source), "{"+strings.Join(list, ", ")+"}")
}

func needMatrixUnit(t testing.TB) {
	if !MatrixUnit() {
		t.Skip("this processor has no matrix unit for bf16, or ACUMEN_SIMD leaves it out")
	}
}

// checkMatrixUnit compares a tile with its definition, bit for bit: of normal numbers both round the same sums.
func checkMatrixUnit(t testing.TB, a Tile[float32]) {
	t.Helper()
	b := a
	b.C = append([]float32(nil), a.C...)
	require.Positive(t, a.chunkAMX(AVX512))
	a.Run(AVX512)
	b.amx(amxChunk(b.Segs))
	require.Equal(t, bitsOf(b.C), bitsOf(a.C), "%d x %d of %d, by columns %d, flags %d, segments %v", a.Rows, a.Cols, a.Width, a.ByCols, a.Flags, a.Segs)
}

func TestMatrixUnit(t *testing.T) {
	needMatrixUnit(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, width := range widths(AVX512) {
		for rows := 1; rows <= 70; rows++ {
			for byCols := range 2 {
				for _, ks := range [][]int{{4}, {16}, {13}, {32, 0, 16}, {8, 24}, {48, 48, 48}, {36}, {22}} {
					checkMatrixUnit(t, randomPairs(r, rows, 1+r.IntN(width), width, byCols, r.IntN(8)&^Scale, ks...))
				}
			}
		}
	}
}

func TestMatrixUnitStaysInside(t *testing.T) {
	needMatrixUnit(t)
	r := rand.New(rand.NewPCG(3, 4))
	for _, width := range widths(AVX512) {
		for rows := 1; rows <= 70; rows++ {
			for mode := range 4 {
				a := randomPairs(r, rows, 1+r.IntN(width), width, mode%2, Add, 12, 24)
				for _, x := range []*[]float32{&a.A, &a.B, &a.C, &a.Bias} {
					*x = against(t, *x, mode < 2)
				}
				checkMatrixUnit(t, a)
			}
		}
	}
}

// The definition against float64, and what neither may lose.
func TestMatrixUnitDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	a := randomPairs(r, 7, 5, 8, 0, Pairs, 40)
	a.Bias = nil
	a.amx(amxChunk(a.Segs))
	for i := range 7 {
		for j := range 5 {
			want := 0.0
			for k := range 40 {
				x, y := a.A[i*a.ARow+k], a.B[k*a.BK+j]
				want += float64(first(x))*float64(first(y)) + float64(second(x))*float64(second(y))
			}
			require.InDelta(t, want, a.C[i*a.CRow+j], 90*0x1p-24*30) // 90 roundings of sums under 30
		}
	}
	needMatrixUnit(t)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct{ a0, a1, b0, b1, want float32 }{
		{1, 2, 3, 4, 11}, {0x1p100, 1, 0x1p100, 1, inf}, {inf, 1, 0, 1, nan}, {nan, 0, 1, 0, nan}, {inf, 1, -1, 1, -inf}, {0x1p-100, 0, 0x1p-40, 0, 0},
	} {
		x := Tile[float32]{A: make([]float32, 4), B: make([]float32, 32), C: make([]float32, 1), Segs: []Seg{{K: 4}}, ARow: 4, AK: 1, BK: 8, CRow: 1, Rows: 1, Cols: 1, Width: 8, Flags: Pairs}
		x.A[2], x.B[16] = pair(c.a0, c.a1), pair(c.b0, c.b1)
		x.Run(AVX512)
		require.Equal(t, fmt.Sprint(c.want), fmt.Sprint(x.C[0]), "%v", c)
	}
}

// What the unit cannot do is done without it.
func TestMatrixUnitServes(t *testing.T) {
	for _, c := range []struct {
		ks   []int
		want int
	}{{nil, 0}, {[]int{0}, 0}, {[]int{1}, 0}, {[]int{17}, 0}, {[]int{16}, 16}, {[]int{32, 48}, 16}, {[]int{12, 0, 24}, 12}, {[]int{36}, 12}, {[]int{8, 12}, 4}, {[]int{6, 9}, 0}} {
		var segs []Seg
		for _, k := range c.ks {
			segs = append(segs, Seg{K: k})
		}
		require.Equal(t, c.want, amxChunk(segs), "%v", c.ks)
	}
	r := rand.New(rand.NewPCG(7, 8))
	a := randomPairs(r, 5, 9, 16, 0, 0, 16)
	require.Equal(t, MatrixUnit(), a.chunkAMX(AVX512) == 16)
	require.Zero(t, a.chunkAMX(AVX2))
	a.Flags |= Scale
	require.Zero(t, a.chunkAMX(AVX512), "a factor is not its business")
}

// randomSplit is a tile of numbers in parts, which lie behind each other, and its factors.
func randomSplit(r *rand.Rand, rows, cols, width, flags int, ks ...int) (t Tile[float32], a, b []float32) {
	t = randomTile(r, rows, cols, width, 0, flags&^Scale|Pairs|Split, ks...)
	parts := func(x *[]float32) (whole []float32, plane int) {
		whole, plane = make([]float32, 2*len(*x)), len(*x)+r.IntN(20)
		for i := range whole {
			whole[i] = float32(r.NormFloat64())
		}
		*x = make([]float32, 2*plane+len(*x))
		SplitRows(Generic, *x, whole, 1, len(whole), 0, 0, plane)
		return whole, plane
	}
	a, t.APlane = parts(&t.A)
	b, t.BPlane = parts(&t.B)
	if gap := r.IntN(3); gap > 0 {
		t.ABlock = 2*amxSide*t.ARow + gap
		t.A = append(t.A, t.A[:(rows-1)/(2*amxSide)*gap]...)
	}
	return t, a, b
}

func TestMatrixUnitSplit(t *testing.T) {
	needMatrixUnit(t)
	r := rand.New(rand.NewPCG(9, 10))
	for _, width := range widths(AVX512) {
		for rows := 1; rows <= 70; rows++ {
			for _, ks := range [][]int{{4}, {16}, {13}, {32, 0, 16}, {8, 24}, {36}} {
				a, _, _ := randomSplit(r, rows, 1+r.IntN(width), width, r.IntN(8), ks...)
				checkMatrixUnit(t, a)
			}
			a, _, _ := randomSplit(r, rows, 1+r.IntN(width), width, Add, 12, 24)
			for _, x := range []*[]float32{&a.A, &a.B, &a.C, &a.Bias} {
				*x = against(t, *x, rows%2 == 0)
			}
			checkMatrixUnit(t, a)
		}
	}
}

func FuzzMatrixUnit(f *testing.F) {
	f.Add(uint64(1), uint8(14), uint8(31), uint8(3), uint8(9), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, mode, k0, k1 uint8) {
		needMatrixUnit(t)
		r := rand.New(rand.NewPCG(seed, 0))
		width := AVX512.Width(1 + int(cols)%32)
		a := randomPairs(r, 1+int(rows)%100, 1+int(cols)%width, width, int(mode&1), int(mode>>1)%4, int(k0)/4*4, int(k1)/4*4)
		if k0/4+k1/4 > 0 {
			checkMatrixUnit(t, a)
			a, _, _ = randomSplit(r, a.Rows, a.Cols, width, int(mode>>1)%4, int(k0)/4*4, int(k1)/4*4)
			checkMatrixUnit(t, a)
		}
	})
}

func BenchmarkMatrixUnit(b *testing.B) {
	needMatrixUnit(b)
	for _, rows := range []int{16, 32, 256} {
		for _, k := range []int{32, 288} {
			for byCols := range 2 {
				b.Run(fmt.Sprintf("%dx%dx32/bycols%d", rows, k, byCols), func(b *testing.B) {
					t := randomPairs(rand.New(rand.NewPCG(1, 2)), rows, 32, 32, byCols, 0, k)
					t.Bias = nil
					b.ReportMetric(4*float64(k*rows*32)/fastest(b, func() { t.Run(AVX512) }).Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
