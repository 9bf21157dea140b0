// Package setup installs what bench compares with, into a cache folder: PyTorch and numpy in a Python virtual environment
// of pinned versions, and Go programs that are modules of their own. What is there already is not made again.
package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Place is where things are, and who is told what happens.
type Place struct {
	Root  string    // the repository, an absolute path
	Cache string    // what was installed
	Log   io.Writer // progress, and the output of installers
}

// DefaultCache is acumen/bench in the user's cache folder; ACUMEN_BENCH_CACHE names another.
func DefaultCache() (string, error) {
	if dir := os.Getenv("ACUMEN_BENCH_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fault.Usagef("set ACUMEN_BENCH_CACHE to a folder", "where to install: %w", err)
	}
	return filepath.Join(dir, "acumen", "bench"), nil
}

// once gives the folder of cache whose name begins with name and which make fills; it is filled again if key, which
// stands for all that it depends on, or the way to fill it has changed, or if make did not end.
func (p Place) once(name, key string, make func(dir string) error) (string, error) {
	sum := sha256.Sum256([]byte(key))
	dir := filepath.Join(p.Cache, name+"-"+hex.EncodeToString(sum[:6]))
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fault.Failuref("set ACUMEN_BENCH_CACHE to a folder that can be written", "%w", err)
	}
	if err := make(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(ready, nil, 0o666)
}

// run runs a command whose output is only of interest if it fails.
func (p Place) run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		const most = 3000
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out[max(0, len(out)-most):])
	}
	return nil
}

func (p Place) say(format string, args ...any) { fmt.Fprintf(p.Log, format+"\n", args...) }

// Build compiles a command of this module, without cgo, and gives the program's path.
func (p Place) Build(command string) (string, error) {
	out := filepath.Join(p.Cache, filepath.Base(command))
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, command)
	cmd.Dir, cmd.Env = p.Root, append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", command, err, b)
	}
	return out, nil
}

// Peer compiles a program of the module bench/peers and gives its path.
func (p Place) Peer(name string) (string, error) {
	out := filepath.Join(p.Cache, name)
	cmd := exec.Command("go", "build", "-o", out, "./"+name)
	cmd.Dir, cmd.Env = filepath.Join(p.Root, "bench", "peers"), append(os.Environ(), "CGO_ENABLED=0")
	p.say("building the peer %s", name)
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", name, err, b)
	}
	return out, nil
}
