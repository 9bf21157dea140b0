//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLauncher(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	build := exec.Command("go", "build", "-o", at("launcher"), ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	// A script stands for the program: what it is given, where it lies, how it ends.
	require.NoError(t, os.WriteFile(at("program"), []byte("#!/bin/sh\necho \"$0 $*\"\nif [ \"$1\" = kill ]; then kill -9 $$; fi\nexit 7\n"), 0o644))
	out, err = exec.Command(at("launcher"), at("program"), at("both")).CombinedOutput()
	require.NoError(t, err, string(out))

	run := func(name string, args ...string) (string, int) {
		cmd := exec.Command(at(name), args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+at("temp"))
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	said, status := run("both", "a", "b c")
	assert.Equal(t, 1, status)
	assert.Contains(t, said, "set TMPDIR to a folder that can be written to")
	require.NoError(t, os.Mkdir(at("temp"), 0o755))
	said, status = run("both", "a", "b c")
	assert.Equal(t, 7, status)
	assert.Contains(t, said, at("temp"))
	assert.Contains(t, said, "/acumen-gpu-bundle a b c\n")
	_, status = run("both", "kill")
	assert.Equal(t, 128+9, status)
	left, err := os.ReadDir(at("temp"))
	require.NoError(t, err)
	assert.Empty(t, left, "the folder is removed")

	said, status = run("launcher")
	assert.Equal(t, 1, status)
	assert.Contains(t, said, "usage: launcher PROGRAM OUT")

	whole, err := os.ReadFile(at("both"))
	require.NoError(t, err)
	whole[len(whole)-30]++ // in the packed program
	require.NoError(t, os.WriteFile(at("torn"), whole, 0o755))
	_, status = run("torn")
	assert.Equal(t, 1, status)
	whole[len(whole)-10] = 0xff // in its length
	require.NoError(t, os.WriteFile(at("torn"), whole, 0o755))
	said, status = run("torn")
	assert.Equal(t, 1, status)
	assert.Contains(t, said, "damaged")
}
