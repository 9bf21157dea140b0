package trainer

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// startEpoch draws the order of the training set from the step counter.
func (e *Engine) startEpoch() {
	d, a := e.dev, e.tape.Arena
	alive, zero := a.Get(device.I32), a.Get(device.I32)
	d.Copy(alive, scalar(e.scal, scalAlive))
	next := a.Get(device.I32, e.train.n)
	d.Random(next, device.Permutation, e.tape.RNG, streamOrder)
	d.Where(e.order, alive, next, e.order)
	d.Fill(zero, 0)
	d.Where(scalar(e.count, countCursor), alive, zero, scalar(e.count, countCursor))
	for _, i := range []int{scalEpochLoss, scalEpochCorrect, scalEpochCount} {
		d.Fill(scalar(e.scal, i), 0)
	}
	a.Put(next)
	a.Put(zero)
	a.Put(alive)
}

// positions is start + micro n' + 0, 1, ... n-1, n' being the size of the micro-batches before this one.
func (e *Engine) positions(n int, start device.View, micro bool) device.View {
	d, a := e.dev, e.tape.Arena
	pos := a.Get(device.I32, n)
	d.Iota(pos, 0, 0, 1)
	d.Binary(device.Add, pos, pos, start)
	if micro {
		s := a.Get(device.I32)
		d.Fill(s, float64(e.plan.micro))
		d.Binary(device.Mul, s, s, scalar(e.count, countMicro))
		d.Binary(device.Add, pos, pos, s)
		a.Put(s)
	}
	return pos
}

// batch makes n pictures and their labels. index is which of the set they are.
func (e *Engine) batch(f form, index device.View, aug device.Augment) (x *ops.Tensor, labels device.View) {
	a := e.tape.Arena
	labels = a.Get(device.I32, f.n)
	e.dev.Gather(labels, f.feed.labels, index)
	images := f.feed.images
	if !f.feed.resident() {
		images = f.feed.staging[f.slot].Slice(0, 0, f.n, 1)
		e.dev.Iota(index, 0, 0, 1)
	}
	return augment.Batch(e.tape, images, index, aug, e.math.typ), labels
}

// micro runs forward and backward over one micro-batch and adds its share to the gradient and the step's sums.
func (e *Engine) micro(f form) {
	d, t, a := e.dev, e.tape, e.tape.Arena
	t.Train = true
	at, index := e.positions(f.n, scalar(e.count, countCursor), true), a.Get(device.I32, f.n)
	d.Gather(index, e.order, at)
	a.Put(at)
	x, labels := e.batch(f, index, e.trainAug)
	a.Put(index)
	y := e.net.Forward(t, x)
	t.Release(x)
	loss, done := e.opt.Loss.apply(t, y, labels)
	acc := e.accType()
	s := a.Get(acc)
	d.Unary(device.Affine, s, loss.Value(), f.weight, 0)
	d.Binary(device.Add, scalar(e.scal, scalStepLoss), scalar(e.scal, scalStepLoss), s)
	best, hit, sum := a.Get(device.I32, f.n, 1), a.Get(device.I32, f.n), a.Get(device.I32, 1)
	d.Reduce(device.ArgMax, best, y.Value())
	d.Binary(device.Eq, hit, best.Reshape(f.n), labels)
	d.Reduce(device.Sum, sum, hit)
	d.Binary(device.Add, scalar(e.scal, scalStepCorrect), scalar(e.scal, scalStepCorrect), sum.Reshape())
	a.Put(best)
	a.Put(hit)
	a.Put(sum)
	t.Release(y)
	e.seed(s, f.weight)
	t.Backward(loss, s)
	done()
	a.Put(s)
	a.Put(labels)
	one := a.Get(device.I32)
	d.Fill(one, 1)
	d.Binary(device.Add, scalar(e.count, countMicro), scalar(e.count, countMicro), one)
	a.Put(one)
}

