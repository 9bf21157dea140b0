package ops_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// pooling is a CPU that convolves and pools in one call, and has statistics, made of the calls that it has. It counts the
// calls, and declines statistics if it is told to.
type pooling struct {
	device.Device
	conv interface {
		Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool
	}
	pool interface {
		MaxPool2D(y, idx, x device.View, p device.Pool2D) bool
	}
	norm interface {
		BatchNormStats(mean, variance, x device.View) bool
	}
	scratch  device.Memory
	declines bool // statistics
	stats    int
	calls    int
}

func (d *pooling) Unwrap() device.Device { return d.Device }

func (d *pooling) BatchNormStats(mean, variance, x device.View) bool {
	d.stats++
	return d.norm.BatchNormStats(mean, variance, x)
}

func (d *pooling) BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool {
	return d.norm.(interface {
		BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool
	}).BatchNormApply(y, x, mean, rstd, gamma, beta, act)
}

func (d *pooling) BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool {
	return d.norm.(interface {
		BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool
	}).BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
}

func (d *pooling) Conv2DPool(y, idx, mean, variance, x, w, b device.View, p device.Conv2D, act device.UnOp, pool device.Pool2D) bool {
	if mean.Valid() && d.declines {
		return false
	}
	d.calls++
	if pool == (device.Pool2D{}) {
		return d.conv.Conv2D(y, x, w, b, p, act) && d.norm.BatchNormStats(mean, variance, y)
	}
	z := device.Make(d.scratch, y.Type, 0, x.D(0), y.D(1)*int(pool.KernelH), y.D(2)*int(pool.KernelW), w.D(0))
	if !d.conv.Conv2D(z, x, w, b, p, act) || !d.pool.MaxPool2D(y, idx, z, pool) {
		return false
	}
	return !mean.Valid() || d.norm.BatchNormStats(mean, variance, y)
}

// newPooling puts a pooling in the place of a rig's device.
func newPooling(r *rig) *pooling {
	d := &pooling{Device: r.dev, scratch: r.alloc(1 << 20)}
	var ok [3]bool
	d.conv, ok[0] = device.As[interface {
		Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool
	}](r.dev)
	d.pool, ok[1] = device.As[interface {
		MaxPool2D(y, idx, x device.View, p device.Pool2D) bool
	}](r.dev)
	d.norm, ok[2] = device.As[interface {
		BatchNormStats(mean, variance, x device.View) bool
	}](r.dev)
	require.Equal(r.t, [3]bool{true, true, true}, ok)
	r.tape.Dev = d
	return d
}

var two = device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1}

// Convolution, pooling and batch norm give the same numbers as ops of their own, as one op that is composed, and as one
// call of the device, which may have no statistics; the batch norm passes over its input only where it has to.
func TestConv2DPoolForms(t *testing.T) {
	const n, side, c, o = 3, 7, 3, 5
	p := device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Groups: 1}
	for _, act := range []device.UnOp{device.Identity, device.Relu, device.Tanh} {
		for _, pool := range []device.Pool2D{two, {}} {
			var want [][]float64
			for form := range 4 {
				r := newRig(t, device.F64, 1<<20)
				x, w, b := r.param(numbers(n*side*side*c, 1), n, side, side, c), r.param(numbers(o*9*c, 0.2), o, 3, 3, c), r.param(numbers(o, 1), o)
				gamma, beta := r.param(numbers(o, 1), o), r.param(numbers(o, 1), o)
				var d *pooling
				if form > 1 {
					d = newPooling(r)
					d.declines = form == 3
				}
				var y *ops.Tensor
				if form == 0 {
					y = ops.Conv2DAct(r.tape, x, w, b, p, act)
					if pool == two {
						z := y
						y = ops.MaxPool2D(r.tape, z, pool)
						r.tape.Release(z)
					}
				} else {
					y = ops.Conv2DPool(r.tape, x, w, b, p, act, pool, true)
				}
				nextMean, nextVar := r.view(device.F64, nil, o), r.view(device.F64, nil, o)
				z := ops.BatchNormAct(r.tape, y, gamma, beta, ops.BatchNormState{NextMean: nextMean, NextVar: nextVar, Momentum: 1, Eps: 1e-5}, device.Tanh)
				r.tape.Release(y)
				got := [][]float64{r.read(z.Value()), r.read(nextMean), r.read(nextVar)}
				r.backward(ops.Mean(r.tape, z, false))
				for _, q := range []*ops.Tensor{x, w, b, gamma, beta} {
					got = append(got, r.read(q.Grad()))
				}
				switch form {
				case 0:
					want = got
					continue
				case 2:
					require.Equal(t, [2]int{1, 0}, [2]int{d.calls, d.stats}, "%s %+v", act, pool)
				case 3:
					calls := 1
					if pool != two {
						calls = 0
					}
					require.Equal(t, [2]int{calls, 1}, [2]int{d.calls, d.stats}, "%s %+v", act, pool)
				}
				require.Equal(t, want, got, "form %d, %s %+v", form, act, pool) // the same calls in the same order
			}
		}
	}
}

