package optim

import (
	"math"
	"path"
	"strings"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Group is how some parameters are treated differently.
type Group struct {
	Pattern     string   // of parameter paths, as path.Match has it, a dot being no border: *.bias, conv1.*
	LRScale     float64  // factor on the learning rate; 0 means 1
	WeightDecay *float64 // nil: the optimiser's
	Freeze      bool     // not trained at all
}

// Assign gives for each path its group: 0 the default, i+1 the first of groups whose pattern it matches. A pattern that
// matches no path, and a factor or decay that is negative or not finite, are errors.
func Assign(paths []string, groups []Group) ([]int, error) {
	of, hits := make([]int, len(paths)), make([]int, len(groups))
	for i, g := range groups {
		if math.IsNaN(g.LRScale) || math.IsInf(g.LRScale, 0) || g.LRScale < 0 {
			return nil, fault.Usagef("a finite number above 0; freeze: true trains nothing", "trainer.groups[%d].lr_scale: %v", i, g.LRScale)
		}
		if d := g.WeightDecay; d != nil && (math.IsNaN(*d) || math.IsInf(*d, 0) || *d < 0) {
			return nil, fault.Usagef("a finite number from 0 on", "trainer.groups[%d].weight_decay: %v", i, *d)
		}
	}
	for i, p := range paths {
		for g := range groups {
			ok, err := path.Match(groups[g].Pattern, p)
			if err != nil {
				return nil, fault.Usagef("use * and ? and [a-z]", "trainer.groups[%d].pattern: %q is not a pattern", g, groups[g].Pattern)
			}
			if ok {
				hits[g]++
				if of[i] == 0 {
					of[i] = g + 1
				}
			}
		}
	}
	for g, n := range hits {
		if n == 0 {
			return nil, fault.Usagef("the parameters are "+strings.Join(paths, ", "), "trainer.groups[%d].pattern: %q matches no parameter", g, groups[g].Pattern)
		}
	}
	return of, nil
}
