package ops

import "github.com/acumen-ml/acumen/device"

type batchNormer interface {
	BatchNormStats(mean, variance, x device.View) bool
	BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool
	BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool
}

type batchNormTracker interface {
	BatchNormTrack(rstd, nextMean, nextVar, mean, variance device.View, rows int, momentum, eps float64) bool
}

type batchNormReluGrader interface {
	BatchNormReluGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta device.View) bool
}

// BatchNormState is where a batch norm keeps its running statistics, each (C); zero Views: it keeps none. Training
// moves the Next ones, next = (1-Momentum) next + Momentum batch, so that each micro-batch counts; whoever applies the
// step copies Next to Mean and Var.
type BatchNormState struct {
	Mean, Var         device.View // read in evaluation; if absent, the batch's serve
	NextMean, NextVar device.View // read and written in training
	Momentum, Eps     float64
}

// BatchNorm is y = (x - mean) / sqrt(variance + Eps) gamma + beta for each channel, the last axis of x (..., C) (Ioffe
// and Szegedy, arXiv 1502.03167). gamma and beta are (C) or nil. In training mean and biased variance are those of all
// other axes; the running variance takes the unbiased one (of a single value: 0). In evaluation they are those of s.
func BatchNorm(t *Tape, x, gamma, beta *Tensor, s BatchNormState) *Tensor {
	return batchNorm(t, "BatchNorm", x, gamma, beta, s, device.Identity)
}

// BatchNormAct is act(BatchNorm), act an activation without parameters.
func BatchNormAct(t *Tape, x, gamma, beta *Tensor, s BatchNormState, act device.UnOp) *Tensor {
	return activated(t, "BatchNormAct", act, func(act device.UnOp) *Tensor { return batchNorm(t, "BatchNormAct", x, gamma, beta, s, act) }, x, gamma, beta)
}

func batchNorm(t *Tape, op string, x, gamma, beta *Tensor, s BatchNormState, act device.UnOp) *Tensor {
	for _, v := range []device.View{valueOf(gamma), valueOf(beta), s.Mean, s.Var, s.NextMean, s.NextVar} {
		if x.Rank() < 2 || v.Valid() && (v.Rank != 1 || v.Dim[0] != x.v.Dim[x.v.Rank-1]) {
			fail(op, "x %v, gamma %v, beta %v, running mean %v: want x (..., C), the others (C)", x.Shape(), shapeOf(gamma), shapeOf(beta), s.Mean.Shape())
		}
	}
	y := t.temp(x.v.Type, x.Shape()...)
	if x.v.Len() == 0 {
		return t.record(y, []*Tensor{x, gamma, beta}, func(device.View) {})
	}
	c, acc := x.Dim(-1), accType(x.v.Type)
	batch := t.Train || !s.Mean.Valid()
	var mean, rstd *Tensor
	if batch {
		var variance device.View
		mean, rstd, variance = t.moments(x)
		var nextMean, nextVar device.View
		if t.Train {
			nextMean, nextVar = s.NextMean, s.NextVar
		}
		t.batchNormTrack(rstd.v, nextMean, nextVar, mean.v, variance, x.v.Len()/c, s.Momentum, s.Eps)
		t.put(variance)
	} else {
		mean, rstd = t.temp(acc, c), t.temp(acc, c)
		t.Dev.Copy(mean.v, s.Mean)
		t.batchNormTrack(rstd.v, device.View{}, device.View{}, mean.v, s.Var, 1, s.Momentum, s.Eps)
	}
	t.batchNormApply(y.v, x.v, mean.v, rstd.v, valueOf(gamma), valueOf(beta), act)
	t.record(y, []*Tensor{x, gamma, beta}, func(device.View) {
		dgamma, dbeta := t.get(acc, c), t.get(acc, c)
		var dy device.View
		scratch := false
		if batch {
			grad := func(dx device.View) {
				if act == device.Relu && t.batchNormReluGrad(dx, dgamma, dbeta, y.g, x.v, mean.v, rstd.v, valueOf(gamma), valueOf(beta)) {
					return
				}
				dy, scratch = t.actGrad(y, act)
				t.batchNormGrad(dx, dgamma, dbeta, dy, x.v, mean.v, rstd.v, valueOf(gamma))
			}
			if x.need {
				t.into(x, grad)
			} else {
				grad(device.View{})
			}
		} else {
			dy, scratch = t.actGrad(y, act)
			t.batchNormGrad(device.View{}, dgamma, dbeta, dy, x.v, mean.v, rstd.v, valueOf(gamma))
			k := t.slope(rstd.v, valueOf(gamma))
			t.into(x, func(dx device.View) { t.Dev.Binary(device.Mul, dx, dy, k) })
			t.put(k)
		}
		t.pass(y, gamma, dgamma)
		t.pass(y, beta, dbeta)
		t.put(dgamma, dbeta)
		t.putIf(scratch, dy)
	}, x, mean, rstd, gamma, when(act == device.Relu, beta), when(act != device.Identity, y))
	t.Release(mean)
	t.Release(rstd)
	return y
}

