package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/metric"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// Interrupted is what Fit returns when its context ends: the step under way was finished, and a checkpoint written if
// there is a folder for it.
type Interrupted struct {
	Step  int
	Path  string // the checkpoint; empty if Dir was not given
	Cause error  // context.Cause
}

// Error says what stopped the run.
func (e *Interrupted) Error() string {
	return fmt.Sprintf("stopped after step %d: %v", e.Step, e.Cause)
}

// Hint says how to go on.
func (e *Interrupted) Hint() string {
	if e.Path == "" {
		return "nothing was saved: no folder was given"
	}
	return "saved in " + e.Path + "; resume to go on"
}

// Unwrap is the cause, for errors.Is and errors.As.
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
	ctx        context.Context
	dev        device.Device
	net        *model.Network
	validation data.Set
	split      *checkpoint.Split
	test       data.Set
	engine     *Engine
	store      *checkpoint.Store
	state      progress
	last, best *checkpoint.Checkpoint // as saved last, and of the best epoch
	profile    *device.Profiler
	began      time.Time // of this call
	startStep  int       // updates at its start
	saved      time.Time
	logged     time.Time // the last step event, and the examples then
	loggedAt   int
	looked     int // the last step whose numbers were asked for
}

// progress is what the host must know to go on; it travels in checkpoints.
type progress struct {
	Epoch      int                   `json:"epoch"` // epochs ended
	Step       int                   `json:"step"`
	Batch      int                   `json:"batch"`
	Micro      int                   `json:"micro_batches,omitempty"` // parts of a batch; 0 in checkpoints of before it was kept
	EvalBatch  int                   `json:"eval_batch,omitempty"`
	Examples   int                   `json:"examples"` // of the training set
	Seed       uint64                `json:"seed"`
	TrainLoss  float64               `json:"train_loss"` // of the last epoch that ended
	TrainAcc   float64               `json:"train_accuracy"`
	Best       float64               `json:"best"` // validation metric, larger is better
	BestEpoch  int                   `json:"best_epoch"`
	BadEpochs  int                   `json:"epochs_without_improvement"`
	Plateau    schedule.PlateauState `json:"plateau"`
	Scalars    []float64             `json:"scalars"` // the device's, so that sums of an epoch go on
	Stopped    string                `json:"stopped,omitempty"`
	Validation *metric.Result        `json:"validation,omitempty"` // of the best epoch
	Finished   *Result               `json:"finished,omitempty"`
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
	r.saved, r.logged, r.loggedAt, r.startStep, r.looked = time.Now(), time.Now(), e.seen(), e.step, e.step
	stopProfile := r.startProfile()
	defer stopProfile()
	if e.step > 0 && e.step%e.StepsPerEpoch() == 0 && r.state.Epoch < e.step/e.StepsPerEpoch() {
		if err := r.endEpoch(); err != nil { // it was interrupted in validation
			return nil, err
		}
	}
	for e.step < e.limit() && r.state.Stopped == "" {
		if r.profile != nil && e.step == r.startStep+e.opt.ProfileSteps {
			stopProfile()
		}
		if _, err := e.TrainSteps(r.stretch()); err != nil {
			return nil, r.failed(err)
		}
		if err := r.afterStep(); err != nil {
			return nil, err
		}
	}
	if r.state.Stopped == "" && e.limit() < e.total {
		r.state.Stopped = "max steps"
		if e.step%e.StepsPerEpoch() != 0 {
			if err := r.endEpoch(); err != nil {
				return nil, err
			}
		}
	}
	return r.finish()
}

// startProfile makes the next steps run call by call under the profiler; stop may be called again.
func (r *run) startProfile() (stop func()) {
	if r.engine.opt.ProfileSteps == 0 {
		return func() {}
	}
	e, was := r.engine, r.engine.opt.NoCapture
	r.profile = device.NewProfiler(e.dev)
	e.opt.NoCapture = true
	return func() {
		if r.profile != nil && e.opt.NoCapture != was {
			e.opt.NoCapture = was
		}
		r.profile.Stop()
	}
}

// looks is how many looks at the device's numbers may be under way. The host runs ahead of the device no further, so that
// a signal is answered soon, and a step that was not finite is seen soon.
const looks = 2

// nextLook is the step after which the host looks at the latest: soon enough where steps are long, and where they are
// short not so soon that the device could run dry meanwhile.
func (r *run) nextLook() int { return r.looked + 4*r.engine.perGraph + 4 }

// stretch is how many steps may be queued before something else is due.
func (r *run) stretch() int {
	e := r.engine
	return min(e.opt.LogEvery-e.step%e.opt.LogEvery, r.nextLook()-e.step, e.limit()-e.step)
}

// afterStep does what is due between steps.
func (r *run) afterStep() error {
	e := r.engine
	if e.step%e.opt.LogEvery == 0 || e.step >= r.nextLook() {
		e.RequestMetrics()
		r.looked = e.step
	}
	if err := r.report(looks); err != nil {
		return err
	}
	if e.step%e.StepsPerEpoch() == 0 {
		if err := r.endEpoch(); err != nil {
			return err
		}
	}
	if r.ctx.Err() != nil {
		return r.interrupt()
	}
	if e.opt.SaveEvery > 0 && time.Since(r.saved) >= e.opt.SaveEvery {
		return r.save(false)
	}
	return nil
}

