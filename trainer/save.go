package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
	"github.com/acumen-ml/acumen/trainer/data"
)

// prepare opens what the run needs and, where it resumes, brings everything to where it was.
func (r *run) prepare(train data.Set, o Options) error {
	o, err := o.complete(r.net, train)
	if err != nil {
		return err
	}
	if r.test != nil {
		if err := fits(r.net, r.test); err != nil {
			return err
		}
	}
	if o.Validation != 0 {
		if train, r.validation, err = data.Split(train, o.Validation, o.Seed); err != nil {
			return err
		}
		indices, _ := data.Indices(r.validation)
		r.split = &checkpoint.Split{Seed: o.Seed, Digest: data.Digest(indices), Indices: indices}
	}
	r.state = progress{Batch: o.Batch, Examples: train.Len(), Seed: o.Seed}
	var from *checkpoint.Checkpoint
	if o.Dir != "" {
		if r.store, err = checkpoint.OpenStore(o.FS, o.Dir, o.Keep); err != nil {
			return err
		}
		if !o.Resume && r.store.LastPath() != "" {
			return fault.Usagef("resume the run, or choose another folder", "%s: there is a checkpoint already", r.store.LastPath())
		}
		if from, err = r.store.LoadLast(); err != nil {
			return err
		}
	}
	if from != nil {
		if err := r.check(from, o); err != nil {
			return err
		}
	}
	said, err := r.open(train, o)
	if err != nil {
		return err
	}
	if from != nil {
		if err := r.restore(from); err != nil {
			_ = r.engine.Close()
			return err
		}
	}
	r.emit(Event{Kind: EventStart, Params: r.net.NumParams(), ArenaBytes: r.engine.ArenaBytes(), StateBytes: r.engine.StateBytes(), Batch: o.Batch, MicroBatches: r.state.Micro})
	if said != "" {
		r.note("%s", said)
	}
	if from != nil {
		r.note("resumed from %s at step %d of %d", r.store.LastPath(), r.engine.step, r.engine.limit())
	}
	return nil
}

// open makes the engine, with all memory that the run will need, so that a device that is too small ends the run before
// its first step. said is how Auto was decided. A run that goes on does so in the micro-batches that it began with: in
// others the numbers would be others.
func (r *run) open(train data.Set, o Options) (said string, err error) {
	var sets []data.Set
	for _, s := range []data.Set{r.validation, r.test} {
		if s != nil {
			sets = append(sets, s)
		}
	}
	began := o.MicroBatches == Auto && r.state.Micro > 0
	if began {
		o.MicroBatches, o.EvalBatch = r.state.Micro, r.state.EvalBatch
		said = fmt.Sprintf("micro_batches auto: %s, as the run began", o.parts())
	} else if o, said, err = o.cut(r.dev, r.net, train, sets); err != nil {
		return "", err
	}
	r.state.Micro, r.state.EvalBatch = o.MicroBatches, o.EvalBatch
	if r.engine, err = newEngine(r.dev, r.net, train, sets, o); err == nil {
		return said, nil
	}
	if _, full := errors.AsType[*device.OutOfMemory](err); full && began {
		err = fault.Usagef(fmt.Sprintf("free memory on the device, or go on where there is more: the run began with %s, and others would give other numbers; or start another run", o.parts()), "%w", err)
	}
	return "", err
}

// check compares a checkpoint with the run that wants to go on from it, and takes the weights over.
func (r *run) check(from *checkpoint.Checkpoint, o Options) error {
	const hint = "start a new run, or resume with what the run was started with"
	path := r.store.LastPath()
	var p progress
	if err := json.Unmarshal(from.Progress, &p); err != nil {
		return fault.Usagef(hint, "%s: the run's progress cannot be read: %w", path, err)
	}
	micro := p.Micro
	if micro == 0 || o.MicroBatches == Auto {
		micro = o.MicroBatches
	}
	for _, c := range []struct {
		what      string
		then, now any
	}{{"trainer.batch", p.Batch, o.Batch}, {"trainer.micro_batches", micro, o.MicroBatches}, {"seed", p.Seed, o.Seed}, {"training examples", p.Examples, r.state.Examples}, {"the optimizer", from.Meta.Optimizer, o.Optimizer.Name()},
		{"precision", from.Meta.Precision, precisionName(o.Precision, o.TF32)}, {"classes", len(from.Meta.ClassNames), r.net.Classes}} {
		if c.then != c.now {
			return fault.Usagef(hint, "%s: the run was started with %s %v, not %v", path, c.what, c.then, c.now)
		}
	}
	if (from.Split == nil) != (r.split == nil) || r.split != nil && from.Split.Digest != r.split.Digest {
		return fault.Usagef(hint, "%s: the run was started with another validation split", path)
	}
	if err := from.Apply(r.net); err != nil {
		return fault.New(fault.Usage, fault.HintOf(err), "%s: %w", path, err)
	}
	states := o.Optimizer.States()
	for _, s := range states {
		if len(from.Optim[s]) == 0 && r.net.NumParams() > 0 {
			return fault.Usagef(hint, "%s: the run was started with other optimizer settings: it has no state %s", path, s)
		}
	}
	for s := range from.Optim {
		if !slices.Contains(states, s) {
			return fault.Usagef(hint, "%s: the run was started with other optimizer settings: it has state %s", path, s)
		}
	}
	r.state, r.last = p, from
	return nil
}

