package main

import (
	"time"

	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// value is what p points to, the zero value if nothing.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// options are the trainer's, as the configuration has them.
func options(c *config.Config) (trainer.Options, error) {
	t := &c.Trainer
	o := trainer.Options{
		Epochs: t.Epochs, MaxSteps: t.MaxSteps, Batch: t.Batch, MicroBatches: int(t.MicroBatches), DropLast: t.DropLast, EvalBatch: t.EvalBatch,
		Loss:     trainer.Loss{Name: t.Loss.Name, LabelSmoothing: t.Loss.LabelSmoothing},
		ClipNorm: t.ClipNorm, ClipValue: t.ClipValue,
		Mean: c.Data.Mean, Std: c.Data.Std, Validation: c.Data.Validation, EarlyStop: t.EarlyStop, Monitor: t.Monitor,
		LossScale: trainer.LossScale{Dynamic: t.LossScale == "dynamic", Scale: t.LossScale.Number()},
		Seed:      c.Seed, NoCapture: !t.Capture, CaptureSteps: t.CaptureSteps, ResidentBytes: int(c.Data.Resident),
		SaveEvery: time.Duration(t.SaveEvery), Keep: t.Keep, Config: c.YAML(), LogEvery: t.LogEvery,
	}
	o.Precision, o.TF32, _ = trainer.Precision(c.Precision) // the configuration knows the same words
	if o.MicroBatches == 0 {
		o.MicroBatches = trainer.Auto
	}
	if o.ResidentBytes == 0 {
		o.ResidentBytes = -1 // 0 is the trainer's default
	}
	a := c.Data.Augment
	o.Augment = augment.Spec{Flip: a.Flip, Pad: a.Pad, Reflect: a.Reflect, Cutout: a.Cutout}
	for _, g := range t.Groups {
		o.Groups = append(o.Groups, optim.Group{Pattern: g.Pattern, LRScale: value(g.LRScale), WeightDecay: g.WeightDecay, Freeze: g.Freeze})
	}
	s := &t.Schedule
	o.Schedule = schedule.Config{Name: s.Name, Warmup: value(s.Warmup), Start: value(s.Start), Final: value(s.Final), Every: value(s.Every), Gamma: value(s.Gamma),
		Period: value(s.Period), Restart: value(s.Restart), At: value(s.At), Values: value(s.Values), Hold: value(s.Hold)}
	if err := o.Schedule.Validate(); err != nil {
		return o, err
	}
	if p := t.Plateau; p.Factor > 0 {
		o.Plateau = &schedule.Plateau{Factor: p.Factor, Patience: p.Patience, MinFactor: p.MinFactor, Threshold: p.Threshold}
	}
	var err error
	u := &t.Optimizer
	o.Optimizer, err = optim.Config{Name: u.Name, LR: value(u.LR), Momentum: value(u.Momentum), Dampening: value(u.Dampening), Nesterov: value(u.Nesterov),
		Beta1: value(u.Beta1), Beta2: value(u.Beta2), Eps: value(u.Eps), AMSGrad: value(u.AMSGrad), WeightDecay: value(u.WeightDecay), Decoupled: value(u.Decoupled)}.Optimizer()
	return o, err
}
