package trainer_test

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
)

func nan() float64 { return math.NaN() }

// TestStepsAllocateNothing counts the allocations of 200 captured steps, metrics fetched, once each form is captured. The
// runtime allocates too when it starts a thread, as it may after reading the statistics; what a step allocates would be
// in every window of 200 steps, so the least of a few is looked at.
func TestStepsAllocateNothing(t *testing.T) {
	for _, threads := range []int{1, 2} {
		d := open(t, "cpu", threads)
		o := options()
		o.Epochs, o.MicroBatches = 200, 2
		train := pictures(t, 150, 1)
		e, err := trainer.NewEngine(d, network(t, convNet), train, o)
		require.NoError(t, err)
		steps := func(n int) {
			for range n {
				if err := e.TrainStep(); err != nil {
					t.Fatal(err)
				}
				e.RequestMetrics()
				for {
					m, ok, err := e.Metrics(true)
					if err != nil || ok && !m.Alive {
						t.Fatal(m, err)
					}
					if !ok {
						break
					}
				}
			}
		}
		steps(2*e.StepsPerEpoch() + 1)
		runtime.GC()
		least := uint64(math.MaxUint64)
		for window := 0; window < 5 && least > 0; window++ {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			steps(200)
			runtime.ReadMemStats(&after)
			least = min(least, after.Mallocs-before.Mallocs)
		}
		assert.Zero(t, least, "%d threads", threads)
		require.NoError(t, e.Close())
		require.NoError(t, d.Close())
	}
}

// TestReplayEqualsPlain compares a captured run with one that makes every call anew, at step 1 and at step 100.
func TestReplayEqualsPlain(t *testing.T) {
	digests := map[bool][]string{}
	for _, plain := range []bool{false, true} {
		d := open(t, "cpu", 2)
		o := options()
		o.Epochs, o.NoCapture = 30, plain
		net := network(t, convNet)
		e, err := trainer.NewEngine(d, net, pictures(t, 60, 1), o)
		require.NoError(t, err)
		for step := 1; step <= 100; step++ {
			require.NoError(t, e.TrainStep())
			if step == 1 || step == 100 {
				require.NoError(t, e.Download())
				digests[plain] = append(digests[plain], digest(net))
			}
		}
		require.NoError(t, e.Close())
		require.NoError(t, d.Close())
	}
	assert.Equal(t, digests[false], digests[true])
	assert.NotEqual(t, digests[true][0], digests[true][1])
}

// Evaluating in the middle of training leaves the rest of it as it was.
func TestEvaluateChangesNothing(t *testing.T) {
	train, test := pictures(t, 60, 1), pictures(t, 50, 2)
	run := func(evaluate bool) string {
		d := open(t, "cpu", 2)
		net := network(t, convNet)
		e, err := trainer.NewEngine(d, net, train, options())
		require.NoError(t, err)
		for range 6 {
			require.NoError(t, e.TrainStep())
			if evaluate {
				a, err := e.Evaluate(context.Background(), test)
				require.NoError(t, err)
				b, err := e.Evaluate(context.Background(), test)
				require.NoError(t, err)
				assert.Equal(t, a, b)
			}
		}
		require.NoError(t, e.Download())
		require.NoError(t, e.Close())
		require.NoError(t, d.Close())
		return digest(net)
	}
	assert.Equal(t, run(false), run(true))
}

// The same step gives the same addresses, and its arena is as large as the dry run said.
func TestArena(t *testing.T) {
	d := open(t, "cpu", 2)
	o := options()
	o.NoCapture = true
	e, err := trainer.NewEngine(d, network(t, convNet), pictures(t, 64, 1), o)
	require.NoError(t, err)
	require.NoError(t, e.TrainStep())
	var seen [2][]device.View
	for i := range seen {
		undo := device.Hook(d, func(c device.Call) error {
			if c.Phase == device.Before {
				seen[i] = append(seen[i], c.Writes...)
			}
			return nil
		})
		require.NoError(t, e.TrainStep())
		undo()
	}
	assert.NotEmpty(t, seen[0])
	assert.Equal(t, seen[0], seen[1])
	assert.Positive(t, e.ArenaBytes())
	require.NoError(t, e.Close())
	require.NoError(t, d.Close())
}
