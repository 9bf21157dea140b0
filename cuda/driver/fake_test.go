//go:build cuda

package driver

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// alone runs the calling test in a process of its own, as the driver is loaded once a process: with the libraries that
// testdata/fake.c makes (cc, its flags), or with none where cc is empty. It reports whether this is that process.
func alone(t *testing.T, cc string, env ...string) bool {
	if os.Getenv("DRIVER_TEST_ALONE") == t.Name() {
		return true
	}
	dir := t.TempDir()
	if cc != "" {
		dir = fakes(t, cc)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self, "-test.v", "-test.run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	c.Env = append(append(os.Environ(), "DRIVER_TEST_ALONE="+t.Name(), "LD_LIBRARY_PATH="+dir, "ACUMEN_CUBLAS="), env...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

const fakeCC = "-w"

var made = map[string]string{} // folders of libraries by flags

func fakes(t *testing.T, cc string) string {
	if dir, ok := made[cc]; ok {
		return dir
	}
	dir, err := os.MkdirTemp("", "driver-test")
	require.NoError(t, err)
	made[cc] = dir
	source, err := os.ReadFile("testdata/fake.c") // and so go test knows that its results depend on the file
	require.NoError(t, err)
	for lib, flag := range map[string]string{"libcuda.so.1": "-DCUDA", "libcublas.so.12": "-DBLAS"} {
		args := append(strings.Fields(cc), flag, "-O1", "-shared", "-fPIC", "-o", filepath.Join(dir, lib), "-x", "c", "-", "-ldl")
		c := exec.Command("cc", args...)
		c.Stdin = bytes.NewReader(source)
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range made {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func TestWithoutDriver(t *testing.T) {
	if !alone(t, "") {
		return
	}
	err := Load()
	if err == nil {
		t.Log("this machine has a driver") // a process cannot hide it
		return
	}
	var none *NoLibrary
	require.ErrorAs(t, err, &none)
	assert.ErrorContains(t, err, "libcuda.so.1")
	assert.Equal(t, err, Load())
	assert.Zero(t, Version())
	_, err = Count()
	assert.ErrorAs(t, err, &none)
	_, err = GPU(0).Name()
	assert.ErrorAs(t, err, &none)
	assert.ErrorContains(t, err, "cuDeviceGet")
	_, err = LoadBlas()
	if err != nil {
		assert.ErrorContains(t, err, "libcublas.so.13")
		assert.ErrorContains(t, err, "ACUMEN_CUBLAS")
	}
}

func TestDriverThatFails(t *testing.T) {
	if !alone(t, fakeCC, "FAKE_FAIL=cuInit=803", "FAKE_VERSION=11040") {
		return
	}
	err := Load()
	require.EqualError(t, err, "cuInit: CUDA_ERROR_FAKE (803): made to fail")
	assert.Equal(t, SystemDriverMismatch, err.(*Error).Code)
	assert.Equal(t, 11040, Version())
	os.Setenv("FAKE_FAIL", "") // the library would work now: the answer stays
	_, err = Count()
	assert.ErrorContains(t, err, "cuInit")
	_, err = GPU(0).Open()
	assert.ErrorContains(t, err, "803")
}

// echo is the parameter block of the fake's kernel of that name.
type echo struct {
	to   Ptr
	a    float64
	b, c int32
	rest [100]byte
}

func setup(t *testing.T) (*Context, *Stream, *Module) {
	c, err := GPU(0).Open()
	require.NoError(t, err)
	s, err := c.NewStream()
	require.NoError(t, err)
	m, err := c.LoadModule([]byte("fake"))
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, m.Unload())
		assert.NoError(t, s.Close())
		assert.NoError(t, c.Close())
		assert.NoError(t, c.Close())
	})
	return c, s, m
}

func TestLaunch(t *testing.T) {
	for name, cc := range map[string]string{"new": fakeCC, "old": fakeCC + " -DOLD"} {
		t.Run(name, func(t *testing.T) {
			if alone(t, cc) {
				launches(t, name == "old")
			}
		})
	}
}

func launches(t *testing.T, old bool) {
	c, s, m := setup(t)
	f, err := m.Function("echo")
	require.NoError(t, err)
	const size = unsafe.Sizeof(echo{})
	mem, err := c.Alloc(512)
	require.NoError(t, err)
	shape := [7]uint32{7, 6, 5, 4, 3, 2, 1}
	check := func() {
		p := echo{to: mem, a: math.Pi, b: -1, c: 7}
		for i := range p.rest {
			p.rest[i] = byte(i)
		}
		require.NoError(t, s.Launch(f, [3]uint32(shape[:3]), [3]uint32(shape[3:6]), shape[6], unsafe.Pointer(&p), size))
		var back struct {
			echo
			shape [7]uint32
		}
		require.NoError(t, s.Download(unsafe.Pointer(&back), mem, int(size)+len(shape)*4))
		require.NoError(t, s.Sync())
		assert.Equal(t, p, back.echo)
		assert.Equal(t, shape, back.shape)
	}
	check()
	undo := plainLaunch()
	t.Setenv("FAKE_FAIL", "cuLaunchKernelEx=1") // not the one that is called
	check()
	undo()
	if old {
		check()
		return
	}
	p := echo{to: mem}
	assert.EqualError(t, s.Launch(f, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, unsafe.Pointer(&p), size), "cuLaunchKernelEx(echo): CUDA_ERROR_FAKE (1): made to fail")
	t.Setenv("FAKE_FAIL", "")
	n := testing.AllocsPerRun(100, func() {
		p := echo{to: mem, a: float64(len(shape))}
		if s.Launch(f, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, unsafe.Pointer(&p), size) != nil {
			panic("launch")
		}
	})
	assert.Zero(t, n, "allocations of a launch")
	n = testing.AllocsPerRun(100, func() {
		if c.Enter() != nil || s.Set(mem, 1, 8) != nil || s.Copy(mem, mem+256, 8) != nil || s.Sync() != nil {
			panic("call")
		}
		c.Leave()
	})
	assert.Zero(t, n, "allocations of other calls")
	require.NoError(t, c.Free(mem))
}

// Every thread that a call lands on has the context, also after it was closed and opened anew.
func TestThreads(t *testing.T) {
	if !alone(t, fakeCC) {
		return
	}
	c, err := GPU(0).Open()
	require.NoError(t, err)
	t.Setenv("FAKE_FAIL", "cuCtxSetCurrent=2")
	assert.ErrorContains(t, c.Enter(), "cuCtxSetCurrent: CUDA_ERROR_OUT_OF_MEMORY (2)")
	assert.ErrorContains(t, c.Sync(), "cuCtxSetCurrent")
	_, err = c.Pinned(8)
	assert.ErrorContains(t, err, "cuCtxSetCurrent")
	t.Setenv("FAKE_FAIL", "")
	require.NoError(t, c.Sync())
	require.NoError(t, c.Close())
	for range 3 {
		c, err := GPU(0).Open()
		require.NoError(t, err)
		again, err := GPU(0).Open()
		require.NoError(t, err)
		assert.Equal(t, c.c, again.c, "two holds on one context")
		m, err := c.LoadModule([]byte("fake"))
		require.NoError(t, err)
		f, err := m.Function("echo")
		require.NoError(t, err)
		s, err := c.NewStream()
		require.NoError(t, err)
		mem, err := c.Alloc(64)
		require.NoError(t, err)
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if i%2 == 0 {
					runtime.LockOSThread() // ends with its thread, so that new ones are made
				}
				x := []*Context{c, again}[i%2]
				p, err := x.Alloc(64)
				assert.NoError(t, err)
				defer x.Free(p)
				for range 50 {
					runtime.Gosched()
					assert.NoError(t, s.Launch(f, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, unsafe.Pointer(&p), 8))
				}
			})
		}
		all.Wait()
		fresh := make(chan error) // a launch is the first call on its thread
		go func() {
			runtime.LockOSThread()
			p := mem
			fresh <- s.Launch(f, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, unsafe.Pointer(&p), 8)
		}()
		require.NoError(t, <-fresh)
		require.NoError(t, c.Free(mem))
		require.NoError(t, m.Unload())
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
		require.NoError(t, again.Sync(), "one hold is left")
		require.NoError(t, again.Close())
	}
}

