package config

import (
	"github.com/acumen-ml/acumen/internal/fault"
)

// check looks at keys that must agree with each other. at gives a key with its place.
func (c *Config) check(at func(path string) string) error {
	t := &c.Trainer
	const noValidation = "set data.validation, such as 0.1: the test set must not decide"
	switch {
	case t.MicroBatches > 0 && t.Batch%int(t.MicroBatches) != 0:
		return fault.Usagef("choose a divisor of trainer.batch, or auto", "%s: %d parts do not divide a batch of %d", at("trainer.micro_batches"), t.MicroBatches, t.Batch)
	case c.Data.Validation == 0 && t.EarlyStop > 0:
		return fault.Usagef(noValidation, "%s: there is no validation set to watch", at("trainer.early_stop"))
	case c.Data.Validation == 0 && t.Plateau.Factor > 0:
		return fault.Usagef(noValidation, "%s: there is no validation set to watch", at("trainer.plateau.factor"))
	case c.Data.Validation > 1 && c.Data.Validation != float64(int(c.Data.Validation)):
		return fault.Usagef("a whole number of examples, or a fraction under 1", "%s: %v is neither", at("data.validation"), c.Data.Validation)
	case t.Optimizer.Nesterov != nil && *t.Optimizer.Nesterov && *t.Optimizer.Momentum == 0:
		return fault.Usagef("set trainer.optimizer.momentum, such as 0.9", "%s: Nesterov's form needs momentum", at("trainer.optimizer.nesterov"))
	case t.Loss.LabelSmoothing != 0 && t.Loss.Name != "cross_entropy":
		return fault.Usagef("remove it, or use cross_entropy", "%s: %s has none", at("trainer.loss.label_smoothing"), t.Loss.Name)
	case len(c.Data.Size) != 0 && len(c.Data.Size) != 2:
		return fault.Usagef("write [height, width]", "%s: %d numbers", at("data.size"), len(c.Data.Size))
	case len(c.Data.Mean) != len(c.Data.Std):
		return fault.Usagef("give both, with one number per channel", "%s: %d numbers, and data.std has %d", at("data.mean"), len(c.Data.Mean), len(c.Data.Std))
	case c.Model.Name == "" && c.Model.Layers.IsZero():
		return fault.Usagef("name a model of the zoo, or write model.layers", "%s: no model is given", at("model.name"))
	}
	if s := t.Schedule; s.Name == "piecewise" && (s.At == nil || s.Values == nil || len(*s.At) == 0 || len(*s.At) != len(*s.Values)) {
		return fault.Usagef("write at: [0, 0.2, 1] and values: [0, 1, 0], as many of the one as of the other", "%s: piecewise needs points and a value for each", at("trainer.schedule.name"))
	}
	for i, g := range t.Groups {
		if g.Pattern == "" {
			return fault.Usagef(`write pattern: "*.bias"`, "%s: group %d has no pattern", at("trainer.groups"), i)
		}
	}
	return nil
}
