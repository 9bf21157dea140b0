package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// A depthwise convolution has a kernel of its own for each channel, and mixes none: there is no matrix product in it.
// Vectors lie along channels, and a tap is one pass over the pixels of a row that it meets.

func (c *conv) depthwise() bool { return c.groups > 1 && c.cg == 1 && c.og == 1 }

// depthwise is y = act(x * w + bias) row by row, where rows and cols say which pixels of x a tap meets: the convolution,
// or its gradient to the input.
type depthwise[T float] struct {
	d          *Device
	level      simd.Level
	x, y, w    []T
	xs, ys     [3]int
	n, oh, ow  int
	channels   int
	rows       [][]tap
	cols       []extent
	bias       []T
	act        device.UnOp
	kernelWide int // taps in a row of it
}

func (q *depthwise[T]) phases() []phase {
	n := len(q.w)
	q.d.shared(n * sizeOf[T]())
	taps := n / q.channels
	return []phase{
		{n: 1, run: func(_, _ int) {
			simd.Transpose(q.level, sharedOf[T](q.d, 0, n), q.w, q.channels, taps, q.channels, taps)
		}},
		{n: q.n * q.oh, run: func(part, _ int) { q.row(part/q.oh, part%q.oh, sharedOf[T](q.d, 0, n)) }},
	}
}

// row computes a row of y from weights (tap, channel).
func (q *depthwise[T]) row(n, i int, w []T) {
	y := q.y[n*q.ys[0]+i*q.ys[1]:]
	for j := range q.ow {
		p := y[j*q.ys[2]:][:q.channels]
		if q.bias != nil {
			copy(p, q.bias)
		} else {
			clear(p)
		}
	}
	for _, r := range q.rows[i] {
		x := q.x[n*q.xs[0]+r.at*q.xs[1]:]
		for k := range q.cols {
			e := &q.cols[k]
			if m := e.count(); m > 0 {
				simd.DepthwiseAdd(q.level, y[e.lo*q.ys[2]:], x[e.at*q.xs[2]:], w[(r.k*q.kernelWide+k)*q.channels:][:q.channels], m, e.every*q.ys[2], e.step*q.xs[2])
			}
		}
	}
	if q.act != device.Identity {
		for j := range q.ow {
			activate(q.act, y[j*q.ys[2]:][:q.channels])
		}
	}
}

func conv2DDepthwise[T float](d *Device, c conv, y, x, w, b device.View, act device.UnOp) {
	q := &depthwise[T]{d: d, level: levelFor[T](), x: slice[T](x), y: slice[T](y), w: slice[T](w)[:w.Len()], xs: c.x, ys: c.y, n: c.n, oh: c.oh, ow: c.ow,
		channels: c.groups, rows: forwardTaps(c.oh, c.h, c.kh, c.p.StrideH, c.p.PadH, c.p.DilH),
		cols: extents(forwardTaps(c.ow, c.w, c.kw, c.p.StrideW, c.p.PadW, c.p.DilW), c.kw), act: act, kernelWide: c.kw}
	if b.Valid() {
		q.bias = slice[T](b)[:w.D(0)]
	}
	d.enqueue("Conv2D", []device.View{y}, present(x, w, b), c.flops(), q.phases()...)
}

func conv2DDepthwiseGradInput[T float](d *Device, c conv, dx, dy, w device.View) {
	q := &depthwise[T]{d: d, level: levelFor[T](), x: slice[T](dy), y: slice[T](dx), w: slice[T](w)[:w.Len()], xs: c.y, ys: c.x, n: c.n, oh: c.h, ow: c.w,
		channels: c.groups, rows: backwardTaps(c.h, c.oh, c.kh, c.p.StrideH, c.p.PadH, c.p.DilH),
		cols: extents(backwardTaps(c.w, c.ow, c.kw, c.p.StrideW, c.p.PadW, c.p.DilW), c.kw), kernelWide: c.kw}
	d.enqueue("Conv2DGradInput", []device.View{dx}, []device.View{dy, w}, c.flops(), q.phases()...)
}

// conv2DDepthwiseGradWeight sums over the images of a few splits, then over those.
func conv2DDepthwiseGradWeight[T float](d *Device, c conv, dw, x, dy device.View, beta float64) {
	l, n, taps := levelFor[T](), dw.Len(), c.taps()
	xs, ys, ws := slice[T](x), slice[T](dy), slice[T](dw)[:n]
	rows := extents(forwardTaps(c.oh, c.h, c.kh, c.p.StrideH, c.p.PadH, c.p.DilH), c.kh)
	cols := extents(forwardTaps(c.ow, c.w, c.kw, c.p.StrideW, c.p.PadW, c.p.DilW), c.kw)
	each := ceil(c.n, weightParts)
	splits := ceil(c.n, each)
	d.shared(splits * n * sizeOf[T]())
	sums := func(split int) []T { return sharedOf[T](d, split*n*sizeOf[T](), n) } // (tap, channel)
	d.enqueue("Conv2DGradWeight", []device.View{dw}, []device.View{x, dy}, c.flops(), phase{n: splits, run: func(split, _ int) {
		sum := sums(split)
		clear(sum)
		for m := split * each; m < min((split+1)*each, c.n); m++ {
			for t := range taps {
				r, k := &rows[t/c.kw], &cols[t%c.kw]
				if k.count() == 0 {
					continue
				}
				for i := range r.count() {
					from, to := m*c.x[0]+(r.at+i*r.step)*c.x[1]+k.at*c.x[2], m*c.y[0]+(r.lo+i)*c.y[1]+k.lo*c.y[2]
					simd.DepthwiseSum(l, sum[t*c.groups:][:c.groups], xs[from:], ys[to:], k.count(), k.step*c.x[2], c.y[2])
				}
			}
		}
	}}, phase{n: 1, run: func(_, _ int) {
		for i := range ws {
			var v T
			for s := range splits {
				v += sums(s)[i%taps*c.groups+i/taps]
			}
			if beta != 0 {
				v += T(beta) * ws[i]
			}
			ws[i] = v
		}
	}})
}
