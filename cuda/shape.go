package cuda

import "github.com/acumen-ml/acumen/device"

// What serves a call, and what scratch it needs, is a pure function of its shape and of what the GPU can do: this file
// needs neither driver nor cgo, so that a plan can be made anywhere.

// abilities are what the choice depends on beside the shape.
type abilities struct {
	blas   bool // cuBLAS is there
	fuse   bool // cublasLt is there
	tensor bool // mma.sync of f16, bf16 and TF32: compute capability 8.0
	tf32   bool // f32 factors may be rounded to TF32
	groups bool // wgmma of f16 and bf16: compute capability 9.0
}

// sharedLimit is what a block may ask for on GPUs of a compute capability, by the CUDA C++ Programming Guide.
func sharedLimit(major, minor int) int {
	switch {
	case major == 8 && minor != 0 && minor != 7, major >= 12:
		return 99 << 10
	case major == 8:
		return 163 << 10
	case major >= 9:
		return 227 << 10
	}
	return 64 << 10
}

// productPath is who multiplies.
type productPath uint8

const (
	byBlas       productPath = iota
	byAny                    // our kernel for all types and strides
	byPlain                  // f32 on CUDA cores
	byTensor                 // f16 or bf16 on tensor cores
	byTensorTF32             // f32, rounded, on tensor cores
)

const (
	productAxes = device.MaxRank - 2
	// blasCalls is how many calls a batch may cost that is not evenly strided: a call is some 3 us of the GPU's time.
	blasCalls = 16
	// blasBatch is the largest extent of a grid's third axis, which cuBLAS uses for the batch.
	blasBatch = 1<<16 - 1
	// productExtent is how far fold may go: kernels count rows in int32, and a tile may reach over the end.
	productExtent = 1 << 30
	// productBlocks fill a large GPU of 132 processors twice. A constant: how sums are cut must not depend on the GPU.
	productBlocks = 264
	// productDepth is the least part of k that is worth a block of its own.
	productDepth = 256
)

// matrix is an operand: its type, and its strides in elements.
type matrix struct {
	typ    device.DType
	rs, cs int
	batch  [productAxes]int
}

// product is y = alpha a b + beta y as it is queued: a batch of (m, k) by (k, n).
type product struct {
	y, a, b      matrix
	m, n, k      int
	dim          [productAxes]int // of the batch
	axes         int
	swapped      bool // a and b are each other's transposes: y' = b' a'
	adeep, bdeep bool // stride 1 along k, else along m or n
	compute      device.DType
	tf32         bool // f32 factors may be rounded

	path          productPath
	inner         int // the axis of the batch that one call of cuBLAS covers, -1 if there is none
	tileM, tileN  int
	splits, chunk int // of k
}

// newProduct chooses. a and b have y's leading axes. added: y is read too, beta is not 0.
func newProduct(y, a, b device.View, added bool, can abilities) product {
	p := product{m: y.D(-2), n: y.D(-1), k: a.D(-1), compute: device.Compute(y.Type, a.Type, b.Type), tf32: can.tf32, inner: -1, splits: 1}
	p.y, p.a, p.b = matrixOf(y), matrixOf(a), matrixOf(b)
	p.gather(y, a, b)
	p.fold()
	if p.m > 1 && p.y.rs == 1 && (p.n == 1 || p.y.cs != 1) {
		p.swap()
	}
	if p.n == 1 {
		p.y.cs = 1
	}
	if p.m == 1 {
		p.y.rs = roundUp(p.n, 8)
	}
	var oka, okb bool
	p.adeep, p.a.rs, p.a.cs, oka = unitStride(p.m, p.k, p.a.rs, p.a.cs)
	p.bdeep, p.b.cs, p.b.rs, okb = unitStride(p.n, p.k, p.b.cs, p.b.rs)
	unit := oka && okb && p.k > 0
	twice := added && (y.Type == device.F16 || y.Type == device.BF16) // cuBLAS may round the product before it adds y: seen on an H100
	switch {
	case unit && can.blas && !twice && p.blasTakes(can):
		p.path = byBlas
	case unit && can.tensor && p.compute == device.F32 && p.a.typ == p.b.typ && (p.a.typ == device.F16 || p.a.typ == device.BF16):
		p.path = byTensor
	case unit && can.tensor && can.tf32 && p.compute == device.F32 && p.a.typ == device.F32 && p.b.typ == device.F32:
		p.path = byTensorTF32
	case unit && p.compute == device.F32 && p.a.typ == device.F32 && p.b.typ == device.F32:
		p.path = byPlain
	default:
		p.path = byAny
	}
	p.cut()
	return p
}

