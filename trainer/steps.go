package trainer

import "github.com/acumen-ml/acumen/device"

// wholeSteps is how many micro-batches a step may have to be one graph. Of more each is a launch: they are long.
const wholeSteps = 8

// TrainStep queues the next update. It reads nothing back.
func (e *Engine) TrainStep() error {
	_, err := e.TrainSteps(1)
	return err
}

// TrainSteps queues the next updates, as many as one graph holds (see Options.CaptureSteps), but not more than most, and
// not beyond the end of the epoch. It gives how many, and reads nothing back.
func (e *Engine) TrainSteps(most int) (int, error) {
	n, err := e.trainSteps(most)
	return n, e.tooLarge(err, nil)
}

func (e *Engine) trainSteps(most int) (int, error) {
	i := e.step % e.plan.steps()
	n := e.plan.examples(i)
	if !e.whole(n) {
		if err := e.trainParts(); err != nil {
			return 0, err
		}
		if err := e.do(form{kind: formUpdate, total: n}); err != nil {
			return 0, err
		}
		e.step++
		return 1, nil
	}
	if err := e.begin(i); err != nil {
		return 0, err
	}
	slot, err := e.stageTrain()
	if err != nil {
		return 0, err
	}
	f := e.microForm(n, n, slot)
	f.kind, f.steps = formSteps, 1
	if k := e.perGraph; k <= most && i+k <= e.plan.full && !e.opt.NoCapture {
		f.steps = k
	}
	if err := e.do(f); err != nil {
		return 0, err
	}
	e.step += f.steps
	return f.steps, nil
}

// whole reports whether a step of n examples is one graph: its pictures must all be there when it begins.
func (e *Engine) whole(n int) bool {
	count, rest := e.plan.parts(n)
	if rest > 0 {
		count++
	}
	return count == 1 || count <= wholeSteps && e.train.resident()
}

// graphStepser is a device that takes its time to begin a graph. GraphSteps is how many steps a graph should hold, given
// the calls, bytes and floating-point operations of one.
type graphStepser interface {
	GraphSteps(calls int, bytes, flops float64) int
}

// chooseSteps is how many steps one graph is to hold.
func (e *Engine) chooseSteps() int {
	if !e.train.resident() || e.plan.full == 0 || !e.whole(e.plan.batch) {
		return 1
	}
	if e.opt.CaptureSteps > 0 {
		return e.opt.CaptureSteps
	}
	k, ok := device.As[graphStepser](e.dev)
	if !ok {
		return 1
	}
	var calls int
	var bytes, flops float64
	defer device.Hook(e.dev, func(c device.Call) error {
		if c.Phase == device.Before {
			calls++
			bytes += device.Traffic(c)
			flops += c.Flops
		}
		return nil
	})()
	arena := e.tape.Arena
	e.tape.Arena = device.Phantom()
	device.DryRun(e.dev, func() { e.run(form{kind: formSteps, n: e.plan.batch, steps: 1, slot: -1, feed: e.train}) })
	e.tape.Arena = arena
	return k.GraphSteps(calls, bytes, flops)
}
