//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

var floatTypes = []device.DType{device.F32, device.F64, device.F16, device.BF16}

// normCase is the operands of the three kernels, and what they must give.
type normCase struct {
	x, dy, at, rstd, gamma, beta             device.View
	mean, variance, y, dx, dgamma, dbeta     device.View
	wMean, wVariance, wY, wDX, wGamma, wBeta []float64
}

// channels gives a view whose last axis lies in one that is gap longer, off elements into memory.
func (e *elements) channels(typ device.DType, off, gap int, f func(int) float64, dims ...int) device.View {
	wide := append([]int{}, dims...)
	last := len(dims) - 1
	wide[last] += gap
	return e.put(typ, off, f, wide...).Slice(last, 0, dims[last], 1)
}

// everywhere calls f on a GPU of 132 processors, on one of a single one, whose threads loop many times, and captured, each
// time from the bytes that outs have now: all give the same, and nothing around outs changes.
func (e *elements) everywhere(f func(), outs ...device.View) {
	e.t.Helper()
	all := e.gpu.gpu.processors
	var before, want [][]byte
	for _, y := range outs {
		before = append(before, e.bytes(y))
	}
	restore := func() {
		for i, y := range outs {
			e.d.Upload(device.Make(y.Mem, device.U8, 0, len(before[i])), before[i])
		}
	}
	f()
	for i, y := range outs {
		got := e.bytes(y)
		want = append(want, got)
		around := append([]byte{}, before[i]...)
		size := y.Type.Size()
		for n := range y.Len() {
			at := y.Off
			for a := int(y.Rank) - 1; a >= 0; a-- {
				at += n % int(y.Dim[a]) * int(y.Str[a])
				n /= int(y.Dim[a])
			}
			copy(around[at*size:(at+1)*size], got[at*size:])
		}
		require.Equal(e.t, around, got, "written outside of %s", y)
	}
	restore()
	e.gpu.gpu.processors = 1
	f()
	e.gpu.gpu.processors = all
	for i, y := range outs {
		require.Equal(e.t, want[i], e.bytes(y), "on one processor")
	}
	restore()
	g, err := e.d.Capture(f)
	require.NoError(e.t, err)
	g.Launch()
	for i, y := range outs {
		require.Equal(e.t, want[i], e.bytes(y), "captured")
	}
	g.Close()
}

func newNormCase(e *elements, typ, affine device.DType, off, gap int, act func(float64) float64, dims ...int) *normCase {
	c := dims[len(dims)-1]
	acc := sumType(typ)
	normal := func(int) float64 { return e.rnd.NormFloat64() }
	n := &normCase{x: e.channels(typ, off, gap, func(int) float64 { return 3 + e.rnd.NormFloat64() }, dims...), dy: e.channels(typ, off, gap, normal, dims...),
		at: e.put(acc, off, normal, c), rstd: e.put(acc, off, func(int) float64 { return 0.5 + e.rnd.Float64() }, c), gamma: e.put(affine, 0, normal, c), beta: e.put(affine, 0, normal, c),
		mean: e.blank(acc, 0, c), variance: e.blank(acc, 0, c), y: e.channels(typ, off, gap, normal, dims...), dx: e.channels(typ, off, gap, normal, dims...),
		dgamma: e.blank(acc, 0, c), dbeta: e.blank(acc, 0, c)}
	xs, gs, mu, rs, ga, be := e.get(n.x), e.get(n.dy), e.get(n.at), e.get(n.rstd), e.get(n.gamma), e.get(n.beta)
	m := float64(len(xs) / c)
	n.wMean, n.wVariance, n.wGamma, n.wBeta = make([]float64, c), make([]float64, c), make([]float64, c), make([]float64, c)
	n.wY, n.wDX = make([]float64, len(xs)), make([]float64, len(xs))
	for i, v := range xs {
		n.wMean[i%c] += v / m
	}
	for i, v := range xs {
		j := i % c
		n.wVariance[j] += (v - n.wMean[j]) * (v - n.wMean[j]) / m
		n.wY[i] = act((v-mu[j])*rs[j]*ga[j] + be[j])
		n.wGamma[j] += gs[i] * (v - mu[j]) * rs[j]
		n.wBeta[j] += gs[i]
	}
	for i, v := range xs {
		j := i % c
		n.wDX[i] = ga[j] * rs[j] * (gs[i] - n.wBeta[j]/m - (v-mu[j])*rs[j]*n.wGamma[j]/m)
	}
	return n
}

