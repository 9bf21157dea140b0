package devicetest

import (
	"math"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
)

// function is a unary function as its definition says it, with the interval in which it is tried.
type function struct {
	f      func(x float64) float64
	a, b   float64
	lo, hi float64
}

var functions = map[device.UnOp]function{
	device.Identity:  {f: func(x float64) float64 { return x }, lo: -3, hi: 3},
	device.Affine:    {f: func(x float64) float64 { return 1.5*x - 0.25 }, a: 1.5, b: -0.25, lo: -3, hi: 3},
	device.Exp:       {f: math.Exp, lo: -4, hi: 2},
	device.Expm1:     {f: math.Expm1, lo: -2, hi: 2},
	device.Log:       {f: math.Log, lo: 0.1, hi: 9},
	device.Log1p:     {f: math.Log1p, lo: -0.5, hi: 5},
	device.Sqrt:      {f: func(x float64) float64 { return math.Sqrt(x + 0.5) }, a: 0.5, lo: 0.1, hi: 9},
	device.Recip:     {f: func(x float64) float64 { return 1 / (x + 0.5) }, a: 0.5, lo: 0.3, hi: 5},
	device.Abs:       {f: math.Abs, lo: -3, hi: 3},
	device.Sign:      {f: func(x float64) float64 { return math.Copysign(1, x) }, lo: -3, hi: 3},
	device.Sigmoid:   {f: func(x float64) float64 { return 0.5 + 0.5*math.Tanh(x/2) }, lo: -6, hi: 6},
	device.Tanh:      {f: func(x float64) float64 { return 1 - 2/(math.Exp(2*x)+1) }, lo: -4, hi: 4},
	device.Erf:       {f: math.Erf, lo: -3, hi: 3},
	device.Relu:      {f: func(x float64) float64 { return (x + math.Abs(x)) / 2 }, lo: -3, hi: 3},
	device.LeakyRelu: {f: func(x float64) float64 { return 0.55*x + 0.45*math.Abs(x) }, a: 0.1, lo: -3, hi: 3},
	device.Gelu:      {f: func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }, lo: -4, hi: 4},
	device.GeluTanh: {f: func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*math.Pow(x, 3))))
	}, lo: -4, hi: 4},
	device.Silu:  {f: func(x float64) float64 { return x * (0.5 + 0.5*math.Tanh(x/2)) }, lo: -6, hi: 6},
	device.Clamp: {f: func(x float64) float64 { return math.Max(-1, math.Min(x, 0.5)) }, a: -1, b: 0.5, lo: -3, hi: 3},
	device.Floor: {f: math.Floor, lo: -3, hi: 3},
	device.IsFinite: {f: func(x float64) float64 {
		return 1
	}, lo: -3, hi: 3},
}

// kinks are where functions have no derivative, or jump; numbers are drawn away from them.
func nearKink(x float64) bool {
	for _, k := range []float64{-3, -2, -1, 0, 0.5, 1, 2, 3} {
		if math.Abs(x-k) < 0.02 {
			return true
		}
	}
	return false
}

func (r *rig) between(typ device.DType, f function, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		for {
			x[i] = round(typ, f.lo+(f.hi-f.lo)*r.rnd.Float64())
			if !nearKink(x[i]) && x[i] > f.lo && x[i] < f.hi {
				break
			}
		}
	}
	return x
}

// mixes are the types of source and destination.
var mixes = [][2]device.DType{
	{device.F32, device.F32}, {device.F64, device.F64}, {device.F16, device.F16}, {device.BF16, device.BF16}, {device.F16, device.F32},
	{device.F32, device.F16}, {device.F32, device.BF16}, {device.F64, device.F32}, {device.F32, device.F64}, {device.BF16, device.F16},
}

