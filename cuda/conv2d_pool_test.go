//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// rounded is v as typ holds it.
func rounded(typ device.DType, v float64) float64 {
	var b [8]byte
	encode(typ, b[:], v)
	return decode(typ, b[:])
}

// pooledConv is the operands of a case in whole numbers, so that no sum is rounded, and what must come of them.
type pooledConv struct {
	x, w, b, y, idx, mean, variance device.View
	wantY, wantIdx                  []float64
}

// newPooledConv has few values, so that there are equals, and where nans is set a NaN here and there. gap spreads pixels.
func newPooledConv(e *elements, c convCase, typ device.DType, act device.UnOp, pool, bias, nans bool, gap int) pooledConv {
	whole := func(n int) func(int) float64 {
		return func(int) float64 { return float64(e.rnd.IntN(2*n+1) - n) }
	}
	picture := func(i int) float64 {
		if nans && e.rnd.IntN(97) == 0 {
			return math.NaN()
		}
		return whole(2)(i)
	}
	oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
	ph, pw := oh, ow
	if pool {
		ph, pw = oh/2, ow/2
	}
	o := pooledConv{x: e.channels(typ, gap, gap, picture, c.n, c.h, c.w, c.c), w: e.put(typ, 0, whole(1), c.o, c.kh, c.kw, c.c/int(c.p.Groups)),
		y: e.channels(typ, gap, gap, whole(1), c.n, ph, pw, c.o), mean: e.blank(device.F32, 1, c.o), variance: e.blank(device.F32, 2, c.o)}
	if pool {
		o.idx = e.blank(device.I32, gap, c.n, ph, pw, c.o)
	}
	z := make([]float64, c.n*oh*ow*c.o)
	if bias {
		o.b = e.put(typ, 3, whole(3), c.o)
		for i, b := 0, e.get(o.b); i < len(z); i++ {
			z[i] = b[i%c.o]
		}
	}
	xs, ws := e.get(o.x), e.get(o.w)
	c.convLoops(func(y, x, w int) { z[y] += xs[x] * ws[w] })
	for i, v := range z {
		if act == device.Relu && v <= 0 {
			v = 0
		}
		z[i] = rounded(typ, v)
	}
	if !pool {
		o.wantY = z
		return o
	}
	o.wantY, o.wantIdx = make([]float64, o.y.Len()), make([]float64, o.y.Len())
	for i := range o.wantY {
		l, q, p, n := i%c.o, i/c.o%pw, i/c.o/pw%ph, i/c.o/pw/ph
		for tap := range 4 {
			r, s := 2*p+tap/2, 2*q+tap%2
			v := z[((n*oh+r)*ow+s)*c.o+l]
			if best := o.wantY[i]; tap == 0 || v > best || math.IsNaN(v) && !math.IsNaN(best) {
				o.wantY[i], o.wantIdx[i] = v, float64(r*2*pw+s)
			}
		}
	}
	return o
}

// same compares numbers, NaN being equal to NaN.
func same(t *testing.T, want, got []float64, what string) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, v := range want {
		if v != got[i] && !(math.IsNaN(v) && math.IsNaN(got[i])) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], v)
		}
	}
}

// nearStats compares statistics with those of the rows that were written, in float64: sums in parts of n numbers err by few
// roundings of the largest.
func (e *elements) nearStats(mean, variance device.View, rows []float64, what string) {
	e.t.Helper()
	c := mean.Len()
	m, v := e.get(mean), e.get(variance)
	n := float64(len(rows) / c)
	for j := range c {
		var s, q, most float64
		for i := j; i < len(rows); i += c {
			s += rows[i] / n
			most = max(most, math.Abs(rows[i]))
		}
		for i := j; i < len(rows); i += c {
			q += (rows[i] - s) * (rows[i] - s) / n
		}
		if math.IsNaN(s) {
			require.True(e.t, math.IsNaN(m[j]) && math.IsNaN(v[j]), what)
			continue
		}
		require.InDelta(e.t, s, m[j], 4*0x1p-24*most, "%s: mean of %d", what, j)
		// A mean that is off by d makes the variance larger by d squared, and each distance is rounded.
		require.InDelta(e.t, q, v[j], 16*0x1p-24*(q+math.Sqrt(q)*most)+math.Pow(4*0x1p-24*most, 2), "%s: variance of %d", what, j)
	}
}

