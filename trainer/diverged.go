package trainer

import (
	"errors"
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// diverged finds out where the numbers went bad and makes the error that ends the run. The device still holds the state
// before the bad step, since a step that is not finite writes nothing.
func (r *run) diverged() error {
	e := r.engine
	step, where, fell, err := e.findFault()
	if err != nil {
		return r.failed(err)
	}
	hint := "lower trainer.optimizer.lr, warm it up, or bound gradients with trainer.clip_norm"
	switch scale := e.opt.LossScale; {
	case fell:
		where = fmt.Sprintf("the loss scale fell under %d: even so %s", minScale, where)
		hint = "use precision bf16 or f32, whose numbers reach further, or lower trainer.optimizer.lr"
	case scale.on() && !scale.Dynamic:
		hint = fmt.Sprintf("let trainer.loss_scale be dynamic, or lower than %.6g; %s", scale.Scale, hint)
	}
	if r.store != nil && r.store.LastPath() != "" {
		hint += "; the checkpoint before it is " + r.store.LastPath()
	}
	return fault.New(fault.Diverged, hint, "step %d: %s", step+1, where)
}

// findFault runs the first step that was not finite again, call by call, and says which number went bad first: an output
// of a layer, the loss, or in backward a gradient. fell tells that nothing did but gradients, at the least loss scale.
func (e *Engine) findFault() (step int, where string, fell bool, err error) {
	if step, err = e.position(); err != nil {
		return 0, "", false, err
	}
	s, err := e.scalars()
	if err != nil {
		return 0, "", false, err
	}
	e.step, e.begun = step, false
	s[scalAlive], s[scalStepLoss], s[scalStepCorrect] = 1, 0, 0
	e.upload(e.scal, s)
	e.setCounters(step, 0, 0)
	e.dev.Fill(e.store.G, 0)
	was := e.opt.NoCapture
	e.opt.NoCapture = true
	defer func() { e.opt.NoCapture, e.tape.Watch = was, nil }()
	blind := false
	if err := e.makeRoomToWatch(); err != nil {
		if _, blind = errors.AsType[*device.OutOfMemory](err); !blind {
			return 0, "", false, err
		}
	}
	flag, err := e.alloc(e.accType(), 1)
	if err != nil {
		return 0, "", false, err
	}
	finite := func(v device.View) bool {
		if v.Len() == 0 {
			return true
		}
		y := flag
		y.Rank = v.Rank
		for i := range int(v.Rank) {
			y.Dim[i], y.Str[i] = 1, 1
		}
		e.dev.Reduce(device.MaxAbs, y, v)
		e.dev.Unary(device.IsFinite, flag, flag, 0, 0)
		b := make([]byte, flag.Bytes())
		if derr := e.dev.Download(b, flag); derr != nil {
			err = derr
			return true
		}
		return e.number(b, 0) != 0
	}
	if !blind {
		e.tape.Watch = func(name string, v device.View, gradient bool) {
			if where != "" || finite(v) {
				return
			}
			what := "the output"
			if gradient {
				what = "the gradient at the output"
			}
			where = fmt.Sprintf("%s of layer %s is NaN or infinite", what, name)
		}
	}
	if serr := e.trainParts(); serr != nil {
		return 0, "", false, serr
	}
	e.tape.Watch = nil
	if where == "" {
		for _, p := range e.net.Params() {
			g, ok := e.store.Grad(p.Path)
			if ok && !finite(g) {
				where = fmt.Sprintf("the gradient of parameter %s is NaN or infinite", p.Path)
				break
			}
		}
	}
	switch {
	case where != "":
	case blind:
		where = "the loss is NaN or infinite; there is no memory left to see whether a layer's output is"
	default:
		where = "the loss is NaN or infinite, every layer's output is finite"
	}
	if err == nil {
		if s, err = e.scalars(); err == nil {
			fell = e.scaleFell(s)
		}
	}
	return step, where, fell, err
}

// makeRoomToWatch makes the arena large enough for a step that is watched: layers are then not fused, and take more.
func (e *Engine) makeRoomToWatch() error {
	e.tape.Watch = func(string, device.View, bool) {}
	defer func() { e.tape.Watch = nil }()
	return e.sizeArena()
}
