//go:build cuda

package driver

// #cgo noescape acu_lt_multiply
// #cgo nocallback acu_lt_multiply
// #include <stdlib.h>
// #include "blaslt.h"
import "C"
import (
	"fmt"
	"math"
	"unsafe"
)

// light is cublasLt, or why it is not there.
type light struct {
	l   *C.acu_lt
	err error
}

// Fuses reports whether there is cublasLt.
func (b *Blas) Fuses() bool { return b.light().err == nil }

// light looks for cublasLt once: the file beside cuBLAS's, or the library that the linker loaded for it.
func (b *Blas) light() light {
	b.once.Do(func() {
		file := neighbour(b.path)
		if file == "" {
			file = fmt.Sprintf("libcublasLt.so.%d", b.major)
		}
		p := C.CString(file)
		defer C.free(unsafe.Pointer(p))
		var reason [512]C.char
		if b.lt.l = C.acu_lt_open(p, &reason[0], C.int(len(reason))); b.lt.l == nil {
			b.lt.err = fmt.Errorf("cublasLt was not found: %s", C.GoString(&reason[0]))
		}
	})
	return b.lt
}

// FusedHandle is cublasLt made ready for one stream.
type FusedHandle struct {
	blas      *Blas
	lt        *C.acu_lt
	stream    *Stream
	workspace Ptr
	bytes     int
	h         unsafe.Pointer
}

// NewFusedHandle makes a handle for products with an epilogue, which are queued in s and use the workspace. That may be the
// one of a Handle of the same stream. Not while any stream of this thread captures.
func (b *Blas) NewFusedHandle(s *Stream, workspace Ptr, bytes int) (*FusedHandle, error) {
	lt := b.light()
	if lt.err != nil {
		return nil, lt.err
	}
	h := &FusedHandle{blas: b, lt: lt.l, stream: s, workspace: workspace, bytes: bytes}
	var handle unsafe.Pointer
	if r := C.acu_lt_handle(lt.l, s.ctx.c, &handle); r != 0 {
		return nil, b.check("cublasLtCreate", r)
	}
	h.h = handle
	return h, nil
}

// Close destroys the handle.
func (h *FusedHandle) Close() error {
	return h.blas.check("cublasLtDestroy", C.acu_lt_destroy(h.lt, h.stream.ctx.c, h.h))
}

// Fused is a product with an epilogue for which an algorithm was chosen.
type Fused struct {
	h *FusedHandle
	p C.acu_lt_plan
}

// Prepare chooses the algorithm for products like p, whose A, B and C are not addresses but powers of two that divide
// them. Beta must be 0, and Batch 0 or 1. It gives nil where cublasLt has no algorithm. Not while a stream captures.
func (h *FusedHandle) Prepare(p *FusedProduct) (*Fused, error) {
	const limit = math.MaxInt32
	if p.M > limit || p.N > limit || p.K > limit || p.LDA > limit || p.LDB > limit || p.LDC > limit || p.Beta != 0 || p.Alpha != 1 || p.Batch > 1 {
		return nil, nil
	}
	q := row(&p.Product)
	f := &Fused{h: h}
	var found C.int
	var call *C.char
	r := C.acu_lt_prepare(h.lt, h.stream.ctx.c, h.h, &q, C.int(p.Epilogue), C.CUdeviceptr(p.Bias), C.size_t(h.bytes), &f.p, &found, &call)
	if r != 0 {
		return nil, h.blas.check(C.GoString(call), r)
	}
	if found == 0 {
		return nil, nil
	}
	return f, nil
}

// Multiply queues the product. It allocates nothing.
func (f *Fused) Multiply(a, b, c Ptr) error {
	h := f.h
	// As in row, the factors change places.
	return h.blas.check("cublasLtMatmul", C.acu_lt_multiply(h.lt, h.stream.ctx.c, h.h, &f.p, C.CUdeviceptr(b), C.CUdeviceptr(a), C.CUdeviceptr(c),
		C.CUdeviceptr(h.workspace), C.size_t(h.bytes), h.stream.h))
}

// Close gives back what Prepare made.
func (f *Fused) Close() error {
	var call *C.char
	r := C.acu_lt_drop(f.h.lt, f.h.stream.ctx.c, &f.p, &call)
	if r == 0 {
		return nil
	}
	return f.h.blas.check(C.GoString(call), r)
}
