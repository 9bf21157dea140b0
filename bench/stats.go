package main

import (
	"math"
	"slices"
)

// median is the middle of x, the mean of the two in the middle of an even number; NaN of none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Clone(x)
	slices.Sort(s)
	n := len(s) / 2
	if len(s)%2 == 1 {
		return s[n]
	}
	return (s[n-1] + s[n]) / 2
}

// geomean is the geometric mean of positive numbers; NaN of none.
func geomean(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(x)))
}

// ratio is the median, over visits that followed each other, of how many times as long theirs took as ours.
func ratio(ours, theirs []float64) float64 {
	var r []float64
	for i := range min(len(ours), len(theirs)) {
		r = append(r, theirs[i]/ours[i])
	}
	return median(r)
}
