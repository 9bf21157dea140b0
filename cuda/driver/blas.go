//go:build cuda

package driver

// #cgo noescape acu_blas_gemm
// #cgo nocallback acu_blas_gemm
// #include <stdlib.h>
// #include "blas.h"
import "C"
import (
	"fmt"
	"math"
	"sync"
	"unsafe"
)

// Blas is the cuBLAS library that was found.
type Blas struct {
	b                   *C.acu_blas
	path                string
	major, minor, patch int
	once                sync.Once // for lt
	lt                  light
}

var loadBlas = sync.OnceValues(func() (*Blas, error) { return findBlas(systemSearch()) })

// LoadBlas looks for cuBLAS 13, 12 or 11, once: in the file that ACUMEN_CUBLAS names (none: nowhere), the linker's path,
// CUDA_HOME/lib64, and the folders of Python packages. The error lists what was tried.
func LoadBlas() (*Blas, error) { return loadBlas() }

// Version is the library's version: "12.9.1".
func (b *Blas) Version() string { return fmt.Sprintf("%d.%d.%d", b.major, b.minor, b.patch) }

// Path is the file, or the name by which the dynamic linker found it.
func (b *Blas) Path() string { return b.path }

func openBlas(path, before string) (*Blas, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	var first *C.char
	if before != "" {
		first = C.CString(before)
		defer C.free(unsafe.Pointer(first))
	}
	var reason [512]C.char
	lib := C.acu_blas_open(p, first, &reason[0], C.int(len(reason)))
	if lib == nil {
		return nil, fmt.Errorf("%s", C.GoString(&reason[0]))
	}
	part := func(i int) int { return int(C.acu_blas_property(lib, C.int(i))) }
	b := &Blas{b: lib, path: path, major: part(0), minor: part(1), patch: part(2)}
	if d := Version(); d != 0 && b.major > d/1000 {
		C.acu_blas_close(lib)
		return nil, fmt.Errorf("%s is cuBLAS %s, which needs a driver for CUDA %d; this one is for %d.%d", path, b.Version(), b.major, d/1000, d%1000/10)
	}
	return b, nil
}

// statuses names what cuBLAS before 11.4 has no words for.
var statuses = map[int]string{1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR",
	13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED", 16: "LICENSE_ERROR"}

func (b *Blas) check(call string, r C.int) error {
	if r <= 0 {
		return check(call, r)
	}
	e := &Error{call, int(r), C.GoString(C.acu_blas_name(b.b, r)), C.GoString(C.acu_blas_text(b.b, r))}
	if s := statuses[e.Code]; e.Name == "" && s != "" {
		e.Name = "CUBLAS_STATUS_" + s
	}
	if e.Text == e.Name {
		e.Text = ""
	}
	return e
}

// Handle is cuBLAS made ready for one stream.
type Handle struct {
	blas *Blas
	ctx  *Context
	h    unsafe.Pointer
}

// NewHandle makes a handle whose products are queued in s and use the workspace, which no other handle may use meanwhile
// and which must live as long. With 0 bytes cuBLAS uses memory of its own. Not while any stream of this thread captures.
func (b *Blas) NewHandle(s *Stream, workspace Ptr, bytes int) (*Handle, error) {
	h := &Handle{blas: b, ctx: s.ctx}
	var handle unsafe.Pointer
	var call *C.char
	if r := C.acu_blas_handle(b.b, s.ctx.c, s.h, C.CUdeviceptr(workspace), C.size_t(bytes), &handle, &call); r != 0 {
		return nil, b.check(C.GoString(call), r)
	}
	h.h = handle
	return h, nil
}

// Close destroys the handle.
func (h *Handle) Close() error {
	return h.blas.check("cublasDestroy", C.acu_blas_destroy(h.blas.b, h.ctx.c, h.h))
}

// Gemm queues a product. It allocates nothing.
func (h *Handle) Gemm(p *Product) error {
	const limit = math.MaxInt32
	if p.M > limit || p.N > limit || p.K > limit || p.LDA > limit || p.LDB > limit || p.LDC > limit || p.Batch > limit {
		return fmt.Errorf("cublasGemmEx: extents of %d x %d x %d, rows of %d, %d and %d elements, batch %d: each must be under 2^31",
			p.M, p.N, p.K, p.LDA, p.LDB, p.LDC, p.Batch)
	}
	q := row(p)
	if r := C.acu_blas_gemm(h.blas.b, h.ctx.c, h.h, &q); r != 0 {
		if p.Batch > 1 {
			return h.blas.check("cublasGemmStridedBatchedEx", r)
		}
		return h.blas.check("cublasGemmEx", r)
	}
	return nil
}

// row is p for cuBLAS, to which a row-major matrix is its transpose: the transpose of C is op(B)ᵀ·op(A)ᵀ.
func row(p *Product) C.acu_product {
	return C.acu_product{
		opa: transposed(p.TransB), opb: transposed(p.TransA),
		m: C.int(p.N), n: C.int(p.M), k: C.int(p.K),
		a: C.CUdeviceptr(p.B), ta: C.int(p.TypeB), lda: C.int(p.LDB), sa: C.longlong(p.StrideB),
		b: C.CUdeviceptr(p.A), tb: C.int(p.TypeA), ldb: C.int(p.LDA), sb: C.longlong(p.StrideA),
		c: C.CUdeviceptr(p.C), tc: C.int(p.TypeC), ldc: C.int(p.LDC), sc: C.longlong(p.StrideC),
		compute: C.int(p.Compute), batch: C.int(max(p.Batch, 1)),
		alpha: C.double(p.Alpha), beta: C.double(p.Beta),
	}
}

func transposed(t bool) C.int {
	if t {
		return 1
	}
	return 0
}
