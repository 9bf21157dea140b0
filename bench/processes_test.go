package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/trainer/data"
)

func shell(script string) process {
	return func() *exec.Cmd { return exec.Command("sh", "-c", script) }
}

func TestProcessesAreObserved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	s, err := observe(shell("echo first; sleep 0.3; echo 4096")())
	require.NoError(t, err)
	assert.Equal(t, 4096., s.peak)
	assert.Less(t, s.seconds, 0.3, "what comes after the first step does not count")
	s, err = observe(shell("sleep 0.1; echo cat 99 %")())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, s.seconds, 0.1, "to the end")
	assert.Zero(t, s.peak)
	_, err = observe(shell("echo no room >&2; exit 3")())
	require.ErrorContains(t, err, "no room")

	log := filepath.Join(t.TempDir(), "log")
	all, err := alternate(context.Background(), 1, 2, []process{shell("printf A >>" + log), shell("printf B >>" + log)})
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Len(t, all[0], 2)
	b, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "ABABAB", string(b), "in turn, and a round first that does not count")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = alternate(ctx, 0, 2, []process{shell("true")})
	require.True(t, errors.Is(err, context.Canceled))

	row := processRow("x", 2, [][]sample{{{1, 10}, {2, 10}, {1, 10}}, {{3, 10}, {6, 10}, {4, 10}}}, seconds)
	assert.Equal(t, []string{"x", "2", "1.00", "4.00", "3.00"}, row)
}

// What is predicted with is a picture and a checkpoint that the command takes.
func TestPredictionHasItsFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "picture.png")
	require.NoError(t, writePicture(path))
	px, err := data.Picture(path, [3]int{32, 32, 3}, false)
	require.NoError(t, err)
	assert.Len(t, px, 32*32*3)
	require.NoError(t, train(context.Background(), "mlp", filepath.Join(dir, "run")))
	_, err = os.Stat(filepath.Join(dir, "run", "best.safetensors"))
	require.NoError(t, err)
}