func TestBatchNorm(t *testing.T) {
	e := newElements(t)
	relu := func(x float64) float64 { return max(x, 0) }
	for _, typ := range floatTypes {
		for i, dims := range [][]int{{1, 1}, {5, 3}, {3, 4, 5, 7}, {2, 9, 8, 32}, {3000, 6}, {41, 5, 24}, {2, 1, 1, 2000}, {70, 264}, {20000, 8}, {9001, 1}} {
			for _, lie := range [][2]int{{0, 0}, {1, 3}, {0, 8}} {
				affine := []device.DType{typ, sumType(typ)}[i%2]
				n := newNormCase(e, typ, affine, lie[0], lie[1], relu, dims...)
				e.everywhere(func() {
					require.True(t, e.gpu.BatchNormStats(n.mean, n.variance, n.x))
					require.True(t, e.gpu.BatchNormApply(n.y, n.x, n.at, n.rstd, n.gamma, n.beta, device.Relu))
					require.True(t, e.gpu.BatchNormGrad(n.dx, n.dgamma, n.dbeta, n.dy, n.x, n.at, n.rstd, n.gamma))
				}, n.mean, n.variance, n.y, n.dx, n.dgamma, n.dbeta)
				what := fmt.Sprint(typ, dims, lie)
				acc := sumType(typ)
				root := math.Sqrt(float64(n.x.Len() / n.x.D(-1)))
				loops := 1.0
				if typ == device.F64 {
					loops = 1 + root // the loops' own roundings
				}
				e.near(acc, 4*loops, n.wMean, e.get(n.mean), what) // a thread's mean moves by roundings, which average out
				e.near(acc, 8*loops, n.wVariance, e.get(n.variance), what)
				e.near(typ, 16, n.wY, e.get(n.y), what)               // products of about 20 are added
				e.near(typ, 32*loops, n.wDX, e.get(n.dx), what)       // with two rows, terms of 40 cancel
				e.near(acc, 32*root, n.wGamma, e.get(n.dgamma), what) // a random walk of as many roundings as rows, of sums up to 100
				e.near(acc, 4*root, n.wBeta, e.get(n.dbeta), what)
			}
			e.free()
		}
	}
}

// Where the memory lies is no part of the order of sums.
func TestBatchNormIsTheSameAnywhere(t *testing.T) {
	e := newElements(t)
	xs := make([]float64, 700*24)
	for i := range xs {
		xs[i] = e.rnd.NormFloat64()
	}
	var first [][]float64
	for _, lie := range [][2]int{{0, 0}, {1, 0}, {0, 8}, {3, 5}} {
		at := func(i int) float64 { return xs[min(i/(24+lie[1])*24+i%(24+lie[1]), len(xs)-1)] }
		x, mean, variance := e.channels(device.F16, lie[0], lie[1], at, 700, 24), e.blank(device.F32, 0, 24), e.blank(device.F32, 0, 24)
		dgamma, dbeta, none := e.blank(device.F32, 0, 24), e.blank(device.F32, 0, 24), device.View{}
		require.True(t, e.gpu.BatchNormStats(mean, variance, x))
		require.True(t, e.gpu.BatchNormGrad(none, dgamma, dbeta, x, x, mean, variance, none))
		got := [][]float64{e.get(mean), e.get(variance), e.get(dgamma), e.get(dbeta)}
		if first == nil {
			first = got
		}
		require.Equal(t, first, got, "%v", lie)
	}
}

