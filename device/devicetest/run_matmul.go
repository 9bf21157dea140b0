package devicetest

import (
	"math"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
)

// product3 multiplies a batch of matrices by the definition.
func product3(a, b []float64, batch, m, k, n int) []float64 {
	y := make([]float64, batch*m*n)
	for e := range y {
		p, i, j := e/(m*n), e/n%m, e%n
		for q := range k {
			y[e] += a[(p*m+i)*k+q] * b[(p*k+q)*n+j]
		}
	}
	return y
}

// worseSum is how much further than tolerance a sum of k products may be off.
func worseSum(typ device.DType, k int) float64 {
	if typ == device.F16 || typ == device.BF16 {
		return 1.01 // the f32 sum's error is small beside half an ulp
	}
	return 2 * math.Sqrt(float64(max(k, 1))) // as a random walk
}

func testMatMul(r *rig) {
	for _, typ := range []device.DType{device.F32, device.F64, device.I32} {
		for i, s := range [][3]int{{1, 1, 1}, {2, 3, 4}, {5, 1, 7}, {1, 9, 1}, {17, 33, 9}, {64, 64, 64}, {0, 3, 2}, {2, 3, 0}, {2, 0, 3}, {70, 131, 3}} {
			m, k, n := s[0], s[1], s[2]
			for l := range layouts {
				for _, scale := range [][2]float64{{1, 0}, {-2, 0}, {1, 1}, {0.5, -3}} {
					if typ == device.I32 && scale[0] == 0.5 {
						continue
					}
					a, as := r.normal(l, typ, m, k)
					b, bs := r.normal((l+layout(i))%layouts, typ, k, n)
					y, ys := r.normal((l+1)%layouts, typ, m, n)
					r.d.MatMul(y, a, b, scale[0], scale[1])
					want := product3(as, bs, 1, m, k, n)
					for e := range want {
						want[e] = scale[0]*want[e] + scale[1]*ys[e]
					}
					r.same(typ, want, r.get(y), worseSum(typ, k), "MatMul %s = %g %s times %s + %g y", y, scale[0], a, b, scale[1])
					r.untouched(y, "MatMul")
				}
				r.free()
			}
		}
	}
	a, as := r.normal(plain, device.F32, 5, 4)
	b, bs := r.normal(plain, device.F32, 3, 4)
	y := r.place(plain, device.F32, 3, 5)
	r.put(y, make([]float64, 15))
	r.d.Fill(y, math.NaN())
	r.d.MatMul(y.T(), a, b.T(), 1, 0) // beta 0: NaN in y is not read
	want := make([]float64, 15)
	for i := range 3 {
		for j := range 5 {
			for q := range 4 {
				want[i*5+j] += bs[i*4+q] * as[j*4+q]
			}
		}
	}
	r.same(device.F32, want, r.get(y), worseSum(device.F32, 4), "MatMul of transposed views")
}

// testMatMulBatch broadcasts the leading axes.
func testMatMulBatch(r *rig) {
	for i, s := range []struct{ y, a, b []int }{
		{[]int{3, 2, 5}, []int{3, 2, 4}, []int{3, 4, 5}}, {[]int{3, 2, 5}, []int{3, 2, 4}, []int{4, 5}}, {[]int{3, 2, 5}, []int{2, 4}, []int{3, 4, 5}},
		{[]int{3, 2, 5}, []int{1, 2, 4}, []int{3, 4, 5}}, {[]int{2, 3, 2, 5}, []int{2, 1, 2, 4}, []int{3, 4, 5}}, {[]int{2, 3, 2, 5}, []int{2, 3, 2, 4}, []int{1, 1, 4, 5}},
		{[]int{0, 2, 5}, []int{0, 2, 4}, []int{4, 5}}, {[]int{4, 1, 1}, []int{4, 1, 30}, []int{4, 30, 1}}, {[]int{3, 2, 5}, []int{2, 4}, []int{4, 5}},
	} {
		for _, typ := range []device.DType{device.F32, device.F64} {
			for l := range layouts {
				a, as := r.normal(l, typ, s.a...)
				b, bs := r.normal((l+layout(i))%layouts, typ, s.b...)
				y := r.place((l+2)%layouts, typ, s.y...)
				lead := y.Shape()[:len(s.y)-2]
				m, k, n := a.D(-2), a.D(-1), b.D(-1)
				wide := func(xs []float64, x device.View) []float64 {
					return spread(xs, x, device.Make(nil, typ, 0, append(append([]int{}, lead...), x.D(-2), x.D(-1))...))
				}
				r.d.MatMul(y, a, b, 1, 0)
				want := product3(wide(as, a), wide(bs, b), y.Len()/(m*n), m, k, n)
				r.same(typ, want, r.get(y), worseSum(typ, k), "MatMul %s from %s times %s", y, a, b)
				r.untouched(y, "MatMul")
				r.free()
			}
		}
	}
}

func testMatMulTypes(r *rig) {
	for _, ta := range allTypes {
		for _, tb := range allTypes {
			for _, ty := range floats {
				a, as := r.normal(padded, ta, 6, 40)
				b, bs := r.normal(plain, tb, 40, 5)
				y, ys := r.normal(plain, ty, 6, 5)
				r.d.MatMul(y, a, b, 0.5, 2)
				want := product3(as, bs, 1, 6, 40, 5)
				for e := range want {
					want[e] = want[e]/2 + 2*ys[e]
				}
				worse := worseSum(ty, 40)
				if ty == device.F64 && ta != device.F64 && tb != device.F64 {
					worse = worseSum(device.F64, 40)
				}
				// products of u8 and i32 are up to 130, and errors relative to partial sums, not to the result
				if ta.IsInt() || tb.IsInt() {
					worse *= 20
				}
				r.same(ty, want, r.get(y), worse, "MatMul %s from %s times %s", y, a, b)
			}
			r.free()
		}
	}
	// 4096 products of 1: in f16 sums the total would stop at 2048, in bf16 at 256
	for _, typ := range []device.DType{device.F16, device.BF16} {
		a, b, y := r.place(plain, typ, 1, 4096), r.place(plain, typ, 4096, 1), r.place(plain, typ, 1, 1)
		r.d.Fill(a, 1)
		r.d.Fill(b, 1)
		r.d.MatMul(y, a, b, 1, 0)
		assert.Equal(r.t, []float64{4096}, r.get(y), typ)
	}
}
