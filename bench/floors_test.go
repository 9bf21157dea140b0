package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/bench/peak"
)

func TestFloors(t *testing.T) {
	t.Setenv("ACUMEN_SIMD", "") // with avx2 there is a floor more
	find := func(name string) *table {
		for _, x := range tables(options{}) {
			if x.name == name {
				return x
			}
		}
		t.Fatal(name)
		return nil
	}
	row := func(e entry, threads int, ours, theirs float64) result {
		return result{e, threads, map[string]timing{acumen: visited(ours), tuned: visited(theirs), stock: visited(2 * theirs), thePeak: visited(.01 / float64(threads))}}
	}

	mm := find("matmul")
	at := func(e entry, share float64) float64 { return e.flops / 1e11 / share } // seconds on one thread
	var rows []result
	for i, e := range mm.entries {
		rows = append(rows, row(e, 1, at(e, []float64{0.5, 0.93, 0.95, 0.91, 0.93}[i]), at(e, 0.95)))
	}
	got := mm.floors(rows, "", nil)
	require.Len(t, got, 3)
	assert.InDelta(t, 0.91, got[0].have, 1e-12, "256 does not count")
	assert.False(t, got[0].met())
	assert.InDelta(t, 0.5/0.95, got[2].have, 1e-9)
	got = mm.floors(rows, "", peak.Rates{{Kind: peak.FMA256, Threads: 1, Best: 100}})
	require.Len(t, got, 4, "AVX2 has a floor of its own beside the others")
	assert.False(t, got[0].met())
	assert.Equal(t, 0.85, got[1].want)
	assert.True(t, got[1].met())

	conv := find("conv2d")
	rows = nil
	for _, e := range conv.entries {
		rows = append(rows, row(e, 2, at(e, 0.95)/2, at(e, 0.9)/2))
	}
	got = conv.floors(rows, "", nil)
	require.Len(t, got, 2)
	assert.True(t, got[0].met())
	assert.InDelta(t, 0.95/0.9, got[1].want, 1e-9, "PyTorch at 0.9 of the peak leaves no room for 1.15")

	steps := find("steps")
	rows = []result{row(steps.entries[0], 1, 1, 2), row(steps.entries[1], 1, 1, 0.5), row(steps.entries[5], 1, 1, 1)}
	got = steps.floors(rows, "", nil)
	require.Len(t, got, 3, "the share, cifar94, mlp; the others were not measured")
	assert.Equal(t, floor{"step of cifar94, least ratio to tuned", 1, 1, 0.5}, got[1])
	assert.Equal(t, floor{"step of mlp, least ratio to tuned", 1, 1, 1}, got[2])
	assert.True(t, got[2].met())
	assert.Len(t, steps.floors(rows, zen5, nil), 3+2, "to stock: cifar94 at 1024, mlp")
	assert.Empty(t, find("passes").floors(rows, "", nil))

	var b strings.Builder
	require.NoError(t, writeFloors(&b, []floor{{"x", 1, 2, 1.5}, {"y", 0, 1, 1}}))
	assert.Contains(t, b.String(), "| x   |       1 |   2.00 |     1.50 | **missed** |")
	assert.Contains(t, b.String(), "| y   |       - |   1.00 |     1.00 |        met |")
}
