//go:build long

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accuracyOf trains a configuration and gives the test accuracy in percent that the run ended with.
func accuracyOf(t *testing.T, args ...string) float64 {
	t.Helper()
	start := time.Now()
	out := succeed(t, t.TempDir(), append([]string{"train", "--progress", "none"}, args...)...)
	t.Logf("%v: %s\n%s", args, time.Since(start).Round(time.Second), out)
	m := regexp.MustCompile(`(?m)^test accuracy (\d+\.\d+) %$`).FindStringSubmatch(out)
	require.NotNil(t, m, out)
	a, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return a
}

// TestMNIST trains the configurations for MNIST on all of it, each to what its network is known to reach.
func TestMNIST(t *testing.T) {
	for name, atLeast := range map[string]float64{"mnist/textbook": 95, "mnist/tanh128": 97.5, "mnist/relu128": 97.5, "mnist/lenet5": 99} {
		t.Run(name, func(t *testing.T) { assert.GreaterOrEqual(t, accuracyOf(t, name), atLeast) })
	}
}

// cifar10 is the folder that holds CIFAR-10.
func cifar10(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ACUMEN_DATA_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "data")
	}
	dir, err := filepath.Abs(dir)
	require.NoError(t, err)
	return dir
}

// TestCNNSmall trains cnn-small on all of CIFAR-10.
func TestCNNSmall(t *testing.T) {
	assert.GreaterOrEqual(t, accuracyOf(t, "cifar10/cnn-small", "--data-dir", cifar10(t)), 75.0)
}

// TestLossFalls trains the larger networks for 200 steps, of smaller batches than their configurations have: it is long as
// it is.
func TestLossFalls(t *testing.T) {
	dir := cifar10(t)
	for _, name := range []string{"cifar10/cnn", "cifar10/resnet20"} {
		t.Run(name, func(t *testing.T) {
			place := t.TempDir()
			succeed(t, place, "train", name, "--data-dir", dir, "--run", "job", "--progress", "none", "--set", "trainer.max_steps=200", "--set", "trainer.log_every=1", "--set", "trainer.epochs=2", "--set", "trainer.batch=32")
			var losses []float64
			for line := range strings.Lines(read(t, place, "job", "metrics.jsonl")) {
				var row struct {
					Kind string
					Loss float64
				}
				require.NoError(t, json.Unmarshal([]byte(line), &row))
				if row.Kind == "step" {
					losses = append(losses, row.Loss)
				}
			}
			require.Len(t, losses, 200)
			mean := func(x []float64) (m float64) {
				for _, v := range x {
					m += v / float64(len(x))
				}
				return m
			}
			first, last := mean(losses[:20]), mean(losses[180:])
			t.Logf("loss of the first 20 steps %.4f, of the last 20 %.4f", first, last)
			assert.Less(t, last, 0.85*first) // from about ln 10; measured 0.6 to 0.7
		})
	}
}
