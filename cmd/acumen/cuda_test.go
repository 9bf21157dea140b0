//go:build cuda

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

// TestEveryDriverCallFails trains on the stand-in driver once for each call that a run makes of the driver, of cuBLAS and,
// in f16, of cublasLt, and lets that call fail, at its first time and in the middle. The run ends with an error that names
// the call and a status that is not 0, without a panic, and the checkpoint that was there before is whole.
func TestEveryDriverCallFails(t *testing.T) {
	d, err := device.Open("cuda:0")
	if err != nil {
		t.Skip(err)
	}
	simulated := strings.Contains(device.Describe(d), "acusim")
	require.NoError(t, d.Close())
	if !simulated {
		t.Skip("a true driver does not fail on demand")
	}
	dir := workplace(t)
	train := func(run, precision string, env ...string) outcome {
		return finish(t, command(dir, []string{"train", "small.yaml", "--device", "cuda:0", "--run", run, "--resume=auto", "--set", "trainer.save_every=1ms", "--set", "precision=" + precision}, env...))
	}
	count, in, names := map[string]int{}, map[string]string{}, []string{}
	for _, precision := range []string{"f32", "f16"} {
		log := filepath.Join(dir, precision+".log")
		o := train("whole-"+precision, precision, "ACUSIM_LOG="+log)
		require.Equal(t, 0, o.status, o.errors)
		assert.Contains(t, o.errors, "device cuda:0, ")
		for _, name := range strings.Fields(read(t, log)) {
			if in[name] == "" {
				in[name], names = precision, append(names, name)
			}
			if in[name] == precision {
				count[name]++
			}
		}
	}
	slices.Sort(names)
	require.Greater(t, len(names), 35, "%v", names)
	require.Contains(t, names, "cuGraphLaunch")
	require.Contains(t, names, "cublasLtMatmul")

	// These tell more about a device than is needed: without them a run goes on.
	optional := map[string]bool{"cuDeviceGetUuid": true, "cuDeviceGetUuid_v2": true, "cuGetErrorName": true, "cuGetErrorString": true, "cuDriverGetVersion": true,
		"cublasGetProperty": true, "cublasGetVersion_v2": true}
	failures := 0
	for _, name := range names {
		if optional[name] {
			continue
		}
		for _, n := range slices.Compact([]int{1, (count[name] + 1) / 2}) {
			what := fmt.Sprintf("%s:%d", name, n)
			run := strings.ReplaceAll(what, ":", "-")
			o := train(run, in[name], "ACUSIM_FAIL="+what)
			failures++
			assert.Contains(t, []int{1, 2}, o.status, what)
			assert.Contains(t, strings.ToLower(o.errors), strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(name, "_v2"), "_v3")), "the message names the call")
			assert.Contains(t, o.errors, "\nhint: ", what)
			assert.NotContains(t, o.errors, "panic", what)
			assert.NotContains(t, o.errors, "internal error", what)
			for _, file := range []string{checkpoint.Last, checkpoint.Best} {
				path := filepath.Join(dir, run, file)
				if _, err := os.Stat(path); err == nil {
					_, err := checkpoint.Load(path)
					assert.NoError(t, err, what)
				}
			}
		}
	}
	t.Logf("%d calls of %d functions made to fail", failures, len(names))
	assert.Greater(t, failures, 30)
}
