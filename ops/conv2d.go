package ops

import "github.com/acumen-ml/acumen/device"

// conv2Der and conv2DGrader also take a y, or dy, with fewer rows and columns than the convolution has: the first ones.
type conv2Der interface {
	Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool
}

type conv2DGrader interface {
	Conv2DGradInput(dx, dy, w device.View, p device.Conv2D) bool
	Conv2DGradWeight(dw, x, dy device.View, p device.Conv2D, beta float64) bool
}

// Conv2D is the cross-correlation that networks call convolution: x (N,H,W,C), w (O,KH,KW,C/Groups), b (O) or nil,
// y (N,OH,OW,O) with y[n,i,j,o] = b[o] + sum over r, s, c of w[o,r,s,c] x[n, i StrideH - PadH + r DilH, ..., c], where
// pixels outside x are 0 and c goes over the channels of o's group.
func Conv2D(t *Tape, x, w, b *Tensor, p device.Conv2D) *Tensor {
	return conv2D(t, "Conv2D", x, w, b, p, device.Identity)
}

// Conv2DAct is act(Conv2D), act an activation without parameters.
func Conv2DAct(t *Tape, x, w, b *Tensor, p device.Conv2D, act device.UnOp) *Tensor {
	return activated(t, "Conv2DAct", act, func(act device.UnOp) *Tensor { return conv2D(t, "Conv2DAct", x, w, b, p, act) }, x, w, b)
}

func conv2D(t *Tape, op string, x, w, b *Tensor, p device.Conv2D, act device.UnOp) *Tensor {
	s := newConvShape(op, x, w, b, p)
	y := t.temp(x.v.Type, s.n, s.oh, s.ow, s.o)
	if y.v.Len() == 0 {
		return t.record(y, []*Tensor{x, w, b}, func(device.View) {})
	}
	s.run(t, y.v, x, w, b, act)
	return s.record(t, y, x, w, b, act)
}

// run is y = act(conv(x, w) + b), fused or composed.
func (s *convShape) run(t *Tape, y device.View, x, w, b *Tensor, act device.UnOp) {
	if k, ok := device.As[conv2Der](t.Dev); !ok || !k.Conv2D(y, x.v, w.v, valueOf(b), s.p, act) {
		s.forward(t, y, x.v, w.v, valueOf(b), act)
	}
}

// record makes back the gradient of y = act(conv(x, w) + b).
func (s *convShape) record(t *Tape, y, x, w, b *Tensor, act device.UnOp) *Tensor {
	return t.record(y, []*Tensor{x, w, b}, func(device.View) {
		dy, scratch := t.actGrad(y, act)
		k, fused := device.As[conv2DGrader](t.Dev)
		if needs(b) {
			t.into(b, func(db device.View) { t.sumTo(db, dy) })
		}
		t.accumulate(w, func(dw device.View, beta float64) {
			if !fused || !k.Conv2DGradWeight(dw, x.v, dy, s.p, beta) {
				s.gradWeight(t, dw, x.v, dy, beta)
			}
		})
		t.into(x, func(dx device.View) {
			if !fused || !k.Conv2DGradInput(dx, dy, w.v, s.p) {
				s.gradInput(t, dx, dy, w.v)
			}
		})
		t.putIf(scratch, dy)
	}, when(w.need, x), when(x.need, w), when(act != device.Identity, y))
}

// convShape is the geometry of one convolution. The composed forms below see it as matrix products over groups: columns
// (G, positions, KH KW C/G) times weights (G, KH KW C/G, O/G).
type convShape struct {
	n, h, w, c, o  int
	kh, kw, oh, ow int
	g, cg, og, k   int
	p              device.Conv2D
}

func newConvShape(op string, x, w, b *Tensor, p device.Conv2D) convShape {
	bad := func(why string) {
		fail(op, "x %v, w %v, b %v, %+v: %s", x.Shape(), w.Shape(), shapeOf(b), p, why)
	}
	if x.Rank() != 4 || w.Rank() != 4 || b != nil && (b.Rank() != 1 || b.Dim(0) != w.Dim(0)) {
		bad("want x (N,H,W,C), w (O,KH,KW,C/Groups), b (O)")
	}
	if p.StrideH < 1 || p.StrideW < 1 || p.DilH < 1 || p.DilW < 1 || p.PadH < 0 || p.PadW < 0 || p.Groups < 1 {
		bad("strides, dilations and groups start at 1, padding at 0")
	}
	s := convShape{n: x.Dim(0), h: x.Dim(1), w: x.Dim(2), c: x.Dim(3), o: w.Dim(0), kh: w.Dim(1), kw: w.Dim(2), g: int(p.Groups), cg: w.Dim(3), p: p}
	if s.cg*s.g != s.c || s.o%s.g != 0 {
		bad("the channels do not fit the groups")
	}
	s.og, s.k = s.o/s.g, s.kh*s.kw*s.cg
	if s.oh, s.ow = p.Out(s.h, s.w, s.kh, s.kw); s.oh < 1 || s.ow < 1 || s.kh < 1 || s.kw < 1 {
		bad("the kernel does not fit into the padded image")
	}
	return s
}

// direct reports whether pixels are columns already.
func (s *convShape) direct(x device.View) bool {
	return s.oh == s.h && s.ow == s.w && s.kh == 1 && s.kw == 1 && s.p.StrideH == 1 && s.p.StrideW == 1 && s.p.PadH == 0 && s.p.PadW == 0 && x.CanReshape(s.n*s.h*s.w, s.c)
}

// matrices shows rows of channels (..., C), those of m positions, as (G, m, C/G).
func (s *convShape) matrices(v device.View, m int) device.View {
	return splitLast(v.Reshape(m, v.D(-1)), s.g).Permute(1, 0, 2)
}