// report tells of the steps whose numbers have arrived, and waits until no more than so many looks are under way. It waits
// by asking again, which leaves the CPU to others, as waiting in a driver may not.
func (r *run) report(underWay int) error {
	e := r.engine
	for asked := 1; ; asked++ {
		m, ok, err := e.Metrics(false)
		switch {
		case err != nil:
			return r.failed(err)
		case !ok && len(e.pending) <= underWay:
			return nil
		case !ok:
			if asked%16 == 0 {
				time.Sleep(50 * time.Microsecond)
			}
			continue
		case !m.Alive:
			return r.diverged()
		case m.Step%e.opt.LogEvery != 0:
			continue
		}
		seen, now := e.plan.seen(m.Step), time.Now()
		rate := float64(seen-r.loggedAt) / max(now.Sub(r.logged).Seconds(), 1e-9)
		r.loggedAt, r.logged = seen, now
		ev := Event{Kind: EventStep, Step: m.Step, Loss: m.Loss, Accuracy: m.Accuracy, LR: m.LR, GradNorm: m.GradNorm, Examples: seen - e.plan.seen(r.startStep), ExamplesPerSecond: rate}
		if e.opt.LossScale.on() {
			ev.LossScale, ev.SkippedSteps = m.LossScale, m.Skipped
		}
		r.emit(ev)
	}
}

// endEpoch reads the epoch's sums, validates, decides what is best, and saves. Interrupted in validation, it leaves the
// progress as it was, so that it is done again on resuming.
func (r *run) endEpoch() error {
	if err := r.report(0); err != nil {
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
	n, next := max(s[scalEpochCount], 1), r.state
	next.Epoch++
	next.TrainLoss, next.TrainAcc = s[scalEpochLoss]/n, s[scalEpochCorrect]/n
	ev := Event{Kind: EventEpoch, TrainLoss: next.TrainLoss, TrainAccuracy: next.TrainAcc, LR: s[scalLR]}
	if e.opt.LossScale.on() {
		ev.LossScale, ev.SkippedSteps = s[scalLossScale], int(s[scalSkipped])
	}
	ev.Examples = e.seen() - e.plan.seen(r.startStep)
	ev.ExamplesPerSecond = float64(ev.Examples) / time.Since(r.began).Seconds()
	best := true
	if r.validation != nil {
		v, err := r.evaluate(r.validation)
		if err != nil {
			return err
		}
		ev.Validation = v
		if best = next.judge(v, e.opt); best {
			ev.Best = true
		}
		s[scalPlateau] = next.Plateau.Multiplier()
		e.upload(e.scal, s)
	} else {
		next.BestEpoch = next.Epoch
	}
	r.state = next
	r.emit(ev)
	return r.save(best)
}

// judge takes the validation result of the epoch that has just ended into account and reports whether it is the best.
func (p *progress) judge(v *metric.Result, o Options) bool {
	value := v.Top1
	if o.Monitor == "loss" {
		value = -v.Loss
	}
	best := p.BestEpoch == 0 || value > p.Best
	if best {
		p.Best, p.BestEpoch, p.BadEpochs, p.Validation = value, p.Epoch, 0, v
	} else {
		p.BadEpochs++
	}
	if o.EarlyStop > 0 && p.BadEpochs >= o.EarlyStop {
		p.Stopped = "early stop"
	}
	if o.Plateau != nil {
		p.Plateau = o.Plateau.Step(p.Plateau, value)
	}
	return best
}

// evaluate is Engine.Evaluate with errors that say what became of the run.
func (r *run) evaluate(set data.Set) (*metric.Result, error) {
	v, err := r.engine.Evaluate(r.ctx, set)
	if err != nil {
		return nil, r.failed(err)
	}
	if math.IsNaN(v.Loss) || math.IsInf(v.Loss, 0) {
		return nil, fault.New(fault.Diverged, "lower trainer.optimizer.lr, or warm it up", "step %d: the loss on held-out data is %v, although no training step's was", r.engine.step, v.Loss)
	}
	return v, nil
}

// finish evaluates the chosen weights on the test set and keeps the result with the last checkpoint.
func (r *run) finish() (*Result, error) {
	e := r.engine
	res := &Result{Epochs: r.state.Epoch, Steps: e.step, TrainLoss: r.state.TrainLoss, TrainAccuracy: r.state.TrainAcc,
		Validation: r.state.Validation, BestEpoch: r.state.BestEpoch, Stopped: r.state.Stopped, Profile: r.profile}
	if err := r.adoptBest(); err != nil {
		return nil, err
	}
	if r.test != nil {
		var err error
		if res.Test, err = r.evaluate(r.test); err != nil {
			return nil, err
		}
	}
	res.Seconds = time.Since(r.began).Seconds()
	r.state.Finished = res
	if err := r.saveFinished(); err != nil {
		return nil, err
	}
	r.emit(Event{Kind: EventFinish, Result: res})
	return res, nil
}

// failed adds to an error of the device what is known about the run; a context that ended becomes an Interrupted.
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
	return fault.Failuref(hint, "step %d: %w", r.engine.step, err)
}

// interrupt saves and says where. Once training is over, the last checkpoint is there already.
func (r *run) interrupt() error {
	e := r.engine
	i := &Interrupted{Step: e.step, Cause: context.Cause(r.ctx)}
	over := r.state.Stopped != "" || e.step >= e.limit() && r.state.Epoch == e.step/e.StepsPerEpoch()
	if !over {
		if err := r.report(0); err != nil {
			return err
		}
		if err := r.save(false); err != nil {
			return err
		}
	}
	if r.store != nil {
		i.Path = r.store.LastPath()
	}
	return i
}
