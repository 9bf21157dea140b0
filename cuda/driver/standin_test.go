//go:build cuda

package driver

import (
	"errors"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests run on the driver that the machine has, or on cuda/sim's in LD_LIBRARY_PATH; without either they are skipped.

func open(t *testing.T) (*Context, *Stream) {
	var none *NoLibrary
	if err := Load(); errors.As(err, &none) {
		t.Skip(err)
	} else {
		require.NoError(t, err)
	}
	c, err := GPU(0).Open()
	require.NoError(t, err)
	s, err := c.NewStream()
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, s.Close())
		assert.NoError(t, c.Close())
	})
	return c, s
}

func alloc(t *testing.T, c *Context, bytes int) Ptr {
	p, err := c.Alloc(bytes)
	require.NoError(t, err)
	assert.Zero(t, p%256)
	t.Cleanup(func() { assert.NoError(t, c.Free(p)) })
	return p
}

func pinned(t *testing.T, c *Context, bytes int) []byte {
	b, err := c.Pinned(bytes)
	require.NoError(t, err)
	assert.Len(t, b, bytes)
	t.Cleanup(func() { assert.NoError(t, c.FreePinned(b)) })
	return b
}

// fillParams is the twin of FillParams in cuda/kernels/fill.cu, with a Nest of rank 2.
type fillParams struct {
	fault Ptr
	v     float64
	n     int64
	rank  int32
	dim   [8]int32
	_     int32
	op    [5]struct {
		data Ptr
		typ  int32
		str  [8]int32
		_    int32
	}
}

// fill loads the kernel from cuda/sim's library, whose images are names.
func fill(t *testing.T, c *Context) *Function {
	m, err := c.LoadModule([]byte("acusim fill"))
	if err != nil {
		t.Skip("kernels are tested on the stand-in: ", err)
	}
	t.Cleanup(func() { assert.NoError(t, m.Unload()) })
	f, err := m.Function("fill")
	require.NoError(t, err)
	return f
}

// twoByThree fills elements (i,j), i < 2 and j < 3, of rows of 5 floats.
func twoByThree(fault, to Ptr, v float64) fillParams {
	p := fillParams{fault: fault, v: v, n: 6, rank: 2, dim: [8]int32{2, 3}}
	p.op[0].data, p.op[0].str = to, [8]int32{5, 1}
	return p
}

func TestFillKernel(t *testing.T) {
	c, s := open(t)
	f := fill(t, c)
	assert.EqualValues(t, 304, unsafe.Sizeof(fillParams{}))
	fault, y := alloc(t, c, 64), alloc(t, c, 64)
	host := pinned(t, c, 40)
	floats := unsafe.Slice((*float32)(unsafe.Pointer(&host[0])), 10)
	one, block := [3]uint32{1, 1, 1}, [3]uint32{256, 1, 1}
	read := func() []float32 {
		require.NoError(t, s.Download(unsafe.Pointer(&host[0]), y, 40))
		require.NoError(t, s.Sync())
		return floats
	}
	launch := func(v float64) {
		p := twoByThree(fault, y, v)
		require.NoError(t, s.Launch(f, one, block, 0, unsafe.Pointer(&p), unsafe.Sizeof(p)))
	}
	require.NoError(t, s.Set(fault, 0, 64))
	require.NoError(t, s.Set(y, 0, 64))
	launch(math.Pi)
	pi := float32(math.Pi)
	assert.Equal(t, []float32{pi, pi, pi, 0, 0, pi, pi, pi, 0, 0}, read())

	undo := plainLaunch()
	launch(2)
	undo()
	assert.Equal(t, []float32{2, 2, 2, 0, 0, 2, 2, 2, 0, 0}, read())

	require.NoError(t, s.BeginCapture())
	require.NoError(t, s.Set(y, 0, 40))
	launch(3)
	g, err := s.EndCapture()
	require.NoError(t, err)
	assert.Equal(t, 2, g.Nodes())
	assert.EqualValues(t, 2, read()[0], "nothing runs while it is captured")
	for range 2 {
		require.NoError(t, s.Set(y, 0xff, 64))
		require.NoError(t, g.Launch(s))
		assert.Equal(t, []float32{3, 3, 3, 0, 0, 3, 3, 3, 0, 0}, read())
	}
	require.NoError(t, g.Close())

	p := twoByThree(fault, y, 4)
	err = s.Launch(f, one, [3]uint32{2048, 1, 1}, 0, unsafe.Pointer(&p), unsafe.Sizeof(p))
	assert.ErrorContains(t, err, "(fill): CUDA_ERROR_INVALID_VALUE (1)")
	regs, err := f.Attribute(FuncMaxThreads)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, regs, 256)
	blocks, err := f.Occupancy(256, 0)
	require.NoError(t, err)
	assert.Positive(t, blocks)
	most, err := c.GPU().Attribute(MaxSharedPerBlockOptin)
	require.NoError(t, err)
	const more = 49153 // than a launch may ask for without SetMaxShared
	assert.ErrorContains(t, s.Launch(f, one, block, more, unsafe.Pointer(&p), unsafe.Sizeof(p)), "(fill): CUDA_ERROR_INVALID_VALUE (1)")
	require.NoError(t, f.SetMaxShared(most))
	require.NoError(t, s.Launch(f, one, block, uint32(most), unsafe.Pointer(&p), unsafe.Sizeof(p)))
	assert.ErrorContains(t, f.SetMaxShared(most+1), "cuFuncSetAttribute(fill)")
}

