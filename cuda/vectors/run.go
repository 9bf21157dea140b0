package vectors

import (
	"fmt"
	"unsafe"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/cuda/kernels"
)

// params is the twin of VectorParams in vectors.cu.
type params struct {
	fault   driver.Ptr
	op, n   int32
	a, b, c driver.Ptr
	y       driver.Ptr
}

// file is the kernel file that cases run.
const file = "vectors"

// Rig runs cases on a GPU.
type Rig struct {
	ctx          *driver.Context
	stream       *driver.Stream
	module       *driver.Module
	major, minor int
	arch         string
}

// Open makes a Rig on the GPU of this number.
func Open(index int) (r *Rig, err error) {
	if err := driver.Load(); err != nil {
		return nil, err
	}
	g := driver.GPU(index)
	r = &Rig{}
	if r.major, r.minor, err = g.Capability(); err != nil {
		return nil, err
	}
	image, arch, err := kernels.Image(file, r.major, r.minor)
	if err != nil {
		return nil, err
	}
	r.arch = arch
	if r.ctx, err = g.Open(); err != nil {
		return nil, err
	}
	if r.module, err = r.ctx.LoadModule(image); err == nil {
		r.stream, err = r.ctx.NewStream()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Arch is the architecture that the kernels were compiled for.
func (r *Rig) Arch() string { return r.arch }

// Takes reports whether the GPU has what a case needs.
func (r *Rig) Takes(c *Case) bool { return !c.Tensor || r.major >= 8 }

// Run gives the bytes of a case's result.
func (r *Rig) Run(c *Case) (y []byte, err error) {
	f, err := r.module.Function(c.kernel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	var all []driver.Ptr
	defer func() {
		for _, p := range all {
			if e := r.ctx.Free(p); err == nil {
				err = e
			}
		}
	}()
	alloc := func(n int) (p driver.Ptr) {
		if err == nil {
			if p, err = r.ctx.Alloc(max(n, 256)); err == nil {
				all = append(all, p)
			}
		}
		return p
	}
	p := params{fault: alloc(0), op: c.op, n: int32(c.n), a: alloc(len(c.in[0])), b: alloc(len(c.in[1])), c: alloc(len(c.in[2])), y: alloc(len(c.want))}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	do := func(e error) {
		if err == nil {
			err = e
		}
	}
	do(r.stream.Set(p.fault, 0, 256))
	do(r.stream.Set(p.y, 0x5A, len(c.want)))
	for i, to := range []driver.Ptr{p.a, p.b, p.c} {
		if b := c.in[i]; len(b) > 0 {
			do(r.stream.Upload(to, unsafe.Pointer(&b[0]), len(b)))
		}
	}
	do(r.stream.Launch(f, [3]uint32{c.grid, 1, 1}, [3]uint32{c.block, 1, 1}, 0, unsafe.Pointer(&p), unsafe.Sizeof(p)))
	y = make([]byte, len(c.want))
	do(r.stream.Download(unsafe.Pointer(&y[0]), p.y, len(y)))
	do(r.stream.Sync())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return y, nil
}

// Close gives back what the Rig has.
func (r *Rig) Close() error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if r.stream != nil {
		keep(r.stream.Close())
	}
	if r.module != nil {
		keep(r.module.Unload())
	}
	keep(r.ctx.Close())
	return first
}
