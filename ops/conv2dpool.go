package ops

import "github.com/acumen-ml/acumen/device"

// conv2DPooler is a convolution that does, as it writes, what passes of their own would do after it. With z =
// act(conv(x, w) + b), rounded to y's type, without the last rows and columns that no window covers, it writes y = the
// maxima of z under pool's windows, which lie side by side, and their places to idx if that is there, both as MaxPool2D
// of that z does; if pool is zero, y = z. If mean and variance are there, it writes those of y's channels, no less exact
// than BatchNormStats.
type conv2DPooler interface {
	Conv2DPool(y, idx, mean, variance, x, w, b device.View, p device.Conv2D, act device.UnOp, pool device.Pool2D) bool
}

// Conv2DPool is MaxPool2D(Conv2DAct(x, w, b)); the pooling's windows lie side by side without padding, and a zero pool
// is none. The activation before the pooling is not kept for backward, and never stored where the device can pool as it
// convolves. stats says that a BatchNorm comes next: a device that can gives the result its statistics along with it.
func Conv2DPool(t *Tape, x, w, b *Tensor, p device.Conv2D, act device.UnOp, pool device.Pool2D, stats bool) *Tensor {
	pooled := pool != device.Pool2D{}
	if pooled && !pool.Tiles() {
		fail("Conv2DPool", "%+v: the pooling's strides are its kernel, without padding, dilation or Ceil", pool)
	}
	stats = stats && t.Train
	readsX, _ := act.GradReads()
	switch apart := readsX && t.wants(x, w, b); {
	case !pooled && (apart || !stats):
		return Conv2DAct(t, x, w, b, p, act)
	case apart:
		z := Conv2DAct(t, x, w, b, p, act)
		y := MaxPool2D(t, z, pool)
		t.Release(z)
		return y
	}
	return activated(t, "Conv2DPool", act, func(act device.UnOp) *Tensor { return conv2DPool(t, x, w, b, p, act, pool, stats) })
}

func conv2DPool(t *Tape, x, w, b *Tensor, p device.Conv2D, act device.UnOp, pool device.Pool2D, stats bool) *Tensor {
	s := newConvShape("Conv2DPool", x, w, b, p)
	pooled := pool != device.Pool2D{}
	z := t.unseen(x.v.Type, s.n, s.oh, s.ow, s.o) // what is pooled
	oh, ow := s.oh, s.ow
	if pooled {
		oh, ow = checkPool("Conv2DPool", z, pool)
		// Rows and columns that no window covers are not computed, and have no gradient.
		s.oh, s.ow = oh*int(pool.KernelH), ow*int(pool.KernelW)
		z = t.unseen(x.v.Type, s.n, s.oh, s.ow, s.o)
	}
	y, idx := t.temp(x.v.Type, s.n, oh, ow, s.o), (*Tensor)(nil)
	if y.v.Len() == 0 {
		return t.record(y, []*Tensor{x, w, b}, func(device.View) {})
	}
	if pooled && t.wants(x, w, b) {
		idx = t.temp(device.I32, y.Shape()...)
		defer t.Release(idx)
	}
	switch {
	case stats && s.fusedStats(t, y, idx, x, w, b, act, pool):
	case pooled && s.fusedPool(t, y, idx, moments{}, x, w, b, act, pool):
	case pooled:
		z := t.like(z.v)
		s.run(t, z, x, w, b, act)
		t.maxPool2D(y.v, valueOf(idx), z, pool)
		t.put(z)
	default:
		s.run(t, y.v, x, w, b, act)
	}
	if !pooled {
		return s.record(t, y, x, w, b, act)
	}
	s.record(t, z, x, w, b, device.Identity)
	return t.record(y, []*Tensor{z}, func(device.View) {
		dy, scratch := t.actGrad(y, act) // of the maxima alone: to other pixels no gradient goes
		t.into(z, func(dz device.View) { t.maxPool2DGrad(dz, dy, idx.v, pool, false) })
		t.putIf(scratch, dy)
	}, idx, when(act != device.Identity, y))
}

// fusedPool asks the device for y, with idx and m's views where they are there.
func (s *convShape) fusedPool(t *Tape, y, idx *Tensor, m moments, x, w, b *Tensor, act device.UnOp, pool device.Pool2D) bool {
	k, ok := device.As[conv2DPooler](t.Dev)
	return ok && k.Conv2DPool(y.v, valueOf(idx), m.mean, m.variance, x.v, w.v, valueOf(b), s.p, act, pool)
}

// fusedStats is fusedPool that gives y the statistics of its channels.
func (s *convShape) fusedStats(t *Tape, y, idx *Tensor, x, w, b *Tensor, act device.UnOp, pool device.Pool2D) bool {
	acc := accType(y.v.Type)
	m := moments{t.get(acc, s.o), t.get(acc, s.o)}
	if !s.fusedPool(t, y, idx, m, x, w, b, act, pool) {
		t.put(m.variance, m.mean)
		return false
	}
	y.stats = &m
	return true
}

// unseen is a tensor whose value is nowhere: only its gradient is stored, while backward passes it.
func (t *Tape) unseen(typ device.DType, dims ...int) *Tensor {
	return &Tensor{v: device.Make(nil, typ, 0, dims...), leaf: true}
}
