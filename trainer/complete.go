package trainer

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// complete fills in defaults and checks what can be checked without a device. Keys in errors are the configuration's.
func (o Options) complete(net *model.Network, train data.Set) (Options, error) {
	orDefault(&o.Epochs, 1)
	orDefault(&o.Batch, 64)
	orDefault(&o.MicroBatches, 1)
	orDefault(&o.EvalBatch, o.Batch)
	orDefault(&o.LogEvery, 50)
	orDefault(&o.ResidentBytes, 2<<30)
	orDefault(&o.Loss.Name, "cross_entropy")
	orDefault(&o.Monitor, "accuracy")
	if o.Optimizer == nil {
		o.Optimizer = optim.SGD{LR: 0.1, Momentum: 0.9}
	}
	for _, c := range []struct {
		key string
		v   int
		min int
	}{{"epochs", o.Epochs, 1}, {"max_steps", o.MaxSteps, 0}, {"batch", o.Batch, 1}, {"micro_batches", o.MicroBatches, 1}, {"eval_batch", o.EvalBatch, 1},
		{"early_stop", o.EarlyStop, 0}, {"keep", o.Keep, 0}, {"log_every", o.LogEvery, 1}, {"capture_steps", o.CaptureSteps, 0}} {
		if c.v < c.min && !(c.key == "micro_batches" && c.v == Auto) {
			return o, fault.Usagef(fmt.Sprintf("a whole number from %d on", c.min), "trainer.%s: %d", c.key, c.v)
		}
	}
	if o.Batch%o.MicroBatches != 0 {
		return o, fault.Usagef("choose a divisor of trainer.batch, or auto", "trainer.micro_batches: %d parts do not divide a batch of %d", o.MicroBatches, o.Batch)
	}
	if most := math.MaxInt32 / net.Largest(); o.MicroBatches != Auto && (min(o.Batch/o.MicroBatches, train.Len()) > most || min(o.EvalBatch, train.Len()) > most) {
		return o, fault.Usagef("take more trainer.micro_batches, or smaller batches", "trainer.batch: %d pictures at a time, and trainer.eval_batch: %d, make arrays of more than 2^31-1 elements; %d pictures are the most",
			o.Batch/o.MicroBatches, o.EvalBatch, most)
	}
	for _, c := range []struct {
		key string
		v   float64
	}{{"clip_norm", o.ClipNorm}, {"clip_value", o.ClipValue}} {
		if math.IsNaN(c.v) || c.v < 0 {
			return o, fault.Usagef("a bound above 0, or 0 for none", "trainer.%s: %v", c.key, c.v)
		}
	}
	if lr := o.Optimizer.LearningRate(); math.IsNaN(lr) || math.IsInf(lr, 0) || lr < 0 {
		return o, fault.Usagef("a finite number from 0 on, such as 0.1", "trainer.optimizer.lr: %v", lr)
	}
	if o.Monitor != "accuracy" && o.Monitor != "loss" {
		return o, fault.Usagef("accuracy or loss", "trainer.monitor: %q is not known", o.Monitor)
	}
	if o.Validation == 0 && o.EarlyStop > 0 {
		return o, fault.Usagef("set data.validation, such as 0.1: the test set must not decide", "trainer.early_stop: there is no validation set to watch")
	}
	if o.Validation == 0 && o.Plateau != nil {
		return o, fault.Usagef("set data.validation, such as 0.1: the test set must not decide", "trainer.plateau: there is no validation set to watch")
	}
	if err := o.Loss.validate(); err != nil {
		return o, err
	}
	var err error
	if o.LossScale, err = o.LossScale.complete(o.Precision); err != nil {
		return o, err
	}
	if o.Mean == nil && o.Std == nil {
		o.Mean, o.Std = data.Normalisation(train)
	}
	if c := train.Shape()[2]; len(o.Mean) != c || len(o.Std) != c {
		return o, fault.Usagef("one number per channel", "data.mean, data.std: %d and %d numbers for pictures of %d channels", len(o.Mean), len(o.Std), c)
	}
	for i, s := range o.Std {
		if !(s > 0) || math.IsInf(s, 0) || math.IsNaN(o.Mean[i]) || math.IsInf(o.Mean[i], 0) {
			return o, fault.Usagef("the deviation of each channel must be above 0", "data.mean, data.std: %v and %v", o.Mean, o.Std)
		}
	}
	return o, fits(net, train)
}

// fits checks that net can read the pictures of set and has an output for each class.
func fits(net *model.Network, set data.Set) error {
	if s := set.Shape(); s != net.Input {
		return fault.Usagef("choose a model made for pictures of this size", "model %s takes pictures of %dx%dx%d, data set %s has %dx%dx%d",
			net.Name, net.Input[0], net.Input[1], net.Input[2], set.Name(), s[0], s[1], s[2])
	}
	if k := len(set.Classes()); k != net.Classes {
		return fault.Usagef("let the last layer have one output per class", "model %s has %d outputs, data set %s has %d classes", net.Name, net.Classes, set.Name(), k)
	}
	return nil
}

func (e *Engine) fits(set data.Set) error { return fits(e.net, set) }
