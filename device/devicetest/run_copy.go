package devicetest

import (
	"math"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// shapes are those that every elementwise kernel is tried with.
var shapes = [][]int{{}, {0}, {1}, {7}, {3, 5}, {2, 0, 3}, {2, 3, 4}, {1, 4, 1}, {2, 1, 3, 2}, {33, 9}}

func testTransfers(r *rig) {
	m := r.alloc(64)
	assert.Equal(r.t, 64, m.Bytes())
	for _, typ := range allTypes {
		v := device.Make(m, typ, 1, 3)
		src := make([]byte, v.Bytes())
		for i := range src {
			src[i] = byte(i*37 + 1)
		}
		want := append([]byte(nil), src...)
		r.d.Upload(v, src)
		clear(src) // it was taken at the call
		got := make([]byte, len(want))
		require.NoError(r.t, r.d.Download(got, v))
		assert.Equal(r.t, want, got, typ)
	}
	none := r.alloc(0)
	r.d.Upload(device.Make(none, device.F32, 0, 0), nil)
	require.NoError(r.t, r.d.Download(nil, device.Make(none, device.F32, 0, 0)))
	require.NoError(r.t, r.d.Fetch(device.Make(none, device.F32, 0, 2, 0)).Wait(nil))
	require.NoError(r.t, r.d.Sync())

	crossed := device.Make(m, device.F32, 0, 2, 3).T()
	buf := make([]byte, 24)
	r.panics("Upload", func() { r.d.Upload(crossed, buf) }, []int{3, 2})
	r.panics("Download", func() { _ = r.d.Download(buf, crossed) }, []int{3, 2})
	r.panics("Fetch", func() { r.d.Fetch(crossed) }, []int{3, 2})
}

func testOutOfMemory(r *rig) {
	const petabyte = 1 << 50
	_, err := r.d.Alloc(petabyte)
	require.Error(r.t, err)
	assert.Contains(r.t, err.Error(), "1125899906842624", "the message says what was asked for")
	require.NoError(r.t, r.d.Sync(), "it is reported by Alloc alone")
	r.alloc(16)
}

func testFill(r *rig) {
	for _, typ := range allTypes {
		for l := range layouts {
			for _, s := range shapes {
				y := r.place(l, typ, s...)
				r.d.Fill(y, 3)
				for _, g := range r.get(y) {
					require.Equal(r.t, 3.0, g)
				}
				r.untouched(y, "Fill")
				r.free()
			}
		}
	}
	u, i := r.place(plain, device.U8, 1), r.place(plain, device.I32, 1)
	for _, c := range []struct{ v, u, i float64 }{{-1.9, 0, -1}, {1.9, 1, 1}, {300.5, 255, 300}, {1e10, 255, math.MaxInt32}, {math.Inf(-1), 0, math.MinInt32}, {math.NaN(), 0, 0}} {
		r.d.Fill(u, c.v)
		r.d.Fill(i, c.v)
		assert.Equal(r.t, []float64{c.u}, r.get(u), "%v as u8", c.v)
		assert.Equal(r.t, []float64{c.i}, r.get(i), "%v as i32", c.v)
	}
}

func testIota(r *rig) {
	for _, typ := range allTypes {
		for l := range layouts {
			for _, s := range shapes {
				for axis := range s {
					y := r.place(l, typ, s...)
					r.d.Iota(y, axis, 2, 3)
					inner := 1
					for _, d := range s[axis+1:] {
						inner *= d
					}
					want := make([]float64, y.Len())
					for e := range want {
						want[e] = 2 + 3*float64(e/inner%s[axis])
					}
					r.same(typ, want, r.get(y), 1, "Iota %s %s axis %d", l, y, axis)
					r.untouched(y, "Iota")
				}
				r.free()
			}
		}
	}
	y := r.place(plain, device.F64, 4)
	r.d.Iota(y, 0, 1, -0.25)
	assert.Equal(r.t, []float64{1, 0.75, 0.5, 0.25}, r.get(y))
}

// testCopy casts between all types and layouts.
func testCopy(r *rig) {
	for _, from := range allTypes {
		for _, to := range allTypes {
			for l := range layouts {
				for i, s := range shapes {
					x, xs := r.normal((l+layout(i))%layouts, from, s...)
					y := r.place(l, to, s...)
					r.d.Copy(y, x)
					want := make([]float64, len(xs))
					for e, v := range xs {
						if want[e] = v; to.IsInt() {
							want[e] = math.Trunc(v)
						}
						if to == device.U8 {
							want[e] = max(want[e], 0)
						}
					}
					r.same(to, want, r.get(y), 1, "Copy %s %s from %s", l, y, x)
					r.untouched(y, "Copy")
				}
				r.free()
			}
		}
	}
	for _, c := range broadcasts {
		x, xs := r.normal(permuted, device.F32, c.from...)
		y := r.place(padded, device.F32, c.to...)
		r.d.Copy(y, x)
		assert.Equal(r.t, spread(xs, x, y), r.get(y), "%v to %v", c.from, c.to)
	}
}

var broadcasts = []struct{ from, to []int }{
	{nil, []int{3}}, {nil, []int{2, 3}}, {[]int{1}, []int{4}}, {[]int{3}, []int{2, 3}}, {[]int{2, 1}, []int{2, 3}},
	{[]int{1, 3}, []int{2, 3}}, {[]int{4, 1, 2}, []int{4, 3, 2}}, {[]int{3, 1}, []int{5, 3, 2}}, {[]int{1}, []int{0}}, {[]int{2, 1}, []int{2, 0}},
}

// spread is x's numbers broadcast to y's shape, by division.
func spread(xs []float64, x, y device.View) []float64 {
	out := make([]float64, y.Len())
	for e := range out {
		rest, at, step := e, 0, 1
		for i := 1; i <= int(y.Rank); i++ {
			k := rest % y.D(-i)
			rest /= y.D(-i)
			if i <= int(x.Rank) {
				if x.D(-i) > 1 {
					at += k * step
				}
				step *= x.D(-i)
			}
		}
		out[e] = xs[at]
	}
	return out
}

// testCopyRounding is about numbers that the destination cannot hold.
func testCopyRounding(r *rig) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		from, to device.DType
		x, want  float64
	}{
		{device.F64, device.F32, 1 + 0x1p-24, 1},
		{device.F64, device.F32, 1 + 0x1p-24 + 0x1p-40, 1 + 0x1p-23},
		{device.F64, device.F32, 1e39, inf},
		{device.F32, device.F16, 1 + 0x1p-11, 1}, // ties to even
		{device.F32, device.F16, 1 + 3*0x1p-11, 1 + 0x1p-9},
		{device.F32, device.F16, 65519, 65504},
		{device.F32, device.F16, 65520, inf},
		{device.F32, device.F16, -1e-8, 0},
		{device.F32, device.F16, 0x1p-24, 0x1p-24},                    // subnormal
		{device.F64, device.F16, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10},  // by way of f32 it would be 1
		{device.F64, device.BF16, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-7},   // likewise
		{device.F64, device.BF16, -1 - 0x1p-8 - 0x1p-40, -1 - 0x1p-7}, // likewise
		{device.F32, device.BF16, 1 + 0x1p-8, 1},
		{device.F32, device.BF16, 1 + 3*0x1p-8, 1 + 0x1p-6},
		{device.F32, device.BF16, math.MaxFloat32, inf},
		{device.F32, device.I32, 3e9, math.MaxInt32},
		{device.F32, device.I32, -3e9, math.MinInt32},
		{device.F32, device.I32, nan, 0},
		{device.F64, device.I32, 2147483646.5, 2147483646},
		{device.F64, device.U8, 255.9, 255},
		{device.F32, device.U8, inf, 255},
		{device.F32, device.U8, -0.5, 0},
		{device.F16, device.F32, inf, inf},
		{device.F16, device.F32, nan, nan},
		{device.BF16, device.F64, -inf, -inf},
		{device.F32, device.F16, nan, nan},
		{device.F32, device.BF16, nan, nan},
		{device.I32, device.F32, 16777217, 16777216},
		{device.I32, device.F64, 2147483647, 2147483647},
		{device.I32, device.U8, 256, 255},
		{device.I32, device.U8, -7, 0},
	} {
		x, y := r.put(r.place(plain, c.from, 1), []float64{c.x}), r.place(plain, c.to, 1)
		r.d.Copy(y, x)
		got := r.get(y)[0]
		assert.True(r.t, got == c.want || got != got && c.want != c.want, "%v of %s to %s gives %v, want %v", c.x, c.from, c.to, got, c.want)
	}
}

// testCopyWindow copies overlapping windows, as im2col does.
func testCopyWindow(r *rig) {
	x, xs := r.normal(plain, device.F32, 2, 5, 6, 3)
	w := x.Window(3, 2, 2, 1, 1, 2)
	y := r.place(plain, device.F32, w.Shape()...)
	r.d.Copy(y, w)
	var want []float64
	for n := range 2 {
		for oh := range 2 {
			for ow := range 4 {
				for kh := range 3 {
					for kw := range 2 {
						for c := range 3 {
							want = append(want, xs[((n*5+oh*2+kh)*6+ow+kw*2)*3+c])
						}
					}
				}
			}
		}
	}
	assert.Equal(r.t, want, r.get(y))
}
