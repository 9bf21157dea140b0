// Package schedule is the course of the learning rate: a table of factors, one per update, and the rule that lowers the
// rate on a plateau.
package schedule

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// Config names a schedule. Lengths are numbers of updates, or under 1 shares of all updates. The zero Config is constant.
type Config struct {
	// Name is constant (default), step, linear, cosine, onecycle or piecewise.
	Name string
	// Warmup is how long the factor rises in a line before the schedule proper begins. In onecycle, whose first half it
	// is, it rises from Start; elsewhere from 1/length at the first update.
	Warmup float64
	// Start is the first factor of linear and onecycle; default 1 and 0.
	Start float64
	// Final is the last factor of linear, cosine and onecycle, the foot of the curve; default 0.
	Final float64
	// Every and Gamma, of step: the factor is multiplied by Gamma after each Every.
	Every, Gamma float64
	// Period is how long linear takes, and cosine from top to foot; default all updates after warm-up. After it linear
	// stays at Final, and cosine rises again, or with Restart begins anew at 1 (Loshchilov and Hutter, arXiv 1608.03983).
	Period  float64
	Restart bool
	// At and Values, of piecewise: the factor is Values[i] at At[i], a line between two points, and level outside of
	// them. With Hold it is Values[i] from At[i] on, no lines. If every At is at most 1 they are shares.
	At, Values []float64
	Hold       bool
}

// Names are the schedules that Config.Name may ask for.
func Names() []string {
	return []string{"constant", "step", "linear", "cosine", "onecycle", "piecewise"}
}

// Validate checks c; errors name the configuration's key.
func (c Config) Validate() error {
	if c.Name != "" && !slices.Contains(Names(), c.Name) {
		hint := "the schedules are " + strings.Join(Names(), ", ")
		if n := nearest.Name(c.Name, Names()); n != "" {
			hint = "did you mean " + n + "?"
		}
		return fault.Usagef(hint, "trainer.schedule.name: there is no schedule %q", c.Name)
	}
	for _, f := range []struct {
		key string
		v   float64
	}{{"warmup", c.Warmup}, {"start", c.Start}, {"final", c.Final}, {"every", c.Every}, {"gamma", c.Gamma}, {"period", c.Period}} {
		if math.IsNaN(f.v) || math.IsInf(f.v, 0) || f.v < 0 {
			return fault.Usagef("a finite number from 0 on", "trainer.schedule.%s: %v", f.key, f.v)
		}
	}
	switch {
	case c.Name == "step" && (c.Every == 0 || c.Gamma == 0):
		return fault.Usagef("such as every: 0.33, gamma: 0.1", "trainer.schedule: step needs every and gamma above 0")
	case c.Name == "onecycle" && c.Warmup >= 1 && c.Warmup != math.Trunc(c.Warmup):
		return fault.Usagef("a share under 1, or a whole number of updates", "trainer.schedule.warmup: %v", c.Warmup)
	case c.Name == "piecewise" && (len(c.At) == 0 || len(c.At) != len(c.Values)):
		return fault.Usagef("give as many values as points, at least one", "trainer.schedule: piecewise has %d points and %d values", len(c.At), len(c.Values))
	}
	for i, v := range c.At {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || i > 0 && v <= c.At[i-1] {
			return fault.Usagef("points from 0 on, each after the one before", "trainer.schedule.at: %v", c.At)
		}
	}
	for _, v := range c.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fault.Usagef("finite numbers from 0 on", "trainer.schedule.values: %v", c.Values)
		}
	}
	return nil
}

// length is v in updates.
func length(v float64, total int) float64 {
	if v < 1 {
		return v * float64(total)
	}
	return v
}

// Table gives the factor on the base learning rate for each of total updates.
func (c Config) Table(total int) ([]float64, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t := make([]float64, total)
	if c.Name == "onecycle" {
		up := length(c.Warmup, total)
		for i := range t {
			if x := float64(i); x < up {
				t[i] = c.Start + (1-c.Start)*x/up
			} else {
				t[i] = 1 + (c.Final-1)*(x-up)/(float64(total)-up)
			}
		}
		return t, nil
	}
	warm := int(math.Round(math.Min(length(c.Warmup, total), math.MaxInt32)))
	rest := max(total-warm, 1) // a warm-up may be longer than a short run
	for i := range t {
		if i < warm {
			t[i] = float64(i+1) / float64(warm) * c.at(0, rest)
		} else {
			t[i] = c.at(i-warm, rest)
		}
	}
	return t, nil
}

// at is the factor of update i of total, after warm-up.
func (c Config) at(i, total int) float64 {
	x, period := float64(i), float64(total)
	if c.Period > 0 {
		period = length(c.Period, total)
	}
	switch c.Name {
	case "", "constant":
		return 1
	case "step":
		return math.Pow(c.Gamma, math.Floor(x/math.Max(length(c.Every, total), 1)))
	case "linear":
		start := c.Start
		if start == 0 {
			start = 1
		}
		return start + (c.Final-start)*math.Min(x/period, 1)
	case "cosine":
		if c.Restart {
			x = math.Mod(x, period)
		}
		return c.Final + (1-c.Final)*(1+math.Cos(math.Pi*x/period))/2
	case "piecewise":
		return c.between(x, total)
	}
	panic(fmt.Sprintf("schedule: %q", c.Name))
}

func (c Config) between(x float64, total int) float64 {
	scale := 1.0
	if last := c.At[len(c.At)-1]; last <= 1 {
		scale = float64(total)
	}
	k := 0
	for k+1 < len(c.At) && c.At[k+1]*scale <= x {
		k++
	}
	if lo := c.At[k] * scale; k+1 < len(c.At) && x > lo && !c.Hold {
		return c.Values[k] + (c.Values[k+1]-c.Values[k])*(x-lo)/(c.At[k+1]*scale-lo)
	}
	return c.Values[k]
}