// splitLast splits the last axis into n parts.
func splitLast(v device.View, n int) device.View {
	last := int(v.Rank) - 1
	c := v.D(last) / n
	v = v.Unsqueeze(last)
	v.Dim[last], v.Str[last] = int32(n), int32(c)*v.Str[last+1]
	v.Dim[last+1] = int32(c)
	return v
}

// bytes is the scratch for the columns and the padded pixels of one image.
func (s *convShape) bytes(typ device.DType) int {
	return (s.oh*s.ow*s.k*s.g + (s.h+2*int(s.p.PadH))*(s.w+2*int(s.p.PadW))*s.c) * typ.Size()
}

// padded is the scratch of n images with their padding, and inner the pixels in it.
func (s *convShape) padded(t *Tape, typ device.DType, n int) (all, inner device.View) {
	ph, pw := int(s.p.PadH), int(s.p.PadW)
	all = t.get(typ, n, s.h+2*ph, s.w+2*pw, s.c)
	t.Dev.Fill(all, 0)
	return all, all.Slice(1, ph, s.h, 1).Slice(2, pw, s.w, 1)
}

// columns gives f the columns (G, positions, K) of the images x.
func (s *convShape) columns(t *Tape, x device.View, f func(cols device.View)) {
	n := x.D(0)
	if s.direct(x) {
		f(s.matrices(x, n*s.h*s.w))
		return
	}
	from := x
	if s.p.PadH > 0 || s.p.PadW > 0 {
		all, inner := s.padded(t, x.Type, n)
		t.Dev.Copy(inner, x)
		from = all
		defer t.put(all)
	}
	p := s.p
	seen := splitLast(from.Window(s.kh, s.kw, int(p.StrideH), int(p.StrideW), int(p.DilH), int(p.DilW)).Slice(1, 0, s.oh, 1).Slice(2, 0, s.ow, 1), s.g)
	cols := t.get(x.Type, s.g, n, s.oh, s.ow, s.kh, s.kw, s.cg)
	t.Dev.Copy(cols, seen.Permute(5, 0, 1, 2, 3, 4, 6))
	f(cols.Reshape(s.g, n*s.oh*s.ow, s.k))
	t.put(cols)
}

// each runs f on fixed chunks of the images of x and y.
func (s *convShape) each(typ device.DType, x, y device.View, f func(x, y device.View)) {
	chunks(s.n, s.bytes(typ), func(lo, n int) { f(x.Slice(0, lo, n, 1), y.Slice(0, lo, n, 1)) })
}

// weights shows w as (G, O/G, K).
func (s *convShape) weights(w device.View) device.View { return w.Reshape(s.g, s.og, s.k) }

// forward is the composed convolution: columns times weights, chunk by chunk.
func (s *convShape) forward(t *Tape, y, x, w, b device.View, act device.UnOp) {
	w, copied := t.dense(w, w.Type)
	t.precisely(y, func(y device.View) {
		beta := 0.0
		if b.Valid() {
			t.Dev.Copy(y, b)
			beta = 1
		}
		s.each(x.Type, x, y, func(x, y device.View) {
			s.columns(t, x, func(cols device.View) {
				t.matMul(s.matrices(y, cols.D(1)), cols, s.weights(w).T(), 1, beta)
			})
		})
		if act != device.Identity {
			t.Dev.Unary(act, y, y, 0, 0)
		}
	})
	t.putIf(copied, w)
}

// gradWeight is dw = dy' columns + beta dw, summed over the chunks; dw and dy are contiguous.
func (s *convShape) gradWeight(t *Tape, dw, x, dy device.View, beta float64) {
	if beta != 0 && dw.Type != accType(dw.Type) {
		sum := t.like(dw)
		s.gradWeight(t, sum, x, dy, 0)
		t.Dev.Binary(device.Add, dw, dw, sum)
		t.put(sum)
		return
	}
	t.precisely(dw, func(dw device.View) {
		s.each(x.Type, x, dy, func(x, dy device.View) {
			s.columns(t, x, func(cols device.View) {
				t.matMul(s.weights(dw), s.matrices(dy, cols.D(1)).T(), cols, 1, beta)
			})
			beta = 1
		})
	})
}

// gradInput is dx = dy times weights, each column added to the pixels that it was made of.
func (s *convShape) gradInput(t *Tape, dx, dy, w device.View) {
	w, copied := t.dense(w, w.Type)
	acc := accType(dx.Type)
	s.each(acc, dx, dy, func(dx, dy device.View) {
		n := dx.D(0)
		if s.direct(dx) {
			t.matMul(s.matrices(dx, n*s.h*s.w), s.matrices(dy, n*s.h*s.w), s.weights(w), 1, 0)
			return
		}
		cols := t.get(acc, s.g, n, s.oh, s.ow, s.kh, s.kw, s.cg)
		t.matMul(cols.Reshape(s.g, n*s.oh*s.ow, s.k), s.matrices(dy, n*s.oh*s.ow), s.weights(w), 1, 0)
		all, inner := s.padded(t, acc, n)
		for i := range s.kh {
			for j := range s.kw {
				at := all.Slice(1, i*int(s.p.DilH), s.oh, int(s.p.StrideH)).Slice(2, j*int(s.p.DilW), s.ow, int(s.p.StrideW))
				at = splitLast(at, s.g).Permute(3, 0, 1, 2, 4) // (G,N,OH,OW,C/G), as the tap's columns
				t.Dev.Binary(device.Add, at, at, cols.At(5, j).At(4, i))
			}
		}
		t.Dev.Copy(dx, inner)
		t.put(all, cols)
	})
	t.putIf(copied, w)
}
