package cuda

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

var everything = abilities{blas: true, tensor: true, tf32: false}

// planned is the product of views of memory that does not exist; a and b are repeated to y's batch.
func planned(y, a, b device.View, can abilities) product {
	wide := func(v device.View) device.View {
		lead := y.Shape()[:y.Rank-2]
		return v.Broadcast(append(append([]int{}, lead...), v.D(-2), v.D(-1))...)
	}
	return newProduct(y, wide(a), wide(b), false, can)
}

func matrixView(t device.DType, dims ...int) device.View { return device.Make(nil, t, 0, dims...) }

func TestProductPaths(t *testing.T) {
	f := func(typ device.DType, dims ...int) device.View { return matrixView(typ, dims...) }
	own := abilities{tensor: true}
	turing := abilities{blas: true}
	for i, c := range []struct {
		y, a, b device.View
		can     abilities
		want    productPath
	}{
		{f(device.F32, 8, 9), f(device.F32, 8, 7), f(device.F32, 7, 9), everything, byBlas},
		{f(device.F32, 8, 9), f(device.F32, 8, 7), f(device.F32, 7, 9), own, byPlain},
		{f(device.F32, 8, 9), f(device.F32, 8, 7), f(device.F32, 7, 9), abilities{tensor: true, tf32: true}, byTensorTF32},
		{f(device.F16, 8, 9), f(device.F16, 8, 7), f(device.F16, 9, 7).T(), own, byTensor},
		{f(device.BF16, 8, 9), f(device.BF16, 8, 7), f(device.BF16, 7, 9), abilities{}, byAny},
		{f(device.BF16, 8, 9), f(device.BF16, 8, 7), f(device.BF16, 7, 9), turing, byAny},
		{f(device.F16, 8, 9), f(device.F16, 8, 7), f(device.F16, 7, 9), turing, byBlas},
		{f(device.F32, 8, 9), f(device.F16, 8, 7), f(device.F16, 7, 9), everything, byBlas},
		{f(device.BF16, 8, 9), f(device.F16, 8, 7), f(device.F16, 7, 9), everything, byTensor},
		{f(device.F32, 8, 9), f(device.F16, 8, 7), f(device.F32, 7, 9), everything, byAny},
		{f(device.F64, 8, 9), f(device.F64, 8, 7), f(device.F64, 7, 9), everything, byBlas},
		{f(device.F64, 8, 9), f(device.F32, 8, 7), f(device.F32, 7, 9), everything, byAny},
		{f(device.I32, 8, 9), f(device.U8, 8, 7), f(device.U8, 7, 9), everything, byAny},
		{f(device.F32, 8, 9), f(device.F32, 8, 0), f(device.F32, 0, 9), everything, byAny},
		{f(device.F32, 8, 9), f(device.F32, 8, 14).Slice(1, 0, 7, 2), f(device.F32, 7, 9), everything, byAny},
		{f(device.F32, 8, 9), f(device.F32, 1, 7).Broadcast(8, 7), f(device.F32, 7, 9), everything, byPlain},
		{f(device.F32, 8, 9), f(device.F32, 8, 7).Flip(0), f(device.F32, 7, 9), everything, byPlain},
		{f(device.F32, 8, 9), f(device.F32, 8, 7).Flip(1), f(device.F32, 7, 9), everything, byAny},
		{f(device.F32, 9, 8).T(), f(device.F32, 8, 7), f(device.F32, 7, 9), everything, byBlas},
		{f(device.F32, 8, 18).Slice(1, 0, 9, 2), f(device.F32, 8, 7), f(device.F32, 7, 9), everything, byPlain},
		{f(device.F32, 5, 40, 8, 9).Slice(1, 0, 20, 2).Permute(1, 0, 2, 3), f(device.F32, 20, 5, 8, 7), f(device.F32, 20, 5, 7, 9), everything, byBlas},
		{f(device.F32, 20, 40, 8, 9).Slice(1, 0, 20, 2).Permute(1, 0, 2, 3), f(device.F32, 20, 20, 8, 7), f(device.F32, 20, 20, 7, 9), everything, byPlain},
	} {
		p := planned(c.y, c.a, c.b, c.can)
		assert.Equal(t, c.want, p.path, "%d: %s = %s times %s", i, c.y, c.a, c.b)
	}
}

