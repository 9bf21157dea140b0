package peak

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasure(t *testing.T) {
	loops, order := loops(1)
	if len(order) == 0 {
		t.Skip("no assembly for this processor")
	}
	for _, k := range order {
		assert.Greater(t, loops[k](0, 1), 0., k)
	}
	if testing.Short() {
		return
	}
	r := Measure([]int{1, 2}, 3)
	require.Len(t, r, 2*len(order))
	for _, x := range r {
		t.Logf("%-24s %d: median %.1f best %.1f %s", x.Kind, x.Threads, x.Median, x.Best, x.Kind.Unit())
		assert.Greater(t, x.Median, 1., "%s: slower than any processor that has it", x.Kind)
		assert.GreaterOrEqual(t, x.Best, x.Median)
	}
	assert.Equal(t, r[0].Best, r.Of(r[0].Kind, 1))
	assert.Zero(t, r.Of("none", 1))
	assert.GreaterOrEqual(t, r.F32(1), r.Of(FMA256, 1))
	assert.GreaterOrEqual(t, r.Bandwidth(2), r.Of(Triad, 2))
}

func TestArithmetic(t *testing.T) {
	_, order := loops(0)
	assert.NotContains(t, order, Triad, "it needs memory")
	for _, k := range order {
		assert.Positive(t, Arithmetic(k, 2, 1e7), k)
	}
	assert.Zero(t, Arithmetic(Stream, 1, 1e9))
	assert.Zero(t, Arithmetic("none", 1, 1e9))
}