func matrixOf(v device.View) matrix {
	return matrix{typ: v.Type, rs: int(v.Str[v.Rank-2]), cs: int(v.Str[v.Rank-1])}
}

// operands are the three matrices.
func (p *product) operands() [3]*matrix { return [3]*matrix{&p.y, &p.a, &p.b} }

// gather takes the leading axes in the order of y's strides, and merges those that lie evenly in all three views.
func (p *product) gather(views ...device.View) {
	y := views[0]
	var order [productAxes]int
	n := 0
	size := func(axis int) int { return max(int(y.Str[axis]), -int(y.Str[axis])) }
	for axis := range int(y.Rank) - 2 {
		if y.Dim[axis] == 1 {
			continue
		}
		at := n
		for ; at > 0 && size(order[at-1]) < size(axis); at-- {
			order[at] = order[at-1]
		}
		order[at] = axis
		n++
	}
	for _, axis := range order[:n] {
		x := p.axes - 1
		merges := x >= 0
		for i, m := range p.operands() {
			merges = merges && m.batch[x] == int(views[i].Str[axis])*int(views[i].Dim[axis])
		}
		if merges {
			p.dim[x] *= int(y.Dim[axis])
		} else {
			x = p.axes
			p.dim[x] = int(y.Dim[axis])
			p.axes++
		}
		for i, m := range p.operands() {
			m.batch[x] = int(views[i].Str[axis])
		}
	}
}

// fold makes rows of y and a, or columns of y and b, of each axis of the batch along which the other factor stays the same.
func (p *product) fold() {
	for x := p.axes - 1; x >= 0; x-- {
		d, y, a, b := p.dim[x], p.y.batch[x], p.a.batch[x], p.b.batch[x]
		switch {
		case b == 0 && p.m*d <= productExtent && (p.m == 1 && a != 0 || y == p.m*p.y.rs && a == p.m*p.a.rs):
			if p.m == 1 {
				p.y.rs, p.a.rs = y, a
			}
			p.m *= d
		case a == 0 && p.n*d <= productExtent && (p.n == 1 && b != 0 || y == p.n*p.y.cs && b == p.n*p.b.cs):
			if p.n == 1 {
				p.y.cs, p.b.cs = y, b
			}
			p.n *= d
		default:
			continue
		}
		p.axes--
		copy(p.dim[x:], p.dim[x+1:])
		for _, m := range p.operands() {
			copy(m.batch[x:], m.batch[x+1:])
		}
		x = p.axes // a larger matrix may take in an axis that it did not before
	}
}

// swap turns the product into that of the transposes.
func (p *product) swap() {
	p.m, p.n = p.n, p.m
	p.a, p.b = p.b, p.a
	for _, m := range p.operands() {
		m.rs, m.cs = m.cs, m.rs
	}
	p.swapped = true
}