// A batch that shares a factor, or lies in one stretch, becomes one matrix.
func TestProductFolds(t *testing.T) {
	f := func(dims ...int) device.View { return matrixView(device.F32, dims...) }
	for _, c := range []struct {
		y, a, b           device.View
		m, n, batch, axes int
	}{
		{f(6, 8, 9), f(6, 8, 7), f(7, 9), 48, 9, 1, 0},
		{f(3, 2, 8, 9), f(3, 2, 8, 7), f(7, 9), 48, 9, 1, 0},
		{f(8, 6, 9).Permute(1, 0, 2), f(8, 7), f(7, 6, 9).Permute(1, 0, 2), 8, 54, 1, 0},
		{f(6, 8, 9), f(8, 7), f(6, 7, 9), 8, 9, 6, 1},
		{f(3, 2, 8, 9), f(3, 2, 8, 7), f(3, 2, 7, 9), 8, 9, 6, 1},
		{f(3, 2, 8, 9), f(3, 2, 8, 7), f(2, 7, 9), 8, 9, 6, 2},
		{f(3, 2, 8, 9), f(3, 2, 8, 7), f(3, 1, 7, 9), 16, 9, 3, 1},
		{f(5, 1, 9), f(5, 1, 7), f(7, 9), 5, 9, 1, 0},
		{f(5, 9, 1), f(9, 7), f(5, 7, 1), 5, 9, 1, 0}, // swapped: the vectors are rows
	} {
		p := planned(c.y, c.a, c.b, everything)
		assert.Equal(t, []int{c.m, c.n, c.batch, c.axes}, []int{p.m, p.n, p.batches(), p.axes}, "%s = %s times %s", c.y, c.a, c.b)
		assert.Equal(t, byBlas, p.path)
	}
}

// What is chosen reads every element that the definition reads: a product on the host that goes by a plan's strides is
// the definition's.
func TestProductStrides(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	place := func(dims ...int) (device.View, []float64) {
		perm := rnd.Perm(len(dims))
		big := make([]int, len(dims))
		back := make([]int, len(dims))
		for i, p := range perm {
			big[i], back[p] = dims[p]+rnd.IntN(2), i
		}
		v := matrixView(device.F32, big...)
		x := make([]float64, v.Len())
		for i := range x {
			x[i] = float64(rnd.IntN(7) - 3)
		}
		v = v.Permute(back...)
		for i, d := range dims {
			v = v.Slice(i, 0, d, 1)
			if rnd.IntN(5) == 0 {
				v = v.Flip(i)
			}
		}
		return v, x
	}
	at := func(v device.View, idx ...int) int {
		o := v.Off
		for i, x := range idx {
			o += x * int(v.Str[i])
		}
		return o
	}
	for range 3000 {
		d := func() int { return 1 + rnd.IntN(4) }
		s, q, m, n, k := d(), d(), d(), d(), d()
		y, ys := place(s, q, m, n)
		as, bs := []int{s, q, m, k}, []int{s, q, k, n}
		for i := range 2 {
			if rnd.IntN(3) == 0 {
				as[i] = 1
			}
			if rnd.IntN(3) == 0 {
				bs[i] = 1
			}
		}
		a, ax := place(as...)
		b, bx := place(bs...)
		wa, wb := a.Broadcast(s, q, m, k), b.Broadcast(s, q, k, n)
		want := append([]float64{}, ys...)
		for i := range s * q * m * n {
			i0, i1, i2, i3 := i/(q*m*n), i/(m*n)%q, i/n%m, i%n
			sum := 0.0
			for l := range k {
				sum += ax[at(wa, i0, i1, i2, l)] * bx[at(wb, i0, i1, l, i3)]
			}
			want[at(y, i0, i1, i2, i3)] = sum
		}
		p := newProduct(y, wa, wb, false, everything)
		oa, ob := wa.Off, wb.Off
		if p.swapped {
			ax, bx, oa, ob = bx, ax, ob, oa
		}
		for z := range p.batches() {
			oy, oa, ob := y.Off, oa, ob
			for x, z := p.axes-1, z; x >= 0; x-- {
				r := z % p.dim[x]
				z /= p.dim[x]
				oy, oa, ob = oy+r*p.y.batch[x], oa+r*p.a.batch[x], ob+r*p.b.batch[x]
			}
			for i := range p.m {
				for j := range p.n {
					sum := 0.0
					for l := range p.k {
						sum += ax[oa+i*p.a.rs+l*p.a.cs] * bx[ob+l*p.b.rs+j*p.b.cs]
					}
					ys[oy+i*p.y.rs+j*p.y.cs] = sum
				}
			}
		}
		require.Equal(t, want, ys, "%s = %s times %s: %+v", y, a, b, p)
		if p.path == byBlas {
			require.LessOrEqual(t, p.blasCalls(), blasCalls)
			require.Equal(t, 1, p.y.cs)
			require.True(t, p.lda() >= 1 && p.ldb() >= 1 && p.y.rs >= p.n)
		}
	}
}

