package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// matMulParams is the twin of struct MatMulParams in matmul.cuh.
type matMulParams struct {
	fault                        uintptr
	a, b, y, part                uintptr
	alpha, beta                  float64
	ars, acs, brs, bcs, yrs, ycs int64
	astr, bstr, ystr             [productAxes]int64
	dim                          [productAxes]int32
	axes, batch                  int32
	m, n, k                      int32
	splits, chunk                int32
	rows, cols                   int32
	ta, tb, ty                   int32
	avec, bvec, yvec             int32
	_                            int32
}

// layouts4 are a kernel's forms for operands as they lie or transposed.
type layouts4 [4]kernelID

func kernels4(file, name string) layouts4 {
	return layouts4{kernel(file, name+"_nn"), kernel(file, name+"_nt"), kernel(file, name+"_tn"), kernel(file, name+"_tt")}
}

// of picks the form for p.
func (k layouts4) of(p *product) kernelID {
	i := 0
	if !p.adeep {
		i += 2
	}
	if p.bdeep {
		i++
	}
	return k[i]
}

var (
	kMatMulAnyF32 = kernel("matmul", "matmul_any_f32")
	kMatMulAnyF64 = kernel("matmul", "matmul_any_f64")
	kMatMulAnyI64 = kernel("matmul", "matmul_any_i64")
	kMatMulReduce = kernel("matmul", "matmul_reduce")

	kMatMulPlain128 = kernels4("matmul", "matmul_f32_128")
	kMatMulPlain64  = kernels4("matmul", "matmul_f32_64")
	kMatMulPlain32  = kernels4("matmul", "matmul_f32_32")

	kMatMulTensor128 = [...]layouts4{device.F32: kernels4("matmul_tensor", "matmul_tf32_128"), device.F16: kernels4("matmul_tensor", "matmul_f16_128"), device.BF16: kernels4("matmul_tensor", "matmul_bf16_128")}
	kMatMulTensor64  = [...]layouts4{device.F32: kernels4("matmul_tensor", "matmul_tf32_64"), device.F16: kernels4("matmul_tensor", "matmul_f16_64"), device.BF16: kernels4("matmul_tensor", "matmul_bf16_64")}
)

// MatMul is y = alpha a b + beta y over the last two axes, batched, for any strides and types.
func (d *Device) MatMul(y, a, b device.View, alpha, beta float64) {
	wa, wb := matMulOperands(y, a, b)
	if y.Len() == 0 {
		return
	}
	p := newProduct(y, wa, wb, beta != 0, d.abilities())
	d.reserve(max(p.scratch(), p.primer()))
	d.enqueue("MatMul", []device.View{y}, []device.View{a, b}, p.flops(), func() error {
		var scratch uintptr
		if n := p.scratch(); n > 0 {
			var err error
			if scratch, err = d.borrow(n); err != nil {
				return err
			}
		}
		return d.multiply(&p, address(y), address(a), address(b), alpha, beta, scratch)
	})
}

// matMulOperands are a and b with y's leading axes. Shapes that do not fit panic.
func matMulOperands(y, a, b device.View) (wa, wb device.View) {
	r := int(y.Rank)
	if r < 2 || a.Rank < 2 || b.Rank < 2 || a.D(-1) != b.D(-2) || y.D(-2) != a.D(-2) || y.D(-1) != b.D(-1) {
		panic(fmt.Sprintf("cuda.MatMul: %s = %s times %s", y, a, b))
	}
	wide := func(v device.View) device.View {
		to := y
		to.Dim[r-2], to.Dim[r-1] = v.Dim[v.Rank-2], v.Dim[v.Rank-1]
		if !broadcasts(v, to) {
			panic(fmt.Sprintf("cuda.MatMul: %s = %s times %s: batches", y, a, b))
		}
		return v.BroadcastTo(to)
	}
	return wide(a), wide(b)
}

