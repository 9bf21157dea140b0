package schedule_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// tolerance is for rates from PyTorch, which multiplies step by step where a table has a closed form: some roundings.
const tolerance = 1e-14

type course struct {
	ID, Op   string
	Params   map[string]any
	Expected struct{ LR struct{ Data []float64 } }
}

func courses(t *testing.T) []course {
	b, err := os.ReadFile("../../testdata/golden/lr.json")
	require.NoError(t, err)
	var f struct{ Cases []course }
	require.NoError(t, json.Unmarshal(b, &f))
	return f.Cases
}

// config is the schedule of a golden case, and its base rate.
func (c course) config(t *testing.T) (s schedule.Config, base float64) {
	n := func(key string) float64 {
		v, ok := c.Params[key].(float64)
		require.True(t, ok, "%s: %s", c.ID, key)
		return v
	}
	list := func(key string) (out []float64) {
		for _, v := range c.Params[key].([]any) {
			out = append(out, v.(float64))
		}
		return out
	}
	s.Name = strings.TrimPrefix(c.Op, "lr.")
	switch s.Name {
	case "step":
		s.Every, s.Gamma, base = n("step_size"), n("gamma"), n("initial")
	case "exponential":
		s.Name, s.Every, s.Gamma, base = "step", 1, n("gamma"), n("initial")
	case "linear":
		s.Period, base = n("num_iters"), n("initial")
		s.Final = n("final") / base
	case "cosine":
		s.Period, base = n("num_iters"), n("initial")
		s.Final = n("min") / base
		s.Restart, _ = c.Params["restart"].(bool)
	case "onecycle":
		base = n("max")
		s.Start, s.Final, s.Warmup = n("start")/base, n("final")/base, n("warmup")
	case "piecewise":
		base, s.At, s.Values = 1, list("steps"), list("values")
	default:
		t.Fatalf("%s: op %s", c.ID, c.Op)
	}
	return s, base
}

// PyTorch's schedulers give these rates; the file is made by testdata/golden/make_optim.py.
func TestAgainstPyTorch(t *testing.T) {
	cs := courses(t)
	require.GreaterOrEqual(t, len(cs), 13)
	for _, c := range cs {
		s, base := c.config(t)
		got, err := s.Table(len(c.Expected.LR.Data))
		require.NoError(t, err, c.ID)
		for i, want := range c.Expected.LR.Data {
			assert.InDelta(t, want, base*got[i], tolerance, "%s: update %d", c.ID, i)
		}
	}
}

// A schedule over a whole run of 4 updates, written out.
func TestShapes(t *testing.T) {
	r := math.Sqrt2 / 2
	for name, c := range map[string]struct {
		s    schedule.Config
		want []float64
	}{
		"zero":              {schedule.Config{}, []float64{1, 1, 1, 1}},
		"warm-up":           {schedule.Config{Warmup: 0.5}, []float64{0.5, 1, 1, 1}},
		"cosine":            {schedule.Config{Name: "cosine"}, []float64{1, (1 + r) / 2, 0.5, (1 - r) / 2}},
		"cosine, warm":      {schedule.Config{Name: "cosine", Warmup: 2}, []float64{0.5, 1, 1, 0.5}},
		"cosine, floor":     {schedule.Config{Name: "cosine", Warmup: 2, Final: 0.2}, []float64{0.5, 1, 1, 0.6}},
		"linear":            {schedule.Config{Name: "linear"}, []float64{1, 0.75, 0.5, 0.25}},
		"linear, rising":    {schedule.Config{Name: "linear", Start: 0.5, Final: 1, Period: 2}, []float64{0.5, 0.75, 1, 1}},
		"step by share":     {schedule.Config{Name: "step", Every: 0.5, Gamma: 0.1}, []float64{1, 1, 0.1, 0.1}},
		"step every update": {schedule.Config{Name: "step", Every: 0.1, Gamma: 0.5}, []float64{1, 0.5, 0.25, 0.125}}, // a share of less than one update
		"one-cycle":         {schedule.Config{Name: "onecycle", Warmup: 0.5}, []float64{0, 0.5, 1, 0.5}},
		"one-cycle, no up":  {schedule.Config{Name: "onecycle"}, []float64{1, 0.75, 0.5, 0.25}},
		"piecewise, shares": {schedule.Config{Name: "piecewise", At: []float64{0, 0.5, 1}, Values: []float64{0, 1, 0}}, []float64{0, 0.5, 1, 0.5}},
		"piecewise, held":   {schedule.Config{Name: "piecewise", At: []float64{0, 2, 3}, Values: []float64{1, 0.1, 0.01}, Hold: true}, []float64{1, 1, 0.1, 0.01}},
	} {
		got, err := c.s.Table(4)
		require.NoError(t, err, name)
		assert.InDeltaSlice(t, c.want, got, tolerance, name)
	}
}

