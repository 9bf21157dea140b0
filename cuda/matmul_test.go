//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

var matMulSizes = [][3]int{{1, 1, 1}, {2, 3, 4}, {5, 1, 7}, {1, 9, 1}, {17, 33, 9}, {65, 67, 70}, {129, 30, 131}, {130, 40, 30}, {2, 0, 3}, {7, 600, 5}, {1, 520, 9}, {9, 520, 1}}

// every form of a kernel: operands and result as they lie or transposed, aligned or not, with gaps between rows.
func (r *matMulRig) forms(typ, out device.DType, sizes [][3]int) {
	for _, s := range sizes {
		m, k, n := s[0], s[1], s[2]
		for form := range 8 {
			for gap := range 4 { // 0: as it comes; 1: shifted by an element; 2: rows of 8 elements' multiple; 3: of 2's
				place := func(t device.DType, rows, cols int, turned bool) device.View {
					if turned {
						rows, cols = cols, rows
					}
					wide, off := cols, 0
					switch gap {
					case 1:
						off = 1
					case 2:
						wide = roundUp(cols+1, 8)
					case 3:
						wide = roundUp(cols, 8) + 2
					}
					v := r.view(t, off, rows, wide).Slice(1, 0, cols, 1)
					if turned {
						return v.T()
					}
					return v
				}
				alpha, beta := 1.0, 0.0
				if gap%2 == 1 {
					alpha, beta = -2, 0.5
				}
				r.check(place(out, m, n, form&4 != 0), place(typ, m, k, form&1 != 0), place(typ, k, n, form&2 != 0), alpha, beta)
			}
			r.free()
		}
	}
}

func TestMatMulParams(t *testing.T) {
	assert.EqualValues(t, 336, unsafe.Sizeof(matMulParams{})) // struct MatMulParams
}

func TestMatMulBlas(t *testing.T) {
	r := newMatMulRig(t)
	if r.d.blas.handle == nil {
		t.Skip("no cuBLAS")
	}
	r.forms(device.F32, device.F32, matMulSizes)
	r.forms(device.F64, device.F64, matMulSizes[:8])
	r.forms(device.F16, device.F16, matMulSizes[:8])
	r.forms(device.F16, device.F32, matMulSizes[:8])
	r.forms(device.BF16, device.BF16, matMulSizes[:8])
	r.forms(device.BF16, device.F32, matMulSizes[:5])
}

func TestMatMulPlain(t *testing.T) {
	r := newMatMulRig(t)
	defer r.without()()
	r.forms(device.F32, device.F32, matMulSizes)
	r.forms(device.F32, device.F16, matMulSizes[4:6])
	r.forms(device.F32, device.I32, matMulSizes[4:5])
}

func TestMatMulTensor(t *testing.T) {
	r := newMatMulRig(t)
	defer r.without()()
	r.forms(device.F16, device.F16, matMulSizes)
	r.forms(device.F16, device.F32, matMulSizes[:7])
	r.forms(device.F16, device.BF16, matMulSizes[3:5])
	r.forms(device.BF16, device.BF16, matMulSizes)
	r.forms(device.BF16, device.F32, matMulSizes[4:6])
}

func TestMatMulTF32(t *testing.T) {
	r := newMatMulRig(t)
	defer r.without()()
	require.True(t, r.d.TF32(true))
	r.forms(device.F32, device.F32, matMulSizes) // quarters up to 2 have a few bits: exact in TF32
	r.d.TF32(false)
}

// Each tile of each kernel, for products that are too small to have it, and with k split.
func TestMatMulTiles(t *testing.T) {
	r := newMatMulRig(t)
	defer r.without()()
	for _, path := range []productPath{byPlain, byTensor, byTensorTF32} {
		typ := device.F32
		if path == byTensor {
			typ = device.F16
		}
		r.d.TF32(path == byTensorTF32)
		for _, tile := range [][2]int{{64, 64}, {128, 128}, {128, 32}} {
			if tile[1] == 32 && path != byPlain {
				continue
			}
			for _, chunk := range []int{0, 32} {
				r.as = func(p *product) {
					require.Equal(t, path, p.path)
					p.tileM, p.tileN = tile[0], tile[1]
					if p.chunk = p.k; chunk > 0 {
						p.chunk = chunk
					}
					p.splits = (p.k + p.chunk - 1) / p.chunk
				}
				r.forms(typ, typ, [][3]int{{130, 70, 132}, {17, 33, 9}})
				r.forms(typ, device.F32, [][3]int{{3, 65, 139}})
			}
		}
	}
	r.d.TF32(false)
}

