package schedule

import (
	"math"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Plateau lowers the learning rate when a validation metric no longer improves.
type Plateau struct {
	Factor    float64 // on the rate, each time; default 0.1
	Patience  int     // epochs without improvement that are borne; default 0
	MinFactor float64 // below which the product does not fall; default 0
	Threshold float64 // by how much, as a share of its size, the metric must rise to have improved; default 0
}

// Validate checks p; errors name the configuration's key.
func (p Plateau) Validate() error {
	if math.IsNaN(p.Factor) || p.Factor < 0 || p.Factor >= 1 {
		return fault.Usagef("a number between 0 and 1, such as 0.1", "trainer.plateau.factor: %v", p.Factor)
	}
	if p.Patience < 0 {
		return fault.Usagef("a number of epochs from 0 on", "trainer.plateau.patience: %d", p.Patience)
	}
	if math.IsNaN(p.MinFactor) || p.MinFactor < 0 || p.MinFactor > 1 {
		return fault.Usagef("a number from 0 to 1", "trainer.plateau.min_factor: %v", p.MinFactor)
	}
	if math.IsNaN(p.Threshold) || p.Threshold < 0 {
		return fault.Usagef("a number from 0 on", "trainer.plateau.threshold: %v", p.Threshold)
	}
	return nil
}

// PlateauState is what a Plateau remembers from epoch to epoch. The zero value is the start.
type PlateauState struct {
	Seen   bool    `json:"seen,omitempty"`
	Best   float64 `json:"best,omitempty"`
	Bad    int     `json:"bad,omitempty"`    // epochs without improvement
	Factor float64 `json:"factor,omitempty"` // on the rate; 0 means 1
}

// Multiplier is the factor on the learning rate.
func (s PlateauState) Multiplier() float64 {
	if s.Factor == 0 {
		return 1
	}
	return s.Factor
}

// Step is the state after an epoch whose metric was value; larger is better. NaN and -Inf are no improvement, even as the
// first.
func (p Plateau) Step(s PlateauState, value float64) PlateauState {
	if !s.Seen && value > math.Inf(-1) || s.Seen && value > s.Best+p.Threshold*math.Abs(s.Best) {
		s.Seen, s.Best, s.Bad = true, math.Min(value, math.MaxFloat64), 0 // finite: it goes into JSON
		return s
	}
	if s.Bad++; s.Bad > p.Patience {
		f := p.Factor
		if f == 0 {
			f = 0.1
		}
		s.Factor, s.Bad = math.Max(s.Multiplier()*f, math.Max(p.MinFactor, math.SmallestNonzeroFloat32)), 0
	}
	return s
}
