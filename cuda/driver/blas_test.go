//go:build cuda

package driver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// multiply is the product as its comment says, on float64 values.
func multiply(p Product, a, b, c []float64) {
	at := func(m []float64, trans bool, ld, off, i, j int) float64 {
		if trans {
			i, j = j, i
		}
		return m[off+i*ld+j]
	}
	for q := range max(p.Batch, 1) {
		for i := range p.M {
			for j := range p.N {
				s := 0.0
				for k := range p.K {
					s += at(a, p.TransA, p.LDA, q*p.StrideA, i, k) * at(b, p.TransB, p.LDB, q*p.StrideB, k, j)
				}
				y := &c[q*p.StrideC+i*p.LDC+j]
				*y = p.Alpha*s + p.Beta**y
			}
		}
	}
}

type types struct {
	in, out Type
	compute Compute
}

func products(t *testing.T, c *Context, s *Stream, all []types) {
	b, err := LoadBlas()
	require.NoError(t, err)
	const bytes = 1 << 16
	mem, err := c.Alloc(bytes)
	require.NoError(t, err)
	h, err := b.NewHandle(s, mem, bytes/2)
	require.NoError(t, err)
	at := [3]Ptr{mem + bytes/2, mem + bytes/2 + 8192, mem + bytes/2 + 16384}
	const m, n, k = 5, 3, 4
	for _, of := range all {
		for trans := range 4 {
			for _, batch := range []int{0, 1, 3} {
				p := Product{M: m, N: n, K: k, TransA: trans&1 != 0, TransB: trans&2 != 0, Compute: ComputeF32, Alpha: 1.5, Beta: 0.5,
					A: at[0], B: at[1], C: at[2], LDA: k + 1, LDB: n + 2, LDC: n + 1, StrideA: 64, StrideC: 32, Batch: batch} // B is repeated
				if p.TransA {
					p.LDA = m
				}
				if p.TransB {
					p.LDB = k + 3
				}
				p.TypeA, p.TypeB, p.TypeC, p.Compute = of.in, of.in, of.out, of.compute
				kinds := [3]Type{of.in, of.in, of.out}
				var x [3][]float64
				for i := range x {
					x[i] = make([]float64, 256)
					for j := range x[i] {
						x[i][j] = float64((j*7+i*5)%5) - 2
					}
					put(t, s, at[i], x[i], kinds[i])
				}
				require.NoError(t, h.Gemm(&p))
				got := make([]float64, 256)
				take(t, s, at[2], got, of.out)
				multiply(p, x[0], x[1], x[2])
				require.Equal(t, x[2], got, "%+v", p) // whole numbers and halves under 32: exact in every type
			}
		}
	}
	p := Product{M: 1, N: 1, K: 1, LDA: 1, LDB: 1, LDC: 1, A: at[0], B: at[1], C: at[2], Compute: ComputeF32}
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		q := p
		if h.Gemm(&q) != nil {
			panic("gemm")
		}
	}))
	p.LDA = 1 << 31
	assert.ErrorContains(t, h.Gemm(&p), "2^31")
	require.NoError(t, h.Close())
	require.NoError(t, c.Free(mem))
}

func put(t *testing.T, s *Stream, to Ptr, x []float64, kind Type) {
	var b []byte
	for _, v := range x {
		switch kind {
		case F64:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		case F32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		case F16:
			b = binary.LittleEndian.AppendUint16(b, device.F32ToF16(float32(v)))
		case BF16:
			b = binary.LittleEndian.AppendUint16(b, device.F32ToBF16(float32(v)))
		}
	}
	require.NoError(t, s.Upload(to, unsafe.Pointer(&b[0]), len(b)))
}

func take(t *testing.T, s *Stream, from Ptr, x []float64, kind Type) {
	b := make([]byte, len(x)*map[Type]int{F64: 8, F32: 4, F16: 2, BF16: 2}[kind])
	require.NoError(t, s.Download(unsafe.Pointer(&b[0]), from, len(b)))
	require.NoError(t, s.Sync())
	for i := range x {
		switch kind {
		case F64:
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		case F32:
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		case F16:
			x[i] = float64(device.F16ToF32(binary.LittleEndian.Uint16(b[2*i:])))
		case BF16:
			x[i] = float64(device.BF16ToF32(binary.LittleEndian.Uint16(b[2*i:])))
		}
	}
}

func TestProducts(t *testing.T) {
	if !alone(t, fakeCC) {
		return
	}
	c, s, _ := setup(t)
	products(t, c, s, []types{{F32, F32, ComputeF32}, {F64, F64, ComputeF64}})
	b, err := LoadBlas()
	require.NoError(t, err)
	assert.Equal(t, "12.9.1", b.Version())
	assert.Equal(t, "libcublas.so.12", b.Path())
}

// A cuBLAS that is newer than the driver is passed over, with the reason.
func TestBlasTooNew(t *testing.T) {
	if !alone(t, fakeCC, "FAKE_CUBLAS=13") {
		return
	}
	_, err := LoadBlas()
	assert.ErrorContains(t, err, "libcublas.so.12 is cuBLAS 13.9.1, which needs a driver for CUDA 13; this one is for 12.4")
}

func TestBlasNamed(t *testing.T) {
	for name, want := range map[string]string{"none": "switched off", "/no/such/file": "ACUMEN_CUBLAS names /no/such/file", "libc.so.6": "no function cublasCreate_v2"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if alone(t, fakeCC, "ACUMEN_CUBLAS="+name) {
				_, err := LoadBlas()
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func TestBlasSearch(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"CUDA_HOME": home + "/cuda", "VIRTUAL_ENV": home + "/venv"}
	lib := home + "/venv/lib/python3.11/site-packages/nvidia/cublas/lib/"
	newer := home + "/.local/lib/python3.12/site-packages/nvidia/cu13/lib/"
	for _, f := range []string{lib + "libcublas.so.12", lib + "libcublasLt.so.12", newer + "libcublas.so.13"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(f), 0o755))
		require.NoError(t, os.WriteFile(f, nil, 0o644))
	}
	var asked [][2]string
	works := lib + "libcublas.so.12"
	s := search{"", folders(func(k string) string { return env[k] }, home), func(path, before string) (*Blas, error) {
		asked = append(asked, [2]string{path, before})
		if path == works {
			return &Blas{path: path}, nil
		}
		return nil, errors.New(path + ": no")
	}}
	b, err := findBlas(s)
	require.NoError(t, err)
	assert.Equal(t, works, b.Path())
	assert.Equal(t, [][2]string{{"libcublas.so.13"}, {"libcublas.so.12"}, {"libcublas.so.11"}, {works, lib + "libcublasLt.so.12"}}, asked)
	works = newer + "libcublas.so.13"
	b, err = findBlas(s)
	require.NoError(t, err)
	assert.Equal(t, works, b.Path())
	works = ""
	_, err = findBlas(s)
	for _, want := range []string{"libcublas.so.11: no", lib + "libcublas.so.12: no", newer + "libcublas.so.13: no", "none in " + home + "/cuda/lib64", "ACUMEN_CUBLAS"} {
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, "9.1.2", fmt.Sprint((&Blas{major: 9, minor: 1, patch: 2}).Version()))
}
