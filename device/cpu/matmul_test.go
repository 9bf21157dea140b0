package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// matMulLoops is the definition, in float64; all views have y's leading axes.
func matMulLoops(y, a, b device.View, alpha, beta float64) []float64 {
	lead := y.Shape()[:y.Rank-2]
	wide := func(v device.View) []float64 {
		return values(v.Broadcast(append(append([]int{}, lead...), v.D(-2), v.D(-1))...))
	}
	ys, as, bs := values(y), wide(a), wide(b)
	m, n, k := y.D(-2), y.D(-1), a.D(-1)
	for t := range len(ys) / max(m*n, 1) {
		for i := range m {
			for j := range n {
				var s float64
				for l := range k {
					s += as[(t*m+i)*k+l] * bs[(t*k+l)*n+j]
				}
				p := &ys[(t*m+i)*n+j]
				if beta == 0 {
					*p = alpha * s
				} else {
					*p = alpha*s + beta**p
				}
			}
		}
	}
	return ys
}

func TestMatMulShapes(t *testing.T) {
	sizes := [][3]int{{1, 1, 1}, {2, 3, 4}, {3, 2, 9}, {1, 17, 5}, {17, 1, 5}, {5, 7, 1}, {4, 4, 0}, {0, 3, 2}, {3, 0, 2}, {1, 700, 33}, {2, 530, 9},
		{33, 65, 129}, {64, 10, 84}, {10, 84, 64}, {129, 131, 520}, {3, 3, 1030},
		{20, 72, 2400}, {1030, 40, 30}, {520, 136, 490}, {40, 144, 460}, {101, 517, 131}, {40, 260, 512}, {20, 250, 1024}, {7, 244, 2310}, {2, 41, 70}}
	if testing.Short() {
		sizes = sizes[:12]
	}
	eachLevel(t, func(t *testing.T, types []device.DType) {
		for _, typ := range types {
			for _, s := range sizes {
				for form := range 16 { // a and b transposed or not, y transposed, alpha and beta
					m, n, k := s[0], s[1], s[2]
					var want []float64
					got := everywhere(t, func(r *rig) (func(), []device.View) {
						a, b, y := r.normal(typ, m, k), r.normal(typ, k, n), r.normal(typ, m, n)
						if form&1 != 0 {
							a = r.normal(typ, k, m).T()
						}
						if form&2 != 0 {
							b = r.normal(typ, n, k).T()
						}
						if form&4 != 0 {
							y = r.normal(typ, n, m).T()
						}
						alpha, beta := 1.0, 0.0
						if form&8 != 0 {
							alpha, beta = -0.5, 2
						}
						if want == nil {
							want = matMulLoops(y, a, b, alpha, beta)
						}
						return func() { r.d.MatMul(y, a, b, alpha, beta) }, []device.View{y}
					})
					near(t, want, got[0], tolerance(typ, k), fmt.Sprint(typ, s, " form ", form))
				}
			}
		}
	})
}

// matMulStrides is operands that do not lie side by side.
func matMulStrides(typ device.DType) map[string]func(r *rig) (y, a, b device.View) {
	return map[string]func(r *rig) (y, a, b device.View){
		"batch": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 3, 2, 5, 7), r.normal(typ, 3, 2, 5, 4), r.normal(typ, 3, 2, 4, 7)
		},
		"broadcast b": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 3, 2, 5, 7), r.normal(typ, 3, 2, 5, 4), r.normal(typ, 4, 7)
		},
		"broadcast a": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 6, 5, 7), r.normal(typ, 1, 5, 4), r.normal(typ, 6, 4, 7)
		},
		"broadcast rows": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 6, 5), r.normal(typ, 1, 4).Broadcast(6, 4), r.normal(typ, 4, 5)
		},
		"flipped": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 6, 5).Flip(0).Flip(1), r.normal(typ, 6, 4).Flip(1), r.normal(typ, 4, 5).Flip(0).Flip(1)
		},
		"flipped rows": func(r *rig) (y, a, b device.View) {
			return r.normal(typ, 37, 40).Flip(0), r.normal(typ, 37, 4), r.normal(typ, 4, 40)
		},
		"flipped, few rows": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 2, 9).Flip(1), r.normal(typ, 2, 4).Flip(1), r.normal(typ, 4, 9).Flip(0)
		},
		"cut out": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 9, 20).Slice(0, 1, 7, 1).Slice(1, 2, 6, 3), r.normal(typ, 20, 30).Slice(0, 3, 7, 2).Slice(1, 1, 11, 2), r.normal(typ, 30, 9).Slice(0, 2, 11, 2).Slice(1, 3, 6, 1)
		},
		"batch of vectors": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 3, 2, 45).Slice(2, 2, 41, 1), r.normal(typ, 3, 2, 90).Slice(2, 3, 70, 1), r.normal(typ, 3, 41, 75).Slice(2, 1, 70, 1).Permute(0, 2, 1)
		},
		"permuted batch": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 4, 3, 5).Permute(1, 0, 2), r.normal(typ, 4, 3, 6).Permute(1, 0, 2), r.normal(typ, 6, 5, 3).Permute(2, 0, 1)
		},
		"many small": func(r *rig) (y, a, b device.View) {
			return r.zeros(typ, 500, 3, 3), r.normal(typ, 500, 3, 3), r.normal(typ, 500, 3, 3)
		},
	}
}