func TestBatchNormActs(t *testing.T) {
	e := newElements(t)
	for act, f := range map[device.UnOp]func(float64) float64{
		device.Identity: func(x float64) float64 { return x },
		device.Sigmoid:  func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
		device.Tanh:     math.Tanh,
		device.Gelu:     func(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) },
		device.Silu:     func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	} {
		for _, typ := range floatTypes {
			n := newNormCase(e, typ, typ, 0, 0, f, 37, 16)
			require.True(t, e.gpu.BatchNormApply(n.y, n.x, n.at, n.rstd, n.gamma, n.beta, act))
			e.near(typ, 16, n.wY, e.get(n.y), fmt.Sprint(act, typ)) // as without, and the function's own error
		}
	}
	n := newNormCase(e, device.F32, device.F32, 0, 0, math.Tanh, 3, 4)
	require.False(t, e.gpu.BatchNormApply(n.y, n.x, n.at, n.rstd, n.gamma, n.beta, device.Sqrt))
	nan := e.put(device.F32, 0, func(int) float64 { return math.NaN() }, 3, 4)
	require.True(t, e.gpu.BatchNormApply(n.y, nan, n.at, n.rstd, n.gamma, n.beta, device.Relu))
	require.True(t, math.IsNaN(e.get(n.y)[5]), "NaN stays")
}

// What ReLU lets through is found again from x: as close to UnaryGrad and BatchNormGrad as those are to themselves.
func TestBatchNormReluGrad(t *testing.T) {
	e := newElements(t)
	for _, typ := range floatTypes {
		acc := sumType(typ)
		for i, dims := range [][]int{{1, 1}, {5, 3}, {2, 9, 8, 32}, {41, 5, 24}, {70, 264}, {20000, 8}, {9001, 1}} {
			for _, lie := range [][2]int{{0, 0}, {1, 3}, {0, 8}} {
				n := newNormCase(e, typ, []device.DType{typ, acc}[i%2], lie[0], lie[1], math.Abs, dims...)
				c := dims[len(dims)-1]
				gamma, beta := n.gamma, n.beta
				switch i % 3 {
				case 0: // no channel, or all of one, pass
					gamma = e.put(acc, 0, func(i int) float64 { return []float64{0, -1, 2, math.Copysign(0, -1)}[i%4] }, c)
				case 1:
					gamma, beta = device.View{}, device.View{}
				}
				masked, dx, dgamma, dbeta := e.blank(typ, 0, dims...), e.blank(typ, 0, dims...), e.blank(acc, 0, c), e.blank(acc, 0, c)
				require.True(t, e.gpu.BatchNormApply(n.y, n.x, n.at, n.rstd, gamma, beta, device.Relu))
				e.d.UnaryGrad(device.Relu, masked, n.dy, device.View{}, n.y, 0, 0)
				require.True(t, e.gpu.BatchNormGrad(dx, dgamma, dbeta, masked, n.x, n.at, n.rstd, gamma))
				e.everywhere(func() {
					require.True(t, e.gpu.BatchNormReluGrad(n.dx, n.dgamma, n.dbeta, n.dy, n.x, n.at, n.rstd, gamma, beta))
				}, n.dx, n.dgamma, n.dbeta)
				what := fmt.Sprint(typ, dims, lie)
				root := math.Sqrt(float64(n.x.Len() / c))
				e.near(typ, 32*root, e.get(dx), e.get(n.dx), what)
				e.near(acc, 32*root, e.get(dgamma), e.get(n.dgamma), what)
				e.near(acc, 4*root, e.get(dbeta), e.get(n.dbeta), what)
				e.free()
			}
		}
	}
	// Where y is 0, NaN, or beta alone, of a channel without variance or scale.
	x := e.put(device.F32, 0, func(i int) float64 { return []float64{2, 2, 2, math.NaN()}[i%4] }, 1, 4)
	at, one := e.put(device.F32, 0, func(int) float64 { return 2 }, 4), e.put(device.F32, 0, func(int) float64 { return 1 }, 4)
	gamma, beta := e.put(device.F32, 0, func(i int) float64 { return []float64{1, 0, -1, 1}[i] }, 4), e.put(device.F32, 0, func(i int) float64 { return []float64{0, 3, 3, 3}[i] }, 4)
	dbeta, none := e.blank(device.F32, 0, 4), device.View{}
	require.True(t, e.gpu.BatchNormReluGrad(none, none, dbeta, one.Reshape(1, 4), x, at, one, gamma, beta))
	require.Equal(t, []float64{0, 1, 1, 0}, e.get(dbeta))
}