// update checks the step, changes the weights if it is finite, and moves the counters.
func (e *Engine) update(f form) {
	d, a := e.dev, e.tape.Arena
	acc := e.accType()
	sc := func(i int) device.View { return scalar(e.scal, i) }
	g := e.store.G
	e.check()

	hy := func(i int) device.View { return scalar(e.hyper, i) }
	lr := a.Get(acc, 1)
	d.Gather(lr, e.table, e.count.Slice(0, countStep, 1, 1))
	d.Binary(device.Mul, hy(device.HyperLR), lr.Reshape(), sc(scalPlateau))
	a.Put(lr)
	s := a.Get(acc)
	d.Copy(s, scalar(e.count, countStep))
	d.Unary(device.Affine, hy(device.HyperStep), s, 1, 1)
	if e.opt.LossScale.Dynamic { // a skipped step is none to the optimiser
		d.Binary(device.Sub, hy(device.HyperStep), hy(device.HyperStep), sc(scalSkipped))
	}
	d.Copy(hy(device.HyperOK), sc(scalOK))
	for i, group := range e.groups {
		lo, hi := e.store.Range(i)
		if group.Freeze || lo == hi {
			continue
		}
		e.opt.Optimizer.Update(e.tape, optim.Slots{W: e.store.W.Slice(0, lo, hi-lo, 1), G: g.Slice(0, lo, hi-lo, 1), States: e.states[i], Hyper: e.hyper, Group: group})
	}
	e.store.Refresh(e.tape)
	e.store.Commit(e.tape, sc(scalOK))

	// Sums of the epoch, and the step's own numbers for whoever fetches them. A skipped step counts: its loss is finite.
	add := func(to int, from device.View, factor float64) {
		d.Unary(device.Affine, s, from, factor, 0)
		d.Binary(device.Add, s, s, sc(to))
		d.Where(sc(to), sc(scalAlive), s, sc(to))
	}
	n := float64(f.total)
	add(scalEpochLoss, sc(scalStepLoss), n)
	add(scalEpochCorrect, sc(scalStepCorrect), 1)
	add(scalEpochCount, sc(scalOne), n)
	d.Copy(sc(scalLoss), sc(scalStepLoss))
	d.Unary(device.Affine, sc(scalAccuracy), sc(scalStepCorrect), 1/n, 0)
	d.Copy(sc(scalLR), hy(device.HyperLR))
	d.Fill(sc(scalStepLoss), 0)
	d.Fill(sc(scalStepCorrect), 0)
	a.Put(s)

	alive, by := a.Get(device.I32), a.Get(device.I32)
	d.Copy(alive, sc(scalAlive))
	d.Binary(device.Add, scalar(e.count, countStep), scalar(e.count, countStep), alive)
	d.Fill(by, n)
	d.Binary(device.Mul, by, by, alive)
	d.Binary(device.Add, scalar(e.count, countCursor), scalar(e.count, countCursor), by)
	d.Fill(scalar(e.count, countMicro), 0)
	a.Put(by)
	a.Put(alive)
	d.Fill(g, 0)
}

// evalBatch adds one batch to the evaluation's sums.
func (e *Engine) evalBatch(f form) {
	d, t, a := e.dev, e.tape, e.tape.Arena
	t.Train = false
	defer t.NoGrad()()
	at := scalar(e.count, countEval)
	index := e.positions(f.n, at, false)
	x, labels := e.batch(f, index, e.plain)
	a.Put(index)
	y := e.net.Forward(t, x)
	t.Release(x)
	loss, done := e.opt.Loss.apply(t, y, labels)
	e.accs.Add(t, y.Value(), labels, loss.Value())
	t.Release(loss)
	done()
	t.Release(y)
	a.Put(labels)
	n := a.Get(device.I32)
	d.Fill(n, float64(f.n))
	d.Binary(device.Add, at, at, n)
	a.Put(n)
}