// moments are the mean and the biased variance of each channel, as batchNormStats gives them.
type moments struct{ mean, variance device.View }

// moments gives the mean of x's channels, a place for rstd, and the variance, which the caller puts back: those that x
// came with, which are then no longer its own, or new ones.
func (t *Tape) moments(x *Tensor) (mean, rstd *Tensor, variance device.View) {
	if m := x.stats; m != nil {
		x.stats = nil
		return t.own(&Tensor{v: m.mean}), t.temp(m.mean.Type, m.mean.D(0)), m.variance
	}
	c, acc := x.Dim(-1), accType(x.v.Type)
	mean, rstd = t.temp(acc, c), t.temp(acc, c)
	variance = t.get(acc, c)
	t.batchNormStats(mean.v, variance, x.v)
	return mean, rstd, variance
}

// batchNormTrack is rstd = 1 / sqrt(variance + eps), and moves the next statistics, if they are there, by those of so many
// rows.
func (t *Tape) batchNormTrack(rstd, nextMean, nextVar, mean, variance device.View, rows int, momentum, eps float64) {
	if k, ok := device.As[batchNormTracker](t.Dev); ok && k.BatchNormTrack(rstd, nextMean, nextVar, mean, variance, rows, momentum, eps) {
		return
	}
	if nextMean.Valid() {
		t.blend(nextMean, mean, momentum, 1)
		t.blend(nextVar, variance, momentum, float64(rows)/float64(max(rows-1, 1)))
	}
	t.Dev.Unary(device.Sqrt, rstd, variance, eps, 0)
	t.Dev.Unary(device.Recip, rstd, rstd, 0, 0)
}

// blend is next = (1-m) next + m factor v.
func (t *Tape) blend(next, v device.View, m, factor float64) {
	s := t.like(v)
	t.Dev.Unary(device.Affine, s, v, m*factor, 0)
	old := t.like(v)
	t.Dev.Unary(device.Affine, old, next, 1-m, 0)
	t.Dev.Binary(device.Add, next, old, s)
	t.put(s, old)
}

// slope is scratch: rstd gamma.
func (t *Tape) slope(rstd, gamma device.View) device.View {
	k := t.like(rstd)
	if gamma.Valid() {
		t.Dev.Binary(device.Mul, k, rstd, gamma)
	} else {
		t.Dev.Copy(k, rstd)
	}
	return k
}

// centred gives f, for fixed chunks of the rows of x, scratch with x - mean.
func (t *Tape) centred(x, mean device.View, f func(s device.View, lo, n int)) {
	x, copied := t.asRows(x)
	chunks(x.D(0), x.D(1)*mean.Type.Size(), func(lo, n int) {
		s := t.get(mean.Type, n, x.D(1))
		t.Dev.Binary(device.Sub, s, x.Slice(0, lo, n, 1), mean)
		f(s, lo, n)
		t.put(s)
	})
	t.putIf(copied, x)
}

// fold adds to sum (1,C), or sets it at first, op over the rows of s.
func (t *Tape) fold(op device.RedOp, sum, s device.View, first bool) {
	if first {
		t.Dev.Reduce(op, sum, s)
		return
	}
	part := t.like(sum)
	t.Dev.Reduce(op, part, s)
	t.Dev.Binary(device.Add, sum, sum, part)
	t.put(part)
}

