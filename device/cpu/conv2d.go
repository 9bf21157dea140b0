package cpu

import "github.com/acumen-ml/acumen/device"

// Convolutions are matrix products over pixel rows: the rows of a tile of output positions are gathered into scratch
// (im2col of a tile, never of an image), and weights (O,KH,KW,C/G) are rows already.

// convServes reports whether the kernels below serve images x, y and weights w: of one real type, the weights
// contiguous, the channels of images adjacent, y's positions evenly spaced.
func convServes(x, w, y device.View) bool {
	t := x.Type
	if t != device.F32 && t != device.F64 || w.Type != t || y.Type != t || !w.Contiguous() {
		return false
	}
	for _, v := range []device.View{x, y} {
		for i := range 4 {
			if v.Str[i] < 0 {
				return false
			}
		}
		if v.Str[3] != 1 && v.Dim[3] != 1 || v.Len() == 0 {
			return false
		}
	}
	return w.Len() > 0 && y.CanReshape(y.Len()/y.D(3), y.D(3))
}

func positionStride(y device.View) int {
	return int(y.Reshape(y.Len()/y.D(3), y.D(3)).Str[0])
}

// Conv2D is y = act(conv(x, w) + b): x (N,H,W,C), w (O,KH,KW,C/G), b (O) or none, y (N,OH,OW,O). It reports false,
// having queued nothing, for types other than f32 and f64 and for layouts and activations that it does not serve.
func (d *Device) Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool {
	if !convServes(x, w, y) || !epilogue(act) || b.Valid() && (b.Type != x.Type || !b.Contiguous()) {
		return false
	}
	if x.Type == device.F64 {
		conv2D[float64](d, y, x, w, b, p, act)
	} else {
		conv2D[float32](d, y, x, w, b, p, act)
	}
	return true
}

func conv2D[T float](d *Device, y, x, w, b device.View, p device.Conv2D, act device.UnOp) {
	c := newConv(x, w.D(0), w.D(1), w.D(2), y.D(1), y.D(2), p)
	weights := slice[T](w)
	var bias []T
	if b.Valid() {
		bias = slice[T](b)[:w.D(0)]
	}
	reads := []device.View{x, w, b}
	if bias == nil {
		reads = reads[:2]
	}
	d.enqueue("Conv2D", []device.View{y}, reads, c.flops(),
		convPhase(d, c, slice[T](y), positionStride(y), slice[T](x), func() []T { return weights }, bias, act))
}

func (c *conv) flops() float64 {
	return 2 * float64(c.positions) * float64(c.k) * float64(c.groups) * float64(c.og)
}

// convPhase is y = act(x * w + bias), y with ldy elements between positions.
func convPhase[T float](d *Device, c conv, y []T, ldy int, x []T, w func() []T, bias []T, act device.UnOp) phase {
	tile := c.tile(256)
	if !c.direct {
		d.reserve(tile * c.k * sizeOf[T]())
	}
	return phase{
		n: (c.positions + tile - 1) / tile,
		run: func(part, worker int) {
			p0 := part * tile
			p1 := min(p0+tile, c.positions)
			var buf []T
			if !c.direct {
				buf = scratchOf[T](d, worker, tile*c.k)
			}
			w := w()
			for g := range c.groups {
				rows, ld := gatherRows(&c, buf, x, g, p0, p1)
				s := sink[T]{c: y, off: p0*ldy + g*c.og, rs: ldy, cs: 1, alpha: 1, relu: act == device.Relu}
				if bias != nil {
					s.bias = bias[g*c.og:]
				}
				gemmRows(s, rows, ld, w[g*c.og*c.k:], c.k, p1-p0, c.og, c.k)
			}
			if act != device.Relu && act != device.Identity {
				for i := p0; i < p1; i++ {
					activate(act, y[i*ldy:][:c.groups*c.og])
				}
			}
		},
	}
}