// The splits of k cover it, none is empty, and how many there are depends on the shape alone.
func TestProductSplits(t *testing.T) {
	for _, typ := range []device.DType{device.F32, device.F16} {
		for _, s := range [][3]int{{1, 1, 1}, {64, 64, 511}, {64, 64, 512}, {64, 64, 100000}, {10, 84, 4096}, {24, 27, 1 << 20}, {256, 2304, 18000}, {1024, 1024, 1024}, {4096, 4096, 64}, {100000, 32, 288}} {
			m, n, k := s[0], s[1], s[2]
			p := planned(matrixView(typ, m, n), matrixView(typ, m, k), matrixView(typ, k, n), abilities{tensor: true})
			what := fmt.Sprint(typ, s, p.tileM, p.tileN, p.splits, p.chunk)
			require.GreaterOrEqual(t, p.splits*p.chunk, k, what)
			require.Less(t, (p.splits-1)*p.chunk, k, what)
			if p.splits > 1 {
				require.Zero(t, p.chunk%32, what)
				require.Equal(t, 4*p.splits*m*n, p.scratch(), what)
				require.LessOrEqual(t, p.scratch(), 4*2*productBlocks*128*128, what)
			} else {
				require.Zero(t, p.scratch(), what)
			}
		}
	}
}

// What priming takes holds each operand of each call, at any alignment; our own kernels need no priming.
func TestPrimer(t *testing.T) {
	f := func(dims ...int) device.View { return matrixView(device.F32, dims...) }
	for _, c := range []struct {
		y, a, b  device.View
		elements int
	}{
		{f(8, 9), f(8, 7), f(7, 9), 72},
		{f(8, 9), f(8, 70), f(70, 9), 630},
		{f(8, 9), f(70, 8).T(), f(9, 70).T(), 630},
		{f(8, 9), f(8, 100).Slice(1, 0, 7, 1), f(7, 9), 707},
		{f(6, 8, 9), f(6, 8, 7), f(6, 7, 9), 432},
		{f(3, 2, 8, 9), f(3, 2, 8, 7), f(2, 7, 9), 2*144 + 72}, // one call for each of two, over three
		{f(blasBatch+2, 8, 9), f(blasBatch+2, 8, 7), f(blasBatch+2, 7, 9), blasBatch * 72},
	} {
		p := planned(c.y, c.a, c.b, everything)
		assert.Equal(t, 4*c.elements+device.Align, p.primer(), "%s = %s times %s", c.y, c.a, c.b)
		p = planned(c.y, c.a, c.b, abilities{tensor: true})
		assert.Zero(t, p.primer())
	}
}