func TestBatchNormWithoutOptionalParts(t *testing.T) {
	e := newElements(t)
	one, zero, none := e.put(device.F32, 0, func(int) float64 { return 1 }, 8), e.put(device.F32, 0, func(int) float64 { return 0 }, 8), device.View{}
	x, dy := e.normal(device.F16, 0, 6, 8), e.normal(device.F16, 0, 6, 8)
	y, y2, dx, dx2, dbeta := e.blank(device.F16, 0, 6, 8), e.blank(device.F16, 0, 6, 8), e.blank(device.F16, 0, 6, 8), e.blank(device.F16, 0, 6, 8), e.blank(device.F32, 0, 8)
	require.True(t, e.gpu.BatchNormApply(y, x, zero, one, one, zero, device.Tanh))
	require.True(t, e.gpu.BatchNormApply(y2, x, zero, one, none, none, device.Tanh))
	require.True(t, e.gpu.BatchNormGrad(dx, none, none, dy, x, zero, one, none))
	require.True(t, e.gpu.BatchNormGrad(dx2, none, dbeta, dy, x, zero, one, one))
	require.Equal(t, e.get(y), e.get(y2))
	require.Equal(t, e.get(dx), e.get(dx2))
	require.NotEqual(t, e.get(dx), e.get(dy))
}

func TestBatchNormVariance(t *testing.T) {
	e := newElements(t)
	mean, variance := e.blank(device.F32, 0, 4), e.blank(device.F32, 0, 4)
	// With eps 1e-12 a rounding error in the variance of a constant would blow up the result.
	x := e.put(device.F32, 0, func(i int) float64 { return 0.1 + float64(i%4)*100 }, 7, 31, 31, 4)
	require.True(t, e.gpu.BatchNormStats(mean, variance, x))
	for _, v := range e.get(variance) {
		require.Less(t, v, 1e-24) // 1e-12 of float64's own rounding, squared
	}
	// A mean far from 0, and a first element far from all others.
	for name, f := range map[string]func(i int) float64{
		"far":     func(int) float64 { return 30000 + e.rnd.NormFloat64() },
		"outlier": func(i int) float64 { return map[bool]float64{true: -5000, false: e.rnd.NormFloat64()}[i < 4] },
	} {
		x := e.put(device.F32, 0, f, 40000, 4)
		xs := e.get(x)
		require.True(t, e.gpu.BatchNormStats(mean, variance, x))
		got := e.get(variance)
		for c := range 4 {
			var mu, sq float64
			for i := c; i < len(xs); i += 4 {
				mu += xs[i] / 40000
			}
			for i := c; i < len(xs); i += 4 {
				sq += (xs[i] - mu) * (xs[i] - mu) / 40000
			}
			require.InEpsilon(t, sq, got[c], 1e-4, name) // means of 30000 are known to 0.002, which counts squared
		}
	}
}