// none is the view that stands for an operand that is not there.
var none device.View

func TestConv2DPool(t *testing.T) {
	e := newElements(t)
	for _, f := range convForms {
		e.gpu.TF32(f.tf32)
		for i, c := range append([]convCase{
			{1, 2, 2, 1, 1, 1, 1, conv2DOf(1, 0, 1, 1)},
			{3, 14, 14, 1, 6, 5, 5, conv2DOf(1, 2, 1, 1)},
			{2, 9, 11, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)}, // a row and a column are dropped
			{9, 4, 5, 16, 40, 3, 3, conv2DOf(1, 1, 1, 1)},
			{2, 11, 10, 24, 32, 3, 3, conv2DOf(2, 1, 1, 1)},
		}, convCases...) {
			for j, act := range []device.UnOp{device.Identity, device.Relu} {
				for _, pool := range []bool{true, false} {
					oh, ow := c.p.Out(c.h, c.w, c.kh, c.kw)
					if pool && (oh < 2 || ow < 2) {
						continue
					}
					o := newPooledConv(e, c, f.typ, act, pool, (i+j)%2 == 0, i%3 == 2, []int{0, 8, 3}[(i+j)%3])
					how := device.Pool2D{}
					if pool {
						how = two
					}
					what := fmt.Sprint(f, c, act, pool)
					served := c.p.Groups == 1 || c.c > int(c.p.Groups) || c.o > int(c.p.Groups)
					run := func(idx, mean, variance device.View) func() {
						return func() {
							require.Equal(t, served, e.gpu.Conv2DPool(o.y, idx, mean, variance, o.x, o.w, o.b, c.p, act, how), what)
						}
					}
					if !served {
						run(o.idx, o.mean, o.variance)()
						continue
					}
					e.everywhere(run(o.idx, o.mean, o.variance), present(o.y, o.idx, o.mean, o.variance)...)
					same(t, o.wantY, e.get(o.y), what)
					e.nearStats(o.mean, o.variance, o.wantY, what)
					if !pool {
						continue
					}
					same(t, o.wantIdx, e.get(o.idx), what+" places")
					for _, v := range present(o.y, o.idx) {
						e.d.Fill(v, 55)
					}
					run(none, none, none)()
					same(t, o.wantY, e.get(o.y), what+" alone")
					run(o.idx, none, none)()
					same(t, o.wantIdx, e.get(o.idx), what+" places without statistics")
				}
			}
			e.free()
		}
	}
}