// A product is cut into parts that cover it and, where tiles have few rows, are whole tiles but for the last.
func TestMatMulParts(t *testing.T) {
	for _, level := range []simd.Level{simd.Generic, simd.AVX2, simd.AVX512} {
		for _, m := range []int{1, 5, 12, 13, 20, 29, 100, 256, 512, 1000, 2048} {
			for _, n := range []int{1, 16, 100, 2048} {
				for _, k := range []int{1, 256, 5000} {
					dense := func(rows, cols int) operand[float32] {
						return operand[float32]{s: make([]float32, rows*cols), r: cols, c: 1}
					}
					p := &product[float32]{level: level, per: 1, batches: 1, m: m, n: n, k: k, y: dense(m, n), a: dense(m, k), b: dense(k, n)}
					tiles, each := p.cut()
					what := fmt.Sprintf("%v, %dx%dx%d in parts of %dx%d", level, m, k, n, p.mb, p.nb)
					require.Equal(t, ceil(m, p.mb)*ceil(n, p.nb), tiles, what)
					require.GreaterOrEqual(t, each, 1, what)
					high, parts := level.Rows(level.Panel()), ceil(m, p.mb)
					require.Zero(t, p.row(0, parts), what)
					require.Equal(t, m, p.row(parts, parts), what)
					for i := range parts {
						rows := p.row(i+1, parts) - p.row(i, parts)
						require.Positive(t, rows, what)
						require.LessOrEqual(t, rows, p.mb, what)
						if level != simd.AVX512 && i < parts-1 {
							require.Zero(t, rows%high, what)
						}
					}
				}
			}
		}
	}
}

func TestMatMulStrides(t *testing.T) {
	eachLevel(t, func(t *testing.T, types []device.DType) {
		for _, typ := range types {
			for name, cut := range matMulStrides(typ) {
				for _, beta := range []float64{0, 2} {
					var want []float64
					got := everywhere(t, func(r *rig) (func(), []device.View) {
						y, a, b := cut(r)
						if want == nil {
							want = matMulLoops(y, a, b, 1, beta)
						}
						return func() { r.d.MatMul(y, a, b, 1, beta) }, []device.View{y}
					})
					near(t, want, got[0], tolerance(typ, 16), fmt.Sprint(typ, " ", name, ", beta ", beta))
				}
			}
		}
	})
}

// Panels of b in several groups, and sums that grow beside y since its rows would crowd.
func TestMatMulInBlocks(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ []device.DType) {
		for _, s := range [][3]int{{500, 72, 2304}, {20, 512, 300}, {70, 512, 2500}} {
			if testing.Short() && s[0] > 20 {
				continue
			}
			for _, beta := range []float64{0, 2} {
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					a, b, y := r.normal(device.F32, s[0], s[2]), r.normal(device.F32, s[1], s[2]).T(), r.normal(device.F32, s[0], s[1])
					if want == nil {
						want = matMulLoops(y, a, b, 1, beta)
					}
					return func() { r.d.MatMul(y, a, b, 1, beta) }, []device.View{y}
				})
				near(t, want, got[0], tolerance(device.F32, s[2]), fmt.Sprint(s, ", beta ", beta))
			}
		}
	})
}

