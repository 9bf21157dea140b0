package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Python is a virtual environment with what bench/python/requirements.txt names.
type Python struct {
	Interpreter string
	scripts     string
	preload     string // the library that Tuned loads first
}

// preload makes MKL take the path of Intel's processors on every processor that has its instructions: on AMD's it would
// else take one without AVX-512, at half the speed.
const preload = `int mkl_serv_intel_cpu_true(void) { return 1; }
int mkl_serv_intel_cpu(void) { return 1; }
`

// Python installs the environment: 0.6 GB to download, 1.5 GB on disk.
func (p Place) Python() (*Python, error) {
	scripts := filepath.Join(p.Root, "bench", "python")
	wanted, err := os.ReadFile(filepath.Join(scripts, "requirements.txt"))
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fault.Usagef("leave PyTorch out: --quick", "PyTorch is installed on linux/amd64 only, and this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	python, err := tool("PYTHON", "python3", "install Python 3.11 or later with venv (Debian: apt-get install python3-venv), or leave PyTorch out: --quick")
	if err != nil {
		return nil, err
	}
	cc, err := tool("CC", "gcc", "install a C compiler (Debian: apt-get install gcc libc6-dev), or leave PyTorch out: --quick")
	if err != nil {
		return nil, err
	}
	if err := p.run("", python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"); err != nil {
		return nil, fault.Usagef("install Python 3.11 or later, or name one by PYTHON, or leave PyTorch out: --quick", "PyTorch cannot be set up: %s is older than Python 3.11, or does not run", python)
	}
	dir, err := p.once("python", string(wanted)+preload+stubsVersion, func(dir string) error {
		p.say("installing PyTorch and numpy into %s (0.6 GB to download, 1.5 GB on disk)", dir)
		if err := p.run(dir, python, "-m", "venv", "venv"); err != nil {
			return fault.Failuref("Debian: apt-get install python3-venv", "%w", err)
		}
		venv := filepath.Join(dir, "venv", "bin", "python")
		if err := p.run(dir, venv, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", filepath.Join(scripts, "requirements.txt")); err != nil {
			return fault.Failuref("it needs a package index and room on the disk", "%w", err)
		}
		libs, err := filepath.Glob(filepath.Join(dir, "venv", "lib", "python3*", "site-packages"))
		if err != nil || len(libs) != 1 {
			return fault.Failuref("remove "+dir+" and try again", "%d folders of packages in %s", len(libs), dir)
		}
		if err := p.standIns(cc, libs[0]); err != nil {
			return err
		}
		if err := p.library(cc, preload, filepath.Join(dir, "preload.so")); err != nil {
			return err
		}
		return p.run(scripts, venv, "-c", "import torch, numpy, threadpoolctl, PIL; torch.mm(torch.ones(2, 2), torch.ones(2, 2))")
	})
	if err != nil {
		return nil, err
	}
	return &Python{Interpreter: filepath.Join(dir, "venv", "bin", "python"), scripts: scripts, preload: filepath.Join(dir, "preload.so")}, nil
}

// tool finds a program that an environment variable may name.
func tool(variable, name, hint string) (string, error) {
	if v := os.Getenv(variable); v != "" {
		name = v
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fault.Usagef(hint, "PyTorch cannot be set up: %w", err)
	}
	return path, nil
}

// library compiles C source to a shared library.
func (p Place) library(cc, source, out string, args ...string) error {
	c := strings.TrimSuffix(out, ".so") + ".c"
	if err := os.WriteFile(c, []byte(source), 0o666); err != nil {
		return err
	}
	defer os.Remove(c)
	return p.run(filepath.Dir(out), cc, append([]string{"-shared", "-fPIC", "-O1", "-o", out, c}, args...)...)
}

// How says with which settings PyTorch runs.
type How string

// Stock is as installed. Tuned lets MKL use AVX-512 on every processor that has it, and keeps memory that was freed, so
// that each step does not meet fresh pages again: what a user can set without a change to code.
const (
	Stock How = "stock"
	Tuned How = "tuned"
)

// Command is a script of bench/python, run in the environment with nothing in its own that would change speeds.
func (p *Python) Command(how How, script string, args ...string) *exec.Cmd {
	cmd := exec.Command(p.Interpreter, append([]string{filepath.Join(p.scripts, script)}, args...)...)
	cmd.Env = append(clean(os.Environ()), "PYTHONDONTWRITEBYTECODE=1")
	if how == Tuned {
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+p.preload, "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592")
	}
	if cpu.X86.HasAVX512F {
		cmd.Env = append(cmd.Env, "OPENBLAS_CORETYPE=SkylakeX") // else it may take a processor it does not know for an older one
	}
	return cmd
}

// clean is env without settings of the libraries that are compared.
func clean(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		for _, prefix := range []string{"OMP_", "MKL_", "OPENBLAS_", "GOMP_", "KMP_", "DNNL_", "ONEDNN_", "TORCH_", "LD_PRELOAD=", "GLIBC_TUNABLES=", "MALLOC_", "PYTHONPATH=", "PYTHONHOME="} {
			if strings.HasPrefix(v, prefix) {
				return true
			}
		}
		return false
	})
}