// unitStride says along which of its axes an operand has stride 1: k (deep) or w, m or n as the case may be. Strides of
// axes of one element are free: they become what suits.
func unitStride(w, k, ws, ks int) (deep bool, wstr, kstr int, ok bool) {
	switch {
	case k == 1 && w == 1:
		return true, 8, 1, true
	case ks == 1 && k > 1:
		if w == 1 {
			ws = roundUp(k, 8)
		}
		return true, ws, 1, true
	case ws == 1 && w > 1:
		if k == 1 {
			ks = roundUp(w, 8)
		}
		return false, 1, ks, true
	case k == 1:
		return true, ws, 1, true
	case w == 1:
		return false, 1, ks, true
	}
	return false, ws, ks, false
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// lda and ldb are the strides of a and b along the axis that is not their innermost one.
func (p *product) lda() int {
	if p.adeep {
		return p.a.rs
	}
	return p.a.cs
}

func (p *product) ldb() int {
	if p.bdeep {
		return p.b.cs
	}
	return p.b.rs
}

// blasTakes reports whether cuBLAS can multiply this: its types, rows that do not overlap, few calls.
func (p *product) blasTakes(can abilities) bool {
	switch y, a := p.y.typ, p.a.typ; {
	case a != p.b.typ:
		return false
	case a == device.F32 && y == device.F32, a == device.F64 && y == device.F64, a == device.F16 && (y == device.F16 || y == device.F32):
	case a == device.BF16 && (y == device.BF16 || y == device.F32):
		if !can.tensor {
			return false
		}
	default:
		return false
	}
	long := func(ld int, deep bool, w int) bool { return deep && ld >= p.k || !deep && ld >= w }
	if p.y.cs != 1 || p.y.rs < p.n || !long(p.lda(), p.adeep, p.m) || !long(p.ldb(), p.bdeep, p.n) {
		return false
	}
	for x := range p.axes {
		if p.y.batch[x] <= 0 || p.a.batch[x] < 0 || p.b.batch[x] < 0 {
			return false
		}
		if p.inner < 0 || p.dim[x] > p.dim[p.inner] {
			p.inner = x
		}
	}
	return p.blasCalls() <= blasCalls
}

// blasCalls is the number of calls of cuBLAS.
func (p *product) blasCalls() int {
	if p.inner < 0 {
		return 1
	}
	d := p.dim[p.inner]
	return p.batches() / d * ((d + blasBatch - 1) / blasBatch)
}

// batches is the number of matrices of y.
func (p *product) batches() int {
	n := 1
	for _, d := range p.dim[:p.axes] {
		n *= d
	}
	return n
}

// cut chooses the tiles of our kernels, and how k is split.
func (p *product) cut() {
	p.chunk = max(p.k, 1)
	p.tileM, p.tileN = 64, 64
	if p.path == byBlas || p.path == byAny {
		return
	}
	deepest := max(1, p.k/productDepth)
	switch {
	case p.path == byPlain && p.n <= 32 && p.m > 64:
		p.tileM, p.tileN = 128, 32
	case p.m > 64 && p.n > 64 && p.blocks(128, 128)*deepest >= productBlocks/2:
		p.tileM, p.tileN = 128, 128
	}
	blocks := p.blocks(p.tileM, p.tileN)
	if blocks > productBlocks/2 || deepest < 2 {
		return
	}
	splits := min(productBlocks/blocks, deepest, 64)
	p.chunk = roundUp((p.k+splits-1)/splits, 32) // whole stages of all kernels
	p.splits = (p.k + p.chunk - 1) / p.chunk
}

func (p *product) blocks(m, n int) int {
	return p.batches() * ((p.m + m - 1) / m) * ((p.n + n - 1) / n)
}

// scratch is the bytes that the sums of the splits take.
func (p *product) scratch() int {
	if p.splits == 1 {
		return 0
	}
	return 4 * p.splits * p.batches() * p.m * p.n
}

// primer is the scratch in bytes that priming a product of cuBLAS takes: room for the largest operand at any alignment.
func (p *product) primer() int {
	if p.path != byBlas {
		return 0
	}
	most := 0
	for i, m := range p.operands() {
		rows, cols, ld := p.m, p.n, p.y.rs
		switch {
		case i == 1 && p.adeep:
			rows, cols, ld = p.m, p.k, p.lda()
		case i == 1:
			rows, cols, ld = p.k, p.m, p.lda()
		case i == 2 && p.bdeep:
			rows, cols, ld = p.n, p.k, p.ldb()
		case i == 2:
			rows, cols, ld = p.k, p.n, p.ldb()
		}
		elements := (rows-1)*ld + cols
		if p.inner >= 0 {
			elements += (min(p.dim[p.inner], blasBatch) - 1) * m.batch[p.inner]
		}
		most = max(most, elements*m.typ.Size())
	}
	return most + device.Align
}