// Conv2DGradInput is the gradient of conv(x, w) to x, dx (N,H,W,C), overwritten, from dy (N,OH,OW,O).
func (d *Device) Conv2DGradInput(dx, dy, w device.View, p device.Conv2D) bool {
	if !convServes(dy, w, dx) || !dy.CanReshape(dy.Len()/dy.D(3), dy.D(3)) {
		return false
	}
	if dx.Type == device.F64 {
		conv2DGradInput[float64](d, dx, dy, w, p)
	} else {
		conv2DGradInput[float32](d, dx, dy, w, p)
	}
	return true
}

func conv2DGradInput[T float](d *Device, dx, dy, w device.View, p device.Conv2D) {
	o, kh, kw, cg := w.D(0), w.D(1), w.D(2), w.D(3)
	groups := int(p.Groups)
	og := o / groups
	weights, turned := slice[T](w), w.Len()
	d.shared(turned * sizeOf[T]())
	all := func() []T { return sharedOf[T](d, 0, turned) }
	writes, reads := []device.View{dx}, []device.View{dy, w}
	// Turned kernels also meet the padding, and as many products are wasted; sums by pixel cost about 5 products each.
	if p.StrideH == 1 && p.StrideW == 1 && dx.D(1)*dx.D(2)*og <= dy.D(1)*dy.D(2)*(og+5) {
		// A convolution of dy with the kernels turned by 180 degrees and their channels exchanged.
		q := p
		q.PadH, q.PadW = p.DilH*int32(kh-1)-p.PadH, p.DilW*int32(kw-1)-p.PadW
		c := newConv(dy, dx.D(3), kh, kw, dx.D(1), dx.D(2), q)
		d.enqueue("Conv2DGradInput", writes, reads, c.flops(), phase{
			n: dx.D(3), // one channel of x each: rows (KH,KW,OG)
			run: func(ch, _ int) {
				g, r := ch/cg, ch%cg
				row := all()[ch*kh*kw*og:][:kh*kw*og]
				for t := range kh * kw {
					for i := range og {
						row[t*og+i] = weights[((g*og+i)*kh*kw+kh*kw-1-t)*cg+r]
					}
				}
			},
		}, convPhase(d, c, slice[T](dx), positionStride(dx), slice[T](dy), all, nil, device.Identity))
		return
	}
	// Each position's gradient to the pixels under the kernel, then added to them image by image in a fixed order.
	c := newConv(dx, o, kh, kw, dy.D(1), dy.D(2), p)
	tile := c.tile(64)
	d.reserve(tile * c.k * sizeOf[T]())
	x, y, ldy := slice[T](dx), slice[T](dy), positionStride(dy)
	per := c.oh * c.ow
	d.enqueue("Conv2DGradInput", writes, reads, c.flops(), phase{
		n: groups, // rows (KH,KW,CG) of OG
		run: func(g, _ int) {
			t := all()[g*c.k*og:][:c.k*og]
			for i := range og {
				for k, v := range weights[(g*og+i)*c.k:][:c.k] {
					t[k*og+i] = v
				}
			}
		},
	}, phase{
		n: dx.D(0),
		run: func(n, worker int) {
			for h := range c.h {
				for w := range c.w {
					clear(x[n*c.strN+h*c.strH+w*c.strW:][:groups*cg])
				}
			}
			buf := scratchOf[T](d, worker, tile*c.k)
			for g := range groups {
				for p0 := 0; p0 < per; p0 += tile {
					p1 := min(p0+tile, per)
					s := sink[T]{c: buf, rs: c.k, cs: 1, alpha: 1}
					gemmRows(s, y[(n*per+p0)*ldy+g*og:], ldy, all()[g*c.k*og:], og, p1-p0, c.k, og)
					for q := p0; q < p1; q++ {
						scatterRow(&c, x[n*c.strN+g*cg:], buf[(q-p0)*c.k:][:c.k], q/c.ow*c.sh-c.ph, q%c.ow*c.sw-c.pw)
					}
				}
			}
		},
	})
}