// The switch rounds factors to 10 bits, and no more than that, whoever multiplies.
func TestMatMulTF32Rounds(t *testing.T) {
	r := newMatMulRig(t)
	run := func() float64 {
		a, b, y := r.view(device.F32, 0, 128, 64), r.view(device.F32, 0, 64, 128), r.view(device.F32, 0, 128, 128) // a vector's product cuBLAS does not round
		r.d.Fill(a, 1+0x1p-12)
		r.d.Fill(b, 1)
		r.d.MatMul(y, a, b, 1, 0)
		return values(y, r.read(y))[0]
	}
	for _, blas := range []bool{true, false} {
		if !blas {
			defer r.without()()
		}
		assert.Equal(t, 64+0x1p-6, run(), "off")
		require.True(t, r.d.TF32(true))
		assert.InDelta(t, 64, run(), 0x1p-7, "on") // 1 + 2^-12 becomes 1
		r.d.TF32(false)
		assert.Equal(t, 64+0x1p-6, run(), "off again")
	}
}

func TestMatMulAny(t *testing.T) {
	r := newMatMulRig(t)
	types := []device.DType{device.F32, device.F64, device.F16, device.BF16, device.U8, device.I32}
	for _, ty := range types {
		for _, ta := range types {
			for _, tb := range types {
				if ty.IsInt() && !(ta.IsInt() && tb.IsInt()) {
					continue
				}
				alpha := 2.0
				if ty.IsInt() {
					alpha = 0.25 // cut toward zero, and saturated
				}
				a, b, y := r.view(ta, 0, 6, 40), r.view(tb, 0, 40, 5), r.view(ty, 1, 6, 5)
				r.check(y, a, b, alpha, 1)
			}
			r.free()
		}
	}
	for _, typ := range []device.DType{device.F32, device.F64, device.I32, device.F16} {
		for _, s := range [][3]int{{70, 35, 66}, {3, 17, 5}, {1, 40, 1}} {
			m, k, n := s[0], s[1], s[2]
			cut := func(v device.View) device.View { return v.Slice(1, 0, v.D(1)/2, 2).Flip(0).Flip(1) }
			r.check(cut(r.view(typ, 0, m, 2*n)), cut(r.view(typ, 0, m, 2*k)), cut(r.view(typ, 0, k, 2*n)), 1, 0)
			r.check(cut(r.view(typ, 0, m, 2*n)), r.view(typ, 0, m, k), r.view(typ, 0, k, n), -1, 2)
			r.check(r.view(typ, 0, m, n), r.view(typ, 0, 1, k).Broadcast(m, k), r.view(typ, 0, k, 1).Broadcast(k, n), 1, 1)
			r.free()
		}
	}
	big := r.view(device.I32, 0, 1, 2) // exact where f32 and i32 are not
	r.d.Fill(big, 40000)
	y := r.view(device.I32, 0, 1, 1)
	r.d.MatMul(y, big, big.T(), 1, 0)
	assert.Equal(t, []float64{math.MaxInt32}, values(y, r.read(y)))
	r.d.MatMul(y, big, big.T(), 0.5, 0)
	assert.Equal(t, []float64{1.6e9}, values(y, r.read(y)))
}

func TestMatMulBatches(t *testing.T) {
	r := newMatMulRig(t)
	for _, typ := range []device.DType{device.F32, device.F16, device.F64} {
		for _, own := range []bool{false, true} {
			undo := func() {}
			if own {
				undo = r.without()
			}
			for _, s := range []struct{ y, a, b []int }{
				{[]int{3, 2, 5}, []int{3, 2, 4}, []int{3, 4, 5}}, {[]int{3, 2, 5}, []int{3, 2, 4}, []int{4, 5}}, {[]int{3, 2, 5}, []int{2, 4}, []int{3, 4, 5}},
				{[]int{2, 3, 2, 5}, []int{2, 1, 2, 4}, []int{3, 4, 5}}, {[]int{2, 3, 2, 5}, []int{2, 3, 2, 4}, []int{1, 1, 4, 5}}, {[]int{3, 2, 5}, []int{2, 4}, []int{4, 5}},
				{[]int{0, 2, 5}, []int{0, 2, 4}, []int{4, 5}}, {[]int{4, 1, 1}, []int{4, 1, 30}, []int{4, 30, 1}}, {[]int{2, 2, 2, 2, 2, 2, 3, 3}, []int{2, 2, 1, 2, 2, 1, 3, 9}, []int{2, 1, 2, 2, 9, 3}},
			} {
				r.check(r.view(typ, 0, s.y...), r.view(typ, 0, s.a...), r.view(typ, 0, s.b...), 1, 0)
				r.check(r.view(typ, 0, s.y...), r.view(typ, 0, s.a...), r.view(typ, 1, s.b...), -1, 2)
			}
			y := r.view(typ, 0, 4, 3, 2, 5).Permute(1, 0, 2, 3)
			r.check(y, r.view(typ, 0, 3, 4, 2, 6), r.view(typ, 0, 4, 3, 6, 5).Permute(1, 0, 2, 3), 1, 0)
			r.check(y, r.view(typ, 0, 3, 4, 2, 6).Flip(1), r.view(typ, 0, 6, 5), 1, 0)
			r.free()
			undo()
		}
	}
}