func TestCapture(t *testing.T) {
	if !alone(t, fakeCC) {
		return
	}
	c, s, m := setup(t)
	add, err := m.Function("add")
	require.NoError(t, err)
	mem, err := c.Alloc(4)
	require.NoError(t, err)
	require.NoError(t, s.Set(mem, 0, 4))
	type params struct {
		to    Ptr
		value int32
	}
	queue := func(v int32) {
		p := params{mem, v}
		require.NoError(t, s.Launch(add, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, unsafe.Pointer(&p), unsafe.Sizeof(p)))
	}
	value := func() (v int32) {
		require.NoError(t, s.Download(unsafe.Pointer(&v), mem, 4))
		require.NoError(t, s.Sync())
		return v
	}
	require.NoError(t, s.BeginCapture())
	queue(1)
	queue(10)
	g, err := s.EndCapture()
	require.NoError(t, err)
	assert.Equal(t, 2, g.Nodes())
	assert.Zero(t, value(), "nothing runs while it is captured")
	for range 3 {
		require.NoError(t, g.Launch(s))
	}
	assert.EqualValues(t, 33, value())
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		if g.Launch(s) != nil {
			panic("launch")
		}
	}))
	require.NoError(t, g.Close())

	require.NoError(t, s.BeginCapture())
	assert.ErrorContains(t, s.Sync(), "cuStreamSynchronize: CUDA_ERROR_FAKE (900)")
	_, err = s.EndCapture()
	assert.ErrorContains(t, err, "cuStreamEndCapture: CUDA_ERROR_FAKE (901)")
	require.NoError(t, s.BeginCapture(), "the stream works again")
	g, err = s.EndCapture()
	require.NoError(t, err)
	assert.Zero(t, g.Nodes())
	require.NoError(t, g.Close())
	require.NoError(t, c.Free(mem))
}

