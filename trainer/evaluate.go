package trainer

import (
	"context"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/metric"
)

// evalForms are the forms of one evaluation pass over f in batches of size batch, for every staging buffer.
func (e *Engine) evalForms(f *feed, batch int) []form {
	fs := []form{{kind: formEvalReset}}
	slots := []int{-1}
	if !f.resident() {
		slots = []int{0, 1}
	}
	for _, s := range slots {
		if f.n >= batch {
			fs = append(fs, form{kind: formEval, n: batch, slot: s, feed: f})
		}
		if tail := f.n % batch; tail > 0 {
			fs = append(fs, form{kind: formEval, n: tail, slot: s, feed: f})
		}
	}
	return fs
}

// evalFeed is the set on the device; it is brought there once.
func (e *Engine) evalFeed(set data.Set) (*feed, error) {
	if f, ok := e.evals[set]; ok {
		return f, nil
	}
	if err := e.fits(set); err != nil {
		return nil, err
	}
	f, err := e.newFeed(set, min(e.opt.EvalBatch, set.Len()))
	if err != nil {
		return nil, err
	}
	e.evals[set] = f
	arena, phantom := e.tape.Arena, device.Phantom()
	e.tape.Arena = phantom
	device.DryRun(e.dev, func() {
		for _, g := range e.evalForms(f, min(e.opt.EvalBatch, f.n)) {
			e.run(g)
		}
	})
	e.tape.Arena = arena
	if err := e.setArena(phantom.High()); err != nil {
		delete(e.evals, set)
		return nil, err
	}
	return f, nil
}

// Evaluate runs the network in evaluation mode over all of set, which may be any number of times. It changes no state
// of training. When ctx ends it returns context.Cause(ctx).
func (e *Engine) Evaluate(ctx context.Context, set data.Set) (*metric.Result, error) {
	r, err := e.evaluate(ctx, set)
	return r, e.tooLarge(err, set)
}

func (e *Engine) evaluate(ctx context.Context, set data.Set) (*metric.Result, error) {
	f, err := e.evalFeed(set)
	if err != nil {
		return nil, err
	}
	batch := min(e.opt.EvalBatch, f.n)
	if err := e.do(form{kind: formEvalReset}); err != nil {
		return nil, err
	}
	if !f.resident() {
		f.stop()
		f.prefetch, f.slot = data.NewPrefetcher(f.set, data.PrefetchOptions{Batch: batch, Epochs: 1}), 0
		defer f.stop()
	}
	for lo := 0; lo < f.n; lo += batch {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		g := form{kind: formEval, n: min(batch, f.n-lo), slot: -1, feed: f}
		if !f.resident() {
			if g.slot, err = e.stage(f); err != nil {
				return nil, err
			}
		}
		if err := e.do(g); err != nil {
			return nil, err
		}
	}
	r, err := e.accs.Read()
	if err != nil {
		return nil, err
	}
	return &r, nil
}