func testUnary(r *rig) {
	for op := range device.UnOp(device.UnOps()) {
		f := functions[op]
		for k, mix := range mixes {
			for i, s := range shapes {
				x := r.place(layout(i+k)%layouts, mix[0], s...)
				xs := r.between(mix[0], f, x.Len())
				r.put(x, xs)
				y := r.place(layout(2*i+int(op))%layouts, mix[1], s...)
				r.d.Unary(op, y, x, f.a, f.b)
				for e := range xs {
					xs[e] = f.f(xs[e])
				}
				// exp and its kin are allowed twice the usual error
				r.same(mix[1], xs, r.get(y), 2, "Unary.%s %s from %s", op, y, x)
				r.untouched(y, "Unary")
			}
			r.free()
		}
		c := broadcasts[int(op)%len(broadcasts)]
		x, y := r.place(plain, device.F32, c.from...), r.place(plain, device.F32, c.to...)
		xs := r.between(device.F32, f, x.Len())
		r.put(x, xs)
		r.d.Unary(op, y, x, f.a, f.b)
		want := spread(xs, x, y)
		for e := range want {
			want[e] = f.f(want[e])
		}
		r.same(device.F32, want, r.get(y), 2, "Unary.%s %s from %s", op, y, x)
		r.free()
	}
}

func testUnarySpecial(r *rig) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		op          device.UnOp
		x, want     float64
		a, b        float64
		f64, narrow bool // f64 only; narrow: a small number that must keep its relative precision
	}{
		{op: device.Relu, x: nan, want: nan}, {op: device.Relu, x: inf, want: inf}, {op: device.Relu, x: -inf, want: 0},
		{op: device.Clamp, x: nan, want: nan, a: -1, b: 1}, {op: device.Clamp, x: inf, want: 1, a: -1, b: 1},
		{op: device.Abs, x: -inf, want: inf}, {op: device.Sign, x: 0, want: 0}, {op: device.Sign, x: -inf, want: -1},
		{op: device.Exp, x: -inf, want: 0}, {op: device.Exp, x: inf, want: inf}, {op: device.Exp, x: nan, want: nan}, {op: device.Exp, x: 0, want: 1},
		{op: device.Exp, x: 1000, want: inf}, {op: device.Exp, x: -1000, want: 0},
		{op: device.Log, x: 0, want: -inf}, {op: device.Log, x: -1, want: nan}, {op: device.Log, x: 1, want: 0},
		{op: device.Sigmoid, x: 1000, want: 1}, {op: device.Sigmoid, x: -1000, want: 0}, {op: device.Sigmoid, x: nan, want: nan},
		{op: device.Tanh, x: 1000, want: 1}, {op: device.Tanh, x: -inf, want: -1}, {op: device.Tanh, x: nan, want: nan},
		{op: device.Erf, x: inf, want: 1}, {op: device.Gelu, x: inf, want: inf}, {op: device.Gelu, x: -100, want: 0},
		{op: device.GeluTanh, x: 100, want: 100}, {op: device.GeluTanh, x: -100, want: 0}, {op: device.Silu, x: -1000, want: 0},
		{op: device.Silu, x: 1000, want: 1000}, {op: device.Silu, x: nan, want: nan},
		{op: device.IsFinite, x: inf, want: 0}, {op: device.IsFinite, x: nan, want: 0}, {op: device.IsFinite, x: -inf, want: 0}, {op: device.IsFinite, x: 0, want: 1},
		{op: device.Floor, x: -0.5, want: -1}, {op: device.Recip, x: 0, want: inf}, {op: device.Sqrt, x: -1, want: nan}, {op: device.Sqrt, x: 0, want: 0},
		{op: device.LeakyRelu, x: 0, want: 0, a: 0.1}, {op: device.LeakyRelu, x: nan, want: nan, a: 0.1},
		{op: device.Expm1, x: 1e-6, want: math.Expm1(round(device.F32, 1e-6)), narrow: true},
		{op: device.Log1p, x: 1e-6, want: math.Log1p(round(device.F32, 1e-6)), narrow: true},
		{op: device.Tanh, x: 1e-6, want: math.Tanh(round(device.F32, 1e-6)), narrow: true},
		{op: device.Erf, x: 1e-6, want: math.Erf(round(device.F32, 1e-6)), narrow: true},
		{op: device.Sigmoid, x: -30, want: math.Exp(-30) / (1 + math.Exp(-30)), narrow: true},
	} {
		for _, typ := range []device.DType{device.F32, device.F64} {
			xv := round(device.F32, c.x)
			x, y := r.put(r.place(plain, typ, 1), []float64{xv}), r.place(plain, typ, 1)
			r.d.Unary(c.op, y, x, c.a, c.b)
			got := r.get(y)[0]
			if c.narrow {
				assert.InEpsilon(r.t, c.want, got, 4*tolerance[typ], "%s(%v) in %s", c.op, c.x, typ)
				continue
			}
			assert.True(r.t, got == c.want || got != got && c.want != c.want, "%s(%v) in %s gives %v, want %v", c.op, c.x, typ, got, c.want)
		}
		r.free()
	}
}