// Statistics that nobody takes go with their tensor; the rig checks that the arena is empty. A second batch norm finds
// its own.
func TestConv2DPoolStatsNotTaken(t *testing.T) {
	p := device.Conv2D{StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Groups: 1}
	for norms := range 3 {
		r := newRig(t, device.F32, 1<<20)
		d := newPooling(r)
		x, w := r.param(numbers(100, 1), 1, 5, 5, 4), r.param(numbers(12, 1), 3, 1, 1, 4)
		y := ops.Conv2DPool(r.tape, x, w, nil, p, device.Identity, two, true)
		require.Equal(t, 1, d.calls)
		loss := ops.Mean(r.tape, y, false)
		for range norms {
			loss = ops.Add(r.tape, loss, ops.Mean(r.tape, ops.BatchNormAct(r.tape, y, nil, nil, ops.BatchNormState{Eps: 1}, device.Tanh), false))
		}
		require.Equal(t, max(norms-1, 0), d.stats)
		r.backward(loss)

		r.tape.Train = false // no statistics are asked for, nor looked for
		high := r.arena.Live()
		y = ops.Conv2DPool(r.tape, x, w, nil, p, device.Identity, two, true)
		require.Equal(t, high+256+256, r.arena.Live(), "the maxima and their places")
		undo := r.tape.NoGrad()
		ops.Conv2DPool(r.tape, x, w, nil, p, device.Identity, two, true)
		undo()
		require.Equal(t, high+256+256+256, r.arena.Live(), "the maxima alone")
		r.end()
		require.NotNil(t, y)
	}
}

// The activation that is pooled is not kept for backward: what a composed form holds is the result and the places.
func TestConv2DPoolKeepsLittle(t *testing.T) {
	const n, side, c = 4, 16, 8
	r := newRig(t, device.F32, 1<<22)
	x, w := r.leaf(numbers(n*side*side*c, 1), n, side, side, c), r.param(numbers(c*9*c, 1), c, 3, 3, c)
	p := device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Groups: 1}
	y := ops.Conv2DPool(r.tape, x, w, nil, p, device.Relu, two, true)
	require.Equal(t, 2*4*n*side*side*c/4, r.arena.Live())
	r.backward(ops.Mean(r.tape, y, false))
}

func TestConv2DPoolMistakes(t *testing.T) {
	r := newRig(t, device.F32, 1<<16)
	x, w := r.leaf(numbers(9, 1), 1, 3, 3, 1), r.leaf(numbers(1, 1), 1, 1, 1, 1)
	p := device.Conv2D{StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Groups: 1}
	overlap, wide := two, two
	overlap.StrideH = 1
	wide.KernelW, wide.StrideW = 4, 4
	require.PanicsWithValue(t, "ops.Conv2DPool: {KernelH:2 KernelW:2 StrideH:1 StrideW:2 PadH:0 PadW:0 DilH:1 DilW:1 Ceil:false}: the pooling's strides are its kernel, without padding, dilation or Ceil",
		func() { ops.Conv2DPool(r.tape, x, w, nil, p, device.Identity, overlap, false) })
	require.Panics(t, func() { ops.Conv2DPool(r.tape, x, w, nil, p, device.Identity, wide, false) })
	require.Panics(t, func() { ops.Conv2DPool(r.tape, x, w, nil, p, device.LeakyRelu, two, false) })
	r.tape.Reset()
}