// Splits of k, several rows of tiles, bands: the sizes that the small ones do not reach.
func TestMatMulLarge(t *testing.T) {
	r := newMatMulRig(t)
	defer r.without()()
	for _, typ := range []device.DType{device.F32, device.F16} {
		for _, s := range [][3]int{{20, 2051, 70}, {200, 1030, 136}, {1200, 20, 200}} {
			a, b, y := r.view(typ, 0, s[0], s[1]), r.view(typ, 0, s[1], s[2]), r.view(device.F32, 0, s[0], s[2])
			r.check(y, a, b, 1, 0)
			r.check(y, a, b, 0.5, -1)
			r.free()
		}
	}
}

// Not-a-number in y is not read where beta is 0, and one in a stays in its row.
func TestMatMulNaN(t *testing.T) {
	r := newMatMulRig(t)
	for _, typ := range []device.DType{device.F32, device.F16, device.F64, device.BF16} {
		for _, own := range []bool{false, true} {
			undo := func() {}
			if own {
				undo = r.without()
			}
			for _, k := range []int{0, 5, 700} {
				a, b, y := r.view(typ, 0, 7, k), r.view(typ, 0, k, 5), r.view(typ, 0, 7, 5)
				r.d.Fill(y, math.NaN())
				if k > 0 {
					r.d.Fill(a.Slice(0, 3, 1, 1).Slice(1, k-1, 1, 1), math.Inf(1))
					r.d.Fill(b, 1)
				}
				r.d.MatMul(y, a, b, 1, 0)
				for e, v := range values(y, r.read(y)) {
					assert.Equal(t, k > 0 && e/5 == 3, math.IsInf(v, 1), "%s %d", typ, e)
					assert.False(t, math.IsNaN(v))
				}
			}
			undo()
			r.free()
		}
	}
}

// A captured product, launched twice, gives the bytes of the plain one.
func TestMatMulCaptured(t *testing.T) {
	r := newMatMulRig(t)
	for _, own := range []bool{false, true} {
		undo := func() {}
		if own {
			undo = r.without()
		}
		for _, typ := range []device.DType{device.F32, device.F16, device.I32} {
			a, b := r.view(typ, 0, 70, 600), r.view(typ, 0, 600, 50)
			y, z := r.view(typ, 0, 70, 50), r.view(typ, 0, 70, 50)
			r.d.MatMul(y, a, b, 0.5, 0)
			g, err := r.d.Capture(func() { r.d.MatMul(z, a, b, 0.5, 0) })
			require.NoError(t, err)
			g.Launch()
			g.Launch()
			want := r.read(y)[:y.Bytes()]
			require.Equal(t, want, r.read(z)[:z.Bytes()], fmt.Sprint(typ, own))
			g.Close()
		}
		undo()
	}
}

func TestMatMulPanicsWithShapes(t *testing.T) {
	r := newMatMulRig(t)
	v := func(dims ...int) device.View { return r.view(device.F32, 0, dims...) }
	assert.PanicsWithValue(t, "cuda.MatMul: f32[2 3] = f32[2 4] times f32[5 3]", func() { r.d.MatMul(v(2, 3), v(2, 4), v(5, 3), 1, 0) })
	assert.PanicsWithValue(t, "cuda.MatMul: f32[2 2 3] = f32[3 2 4] times f32[4 3]: batches", func() { r.d.MatMul(v(2, 2, 3), v(3, 2, 4), v(4, 3), 1, 0) })
}

// A dry run of a product that needs scratch takes it, so that the product can be captured first of all.
func TestMatMulReserves(t *testing.T) {
	r := newMatMulRig(t)
	defer r.without()()
	phantom := func(dims ...int) device.View { return device.Make(nil, device.F32, 0, dims...) }
	undo := r.d.Hook(func(device.Call) error { return device.ErrSkip })
	r.d.MatMul(phantom(1000, 1000), phantom(1000, 1<<20), phantom(1<<20, 1000), 1, 0)
	undo()
	p := planned(phantom(1000, 1000), phantom(1000, 1<<20), phantom(1<<20, 1000), r.d.abilities())
	require.Greater(t, p.scratch(), smallScratch)
	assert.Equal(t, p.scratch(), r.d.scratch.wanted)
	g, err := r.d.Capture(func() {})
	require.NoError(t, err)
	g.Close()
	assert.Equal(t, p.scratch(), r.d.scratch.bytes)
}
