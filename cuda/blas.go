package cuda

import (
	"errors"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// blas is what products are made with: cuBLAS and cublasLt with the workspace of both, fixed for the handles' life, and the
// switch for TF32. Where cuBLAS is absent, and for what it does not take, the kernels of matmul.cu serve.
type blas struct {
	d         *Device
	handle    *driver.Handle      // nil: no cuBLAS
	light     *driver.FusedHandle // nil: no cublasLt
	workspace driver.Ptr
	tf32      bool
	primed    map[driver.Product]bool               // with alignments for the addresses of matrices
	chosen    map[driver.FusedProduct]*driver.Fused // likewise; nil: composed
}

// blasWorkspace is what NVIDIA recommends for Hopper, and more than older GPUs use.
const blasWorkspace = 32 << 20

// newBlas makes handles where there are cuBLAS and cublasLt; where there is none the device's line says so.
func newBlas(d *Device) (*blas, error) {
	b := &blas{d: d, primed: map[driver.Product]bool{}, chosen: map[driver.FusedProduct]*driver.Fused{}}
	lib, err := driver.LoadBlas()
	if err != nil {
		return b, nil
	}
	if b.workspace, err = d.alloc(blasWorkspace); err != nil {
		return b, device.WantedFor("cuBLAS's workspace", err)
	}
	if b.handle, err = lib.NewHandle(d.stream, b.workspace, blasWorkspace); err == nil && lib.Fuses() {
		b.light, err = lib.NewFusedHandle(d.stream, b.workspace, blasWorkspace)
	}
	return b, device.WantedFor("cuBLAS", d.full(err, 0))
}

func (b *blas) close() error {
	var errs []error
	for _, f := range b.chosen {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if b.light != nil {
		errs = append(errs, b.light.Close())
	}
	if b.handle != nil {
		errs = append(errs, b.handle.Close())
	}
	if b.workspace != 0 {
		errs = append(errs, b.d.dealloc(b.workspace))
	}
	return errors.Join(errs...)
}

// TF32 switches whether products of f32 numbers may round their factors to TF32, 10 bits behind the point, for the calls
// that follow. It reports whether this GPU can.
func (d *Device) TF32(on bool) bool {
	can := d.gpu.major >= 8
	d.blas.tf32 = on && can
	return can
}

// abilities are what the choice of a kernel depends on beside the shape.
func (d *Device) abilities() abilities {
	can := abilities{blas: d.blas.handle != nil, fuse: d.blas.light != nil, tensor: d.gpu.major >= 8, tf32: d.blas.tf32, groups: d.gpu.groups}
	if d.plan != nil {
		can.blas, can.fuse = d.plan.blas, d.plan.fuse
	}
	return can
}

var blasTypes = [...]driver.Type{device.F32: driver.F32, device.F64: driver.F64, device.F16: driver.F16, device.BF16: driver.BF16}

// gemm queues p by way of cuBLAS: a call for each stretch of the batch that is evenly strided.
func (b *blas) gemm(p *product, y, xa, xb uintptr, alpha, beta float64) error {
	q := driver.Product{
		M: p.m, N: p.n, K: p.k, TransA: !p.adeep, TransB: p.bdeep,
		TypeA: blasTypes[p.a.typ], TypeB: blasTypes[p.b.typ], TypeC: blasTypes[p.y.typ],
		Compute: driver.ComputeF32, Alpha: alpha, Beta: beta,
		LDA: p.lda(), LDB: p.ldb(), LDC: p.y.rs, Batch: 1,
	}
	switch {
	case p.compute == device.F64:
		q.Compute = driver.ComputeF64
	case p.a.typ == device.F32 && p.tf32:
		q.Compute = driver.ComputeTF32
	}
	inner := 1
	if p.inner >= 0 {
		inner = p.dim[p.inner]
		q.StrideA, q.StrideB, q.StrideC = p.a.batch[p.inner], p.b.batch[p.inner], p.y.batch[p.inner]
	}
	for i := range p.batches() / inner {
		var oy, oa, ob int
		for x := p.axes - 1; x >= 0; x-- {
			if x == p.inner {
				continue
			}
			r := i % p.dim[x]
			i /= p.dim[x]
			oy, oa, ob = oy+r*p.y.batch[x], oa+r*p.a.batch[x], ob+r*p.b.batch[x]
		}
		for j := 0; j < inner; j += blasBatch {
			q.Batch = min(inner-j, blasBatch)
			q.C = driver.Ptr(y + uintptr((oy+j*q.StrideC)*p.y.typ.Size()))
			q.A = driver.Ptr(xa + uintptr((oa+j*q.StrideA)*p.a.typ.Size()))
			q.B = driver.Ptr(xb + uintptr((ob+j*q.StrideB)*p.b.typ.Size()))
			if err := b.queue(&q, p.primer()); err != nil {
				return err
			}
		}
	}
	return nil
}

// queue makes one call; or, before a capture, lets cuBLAS do now what it does when it meets a product for the first time:
// choose, and load what it has chosen. It then multiplies zeros, all matrices being n bytes of scratch.
func (b *blas) queue(q *driver.Product, n int) error {
	if b.d.pass != priming {
		return b.handle.Gemm(q)
	}
	r := *q
	r.A, r.B, r.C = alignment(q.A), alignment(q.B), alignment(q.C)
	if b.primed[r] {
		return nil
	}
	scratch, err := b.d.borrow(n)
	if err != nil {
		return err
	}
	at := driver.Ptr(scratch)
	if err := b.d.stream.Set(at, 0, n); err != nil {
		return err
	}
	zeros := r
	zeros.A, zeros.B, zeros.C = at+r.A%device.Align, at+r.B%device.Align, at+r.C%device.Align
	if err := b.handle.Gemm(&zeros); err != nil {
		return err
	}
	b.primed[r] = true
	return nil
}

// alignment is the largest power of two, up to that of all allocations, that divides an address.
func alignment(p driver.Ptr) driver.Ptr { return min(p&-p, device.Align) }