// batchNormStats is mean and biased variance of each channel. The composed form passes twice, and then takes the
// rounding of the first mean out of both (the corrected two-pass algorithm, Chan, Golub, LeVeque 1983).
func (t *Tape) batchNormStats(mean, variance, x device.View) {
	if k, ok := device.As[batchNormer](t.Dev); ok && k.BatchNormStats(mean, variance, x) {
		return
	}
	c := mean.D(0)
	rows := float64(x.Len() / c)
	t.sumTo(mean, x)
	t.Dev.Unary(device.Affine, mean, mean, 1/rows, 0)
	off := t.get(mean.Type, 1, c)
	t.centred(x, mean, func(s device.View, lo, n int) {
		t.fold(device.Sum, off, s, lo == 0)
		t.fold(device.SumSq, variance.Reshape(1, c), s, lo == 0)
	})
	off = off.Reshape(c)
	t.Dev.Unary(device.Affine, off, off, 1/rows, 0)
	t.Dev.Unary(device.Affine, variance, variance, 1/rows, 0)
	t.Dev.Binary(device.Add, mean, mean, off)
	t.Dev.Binary(device.Mul, off, off, off)
	t.Dev.Binary(device.Sub, variance, variance, off)
	t.Dev.Unary(device.Relu, variance, variance, 0, 0)
	t.put(off)
}

// batchNormApply is y = act((x - mean) rstd gamma + beta).
func (t *Tape) batchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) {
	if k, ok := device.As[batchNormer](t.Dev); ok && k.BatchNormApply(y, x, mean, rstd, gamma, beta, act) {
		return
	}
	scale := t.slope(rstd, gamma)
	y = rows(y)
	t.centred(x, mean, func(s device.View, lo, n int) {
		t.Dev.Binary(device.Mul, s, s, scale)
		if beta.Valid() {
			t.Dev.Binary(device.Add, s, s, beta)
		}
		t.Dev.Unary(act, y.Slice(0, lo, n, 1), s, 0, 0)
	})
	t.put(scale)
}

// batchNormReluGrad is batchNormGrad of what ReLU lets through of dy, and false where the device cannot do that at once.
func (t *Tape) batchNormReluGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta device.View) bool {
	k, ok := device.As[batchNormReluGrader](t.Dev)
	return ok && k.BatchNormReluGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta)
}

// batchNormGrad is, with xhat = (x - mean) rstd over M rows, dbeta = sum dy, dgamma = sum dy xhat, and, if dx is there,
// dx = gamma rstd (dy - dbeta/M - xhat dgamma/M).
func (t *Tape) batchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) {
	if k, ok := device.As[batchNormer](t.Dev); ok && k.BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma) {
		return
	}
	dy = rows(dy)
	m, c := dy.D(0), dy.D(1)
	t.centred(x, mean, func(s device.View, lo, n int) {
		part := dy.Slice(0, lo, n, 1)
		t.fold(device.Sum, dbeta.Reshape(1, c), part, lo == 0)
		t.Dev.Binary(device.Mul, s, s, part)
		t.fold(device.Sum, dgamma.Reshape(1, c), s, lo == 0)
	})
	t.Dev.Binary(device.Mul, dgamma, dgamma, rstd)
	if !dx.Valid() {
		return
	}
	dx = rows(dx)
	k, a, b := t.slope(rstd, gamma), t.like(dbeta), t.like(dgamma)
	t.Dev.Unary(device.Affine, a, dbeta, 1/float64(m), 0)
	t.Dev.Binary(device.Mul, b, dgamma, rstd)
	t.Dev.Unary(device.Affine, b, b, 1/float64(m), 0)
	t.centred(x, mean, func(s device.View, lo, n int) {
		t.Dev.Binary(device.Mul, s, s, b)
		t.Dev.Binary(device.Add, s, s, a)
		t.Dev.Binary(device.Sub, s, dy.Slice(0, lo, n, 1), s)
		t.Dev.Binary(device.Mul, dx.Slice(0, lo, n, 1), s, k)
	})
	t.put(k, a, b)
}
