package setup

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnce(t *testing.T) {
	p := Place{Cache: t.TempDir(), Log: io.Discard}
	made := 0
	fill := func(dir string) error {
		made++
		_, err := os.Stat(filepath.Join(dir, "half"))
		assert.ErrorIs(t, err, os.ErrNotExist, "what was left half made is gone")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "half"), nil, 0o666))
		if made == 1 {
			return errors.New("disk full")
		}
		return nil
	}
	_, err := p.once("python", "a", fill)
	require.ErrorContains(t, err, "disk full")
	first, err := p.once("python", "a", fill)
	require.NoError(t, err)
	again, err := p.once("python", "a", fill)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.Equal(t, 2, made, "what is there is not made again")
	other, err := p.once("python", "b", fill)
	require.NoError(t, err)
	assert.NotEqual(t, first, other)
	assert.Equal(t, 3, made)
}

func TestPythonIsStartedWithCleanSettings(t *testing.T) {
	t.Setenv("OMP_NUM_THREADS", "1")
	t.Setenv("OPENBLAS_CORETYPE", "Haswell")
	t.Setenv("MALLOC_ARENA_MAX", "1")
	t.Setenv("HOME", "/home/x")
	p := &Python{Interpreter: "/venv/bin/python", scripts: "/bench/python", preload: "/preload.so"}
	has := func(how How, v string) bool { return slices.Contains(p.Command(how, "x.py").Env, v) }
	for _, how := range []How{Stock, Tuned} {
		assert.Equal(t, []string{"/venv/bin/python", "/bench/python/x.py", "3"}, p.Command(how, "x.py", "3").Args)
		for _, v := range []string{"OMP_NUM_THREADS=1", "OPENBLAS_CORETYPE=Haswell", "MALLOC_ARENA_MAX=1"} {
			assert.False(t, has(how, v), v)
		}
		assert.True(t, has(how, "HOME=/home/x"))
		assert.Equal(t, how == Tuned, has(how, "LD_PRELOAD=/preload.so"))
	}
}

// The libraries of NVIDIA's that a library wants are told from others by name.
func TestNeeds(t *testing.T) {
	for lib, want := range map[string]bool{"libcublas.so.13": true, "libcudart.so.13": true, "libnvrtc.so.13": true, "libnccl.so.2": true, "libc.so.6": false, "libstdc++.so.6": false, "libtorch.so": false} {
		assert.Equal(t, want, isGPU(lib), lib)
	}
	require.ErrorContains(t, readNeeds(filepath.Join(t.TempDir(), "none.so"), nil, nil), "none.so")
}

// Where there is a C compiler, a library that calls one of NVIDIA's gets a stand-in for it that it can be linked with.
func TestStandIns(t *testing.T) {
	cc, err := tool("CC", "gcc", "")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no C compiler, or not Linux: ", err)
	}
	packages := t.TempDir()
	torch, real := filepath.Join(packages, "torch", "lib"), filepath.Join(packages, "nvidia", "cu13", "lib")
	require.NoError(t, os.MkdirAll(torch, 0o777))
	require.NoError(t, os.MkdirAll(real, 0o777))
	p := Place{Log: io.Discard}
	made := t.TempDir()
	for name, source := range map[string]string{"libcublas.so.13": "void cublasCreate(void) {}", "libcudart.so.13": "void cudaMalloc(void) {}"} {
		require.NoError(t, p.library(cc, source, filepath.Join(made, name), "-Wl,-soname,"+name))
	}
	require.NoError(t, os.Link(filepath.Join(made, "libcudart.so.13"), filepath.Join(real, "libcudart.so.13")))
	require.NoError(t, p.library(cc, "void cublasCreate(void); void cudaMalloc(void); void torch(void) { cublasCreate(); cudaMalloc(); }", filepath.Join(torch, "libtorch.so"),
		"-L"+made, "-l:libcublas.so.13", "-l:libcudart.so.13"))

	require.NoError(t, p.standIns(cc, packages))
	entries, err := os.ReadDir(torch)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"libcublas.so.13", "libtorch.so"}, names, "what is there gets no stand-in")
	out := filepath.Join(t.TempDir(), "program")
	main := filepath.Join(t.TempDir(), "main.c")
	require.NoError(t, os.WriteFile(main, []byte("void torch(void); int main(int n, char **v) { if (n > 1) torch(); return 0; }"), 0o666))
	require.NoError(t, p.run("", cc, "-o", out, main, "-L"+torch, "-ltorch", "-Wl,-rpath-link,"+torch+":"+real))
	t.Setenv("LD_LIBRARY_PATH", torch+":"+real)
	require.NoError(t, p.run("", out), "it starts")
	require.Error(t, p.run("", out, "call"), "and a call of a stand-in aborts")
}
