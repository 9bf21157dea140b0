package trainer

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// LossScale is a factor on the loss, and so on all gradients, that lifts them into the range of f16: what is under 6e-8
// there is 0 (Micikevicius and others, arXiv 1710.03740). The optimiser divides by it again.
//
// A dynamic scale finds itself, as in PyTorch's GradScaler: a step whose gradient is not finite is skipped, that is, it
// changes no weight, and the scale is halved; after GrowEvery finite steps in a row it is doubled. Halved under 1 it
// ends the run. Beside a fixed scale a gradient that is not finite ends the run.
type LossScale struct {
	Dynamic   bool
	Scale     float64 // the fixed one, or the first; 0: of f16 a dynamic one that starts at 65536, of other types 1
	GrowEvery int     // steps; default 2000
}

const (
	firstScale = 65536
	minScale   = 1
	maxScale   = 1 << 40 // what f16 loses under this scale is nothing in f32 either: 6e-8 / 2^40 is 5e-20
)

// complete fills in defaults for a network of type t, and checks.
func (s LossScale) complete(t device.DType) (LossScale, error) {
	if s.Scale == 0 && t == device.F16 {
		s.Dynamic = true
	}
	if s.Scale == 0 && s.Dynamic {
		s.Scale = firstScale
	}
	orDefault(&s.Scale, 1)
	orDefault(&s.GrowEvery, 2000)
	if !(s.Scale >= minScale && s.Scale <= maxScale) {
		return s, fault.Usagef(fmt.Sprintf("dynamic, or a number from %d to 2^40, such as 1024", minScale), "trainer.loss_scale: %v", s.Scale)
	}
	if s.GrowEvery < 1 || s.GrowEvery > 1<<24 {
		return s, fault.Usagef("a whole number of steps from 1 to 2^24, such as 2000", "trainer.loss_scale: it cannot grow every %d steps", s.GrowEvery)
	}
	return s, nil
}

// on reports whether gradients are scaled at all.
func (s LossScale) on() bool { return s.Dynamic || s.Scale != 1 }

// seed makes s the gradient of the loss from which backward starts: weight, times the loss scale.
func (e *Engine) seed(s device.View, weight float64) {
	if e.opt.LossScale.on() {
		e.dev.Unary(device.Affine, s, scalar(e.scal, scalLossScale), weight, 0)
	} else {
		e.dev.Fill(s, weight)
	}
}

// check looks at the step's loss and gradient, decides whether it counts (scalOK) and whether the run goes on
// (scalAlive), and writes the factor to HyperGradScale by which the optimiser multiplies gradients.
func (e *Engine) check() {
	d, a := e.dev, e.tape.Arena
	sc := func(i int) device.View { return scalar(e.scal, i) }
	g, acc, scale := e.store.G, e.accType(), e.opt.LossScale
	var unscale device.View
	if scale.on() {
		unscale = a.Get(acc)
		d.Unary(device.Recip, unscale, sc(scalLossScale), 0, 0)
	} else if e.opt.ClipValue > 0 {
		d.Unary(device.Clamp, g, g, -e.opt.ClipValue, e.opt.ClipValue) // NaN stays
	}
	// Everything that is not finite shows in the largest gradient or in the loss.
	s, big := a.Get(acc), a.Get(acc, 1)
	d.Reduce(device.MaxAbs, big, g)
	d.Unary(device.IsFinite, big, big, 0, 0)
	d.Unary(device.IsFinite, s, sc(scalStepLoss), 0, 0)
	if scale.on() && e.opt.ClipValue > 0 { // an infinite gradient must have been seen before it is cut off
		e.clampScaled(g)
	}
	if scale.Dynamic {
		d.Binary(device.Mul, sc(scalAlive), sc(scalAlive), s)
		d.Binary(device.Mul, sc(scalOK), sc(scalAlive), big.Reshape())
		e.adjustScale()
	} else {
		d.Binary(device.Mul, s, s, big.Reshape())
		d.Binary(device.Mul, sc(scalAlive), sc(scalAlive), s)
		d.Copy(sc(scalOK), sc(scalAlive))
	}
	a.Put(big)

	factor := scalar(e.hyper, device.HyperGradScale)
	switch {
	case e.opt.ClipNorm > 0 && scale.Dynamic: // the norm of a skipped step is no number: the last one stays
		optim.ClipNorm(e.tape, factor, s, g, unscale, e.opt.ClipNorm)
		d.Where(sc(scalNorm), sc(scalOK), s, sc(scalNorm))
	case e.opt.ClipNorm > 0:
		optim.ClipNorm(e.tape, factor, sc(scalNorm), g, unscale, e.opt.ClipNorm)
	case scale.on():
		d.Copy(factor, unscale)
	default:
		d.Fill(factor, 1)
	}
	a.Put(s)
	if unscale.Valid() {
		a.Put(unscale)
	}
}

// clampScaled bounds each number of the scaled gradient by ClipValue times the scale.
func (e *Engine) clampScaled(g device.View) {
	bound := e.tape.Arena.Get(e.accType())
	e.dev.Unary(device.Affine, bound, scalar(e.scal, scalLossScale), e.opt.ClipValue, 0)
	e.dev.Binary(device.Min, g, g, bound)
	e.dev.Unary(device.Affine, bound, bound, -1, 0)
	e.dev.Binary(device.Max, g, g, bound)
	e.tape.Arena.Put(bound)
}

// adjustScale moves a dynamic loss scale after a step, given scalAlive (the loss is finite, and was in all steps) and
// scalOK (so is the gradient). Once the run is over it leaves the scale alone, so that the step can be run again.
func (e *Engine) adjustScale() {
	d, a := e.dev, e.tape.Arena
	sc := func(i int) device.View { return scalar(e.scal, i) }
	acc := e.accType()
	skip, grown, f := a.Get(acc), a.Get(acc), a.Get(acc)
	d.Binary(device.Sub, skip, sc(scalAlive), sc(scalOK))
	d.Binary(device.Add, sc(scalSkipped), sc(scalSkipped), skip)
	d.Binary(device.Add, sc(scalGrowth), sc(scalGrowth), sc(scalOne)) // 0 after a skipped step
	d.Binary(device.Mul, sc(scalGrowth), sc(scalGrowth), sc(scalOK))
	d.Fill(f, float64(e.opt.LossScale.GrowEvery))
	d.Binary(device.Eq, grown, sc(scalGrowth), f)
	d.Unary(device.Affine, f, grown, -1, 1)
	d.Binary(device.Mul, sc(scalGrowth), sc(scalGrowth), f)

	d.Unary(device.Affine, f, skip, -0.5, 1) // 1, 1/2 after a skipped step, 2 after enough finite ones
	d.Binary(device.Add, f, f, grown)
	d.Binary(device.Mul, f, f, sc(scalLossScale))
	under := skip
	d.Fill(grown, minScale)
	d.Binary(device.Lt, under, f, grown)
	d.Unary(device.Clamp, sc(scalLossScale), f, minScale, maxScale)
	d.Unary(device.Affine, under, under, -1, 1)
	d.Binary(device.Mul, sc(scalAlive), sc(scalAlive), under)
	a.Put(f)
	a.Put(grown)
	a.Put(skip)
}

// scaleFell reports whether a dynamic loss scale ended a run whose scalars s are those of the bad step, run again.
func (e *Engine) scaleFell(s []float64) bool {
	l := s[scalStepLoss]
	return e.opt.LossScale.Dynamic && !math.IsNaN(l) && !math.IsInf(l, 0)
}
