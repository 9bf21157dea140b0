package optim

import (
	"math"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// Config is an optimiser as a configuration describes it. Fields that its optimiser does not have are left out.
type Config struct {
	Name                string // sgd, adam or adamw
	LR                  float64
	Momentum, Dampening float64 // sgd
	Nesterov            bool    // sgd
	Beta1, Beta2, Eps   float64 // adam, adamw; 0: 0.9, 0.999, 1e-8
	AMSGrad             bool    // adam, adamw
	WeightDecay         float64
	Decoupled           bool // sgd, adam: w -= lr decay w instead of g += decay w; adamw always
}

// Names are the optimisers that Config.Name may ask for.
func Names() []string { return []string{"sgd", "adam", "adamw"} }

// Optimizer checks c and gives what it describes. Errors name the configuration's key.
func (c Config) Optimizer() (Optimizer, error) {
	if !slices.Contains(Names(), c.Name) {
		hint := "the optimizers are " + strings.Join(Names(), ", ")
		if n := nearest.Name(c.Name, Names()); n != "" {
			hint = "did you mean " + n + "?"
		}
		return nil, fault.Usagef(hint, "trainer.optimizer.name: there is no optimizer %q", c.Name)
	}
	for _, f := range []struct {
		key      string
		v, below float64
	}{{"lr", c.LR, math.Inf(1)}, {"momentum", c.Momentum, 1}, {"dampening", c.Dampening, math.Inf(1)}, {"beta1", c.Beta1, 1}, {"beta2", c.Beta2, 1}, {"eps", c.Eps, math.Inf(1)}, {"weight_decay", c.WeightDecay, math.Inf(1)}} {
		if math.IsNaN(f.v) || f.v < 0 || f.v >= f.below {
			hint := "a finite number from 0 on"
			if f.below == 1 {
				hint = "a number from 0 to less than 1"
			}
			return nil, fault.Usagef(hint, "trainer.optimizer.%s: %v", f.key, f.v)
		}
	}
	switch c.Name {
	case "adam":
		return Adam{LR: c.LR, Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay, Decoupled: c.Decoupled, AMSGrad: c.AMSGrad}, nil
	case "adamw":
		return AdamW{LR: c.LR, Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay, AMSGrad: c.AMSGrad}, nil
	}
	return SGD{LR: c.LR, Momentum: c.Momentum, Dampening: c.Dampening, Nesterov: c.Nesterov, WeightDecay: c.WeightDecay, Decoupled: c.Decoupled}, nil
}