// multiply queues p for operands at these addresses, with p.scratch() bytes of scratch.
func (d *Device) multiply(p *product, y, a, b uintptr, alpha, beta float64, scratch uintptr) error {
	if p.swapped {
		a, b = b, a
	}
	if p.path == byBlas {
		return d.blas.gemm(p, y, a, b, alpha, beta)
	}
	q := p.params(y, a, b)
	q.fault, q.part, q.alpha, q.beta = d.fault(), scratch, alpha, beta
	grid := [3]uint32{uint32(q.rows) * uint32(q.cols) * uint32(q.splits), uint32(min(q.batch, 1<<16-1)), 1}
	k, threads, shared := p.kernel()
	if err := launch(d, k, grid, threads, shared, &q); err != nil {
		return err
	}
	if p.splits == 1 {
		return nil
	}
	return launch(d, kMatMulReduce, d.spread(p.batches()*p.m*p.n, 256), 256, 0, &q)
}

// kernel is the kernel that serves p, with the threads of a block and its bytes of shared memory.
func (p *product) kernel() (k kernelID, threads, shared uint32) {
	switch p.path {
	case byTensor, byTensorTF32: // three stages of 64 bytes of k
		shared = uint32(3 * (p.tileM + p.tileN) * 64)
		if p.tileM == 128 {
			return kMatMulTensor128[p.a.typ].of(p), 128, shared
		}
		return kMatMulTensor64[p.a.typ].of(p), 128, shared
	case byPlain: // two stages of 8 or 16 rows of k, each padded by 4
		row := uint32(4 * (p.tileM + p.tileN + 8))
		switch {
		case p.tileN == 32:
			return kMatMulPlain32.of(p), 256, 2 * 16 * row
		case p.tileM == 128:
			return kMatMulPlain128.of(p), 256, 2 * 8 * row
		}
		return kMatMulPlain64.of(p), 256, 2 * 16 * row
	}
	const tiles = 2 * 16 * 65 // elements
	switch p.compute {
	case device.F64:
		return kMatMulAnyF64, 256, tiles * 8
	case device.F32:
		return kMatMulAnyF32, 256, tiles * 4
	}
	return kMatMulAnyI64, 256, tiles * 8
}

// params is what our kernels are told.
func (p *product) params(y, a, b uintptr) matMulParams {
	q := matMulParams{
		y: y, a: a, b: b,
		ars: int64(p.a.rs), acs: int64(p.a.cs), brs: int64(p.b.rs), bcs: int64(p.b.cs), yrs: int64(p.y.rs), ycs: int64(p.y.cs),
		axes: int32(p.axes), batch: int32(p.batches()), m: int32(p.m), n: int32(p.n), k: int32(p.k),
		splits: int32(p.splits), chunk: int32(p.chunk),
		rows: int32((p.m + p.tileM - 1) / p.tileM), cols: int32((p.n + p.tileN - 1) / p.tileN),
		ta: int32(p.a.typ), tb: int32(p.b.typ), ty: int32(p.y.typ),
	}
	for x := range p.axes {
		q.dim[x] = int32(p.dim[x])
		q.astr[x], q.bstr[x], q.ystr[x] = int64(p.a.batch[x]), int64(p.b.batch[x]), int64(p.y.batch[x])
	}
	q.avec = int32(p.together(&p.a, a, p.lda()))
	q.bvec = int32(p.together(&p.b, b, p.ldb()))
	if size := p.y.typ.Size(); p.y.cs == 1 && p.compute == device.F32 && !p.y.typ.IsInt() && p.aligned(&p.y, y, p.y.rs, 4*size) {
		q.yvec = 1
	}
	return q
}

// together is how many neighbours among m's elements can be read at once: 16 bytes of them, 4, or one.
func (p *product) together(m *matrix, at uintptr, ld int) int {
	size := m.typ.Size()
	switch {
	case p.aligned(m, at, ld, 16):
		return 16 / size
	case size < 4 && p.aligned(m, at, ld, 4):
		return 4 / size
	}
	return 1
}

// aligned reports whether every row of m begins at a multiple of bytes.
func (p *product) aligned(m *matrix, at uintptr, ld, bytes int) bool {
	size := m.typ.Size()
	ok := int(at)%bytes == 0 && ld*size%bytes == 0
	for x := range p.axes {
		ok = ok && m.batch[x]*size%bytes == 0
	}
	return ok
}

// flops is the arithmetic of p, multiplications and additions.
func (p *product) flops() float64 {
	return 2 * float64(p.batches()) * float64(p.m) * float64(p.n) * float64(p.k)
}