// Every tile of every kernel, and sums in several parts.
func TestConv2DPoolTiles(t *testing.T) {
	e := newElements(t)
	for _, c := range []convCase{{2, 12, 15, 24, 136, 3, 2, device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 2, DilH: 1, DilW: 2, Groups: 1}}, {5, 7, 7, 64, 40, 3, 3, conv2DOf(1, 1, 1, 1)}, {3, 9, 11, 24, 64, 3, 3, conv2DOf(1, 1, 1, 1)}} {
		for _, f := range convForms {
			e.gpu.TF32(f.tf32)
			for _, pool := range []bool{true, false} {
				o := newPooledConv(e, c, f.typ, device.Relu, pool, true, false, 0)
				how := device.Pool2D{}
				if pool {
					how = two
				}
				p, ok := planConv2DPool(o.y, o.idx, o.mean, o.variance, o.x, o.w, o.b, c.p, device.Relu, how, e.gpu.abilities())
				require.True(t, ok && p.whole && p.moments)
				type tile struct {
					path   conv2DPath
					m, n   int
					whole  bool
					splits int
				}
				var tiles []tile
				path, kernels := convPlain, kConv2DPlain[convForward]
				if p.path != convPlain {
					path, kernels = convTensor, kConv2DTensor[f.typ][convForward]
				}
				for _, splits := range []int{1, 3} {
					for k := range kernels.whole {
						tiles = append(tiles, tile{path, k[0], k[1], true, splits})
					}
					for k := range kernels.single {
						tiles = append(tiles, tile{path, k[0], k[1], false, splits})
					}
				}
				if f.typ != device.F32 && e.gpu.abilities().groups {
					for k := range kConv2DGroups[f.typ][convForward].whole {
						tiles = append(tiles, tile{convGroups, k[0], k[1], true, 1}, tile{convGroups, k[0], k[1], true, 3})
					}
					q := p
					for _, channels := range []int{128, 64, 32} {
						q.path, q.splits, q.tileN = convGroups, 1, channels
						if q.patchable(o.x) && q.patchOf().shared(&q) <= sharedLimit(9, 0) {
							tiles = append(tiles, tile{convPatch, 128, channels, true, 1})
						}
					}
				}
				for _, k := range tiles {
					q := p
					q.path, q.tileM, q.tileN, q.whole, q.splits = k.path, k.m, k.n, k.whole, k.splits
					if k.path == convPatch {
						q.patch = q.patchOf()
					}
					for _, v := range present(o.y, o.idx, o.mean, o.variance) {
						e.d.Fill(v, 55)
					}
					e.gpu.convolve(q, conv2DOperands{y: o.y, x: o.x, w: o.w, b: o.b, idx: o.idx, mean: o.mean, variance: o.variance, act: device.Relu})
					what := fmt.Sprintf("%v %+v pool %v %+v", f, c, pool, k)
					same(t, o.wantY, e.get(o.y), what)
					e.nearStats(o.mean, o.variance, o.wantY, what)
					if pool {
						same(t, o.wantIdx, e.get(o.idx), what+" places")
					}
				}
				e.free()
			}
		}
	}
}

// Statistics of numbers far from 0 and close to each other, and of so many rows that the tiles are joined in two steps: as
// close as those of BatchNormStats, which reads what was written.
func TestConv2DPoolStats(t *testing.T) {
	e := newElements(t)
	for _, typ := range []device.DType{device.F32, device.F16} {
		for _, c := range []convCase{{73, 30, 30, 8, 8, 1, 1, conv2DOf(1, 0, 1, 1)}, {5, 9, 9, 16, 33, 3, 3, conv2DOf(1, 1, 1, 1)}} {
			for _, shift := range []float64{0, 1000} {
				for _, pool := range []bool{false, true} {
					ph, pw, how := c.h, c.w, device.Pool2D{}
					if pool {
						ph, pw, how = c.h/2, c.w/2, two
					}
					x, w := e.normal(typ, 0, c.n, c.h, c.w, c.c), e.normal(typ, 0, c.o, c.kh, c.kw, c.c)
					b := e.put(device.F32, 0, func(int) float64 { return shift }, c.o)
					y := e.blank(typ, 0, c.n, ph, pw, c.o)
					mean, variance, mean2, variance2 := e.blank(device.F32, 0, c.o), e.blank(device.F32, 0, c.o), e.blank(device.F32, 0, c.o), e.blank(device.F32, 0, c.o)
					e.everywhere(func() {
						require.True(t, e.gpu.Conv2DPool(y, none, mean, variance, x, w, b, c.p, device.Identity, how))
					}, y, mean, variance)
					require.True(t, e.gpu.BatchNormStats(mean2, variance2, y))
					what := fmt.Sprint(typ, c, shift, pool)
					e.nearStats(mean, variance, e.get(y), what)
					e.nearStats(mean2, variance2, e.get(y), what+" read")
					e.free()
				}
			}
		}
	}
}