// restore brings the device to the state of a checkpoint whose weights the network has already.
func (r *run) restore(from *checkpoint.Checkpoint) error {
	e := r.engine
	for i, s := range e.opt.Optimizer.States() {
		for path, x := range from.Optim[s] {
			if err := e.store.Set(e.flats[i], path, x); err != nil {
				return err
			}
		}
	}
	e.setScalars(r.state.Scalars)
	e.step, e.begun = r.state.Step, false
	e.setCounters(e.step, 0, 0)
	if r.state.Finished != nil && e.step < e.limit() && r.state.Stopped != "early stop" {
		// It was to be longer than it was: it goes on, and the test set is evaluated again at the new end.
		r.state.Finished, r.state.Stopped = nil, ""
		r.state.Epoch = e.step / e.StepsPerEpoch()
	}
	return e.dev.Sync()
}

// snapshot waits for the device and copies the state of the run.
func (r *run) snapshot() (*checkpoint.Checkpoint, error) {
	e := r.engine
	s, err := e.scalars()
	if err != nil {
		return nil, r.failed(err)
	}
	if s[scalAlive] == 0 {
		return nil, r.diverged()
	}
	if err := e.store.Download(); err != nil {
		return nil, r.failed(err)
	}
	o := e.opt
	c := &checkpoint.Checkpoint{Weights: map[string]*tensor.Dense{}, Optim: map[string]map[string]*tensor.Dense{}, Split: r.split}
	c.Meta = checkpoint.Meta{Model: r.net.Spec, ModelName: r.net.Name, Input: r.net.Input, Color: color(r.net.Input[2]), ClassNames: e.train.set.Classes(), Mean: o.Mean, Std: o.Std,
		Data: e.train.set.Name(), Loss: o.Loss.Name, Precision: precisionName(o.Precision, o.TF32), Optimizer: o.Optimizer.Name(), Seed: o.Seed, Config: o.Config}
	for _, p := range r.net.Params() {
		c.Weights[p.Path] = p.Value
	}
	for _, b := range r.net.Buffers() {
		c.Weights[b.Path] = b.Value
	}
	for i, state := range o.Optimizer.States() {
		by := map[string]*tensor.Dense{}
		for _, p := range r.net.Params() {
			if _, trained := e.store.Grad(p.Path); !trained {
				continue
			}
			if by[p.Path], err = e.store.Get(e.flats[i], p.Path); err != nil {
				return nil, r.failed(err)
			}
		}
		c.Optim[state] = by
	}
	r.state.Step, r.state.Scalars = e.step, s
	if c.Progress, err = json.Marshal(r.state); err != nil {
		return nil, fault.Failuref("report this as a fault of acumen", "step %d: the run's progress cannot be stored: %w", e.step, err)
	}
	return c, nil
}

func color(channels int) string {
	switch channels {
	case 1:
		return "gray"
	case 3:
		return "rgb"
	case 4:
		return "rgba"
	}
	return ""
}

// save writes the last checkpoint, and with best also the best one.
func (r *run) save(best bool) error {
	if r.store == nil && !best {
		return nil
	}
	c, err := r.snapshot()
	if err != nil {
		return err
	}
	r.last = c
	if best {
		r.best = c
	}
	if r.store == nil {
		return nil
	}
	epoch := 0
	if r.engine.step%r.engine.StepsPerEpoch() == 0 && r.state.Epoch == r.engine.step/r.engine.StepsPerEpoch() {
		epoch = r.state.Epoch
	}
	if err := r.store.Save(c, best, epoch); err != nil {
		return err
	}
	r.saved = time.Now()
	r.emit(Event{Kind: EventCheckpoint, Path: r.store.LastPath()})
	return nil
}

// saveFinished keeps the result with the last checkpoint, so that resuming tells it again.
func (r *run) saveFinished() error {
	if r.store == nil || r.last == nil {
		return nil
	}
	var err error
	if r.last.Progress, err = json.Marshal(r.state); err != nil {
		return fault.Failuref("report this as a fault of acumen", "the result cannot be stored: %w", err)
	}
	return r.store.Save(r.last, false, 0)
}

// adoptBest gives the network and the device the chosen epoch's weights: the best on validation, without it the last.
func (r *run) adoptBest() error {
	if r.validation != nil && r.best == nil && r.store != nil {
		var err error
		if r.best, err = r.store.LoadBest(); err != nil {
			return err
		}
	}
	from := r.last
	if r.validation != nil && r.best != nil {
		from = r.best
	}
	if from == nil {
		return r.engine.store.Download()
	}
	if err := from.Apply(r.net); err != nil {
		return err
	}
	return r.engine.store.Upload()
}