// Whatever the schedule, no run is too short for it.
func TestShortRuns(t *testing.T) {
	for _, name := range schedule.Names() {
		for _, warm := range []float64{0, 0.3, 1, 2, 100} {
			s := schedule.Config{Name: name, Warmup: warm, Every: 0.3, Gamma: 0.1, At: []float64{0, 1}, Values: []float64{1, 0.5}}
			for total := range 5 {
				got, err := s.Table(total)
				require.NoError(t, err)
				require.Len(t, got, total)
				for i, f := range got {
					assert.True(t, f >= 0 && f <= 1, "%s, warm-up %v, update %d of %d: %v", name, warm, i, total, f)
				}
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		s         schedule.Config
		say, hint string
	}{
		{schedule.Config{Name: "cosin"}, `trainer.schedule.name: there is no schedule "cosin"`, "did you mean cosine?"},
		{schedule.Config{Name: "quadratic hyperbola"}, "there is no schedule", "the schedules are constant, step"},
		{schedule.Config{Warmup: -1}, "trainer.schedule.warmup: -1", "from 0 on"},
		{schedule.Config{Name: "cosine", Final: nan}, "trainer.schedule.final: NaN", "finite"},
		{schedule.Config{Name: "linear", Start: math.Inf(1)}, "trainer.schedule.start: +Inf", "finite"},
		{schedule.Config{Name: "step", Gamma: 0.1}, "step needs every and gamma", "every: 0.33"},
		{schedule.Config{Name: "onecycle", Warmup: 1.5}, "trainer.schedule.warmup: 1.5", "whole number"},
		{schedule.Config{Name: "piecewise"}, "0 points and 0 values", "at least one"},
		{schedule.Config{Name: "piecewise", At: []float64{0, 1}, Values: []float64{1}}, "2 points and 1 values", "as many"},
		{schedule.Config{Name: "piecewise", At: []float64{3, 1}, Values: []float64{1, 1}}, "trainer.schedule.at", "after the one before"},
		{schedule.Config{Name: "piecewise", At: []float64{1}, Values: []float64{nan}}, "trainer.schedule.values", "finite"},
	} {
		_, err := c.s.Table(3)
		require.Error(t, err)
		assert.Contains(t, err.Error(), c.say)
		assert.Contains(t, fault.HintOf(err), c.hint)
		assert.Equal(t, fault.Usage, fault.KindOf(err))
	}
	for key, p := range map[string]schedule.Plateau{"factor": {Factor: 1}, "patience": {Patience: -1}, "min_factor": {MinFactor: nan}, "threshold": {Threshold: -1}} {
		assert.ErrorContains(t, p.Validate(), "trainer.plateau."+key)
	}
	assert.NoError(t, schedule.Plateau{Factor: 0.5, Patience: 3}.Validate())
}

// The state goes through JSON at every step, as it does through a checkpoint.
func TestPlateau(t *testing.T) {
	p := schedule.Plateau{Factor: 0.5, Patience: 1, MinFactor: 0.2, Threshold: 0.01}
	var s schedule.PlateauState
	assert.Equal(t, 1.0, s.Multiplier())
	for i, e := range []struct{ metric, factor float64 }{
		{0.5, 1}, {0.6, 1}, {0.604, 1}, // under a hundredth better: borne once
		{0.6, 0.5}, {0.59, 0.5}, {0.7, 0.5}, {0.6, 0.5}, {math.NaN(), 0.25}, {0.7, 0.25}, {0.7, 0.2}, {0, 0.2}, {0, 0.2}, {0.8, 0.2},
	} {
		s = p.Step(s, e.metric)
		assert.Equal(t, e.factor, s.Multiplier(), "epoch %d", i)
		b, err := json.Marshal(s)
		require.NoError(t, err)
		s = schedule.PlateauState{}
		require.NoError(t, json.Unmarshal(b, &s))
	}
	down := schedule.Plateau{} // as the configuration's zero: a tenth, at once; losses are negated
	d := down.Step(down.Step(schedule.PlateauState{}, -2), -3)
	assert.Equal(t, 0.1, d.Multiplier())
	assert.Equal(t, 0.1, down.Step(d, -1).Multiplier())
}

// PyTorch 2.15's ReduceLROnPlateau at rate 1, with eps=0, gave these factors. Minimising is maximising the negative.
func TestPlateauAgainstPyTorch(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		p               schedule.Plateau
		sign            float64
		metric, factors []float64
	}{
		{schedule.Plateau{Factor: 0.1}, 1, []float64{0.51, 0.57, 0.57, 0.66, 0.65, nan, 0.63, 0.7, 0.78}, []float64{1, 1, 0.1, 0.1, 0.01, 0.001, 0.0001, 0.0001, 0.0001}},
		{
			schedule.Plateau{Factor: 0.5, Patience: 1, MinFactor: 0.2, Threshold: 0.01}, 1,
			[]float64{0.5, 0.49, 0.5, 0.65, 0.6, nan, 0.74, 0.745, 0.746, 0.8, 0.79, 0.78, 0.79, 0.8},
			[]float64{1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2},
		},
		{
			schedule.Plateau{Factor: 0.3, Patience: 2, Threshold: 0.05}, -1,
			[]float64{2.3, 1.9, 1.85, 1.84, 1.83, 1.5, 1.6, nan, 1.5, 1.4, 1.39, 1.37, 1.2},
			[]float64{1, 1, 1, 1, 0.3, 0.3, 0.3, 0.3, 0.09, 0.09, 0.09, 0.09, 0.09},
		},
		{schedule.Plateau{Factor: 0.5, Patience: 1}, 1, []float64{nan, nan, 0.3, 0.2, 0.4, nan, 0.1, 0.5}, []float64{1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25}},
		{schedule.Plateau{Factor: 0.5, Patience: 1}, -1, []float64{inf, inf, 3, 2, inf, inf, 1}, []float64{1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25}},
	} {
		var s schedule.PlateauState
		for i, m := range c.metric {
			s = c.p.Step(s, c.sign*m)
			assert.InDelta(t, c.factors[i], s.Multiplier(), tolerance, "%+v: epoch %d", c.p, i)
			_, err := json.Marshal(s)
			require.NoError(t, err, "epoch %d: a checkpoint could not hold it", i)
		}
	}
	s := schedule.Plateau{}.Step(schedule.PlateauState{}, inf)
	_, err := json.Marshal(s)
	assert.NoError(t, err)
}
