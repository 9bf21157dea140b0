package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/device"
)

func TestBounds(t *testing.T) {
	parts := []*part{
		{what: "product", calls: 1, times: []float64{3, 1, 2}, flops: 100e9, bytes: 1e9},   // bound 1 s by arithmetic
		{what: "copy", calls: 2, times: []float64{1, 1, 1}, bytes: 5e9},                    // 0.5 s by memory
		{what: "tiny", calls: 9, times: []float64{.001, .001, .001}, bytes: 1e6, flops: 1}, // less than a row
	}
	rows := profileRows(parts, 100, 10)
	require.Len(t, rows, 5)
	assert.Equal(t, []string{"product", "1", "2000.000", "66.6 %", "50.0", "0.50", "1000.000", "arithmetic", "0.50"}, rows[1])
	assert.Equal(t, []string{"copy", "2", "1000.000", "33.3 %", "-", "5.00", "500.000", "memory", "0.50"}, rows[2])
	assert.Equal(t, "all others", rows[3][0])
	assert.Equal(t, "9", rows[3][1])
	assert.Equal(t, []string{"all", "", "3001.000", "", "", "", "1500.100", "", "0.50"}, rows[4])
	assert.Equal(t, "At their bounds the first three would save product 1000.0 ms, copy 500.0 ms, tiny 0.9 ms: 1500.9 of 3001.0 ms, a step 2.00 times as fast.", topThree(parts, 3.001, 100, 10))
}

func TestCallsHaveNames(t *testing.T) {
	x, y := device.Make(nil, device.F32, 0, 2, 3, 4), device.Make(nil, device.F32, 0, 6, 4)
	assert.Equal(t, "MatMul 6x4 from 2x3x4", describe(device.Call{Kernel: "MatMul", Writes: []device.View{y}, Reads: []device.View{device.Make(nil, device.F32, 0, 4), x}}))
	assert.Equal(t, "Fill scalar", describe(device.Call{Kernel: "Fill", Writes: []device.View{device.Make(nil, device.F32, 0)}}))
	assert.Equal(t, "Launch", describe(device.Call{Kernel: "Launch"}))
}

// The parts are all of the step, and its arithmetic is what the network has.
func TestAStepIsTakenApart(t *testing.T) {
	const batch = 4
	parts, step, err := profile(peer.Case{Net: "mlp", Batch: batch}, 2, 3)
	require.NoError(t, err)
	var flops, sum float64
	for _, p := range parts {
		assert.Len(t, p.times, 3)
		assert.Positive(t, p.calls, p.what)
		flops += p.flops
		sum += median(p.times)
	}
	assert.InDelta(t, step, sum, 0.9*step)
	weights := 784*512 + 512*512 + 512*10
	assert.GreaterOrEqual(t, flops, 2.*batch*float64(3*weights-784*512), "forward, and gradients but that of the pictures")
}