func TestCopies(t *testing.T) {
	c, s := open(t)
	const n = 1 << 16
	a, b := alloc(t, c, n), alloc(t, c, n)
	up, down := pinned(t, c, n), pinned(t, c, n)
	for i := range up {
		up[i] = byte(i * 7)
	}
	other, err := c.NewStream()
	require.NoError(t, err)
	before, err := c.NewEvent(true)
	require.NoError(t, err)
	after, err := c.NewEvent(true)
	require.NoError(t, err)
	require.NoError(t, before.Record(s))
	require.NoError(t, s.Upload(a, unsafe.Pointer(&up[0]), n))
	require.NoError(t, s.Copy(b, a, n))
	require.NoError(t, s.Set(b+100, 9, 100))
	require.NoError(t, after.Record(s))
	require.NoError(t, other.Wait(after))
	require.NoError(t, other.Download(unsafe.Pointer(&down[0]), b, n))
	require.NoError(t, other.Sync())
	for i := range down {
		want := byte(i * 7)
		if i >= 100 && i < 200 {
			want = 9
		}
		require.Equal(t, want, down[i], i)
	}
	done, err := after.Query()
	require.NoError(t, err)
	assert.True(t, done)
	done, err = s.Query()
	require.NoError(t, err)
	assert.True(t, done)
	require.NoError(t, after.Sync())
	ms, err := after.Elapsed(before)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, ms, 0.0)
	require.NoError(t, before.Close())
	require.NoError(t, after.Close())
	require.NoError(t, other.Close())

	// Memory of Go's own may change as soon as the call returns.
	own := make([]byte, n)
	own[5] = 1
	require.NoError(t, s.Upload(a, unsafe.Pointer(&own[0]), n))
	own[5] = 2
	require.NoError(t, s.Download(unsafe.Pointer(&own[0]), a, n))
	require.NoError(t, s.Sync())
	assert.EqualValues(t, 1, own[5])
	require.NoError(t, c.Sync())
}

func TestMistakes(t *testing.T) {
	c, s := open(t)
	free, total, err := c.MemInfo()
	require.NoError(t, err)
	bytes, err := c.GPU().Memory()
	require.NoError(t, err)
	assert.LessOrEqual(t, free, total)
	assert.InDelta(t, bytes, total, float64(bytes)/50) // a driver may keep a little
	_, err = c.Alloc(total * 2)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, OutOfMemory, e.Code)
	assert.EqualError(t, err, "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory")
	_, err = c.LoadModule([]byte("not machine code"))
	assert.ErrorContains(t, err, "cuModuleLoadData: CUDA_ERROR_INVALID_IMAGE (200)")
	n, err := Count()
	require.NoError(t, err)
	_, err = GPU(n).Open()
	assert.ErrorContains(t, err, "cuDeviceGet: CUDA_ERROR_INVALID_DEVICE (101)")
	assert.GreaterOrEqual(t, Version(), 12000)

	// A call that a capture forbids ends it, and the stream works again.
	require.NoError(t, s.BeginCapture())
	assert.ErrorContains(t, s.Sync(), "cuStreamSynchronize: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)")
	_, err = s.EndCapture()
	assert.ErrorContains(t, err, "cuStreamEndCapture: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (901)")
	require.NoError(t, s.Sync())
	name, err := GPU(0).Name()
	require.NoError(t, err)
	id, mig, err := GPU(0).UUID()
	require.NoError(t, err)
	pci, err := GPU(0).PCI()
	require.NoError(t, err)
	mode, err := GPU(0).Mode()
	require.NoError(t, err)
	major, minor, err := GPU(0).Capability()
	require.NoError(t, err)
	t.Log(name, id, mig, pci, mode, major, minor, Version())
}