// derivative is f' by the difference formula of fourth order.
func derivative(f func(float64) float64, x float64) float64 {
	const h = 1e-3
	return (8*(f(x+h)-f(x-h)) - f(x+2*h) + f(x-2*h)) / (12 * h)
}

func testUnaryGrad(r *rig) {
	// error of the difference formula: h^4/30 times a fifth derivative under 2000 (of log and reciprocal near their
	// lower ends), and 2^-53/h
	const exact = 1e-9
	for op := range device.UnOp(device.UnOps()) {
		f := functions[op]
		if op == device.Recip || op == device.Log || op == device.Sqrt {
			f.lo = 1
		}
		for k, typ := range floats {
			for i, s := range shapes {
				x := r.place(layout(i+k)%layouts, typ, s...)
				xs := r.between(typ, f, x.Len())
				ys, want := make([]float64, len(xs)), make([]float64, len(xs))
				dy, gs := r.normal(layout(i+k+1)%layouts, typ, s...)
				for e, v := range xs {
					ys[e] = round(typ, f.f(v))
					want[e] = gs[e] * derivative(f.f, v)
				}
				r.put(x, xs)
				y := r.put(r.place(layout(i+2*k)%layouts, typ, s...), ys)
				if needX, needY := op.GradReads(); true {
					if !needX {
						x = device.View{}
					}
					if !needY {
						y = device.View{}
					}
				}
				dx := r.place(layout(i+3*k+1)%layouts, typ, s...)
				r.d.UnaryGrad(op, dx, dy, x, y, f.a, f.b)
				// the factor is for y, which was rounded to the type before, and for the difference formula in f64
				worse := 8.0
				if typ == device.F64 {
					worse = exact / tolerance[typ] * 4
				}
				r.same(typ, want, r.get(dx), worse, "UnaryGrad.%s %s", op, dx)
				r.untouched(dx, "UnaryGrad")
			}
			r.free()
		}
	}
}

// testUnaryGradSpecial is about the places where the contract says what the derivative is.
func testUnaryGradSpecial(r *rig) {
	for _, c := range []struct {
		op         device.UnOp
		x, a, b, d float64
	}{
		{op: device.Relu}, {op: device.Abs}, {op: device.LeakyRelu, a: 0.25, d: 0.25}, {op: device.Clamp, x: -1, a: -1, b: 1, d: 1},
		{op: device.Clamp, x: 1, a: -1, b: 1, d: 1}, {op: device.Clamp, x: 1.5, a: -1, b: 1}, {op: device.Floor, x: 2}, {op: device.Sign}, {op: device.IsFinite},
		{op: device.Sigmoid, x: 1000}, {op: device.Silu, x: 1000, d: 1}, {op: device.Silu, x: -1000}, {op: device.Gelu, x: 100, d: 1},
		{op: device.Gelu, x: -100}, {op: device.GeluTanh, x: 100, d: 1}, {op: device.GeluTanh, x: -100},
	} {
		for _, typ := range []device.DType{device.F32, device.F64} {
			x, y := r.put(r.place(plain, typ, 1), []float64{c.x}), r.place(plain, typ, 1)
			dy, dx := r.put(r.place(plain, typ, 1), []float64{3}), r.place(plain, typ, 1)
			r.d.Unary(c.op, y, x, c.a, c.b)
			r.d.UnaryGrad(c.op, dx, dy, x, y, c.a, c.b)
			r.same(typ, []float64{3 * c.d}, r.get(dx), 1, "%s' at %v in %s", c.op, c.x, typ)
		}
	}
}

// operation is a binary function as its definition says it.
func operation(op device.BinOp, a, b float64) float64 {
	is := func(c bool) float64 { return map[bool]float64{true: 1}[c] }
	return map[device.BinOp]func() float64{
		device.Add: func() float64 { return a + b }, device.Sub: func() float64 { return a - b }, device.Mul: func() float64 { return a * b },
		device.Div: func() float64 { return a / b }, device.Pow: func() float64 { return math.Pow(a, b) },
		device.Max: func() float64 { return math.Max(a, b) }, device.Min: func() float64 { return math.Min(a, b) },
		device.Eq: func() float64 { return is(a == b) }, device.Lt: func() float64 { return is(a < b) },
	}[op]()
}