func TestGPU(t *testing.T) {
	if !alone(t, fakeCC) {
		return
	}
	n, err := Count()
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	name, err := GPU(0).Name()
	require.NoError(t, err)
	assert.Equal(t, "NVIDIA Fake", name)
	id, mig, err := GPU(0).UUID()
	require.NoError(t, err)
	assert.Equal(t, "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f", id)
	assert.False(t, mig)
	t.Setenv("FAKE_PART", "1")
	id, mig, err = GPU(0).UUID()
	require.NoError(t, err)
	assert.Equal(t, "MIG-01020304-0506-0708-090a-0b0c0d0e0f10", id)
	assert.True(t, mig)
	t.Setenv("FAKE_PART", "0")
	t.Setenv("FAKE_NAME", " MIG 1g.10gb")
	_, mig, err = GPU(0).UUID()
	require.NoError(t, err)
	assert.True(t, mig)
	pci, err := GPU(0).PCI()
	require.NoError(t, err)
	assert.Equal(t, "0000:65:00.0", pci)
	for v, want := range map[string]string{"0": "Default", "2": "Prohibited", "3": "Exclusive_Process", "9": "unknown"} {
		t.Setenv("FAKE_MODE", v)
		m, err := GPU(0).Mode()
		require.NoError(t, err)
		assert.Equal(t, want, m.String())
	}
	major, minor, err := GPU(0).Capability()
	require.NoError(t, err)
	assert.Equal(t, [2]int{9, 0}, [2]int{major, minor})
	bytes, err := GPU(0).Memory()
	require.NoError(t, err)
	assert.Equal(t, 1<<30, bytes)
	_, err = GPU(1).Open()
	assert.ErrorContains(t, err, "cuDeviceGet: CUDA_ERROR_FAKE (101)")
}