func TestMatMulTypes(t *testing.T) {
	types := []device.DType{device.F32, device.F64, device.F16, device.BF16, device.U8, device.I32}
	for _, ty := range types {
		for _, ta := range types {
			for _, tb := range types {
				if ty.IsInt() && !(ta.IsInt() && tb.IsInt()) {
					continue
				}
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					y, a, b := r.with(ty, func(i int) float64 { return float64(i % 3) }, 9, 7), r.normal(ta, 9, 5), r.normal(tb, 5, 7)
					beta := 1.0
					if want == nil {
						want = matMulLoops(y, a, b, 1, beta)
						if ty == device.U8 {
							for i := range want {
								want[i] = min(want[i], 255)
							}
						}
					}
					return func() { r.d.MatMul(y, a, b, 1, beta) }, []device.View{y}
				})
				near(t, want, got[0], tolerance(ty, 5), fmt.Sprint(ty, " = ", ta, " x ", tb))
			}
		}
	}
}

func TestMatMulInfinitiesStayInTheirRows(t *testing.T) {
	got := everywhere(t, func(r *rig) (func(), []device.View) {
		y, b := r.zeros(device.F32, 7, 5), r.normal(device.F32, 5, 5)
		a := r.with(device.F32, func(i int) float64 {
			if i == 8 {
				return math.NaN()
			}
			return 1
		}, 7, 5)
		return func() { r.d.MatMul(y, a, b, 1, 0) }, []device.View{y}
	})
	for i, v := range got[0] {
		require.Equal(t, i/5 == 1, math.IsNaN(v), i)
	}
}

func TestMatMulPanicsWithShapes(t *testing.T) {
	r := newRig(t, 1)
	d := r.d
	require.PanicsWithValue(t, "MatMul: f32[2 3] = f32[2 4] times f32[5 3]", func() {
		d.MatMul(r.zeros(device.F32, 2, 3), r.zeros(device.F32, 2, 4), r.zeros(device.F32, 5, 3), 1, 0)
	})
}

func BenchmarkMatMul(b *testing.B) {
	for _, s := range []struct {
		name    string
		m, n, k int
		ta, tb  bool
	}{
		{"128", 128, 128, 128, false, false}, {"256", 256, 256, 256, false, false}, {"512", 512, 512, 512, false, false}, {"1024", 1024, 1024, 1024, false, false},
		{"512xT", 512, 512, 512, false, true}, {"512Tx", 512, 512, 512, true, false},
		{"conv25088x6x25", 25088, 6, 25, false, true}, {"linear64x120x400", 64, 120, 400, false, true}, {"dx64x400x120", 64, 400, 120, false, false},
		{"dw120x400x64", 120, 400, 64, true, false}, {"vector1x1000x1000", 1, 1000, 1000, false, false}, {"vector1x1000x1000T", 1, 1000, 1000, false, true},
	} {
		for _, bf16 := range []bool{false, true} {
			name := s.name
			if bf16 {
				name += "/bf16"
			}
			b.Run(name, func(b *testing.B) {
				r := newRig(b, 0)
				d := r.d
				d.BF16Products(bf16)
				y, x, w := r.zeros(device.F32, s.m, s.n), r.zeros(device.F32, s.m, s.k), r.zeros(device.F32, s.k, s.n)
				if s.ta {
					x = r.zeros(device.F32, s.k, s.m).T()
				}
				if s.tb {
					w = r.zeros(device.F32, s.n, s.k).T()
				}
				benchmark(b, d, 2*float64(s.m)*float64(s.n)*float64(s.k), func() { d.MatMul(y, x, w, 1, 0) })
			})
		}
	}
}

// benchmark replays a captured call and reports its rate.
func benchmark(b *testing.B, d *Device, flops float64, call func()) {
	g, err := d.Capture(call)
	require.NoError(b, err)
	defer g.Close()
	g.Launch()
	require.NoError(b, d.Sync())
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		g.Launch()
	}
	require.NoError(b, d.Sync())
	b.ReportMetric(flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}