func testBinary(r *rig) {
	for op := range device.BinOp(device.BinOps()) {
		for k, mix := range mixes {
			for i, s := range shapes {
				r.binary(op, layout(i+k), mix[0], mix[0], mix[1], s, s, s)
			}
			for i, c := range broadcasts {
				r.binary(op, layout(i+k), mix[0], mix[1], mix[1], c.from, c.to, c.to)
				r.binary(op, layout(i+k+1), mix[1], mix[0], mix[0], c.to, c.from, c.to)
			}
			r.free()
		}
		r.binary(op, plain, device.I32, device.F32, device.F32, []int{9}, []int{9}, []int{9})
		r.binary(op, plain, device.U8, device.U8, device.F64, []int{9}, []int{9}, []int{9})
	}
}

func (r *rig) binary(op device.BinOp, l layout, ta, tb, ty device.DType, sa, sb, sy []int) {
	a, as := r.normal(l%layouts, ta, sa...)
	b, bs := r.normal((l+2)%layouts, tb, sb...)
	if op == device.Pow { // away from roots of negative numbers
		for i := range as {
			as[i] = round(ta, math.Abs(as[i])+0.5)
			if ta.IsInt() {
				as[i] = math.Ceil(as[i])
			}
		}
		for i := range bs {
			bs[i] = math.Mod(bs[i], 4)
		}
		r.put(a, as)
		r.put(b, bs)
	}
	if op == device.Div && tb.IsInt() {
		for i := range bs {
			bs[i]++
		}
		r.put(b, bs)
	}
	y := r.place((l+3)%layouts, ty, sy...)
	r.d.Binary(op, y, a, b)
	want, other := spread(as, a, y), spread(bs, b, y)
	for i := range want {
		want[i] = operation(op, want[i], other[i])
	}
	// pow is exp(b log a): its error grows with the exponent
	r.same(ty, want, r.get(y), 4, "Binary.%s %s from %s and %s", op, y, a, b)
	r.untouched(y, "Binary")
}

func testBinarySpecial(r *rig) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		op         device.BinOp
		a, b, want float64
	}{
		{device.Max, nan, 1, nan}, {device.Max, 1, nan, nan}, {device.Min, nan, 1, nan}, {device.Min, 1, nan, nan}, {device.Max, -inf, 2, 2},
		{device.Eq, nan, nan, 0}, {device.Lt, nan, 1, 0}, {device.Lt, 1, nan, 0}, {device.Eq, inf, inf, 1}, {device.Div, 1, 0, inf},
		{device.Div, 0, 0, nan}, {device.Pow, 0, 0, 1}, {device.Pow, -2, 3, -8}, {device.Pow, -2, 0.5, nan}, {device.Pow, 0, -1, inf}, {device.Pow, 2, -1, 0.5},
		{device.Sub, inf, inf, nan}, {device.Eq, 0, math.Copysign(0, -1), 1},
	} {
		for _, typ := range floats {
			a, b := r.put(r.place(plain, typ, 1), []float64{c.a}), r.put(r.place(plain, typ, 1), []float64{c.b})
			y := r.place(plain, typ, 1)
			r.d.Binary(c.op, y, a, b)
			got := r.get(y)[0]
			assert.True(r.t, got == c.want || got != got && c.want != c.want, "%s(%v, %v) in %s gives %v, want %v", c.op, c.a, c.b, typ, got, c.want)
		}
	}
}

