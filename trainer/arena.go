package trainer

import "github.com/acumen-ml/acumen/device"

// sizeArena runs every form of the step on a phantom arena and allocates what the largest needed.
func (e *Engine) sizeArena() error {
	phantom := device.Phantom()
	e.tape.Arena = phantom
	device.DryRun(e.dev, func() {
		for _, f := range e.trainForms() {
			e.run(f)
		}
		if e.train.resident() { // else staging may be too small for it; evalFeed looks again
			for _, f := range e.evalForms(e.train, min(e.opt.EvalBatch, e.train.n)) {
				e.run(f)
			}
		}
	})
	return e.setArena(phantom.High())
}

// setArena makes the arena at least so large. Where there is no memory for that, it stays as large as it was.
func (e *Engine) setArena(bytes int) error {
	was := 0
	if e.arena != nil {
		if bytes <= e.arena.Bytes() {
			e.tape.Arena = device.NewArena(e.arena)
			return nil
		}
		if err := e.dev.Sync(); err != nil {
			return err
		}
		for k, g := range e.forms {
			g.Close()
			delete(e.forms, k)
		}
		was = e.arena.Bytes()
		e.arena.Free()
		e.arena = nil
	}
	m, err := e.dev.Alloc(max(bytes, device.Align))
	if err != nil {
		err = device.WantedFor(ofSteps, err)
		if was == 0 {
			return err
		}
		var again error
		if m, again = e.dev.Alloc(was); again != nil {
			return again
		}
	}
	e.arena = m
	e.tape.Arena = device.NewArena(m)
	return err
}
