package trainer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
	"github.com/acumen-ml/acumen/trainer/data"
)

// Interrupted is what Fit returns when its context ends: the step under way was finished, and a checkpoint written if
// there is a folder for it.
type Interrupted struct {
	Step  int
	Path  string // the checkpoint; empty if Dir was not given
	Cause error  // context.Cause
}

func (e *Interrupted) Error() string { return fmt.Sprintf("stopped after step %d: %v", e.Step, e.Cause) }

// Hint says how to go on.
func (e *Interrupted) Hint() string {
	if e.Path == "" {
		return "nothing was saved: no folder was given"
	}
	return "saved in " + e.Path + "; resume to go on"
}

func (e *Interrupted) Unwrap() error { return e.Cause }

// Fit trains net on the set train and evaluates it once, at the end, on test, which may be nil. The weights end up in
// net's parameters, those of the best epoch on validation if there is one. When ctx ends, Fit finishes the step, saves,
// and returns an *Interrupted. A loss that is not finite ends it with a fault.Diverged error that names the layer. A
// resumed run gives the same bytes as one that was never interrupted.
func Fit(ctx context.Context, dev device.Device, net *model.Network, train, test data.Set, o Options) (*Result, error) {
	r := &run{ctx: ctx, dev: dev, net: net, test: test, began: time.Now()}
	if err := r.prepare(train, o); err != nil {
		return nil, err
	}
	res, err := r.train()
	if cerr := r.engine.Close(); err == nil {
		err = cerr
	}
	return res, err
}

// run is one call of Fit.
type run struct {
	ctx         context.Context
	dev         device.Device
	net         *model.Network
	validation  data.Set
	split       *checkpoint.Split
	test        data.Set
	engine      *Engine
	store       *checkpoint.Store
	state       progress
	began       time.Time
	saved       time.Time
	logged      time.Time
	loggedAt    int
	pendingStep []pendingMetrics
	free        []pendingMetrics
}

// progress is what the host must know to go on; it travels in checkpoints.
type progress struct {
	Epoch      int               `json:"epoch"` // epochs ended
	Step       int               `json:"step"`
	TrainLoss  float64           `json:"train_loss"` // of the last epoch that ended
	TrainAcc   float64           `json:"train_accuracy"`
	Best       float64           `json:"best"` // validation metric, larger is better
	BestEpoch  int               `json:"best_epoch"`
	BadEpochs  int               `json:"epochs_without_improvement"`
	Plateau    float64           `json:"plateau_factor"`
	Scalars    []float64         `json:"scalars"` // the device's, so that sums of an epoch go on
	Stopped    string            `json:"stopped,omitempty"`
	Finished   *Result           `json:"finished,omitempty"`
	Validation *savedResult      `json:"validation,omitempty"`
}

func (r *run) emit(e Event) {
	if r.engine.opt.Observe == nil {
		return
	}
	e.Time, e.Epoch, e.Steps, e.StepsPerEpoch = time.Now(), r.state.Epoch, r.engine.limit(), r.engine.StepsPerEpoch()
	if e.Step == 0 {
		e.Step = r.engine.Step()
	}
	r.engine.opt.Observe(e)
}

func (r *run) note(format string, args ...any) {
	r.emit(Event{Kind: EventNote, Text: fmt.Sprintf(format, args...)})
}

// train runs epochs until the end, and evaluates.
func (r *run) train() (*Result, error) {
	e := r.engine
	if r.state.Finished != nil {
		if err := r.adoptBest(); err != nil {
			return nil, err
		}
		r.emit(Event{Kind: EventFinish, Result: r.state.Finished})
		return r.state.Finished, nil
	}
	r.saved, r.logged, r.loggedAt = time.Now(), time.Now(), e.Step()
	for e.Step() < e.limit() && r.state.Stopped == "" {
		if err := e.TrainStep(); err != nil {
			return nil, r.failed(err)
		}
		if err := r.afterStep(); err != nil {
			return nil, err
		}
	}
	if err := r.drainMetrics(); err != nil {
		return nil, err
	}
	if r.state.Stopped == "" && e.limit() < e.total {
		r.state.Stopped = "max steps"
		if e.Step()%e.StepsPerEpoch() != 0 {
			if err := r.endEpoch(); err != nil {
				return nil, err
			}
		}
	}
	return r.finish()
}

// afterStep does what is due between steps.
func (r *run) afterStep() error {
	e := r.engine
	if e.step%e.opt.LogEvery == 0 {
		if err := r.queueMetrics(); err != nil {
			return err
		}
	}
	if err := r.pollMetrics(false); err != nil {
		return err
	}
	if e.step%e.StepsPerEpoch() == 0 {
		if err := r.endEpoch(); err != nil {
			return err
		}
	}
	select {
	case <-r.ctx.Done():
		return r.interrupt()
	default:
	}
	if e.opt.SaveEvery > 0 && time.Since(r.saved) >= e.opt.SaveEvery {
		return r.save(false)
	}
	return nil
}

// endEpoch reads the epoch's sums, validates, decides what is best, and saves.
func (r *run) endEpoch() error {
	if err := r.drainMetrics(); err != nil {
		return err
	}
	e := r.engine
	s, err := e.scalars()
	if err != nil {
		return r.failed(err)
	}
	if s[scalAlive] == 0 {
		return r.diverged()
	}
	n := max(s[scalEpochCount], 1)
	r.state.Epoch++
	r.state.TrainLoss, r.state.TrainAcc = s[scalEpochLoss]/n, s[scalEpochCorrect]/n
	ev := Event{Kind: EventEpoch, TrainLoss: r.state.TrainLoss, TrainAccuracy: r.state.TrainAcc, LR: s[scalLR]}
	ev.Examples = r.examples()
	ev.ExamplesPerSecond = float64(ev.Examples) / time.Since(r.began).Seconds()
	best := true
	if r.validation != nil {
		v, err := e.Evaluate(r.ctx, r.validation)
		if err != nil {
			return r.failed(err)
		}
		ev.Validation = v
		best = r.judge(v)
	} else {
		r.state.BestEpoch = r.state.Epoch
	}
	ev.Best = best && r.validation != nil
	r.emit(ev)
	return r.save(best)
}

// failed adds to an error of the device what is known about the run; a context that ended comes through as such.
func (r *run) failed(err error) error {
	if r.ctx.Err() != nil && errors.Is(err, context.Cause(r.ctx)) {
		return r.interrupt()
	}
	if fault.HintOf(err) != "" {
		return err
	}
	hint := "nothing was saved"
	if r.store != nil {
		hint = "the last checkpoint is in " + r.engine.opt.Dir + "; resume from it"
	}
	return fault.Failuref(hint, "step %d: %w", r.engine.Step(), err)
}

func (r *run) interrupt() error {
	if err := r.drainMetrics(); err != nil {
		return err
	}
	i := &Interrupted{Step: r.engine.Step(), Cause: context.Cause(r.ctx)}
	if r.store != nil {
		if err := r.save(false); err != nil {
			return err
		}
		i.Path = r.store.LastPath()
	}
	return i
}