func testBinaryInt(r *rig) {
	const most, least = math.MaxInt32, math.MinInt32
	for _, c := range []struct {
		op         device.BinOp
		a, b, want float64
	}{
		{device.Add, most, 1, most}, {device.Sub, least, 1, least}, {device.Mul, 65536, 65536, most}, {device.Mul, most, least, least}, {device.Div, 7, 2, 3},
		{device.Div, -7, 2, -3}, {device.Div, 7, 0, 0}, {device.Div, least, -1, most}, {device.Pow, 3, 4, 81}, {device.Pow, -3, 3, -27},
		{device.Pow, 5, 0, 1}, {device.Pow, 5, -1, 0}, {device.Pow, 2, 31, most}, {device.Pow, -2, 31, least}, {device.Pow, -1, 7, -1}, {device.Pow, -1, most - 1, 1}, {device.Max, most, least, most}, {device.Min, most, least, least},
		{device.Eq, most, most - 1, 0}, {device.Eq, most, most, 1}, {device.Lt, most - 1, most, 1}, {device.Lt, 3, 3, 0},
	} {
		a, b := r.put(r.place(plain, device.I32, 1), []float64{c.a}), r.put(r.place(plain, device.I32, 1), []float64{c.b})
		y := r.place(plain, device.I32, 1)
		r.d.Binary(c.op, y, a, b)
		assert.Equal(r.t, c.want, r.get(y)[0], "%s(%v, %v)", c.op, c.a, c.b)
	}
	a, as := r.normal(strided, device.I32, 5, 6)
	b, bs := r.normal(flipped, device.U8, 6)
	y := r.place(permuted, device.I32, 5, 6)
	r.d.Binary(device.Mul, y, a, b)
	for i, v := range r.get(y) {
		assert.Equal(r.t, as[i]*bs[i%6], v)
	}
}

func testWhere(r *rig) {
	for k, typ := range allTypes {
		for _, cond := range []device.DType{device.F32, device.U8, device.I32, typ} {
			for i, c := range append(broadcasts, struct{ from, to []int }{[]int{4, 3}, []int{4, 3}}) {
				l := layout(i + k)
				q := r.place(l%layouts, cond, c.from...)
				qs := make([]float64, q.Len())
				for e := range qs {
					qs[e] = float64(r.rnd.IntN(2))
				}
				r.put(q, qs)
				a, as := r.normal((l+1)%layouts, typ, c.to...)
				b, bs := r.normal((l+2)%layouts, typ, c.from...)
				y := r.place((l+3)%layouts, typ, c.to...)
				r.d.Where(y, q, a, b)
				want, other := spread(qs, q, y), spread(bs, b, y)
				for e := range want {
					if want[e] != 0 {
						want[e] = as[e]
					} else {
						want[e] = other[e]
					}
				}
				assert.Equal(r.t, want, r.get(y), "Where %s by %s", y, q)
				r.untouched(y, "Where")
			}
			r.free()
		}
	}
	q := r.put(r.place(plain, device.F32, 3), []float64{math.NaN(), math.Copysign(0, -1), 0.25})
	y := r.put(r.place(plain, device.F32, 3), []float64{5, 5, 5})
	a, b := r.put(r.place(plain, device.F32), []float64{1}), r.put(r.place(plain, device.F32), []float64{math.NaN()})
	r.d.Where(y, q, a, a)
	assert.Equal(r.t, []float64{1, 1, 1}, r.get(y))
	r.d.Fill(b, 2)
	r.d.Where(y, q, a, b)
	assert.Equal(r.t, []float64{1, 2, 1}, r.get(y), "NaN is not 0, and -0 is")
}

// testInPlace makes each source in turn the destination.
func testInPlace(r *rig) {
	for l := range layouts {
		a, as := r.normal(l, device.F32, 4, 5)
		b, bs := r.normal(l, device.F32, 4, 5)
		r.d.Binary(device.Add, a, a, b)
		for i := range as {
			as[i] = round(device.F32, as[i]+bs[i])
		}
		assert.Equal(r.t, as, r.get(a))
		r.d.Binary(device.Sub, b, a, b)
		for i := range bs {
			bs[i] = round(device.F32, as[i]-bs[i])
		}
		assert.Equal(r.t, bs, r.get(b))
		r.d.Unary(device.Affine, a, a, -2, 0)
		r.d.UnaryGrad(device.Affine, b, b, device.View{}, device.View{}, 3, 0)
		r.d.Where(a, a, a, b)
		r.d.Copy(b, b)
		for i := range as {
			as[i], bs[i] = -2*as[i], round(device.F32, 3*bs[i])
		}
		assert.Equal(r.t, as, r.get(a))
		assert.Equal(r.t, bs, r.get(b))
		r.untouched(a, "in place")
	}
}
