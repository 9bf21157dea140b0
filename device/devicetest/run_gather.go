package devicetest

import (
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

var tables = []struct{ table, index []int }{
	{[]int{6}, []int{4}}, {[]int{6, 3}, []int{4}}, {[]int{6, 3}, nil}, {[]int{6, 3}, []int{2, 5}}, {[]int{5, 2, 3}, []int{7}}, {[]int{5, 2, 3}, []int{1, 2, 2}},
	{[]int{6, 3}, []int{0}}, {[]int{6, 0}, []int{2}}, {[]int{1}, []int{3}}, {[]int{40, 70}, []int{33}},
}

// indices is a view of random indices under n.
func (r *rig) indices(l layout, typ device.DType, n int, dims ...int) (device.View, []int) {
	v := r.place(l, typ, dims...)
	x, at := make([]float64, v.Len()), make([]int, v.Len())
	for i := range x {
		at[i] = r.rnd.IntN(n)
		x[i] = float64(at[i])
	}
	return r.put(v, x), at
}

func testGather(r *rig) {
	for k, typ := range allTypes {
		for i, s := range tables {
			l := layout(i + k)
			x, xs := r.normal(l%layouts, typ, s.table...)
			idx, at := r.indices((l+1)%layouts, []device.DType{device.I32, device.U8}[i%2], s.table[0], s.index...)
			to := typ
			if i%3 == 2 {
				to = device.F32 // bytes become numbers on the way
			}
			y := r.place((l+2)%layouts, to, append(append([]int{}, s.index...), s.table[1:]...)...)
			r.d.Gather(y, x, idx)
			row := x.Len() / s.table[0]
			var want []float64
			for _, j := range at {
				want = append(want, xs[j*row:(j+1)*row]...)
			}
			r.same(to, want, r.get(y), 1, "Gather %s from %s by %s", y, x, idx)
			r.untouched(y, "Gather")
		}
		r.free()
	}
}

func testScatterAdd(r *rig) {
	for k, typ := range allTypes {
		for i, s := range tables {
			l := layout(i + k)
			y, want := r.normal(l%layouts, typ, s.table...)
			for e := range want { // small whole numbers: sums are exact in any type and any order
				want[e] = float64(e % 5)
			}
			r.put(y, want)
			idx, at := r.indices((l+1)%layouts, []device.DType{device.I32, device.U8}[i%2], s.table[0], s.index...)
			x := r.place((l+2)%layouts, typ, append(append([]int{}, s.index...), s.table[1:]...)...)
			xs := make([]float64, x.Len())
			for e := range xs {
				xs[e] = float64(r.rnd.IntN(4))
			}
			r.put(x, xs)
			r.d.ScatterAdd(y, x, idx)
			row := len(want) / s.table[0]
			for e, j := range at {
				for c := range row {
					want[j*row+c] += xs[e*row+c]
				}
			}
			r.same(typ, want, r.get(y), 1, "ScatterAdd to %s of %s by %s", y, x, idx)
			r.untouched(y, "ScatterAdd")
		}
		r.free()
	}
	// the order is fixed, so that repeated sums have the same bits
	x, _ := r.normal(plain, device.F32, 3000, 4)
	idx, _ := r.indices(plain, device.I32, 7, 3000)
	y, z := r.place(plain, device.F32, 7, 4), r.place(plain, device.F32, 7, 4)
	for _, v := range []device.View{y, z} {
		r.d.Fill(v, 0)
		r.d.ScatterAdd(v, x, idx)
	}
	assert.Equal(r.t, r.get(y), r.get(z))
}

func testIndexOutside(r *rig) {
	x, _ := r.normal(plain, device.F32, 5, 3)
	y := r.place(plain, device.F32, 4, 3)
	r.d.Fill(y, 0)
	for _, bad := range []int{5, -1, 1 << 30, -1 << 31} {
		idx := r.put(r.place(plain, device.I32, 4), []float64{0, 4, float64(bad), 1})
		r.d.Gather(y, x, idx)
		err := r.d.Sync()
		require.Error(r.t, err, bad)
		assert.Contains(r.t, err.Error(), "Gather")
		assert.Contains(r.t, err.Error(), fmt.Sprint(bad), "the message names the index")
		require.NoError(r.t, r.d.Sync(), "it is cleared")
		r.d.ScatterAdd(x, y, idx)
		err = r.d.Sync()
		require.Error(r.t, err, bad)
		assert.Contains(r.t, err.Error(), "ScatterAdd")
		assert.Contains(r.t, err.Error(), fmt.Sprint(bad))
		require.NoError(r.t, r.d.Sync())
	}
}