// Conv2DGradWeight is dw = gradient of conv(x, w) to w from dy (N,OH,OW,O), + beta dw; dw (O,KH,KW,C/G).
func (d *Device) Conv2DGradWeight(dw, x, dy device.View, p device.Conv2D, beta float64) bool {
	if !convServes(x, dw, dy) {
		return false
	}
	if x.Type == device.F64 {
		conv2DGradWeight[float64](d, dw, x, dy, p, beta)
	} else {
		conv2DGradWeight[float32](d, dw, x, dy, p, beta)
	}
	return true
}

func conv2DGradWeight[T float](d *Device, dw, x, dy device.View, p device.Conv2D, beta float64) {
	c := newConv(x, dw.D(0), dw.D(1), dw.D(2), dy.D(1), dy.D(2), p)
	xs, ys, ws, ldy := slice[T](x), slice[T](dy), slice[T](dw), positionStride(dy)
	n := dw.Len()
	// The positions are cut into tiles that fit the cache, the tiles into splits with a sum of their own. Where the
	// weights are too many for several sums, output channels are cut too.
	tile := min(max((1<<16)/c.k, 32), 256)
	tiles := (c.positions + tile - 1) / tile
	splits := max(min(tiles, 16, (1<<21)/n), 1)
	each := (tiles + splits - 1) / splits
	splits = (tiles + each - 1) / each
	ob := c.og
	for splits*c.groups*((c.og+ob-1)/ob) < 8 && ob > 32 {
		ob = (ob/2 + 1) / 2 * 2
	}
	obs := (c.og + ob - 1) / ob
	if splits > 1 {
		d.shared(splits * n * sizeOf[T]())
	}
	colAt, aAt := 0, tile*c.k
	if c.direct {
		aAt = 0
	}
	bAt := aAt + panelLen(c.k, tile, tileM)
	scratch := bAt + panelLen(ob, tile, tileN)
	d.reserve(scratch * sizeOf[T]())
	first := phase{
		n: splits * c.groups * obs,
		run: func(part, worker int) {
			o0 := part % obs * ob
			g := part / obs % c.groups
			split := part / (obs * c.groups)
			oc := min(ob, c.og-o0)
			buf := scratchOf[T](d, worker, scratch)
			s := sink[T]{c: ws, rs: 1, cs: c.k, alpha: 1, beta: T(beta)}
			if splits > 1 {
				s.c, s.beta = sharedOf[T](d, split*n*sizeOf[T](), n), 0
			}
			s.off = (g*c.og + o0) * c.k
			for t := split * each; t < min(tiles, (split+1)*each); t++ {
				p0 := t * tile
				p1 := min(p0+tile, c.positions)
				rows, ld := gatherRows(&c, buf[colAt:], xs, g, p0, p1)
				packPanels(buf[aAt:], rows, 0, 1, ld, c.k, p1-p0, tileM)
				packPanels(buf[bAt:], ys, p0*ldy+g*c.og+o0, 1, ldy, oc, p1-p0, tileN)
				gemmPanels(&s, buf[aAt:], buf[bAt:], c.k, oc, p1-p0)
				s.beta = 1
			}
		},
	}
	phases := []phase{first}
	if splits > 1 {
		const chunk = 2048
		be := T(beta)
		phases = append(phases, phase{
			n: (n + chunk - 1) / chunk,
			run: func(part, _ int) {
				lo := part * chunk
				w := ws[lo:min(lo+chunk, n)]
				sums := sharedOf[T](d, 0, splits*n)[lo:]
				if beta == 0 {
					copy(w, sums)
				} else {
					for i, v := range sums[:len(w)] {
						w[i] = v + be*w[i]
					}
				}
				for s := 1; s < splits; s++ {
					for i, v := range sums[s*n:][:len(w)] {
						w[i] += v
					}
				}
			},
		})
	}
	d.enqueue("Conv2DGradWeight", []device.View{dw}, []device.View{x, dy}, c.flops(), phases...)
}
