package config

import "strconv"

// LossScale is auto, dynamic, or a number from 1 to 2^40 as YAML writes it.
type LossScale string

// Number is the fixed scale; 0 for auto and dynamic.
func (s LossScale) Number() float64 {
	f, _ := strconv.ParseFloat(string(s), 64)
	return f
}

func parseLossScale(text string) (LossScale, bool) {
	if text == "auto" || text == "dynamic" {
		return LossScale(text), true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 1 && f <= 1<<40) {
		return "", false
	}
	return LossScale(strconv.FormatFloat(f, 'f', -1, 64)), true
}