func TestProductsHere(t *testing.T) {
	c, s := open(t)
	b, err := LoadBlas()
	if err != nil {
		t.Skip(err)
	}
	t.Log("cuBLAS", b.Version(), b.Path())
	products(t, c, s, []types{{F32, F32, ComputeF32}, {F64, F64, ComputeF64}, {F32, F32, ComputeTF32}, {F16, F16, ComputeF32},
		{F16, F32, ComputeF32}, {BF16, BF16, ComputeF32}, {BF16, F32, ComputeF32}})

	// cuBLAS cannot make a handle inside a capture.
	mem := alloc(t, c, 1<<20)
	require.NoError(t, s.BeginCapture())
	_, err = b.NewHandle(s, mem, 1<<20)
	assert.ErrorContains(t, err, "cublasCreate")
	_, err = s.EndCapture()
	assert.ErrorContains(t, err, "cuStreamEndCapture")

	// A product can be captured.
	h, err := b.NewHandle(s, mem, 1<<19)
	require.NoError(t, err)
	x := mem + 1<<19
	put(t, s, x, []float64{3}, F32)
	put(t, s, x+256, []float64{5}, F32)
	p := Product{M: 1, N: 1, K: 1, LDA: 1, LDB: 1, LDC: 1, A: x, B: x, C: x + 256, Compute: ComputeF32, Alpha: 1, Beta: 1}
	require.NoError(t, h.Gemm(&p)) // primed
	require.NoError(t, s.BeginCapture())
	require.NoError(t, h.Gemm(&p))
	g, err := s.EndCapture()
	require.NoError(t, err)
	require.NoError(t, g.Launch(s))
	require.NoError(t, g.Launch(s))
	y := []float64{0}
	take(t, s, x+256, y, F32)
	assert.Equal(t, 5+3*9.0, y[0])
	require.NoError(t, g.Close())
	require.NoError(t, h.Close())
	h, err = b.NewHandle(s, 0, 0)
	require.NoError(t, err)
	require.NoError(t, h.Close())
}

// cublasLt adds a bias and cuts off at 0 before it rounds, in a capture too; what a capture forbids fails there.
func TestFusedProductsHere(t *testing.T) {
	c, s := open(t)
	b, err := LoadBlas()
	if err != nil || !b.Fuses() {
		t.Skip("no cublasLt", err)
	}
	const work = 1 << 20
	mem := alloc(t, c, work+1<<16)
	h, err := b.NewFusedHandle(s, mem, work)
	require.NoError(t, err)
	x, w, y, bias := mem+work, mem+work+4096, mem+work+8192, mem+work+12288
	const m, n, k = 5, 8, 16
	for _, kind := range []Type{F16, BF16} {
		p := FusedProduct{Product{M: m, N: n, K: k, TransB: true, TypeA: kind, TypeB: kind, TypeC: kind, Compute: ComputeF32, Alpha: 1,
			A: 256, B: 256, C: 256, LDA: k, LDB: k, LDC: n}, AddBiasRelu, bias}
		var in [3][]float64
		for i, at := range []Ptr{x, w, bias} {
			in[i] = make([]float64, []int{m * k, n * k, n}[i])
			for j := range in[i] {
				in[i][j] = float64((j*7+i*5)%5) - 2
			}
			put(t, s, at, in[i], kind)
		}
		f, err := h.Prepare(&p)
		require.NoError(t, err)
		require.NotNil(t, f)
		require.NoError(t, f.Multiply(x, w, y)) // loads its kernel
		want, got := make([]float64, m*n), make([]float64, m*n)
		multiply(p.Product, in[0], in[1], want)
		for i := range want {
			want[i] = max(want[i]+in[2][i%n], 0)
		}
		take(t, s, y, got, kind)
		assert.Equal(t, want, got)

		require.NoError(t, s.Set(y, 0, m*n*2))
		require.NoError(t, s.BeginCapture())
		require.NoError(t, f.Multiply(x, w, y))
		g, err := s.EndCapture()
		require.NoError(t, err)
		require.NoError(t, g.Launch(s))
		take(t, s, y, got, kind)
		assert.Equal(t, want, got)
		require.NoError(t, g.Close())
		assert.Zero(t, testing.AllocsPerRun(20, func() {
			if f.Multiply(x, w, y) != nil {
				panic("multiply")
			}
		}))

		none := p
		none.LDC = n + 1                          // rows that are not aligned
		if f, err := h.Prepare(&none); f != nil { // a true library may have something for it
			assert.NoError(t, f.Close())
		} else {
			assert.NoError(t, err)
		}
		require.NoError(t, s.BeginCapture())
		_, err = h.Prepare(&p)
		_, e := s.EndCapture()
		if err != nil { // older libraries look into tables of their own
			assert.ErrorContains(t, err, "cublasLtMatmulAlgoGetHeuristic")
			assert.ErrorContains(t, e, "cuStreamEndCapture")
		}
		require.NoError(t, f.Close())
	}
	require.NoError(t, s.Sync())
	require.NoError(t, h.Close())
}

func BenchmarkEnter(b *testing.B) {
	if err := Load(); err != nil {
		b.Skip(err)
	}
	c, err := GPU(0).Open()
	require.NoError(b, err)
	defer c.Close()
	for b.Loop() {
		if err := c.Enter(); err != nil {
			b.Fatal(err)
		}
		c.Leave()
	}
}