// One kernel does what Unary and Binary do, with their roundings.
func TestBatchNormTrack(t *testing.T) {
	e := newElements(t)
	for _, typ := range []device.DType{device.F32, device.F64} {
		for _, c := range []int{1, 64, 300} {
			for _, rows := range []int{1, 2, 4900} {
				const momentum, eps = 0.1, 1e-5
				values := func(i int) float64 { return []float64{0, math.Copysign(0, -1), math.Inf(1), math.NaN(), -1e-3}[i%5] }
				mean := e.put(typ, 1, func(i int) float64 { return map[bool]float64{true: values(i), false: e.rnd.NormFloat64()}[i > 290] }, c)
				variance := e.put(typ, 0, func(i int) float64 { return map[bool]float64{true: values(i), false: e.rnd.ExpFloat64()}[i > 290] }, c)
				starts := [2][]float64{e.get(e.normal(typ, 0, c)), e.get(e.normal(typ, 0, c))}
				start := func(k int) device.View { return e.put(typ, 0, func(i int) float64 { return starts[k][i] }, c) }
				nextMean, nextVar, rstd, wantMean, wantVar, want := start(0), start(1), e.blank(typ, 0, c), start(0), start(1), e.blank(typ, 0, c)
				s, old := e.blank(typ, 0, c), e.blank(typ, 0, c)
				blend := func(next, v device.View, factor float64) {
					e.d.Unary(device.Affine, s, v, momentum*factor, 0)
					e.d.Unary(device.Affine, old, next, 1-momentum, 0)
					e.d.Binary(device.Add, next, old, s)
				}
				blend(wantMean, mean, 1)
				blend(wantVar, variance, float64(rows)/float64(max(rows-1, 1)))
				e.d.Unary(device.Sqrt, want, variance, eps, 0)
				e.d.Unary(device.Recip, want, want, 0, 0)
				e.everywhere(func() {
					require.True(t, e.gpu.BatchNormTrack(rstd, nextMean, nextVar, mean, variance, rows, momentum, eps))
				}, rstd, nextMean, nextVar)
				what := fmt.Sprint(typ, c, rows)
				require.Equal(t, e.bytes(want), e.bytes(rstd), what)
				require.Equal(t, e.bytes(wantMean), e.bytes(nextMean), what)
				require.Equal(t, e.bytes(wantVar), e.bytes(nextVar), what)
				none, alone := device.View{}, e.blank(typ, 0, c)
				require.True(t, e.gpu.BatchNormTrack(alone, none, none, none, variance, rows, momentum, eps))
				require.Equal(t, e.bytes(want), e.bytes(alone), what)
				e.free()
			}
		}
	}
	none, c8 := device.View{}, e.blank(device.F32, 0, 8)
	require.False(t, e.gpu.BatchNormTrack(c8, c8, none, c8, c8, 3, 0.1, 0.1))
	require.False(t, e.gpu.BatchNormTrack(c8, c8, c8, none, c8, 3, 0.1, 0.1))
	require.False(t, e.gpu.BatchNormTrack(c8, none, none, c8, e.blank(device.F64, 0, 8), 3, 0.1, 0.1), "of two types")
	require.False(t, e.gpu.BatchNormTrack(c8, none, none, c8, e.blank(device.F32, 0, 7), 3, 0.1, 0.1))
	require.False(t, e.gpu.BatchNormTrack(none, none, none, c8, c8, 3, 0.1, 0.1))
}

func TestBatchNormDeclines(t *testing.T) {
	e := newElements(t)
	c8, c4, half := e.blank(device.F32, 0, 8), e.blank(device.F32, 0, 4), e.blank(device.F16, 0, 8)
	x := e.blank(device.F16, 0, 6, 8)
	require.False(t, e.gpu.BatchNormStats(c8, c8, x.T()), "channels are not adjacent")
	require.False(t, e.gpu.BatchNormStats(c4, c4, x))
	require.False(t, e.gpu.BatchNormStats(half, half, x), "statistics are f32")
	require.False(t, e.gpu.BatchNormStats(c8, c8, x.Flip(0)))
	require.False(t, e.gpu.BatchNormStats(c8, c8, e.blank(device.F16, 0, 0, 8)))
	require.False(t, e.gpu.BatchNormStats(c8, c8, e.blank(device.I32, 0, 6, 8)))
	require.False(t, e.gpu.BatchNormApply(e.blank(device.F32, 0, 6, 8), x, c8, c8, c8, c8, device.Relu))
	require.False(t, e.gpu.BatchNormGrad(x, c8, c8, e.blank(device.F16, 0, 5, 8), x, c8, c8, c8))
}
