package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// asCommand makes the test binary be the command: tests run it as a program of its own, with signals and statuses.
const asCommand = "TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// outcome is what a run of the program left.
type outcome struct {
	status      int
	out, errors string
}

// command is the program with args in the folder dir; extra are variables of its environment.
func command(dir string, args []string, extra ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	c := exec.Command(self, args...)
	c.Dir = dir
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ACUMEN_") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(append(c.Env, asCommand+"=1"), extra...)
	return c
}

// finish waits for a command.
func finish(t *testing.T, c *exec.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return outcome{c.ProcessState.ExitCode(), out.String(), errs.String()}
}

// acumen runs the program in dir.
func acumen(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	return finish(t, command(dir, args))
}

// succeed runs the program, which must not fail, and gives what it printed.
func succeed(t *testing.T, dir string, args ...string) string {
	t.Helper()
	o := acumen(t, dir, args...)
	require.Equal(t, 0, o.status, "%v: %s", args, o.errors)
	return o.out
}

// small is what keeps a training run short: a tiny network on the first pictures of a small data set in dir/data.
const small = `data: {name: mnist, dir: data}
model: {layers: [flatten, {linear: 8}, relu, {linear: 10}]}
trainer: {epochs: 2, batch: 10, log_every: 1, optimizer: {name: sgd, lr: 0.05}}
device: cpu
threads: 1
progress: plain
`

// workplace is a folder with small.yaml and a small data set.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "small.yaml"), []byte(small))
	writeMNIST(t, filepath.Join(dir, "data"), 60, 20)
	return dir
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, b, 0o666))
}
