//go:build cuda

package driver

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each call, made to fail, gives an error that names it and the code; then, not made to fail, it works.
func TestErrorsNameTheCall(t *testing.T) {
	if !alone(t, fakeCC) {
		return
	}
	c, s, m := setup(t)
	f, err := m.Function("add")
	require.NoError(t, err)
	e, err := c.NewEvent(true)
	require.NoError(t, err)
	mem, err := c.Alloc(1024)
	require.NoError(t, err)
	b, err := LoadBlas()
	require.NoError(t, err)
	h, err := b.NewHandle(s, mem, 512)
	require.NoError(t, err)
	pinned, err := c.Pinned(64)
	require.NoError(t, err)
	one := [3]uint32{1, 1, 1}
	params := struct {
		to    Ptr
		value int64
	}{to: mem}
	var host [16]byte
	capture := func() (*Graph, error) {
		if err := s.BeginCapture(); err != nil {
			return nil, err
		}
		return s.EndCapture()
	}
	newHandle := func() error {
		h, err := b.NewHandle(s, mem, 512)
		if err == nil {
			err = h.Close()
		}
		return err
	}
	product := Product{M: 1, N: 1, K: 1, LDA: 1, LDB: 1, LDC: 1, A: mem, B: mem, C: mem, Compute: ComputeF32}
	batched := product
	batched.Batch = 2
	graph := func() error {
		g, err := capture()
		if err != nil {
			return err
		}
		return errors.Join(g.Launch(s), g.Close())
	}
	second := func(_ any, err error) error { return err }
	gpu := GPU(0)
	for call, do := range map[string]func() error{
		"cuDeviceGetCount":             func() error { return second(Count()) },
		"cuDeviceGet":                  func() error { return second(gpu.Name()) },
		"cuDeviceGetName":              func() error { return second(gpu.Name()) },
		"cuDeviceGetAttribute":         func() error { return second(gpu.Attribute(1)) },
		"cuDeviceTotalMem_v2":          func() error { return second(gpu.Memory()) },
		"cuDeviceGetUuid_v2":           func() error { _, _, err := gpu.UUID(); return err },
		"cuDeviceGetPCIBusId":          func() error { return second(gpu.PCI()) },
		"cuDevicePrimaryCtxRetain":     func() error { c, err := gpu.Open(); return closed(c, err) },
		"cuDevicePrimaryCtxRelease_v2": func() error { c, err := gpu.Open(); return closed(c, err) },
		"cuCtxSynchronize":             c.Sync,
		"cuMemAlloc_v2": func() error {
			p, err := c.Alloc(8)
			if err != nil {
				return err
			}
			return c.Free(p)
		},
		"cuMemFree_v2":        func() error { p, _ := c.Alloc(8); return c.Free(p) },
		"cuMemGetInfo_v2":     func() error { _, _, err := c.MemInfo(); return err },
		"cuMemHostAlloc":      func() error { b, err := c.Pinned(8); return errors.Join(err, c.FreePinned(b)) },
		"cuMemFreeHost":       func() error { b, err := c.Pinned(8); return errors.Join(err, c.FreePinned(b)) },
		"cuModuleLoadData":    func() error { return second(c.LoadModule([]byte("fake"))) },
		"cuModuleUnload":      func() error { m, err := c.LoadModule([]byte("fake")); return errors.Join(err, m.Unload()) },
		"cuFuncSetAttribute":  func() error { return f.SetMaxShared(100 << 10) },
		"cuFuncGetAttribute":  func() error { return second(f.Attribute(FuncMaxDynamicShared)) },
		"cuModuleGetFunction": func() error { return second(m.Function("echo")) },
		"cuOccupancyMaxActiveBlocksPerMultiprocessor": func() error { return second(f.Occupancy(128, 0)) },
		"cuStreamCreate": func() error {
			s, err := c.NewStream()
			if err != nil {
				return err
			}
			return s.Close()
		},
		"cuStreamDestroy_v2":   func() error { s, err := c.NewStream(); return errors.Join(err, s.Close()) },
		"cuStreamSynchronize":  s.Sync,
		"cuStreamQuery":        func() error { return second(s.Query()) },
		"cuStreamWaitEvent":    func() error { return s.Wait(e) },
		"cuMemcpyHtoDAsync_v2": func() error { return s.Upload(mem, unsafe.Pointer(&host), 16) },
		"cuMemcpyDtoHAsync_v2": func() error { return s.Download(unsafe.Pointer(&pinned[0]), mem, 16) },
		"cuMemcpyDtoDAsync_v2": func() error { return s.Copy(mem, mem+16, 16) },
		"cuMemsetD8Async":      func() error { return s.Set(mem, 0, 16) },
		"cuLaunchKernelEx":     func() error { return s.Launch(f, one, one, 0, unsafe.Pointer(&params), 16) },
		"cuEventCreate": func() error {
			e, err := c.NewEvent(false)
			if err != nil {
				return err
			}
			return e.Close()
		},
		"cuEventDestroy_v2":           func() error { e, err := c.NewEvent(false); return errors.Join(err, e.Close()) },
		"cuEventRecord":               func() error { return e.Record(s) },
		"cuEventQuery":                func() error { return second(e.Query()) },
		"cuEventSynchronize":          e.Sync,
		"cuEventElapsedTime":          func() error { return second(e.Elapsed(e)) },
		"cuStreamBeginCapture_v2":     graph,
		"cuStreamEndCapture":          graph,
		"cuGraphGetNodes":             graph,
		"cuGraphInstantiateWithFlags": graph,
		"cuGraphDestroy":              graph,
		"cuGraphLaunch":               graph,
		"cuGraphExecDestroy":          graph,
		"cublasCreate_v2":             newHandle,
		"cublasSetStream_v2":          newHandle,
		"cublasSetWorkspace_v2":       newHandle,
		"cublasSetMathMode":           newHandle,
		"cublasDestroy_v2":            newHandle,
		"cublasGemmEx":                func() error { return h.Gemm(&product) },
		"cublasGemmStridedBatchedEx":  func() error { return h.Gemm(&batched) },
	} {
		t.Run(call, func(t *testing.T) {
			t.Setenv("FAKE_FAIL", call+"=2")
			err := do()
			var e *Error
			require.ErrorAs(t, err, &e)
			name, _, _ := strings.Cut(call, "_")
			assert.Contains(t, e.Call, name)
			assert.Equal(t, 2, e.Code)
			if strings.HasPrefix(call, "cu") && !strings.HasPrefix(call, "cublas") {
				assert.Equal(t, "CUDA_ERROR_OUT_OF_MEMORY", e.Name)
				assert.Equal(t, "out of memory", e.Text)
			}
			t.Setenv("FAKE_FAIL", "")
			assert.NoError(t, do())
		})
	}
	t.Setenv("FAKE_BUSY", "600")
	done, err := s.Query()
	assert.NoError(t, err)
	assert.False(t, done)
	done, err = e.Query()
	assert.NoError(t, err)
	assert.False(t, done)
	_, err = m.Function("absent")
	assert.ErrorContains(t, err, "cuModuleGetFunction(absent)")
	untimed, err := c.NewEvent(false)
	require.NoError(t, err)
	_, err = untimed.Elapsed(e)
	assert.ErrorContains(t, err, "cuEventElapsedTime")
	assert.EqualError(t, failure("cuX", 999), "cuX: error 999")
}

func closed(c *Context, err error) error {
	if err != nil {
		return err
	}
	return c.Close()
}
