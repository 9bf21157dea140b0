//go:build unix

package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nobody is a user without rights; root may write into any folder.
const nobody = 65534

// readOnly runs the program in a folder that it may read but not write to.
func readOnly(t *testing.T, dir string, args []string) outcome {
	t.Helper()
	c := command(dir, args, "HOME="+dir)
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		// The user must be able to reach both the folder and the program, which go test keeps to itself.
		program, err := os.ReadFile(c.Path)
		require.NoError(t, err)
		c.Path = filepath.Join(t.TempDir(), "acumen")
		require.NoError(t, os.WriteFile(c.Path, program, 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(c.Path)), 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(c.Path), 0o755))
	}
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { os.Chmod(dir, 0o777) })
	return finish(t, c)
}

// diskFull runs the program with a run folder on a disk of 60 KiB, which a checkpoint exceeds. Where such a disk cannot be
// mounted, a limit on the size of files stands for it.
func diskFull(t *testing.T, dir string, args []string) outcome {
	t.Helper()
	job := filepath.Join(dir, "job")
	require.NoError(t, os.Mkdir(job, 0o777))
	c := command(dir, args, smallDisk+"="+job)
	if ownMounts(c) {
		if o := finish(t, c); o.status != cannotMount {
			return o
		}
	}
	o := finish(t, command(dir, args, fileLimit+"=20000"))
	o.errors = strings.ReplaceAll(o.errors, syscall.EFBIG.Error(), syscall.ENOSPC.Error())
	return o
}

// Variables that make the program's disk small.
const (
	smallDisk   = "TEST_SMALL_DISK"
	fileLimit   = "TEST_FILE_LIMIT"
	cannotMount = 99
)

func init() {
	if s := os.Getenv(fileLimit); s != "" {
		n, _ := strconv.ParseUint(s, 10, 64)
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
	if dir := os.Getenv(smallDisk); dir != "" && !mountSmall(dir) {
		os.Exit(cannotMount)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	dir := workplace(t)
	p, wait := started(t, dir, "epoch 1/30000", "train", "small.yaml", "--set", "trainer.epochs=30000")
	// While it is stopped both signals arrive, so that no step ends between them.
	require.NoError(t, p.Signal(syscall.SIGSTOP))
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.NoError(t, p.Signal(syscall.SIGINT))
	require.NoError(t, p.Signal(syscall.SIGCONT))
	began := time.Now()
	status := wait().status
	assert.Contains(t, []int{130, 143}, status)
	assert.Less(t, time.Since(began), 5*time.Second)
}
