package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStatistics(t *testing.T) {
	x := []float64{5, 1, 3}
	assert.Equal(t, 3., median(x))
	assert.Equal(t, []float64{5, 1, 3}, x, "it sorts a copy")
	assert.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	assert.True(t, math.IsNaN(median(nil)))
	assert.InDelta(t, 2, geomean([]float64{1, 4, 2}), 1e-15)
	assert.True(t, math.IsNaN(geomean(nil)))
	// The machine is three times slower in the second visit, for both: the pairs still say 2.
	assert.Equal(t, 2., ratio([]float64{1, 3, 1}, []float64{2, 6, 2}))
	assert.Equal(t, 0.5, ratio([]float64{2}, []float64{1, 9, 9}), "only pairs count")
	assert.True(t, math.IsNaN(ratio(nil, []float64{1})))
}
