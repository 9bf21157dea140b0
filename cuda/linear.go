package cuda

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// Linear is y = act(x w' + b): x (N, in), w (out, in), b (out), y (N, out), all of one type: f16, bf16, or f32 if its
// products may be TF32. cublasLt adds the bias to the sums and rounds once. It declines what tensor cores cannot read 16
// bytes at a time, activations that are not cublasLt's, and what cublasLt has no algorithm for.
func (d *Device) Linear(y, x, w, b device.View, act device.UnOp) bool {
	p, ok := planLinear(y, x, w, b, act, d.abilities())
	if !ok {
		return false
	}
	d.reserve(linearPrimer(&p))
	var f *driver.Fused
	if _, there := y.Mem.(*memory); there && d.plan == nil && d.failed() == nil {
		p.A, p.B, p.C, p.Bias = driver.Ptr(address(x)), driver.Ptr(address(w)), driver.Ptr(address(y)), driver.Ptr(address(b))
		var err error
		if f, err = d.blas.fused(&p); err != nil {
			err = fmt.Errorf("Linear: %w", err)
			if d.rec != nil {
				d.lose(err)
				d.refuse(err)
			} else {
				d.fail(err)
			}
			return true
		}
		if f == nil {
			return false
		}
	}
	d.enqueue("Linear", []device.View{y}, []device.View{x, w, b}, 2*float64(p.M)*float64(p.N)*float64(p.K), func() error {
		if d.pass == priming {
			return nil // it was, when it was chosen
		}
		return f.Multiply(p.A, p.B, p.C)
	})
	return true
}

// planLinear says how cublasLt is asked for y = act(x w' + b), without addresses; false: it is not asked.
func planLinear(y, x, w, b device.View, act device.UnOp, can abilities) (p driver.FusedProduct, ok bool) {
	if !can.fuse || !can.tensor || y.Rank != 2 || x.Rank != 2 || w.Rank != 2 || !b.Valid() || b.Rank != 1 {
		return p, false
	}
	m, n, k := y.D(0), y.D(1), x.D(1)
	t := y.Type
	p.Compute = driver.ComputeF32
	switch {
	case x.Type != t || w.Type != t || b.Type != t || x.D(0) != m || w.D(0) != n || w.D(1) != k || b.D(0) != n:
		return p, false
	case t == device.F32 && can.tf32:
		p.Compute = driver.ComputeTF32
	case t != device.F16 && t != device.BF16:
		return p, false
	}
	switch act {
	case device.Identity:
		p.Epilogue = driver.AddBias
	case device.Relu:
		p.Epilogue = driver.AddBiasRelu
	default: // cublasLt's GELU is near to GeluTanh, but not it
		return p, false
	}
	if m == 0 || n == 0 || k == 0 || y.Str[1] != 1 || x.Str[1] != 1 || w.Str[1] != 1 || !b.Contiguous() {
		return p, false
	}
	rows := func(v device.View) int { // from one row to the next
		if v.D(0) == 1 {
			return v.D(1)
		}
		return int(v.Str[0])
	}
	p.Product = driver.Product{M: m, N: n, K: k, TransB: true, TypeA: blasTypes[t], TypeB: blasTypes[t], TypeC: blasTypes[t], Compute: p.Compute, Alpha: 1,
		LDA: rows(x), LDB: rows(w), LDC: rows(y)}
	if p.LDA < k || p.LDB < k || p.LDC < n {
		return p, false
	}
	for _, at := range []int{p.LDA, p.LDB, p.LDC, y.Off, x.Off, w.Off, b.Off} {
		if at*t.Size()%16 != 0 {
			return p, false
		}
	}
	return p, true
}

// linearPrimer is the scratch in bytes that the choice of an algorithm takes: the larger factor, and behind it y, both at
// any alignment.
func linearPrimer(p *driver.FusedProduct) int {
	return linearFactor(p) + linearBytes(p, p.M, p.LDC, p.N)
}

func linearFactor(p *driver.FusedProduct) int {
	return max(linearBytes(p, p.M, p.LDA, p.K), linearBytes(p, p.N, p.LDB, p.K))
}

func linearBytes(p *driver.FusedProduct, rows, ld, cols int) int {
	size := 2
	if p.TypeA == driver.F32 {
		size = 4
	}
	return roundUp(((rows-1)*ld+cols)*size, device.Align) + device.Align
}

// fused is the algorithm for p, nil if there is none. One that is met for the first time runs, so that its kernel is
// loaded, on scratch that holds zeros and one NaN in front: ReLU must let that through, as everywhere else, so that a run
// that goes wrong shows. cublasLt does not promise it.
func (b *blas) fused(p *driver.FusedProduct) (*driver.Fused, error) {
	key := *p
	key.A, key.B, key.C = alignment(p.A), alignment(p.B), alignment(p.C)
	if f, ok := b.chosen[key]; ok {
		return f, nil
	}
	f, err := b.light.Prepare(&key)
	if err != nil {
		return nil, err
	}
	if f != nil {
		nan, err := b.tryFused(f, &key)
		if err == nil && !nan {
			err, f = f.Close(), nil
		}
		if err != nil {
			return nil, err
		}
	}
	b.chosen[key] = f
	return f, nil
}

// tryFused runs f once and reports whether NaN comes out where NaN went in.
func (b *blas) tryFused(f *driver.Fused, key *driver.FusedProduct) (nan bool, err error) {
	d, n := b.d, linearPrimer(key)
	scratch, err := d.borrow(n)
	if err != nil {
		return false, err
	}
	at := driver.Ptr(scratch)
	x, w, y := at+key.A%device.Align, at+key.B%device.Align, at+driver.Ptr(linearFactor(key))+key.C%device.Align
	size := 2
	if key.TypeA == driver.F32 {
		size = 4
	}
	if err := d.stream.Set(at, 0, n); err != nil {
		return false, err
	}
	if err := d.stream.Set(x, 0xff, size); err != nil { // NaN in all types
		return false, err
	}
	if err := f.Multiply(x, w, y); err != nil {
		return false, err
	}
	if err := d.stream.Download(unsafe.Pointer(&d.faults.host[0]), y, size); err != nil {
		return false, err
	}
	if err := d.stream.Sync(); err != nil {
		return false, err
	}
	return isNaN(key.TypeC, d.faults.host[:size]), nil
}

func isNaN(t driver.Type, b []byte) bool {
	switch t {
	case driver.F32:
		return math.IsNaN(float64(*(*float32)(unsafe.Pointer(&b[0]))))
	case driver.F16:
		return math.IsNaN(float64(device.F16ToF32(*(*uint16)(unsafe.Pointer(&b[0])))))
	}
	return math.IsNaN(float64(device.BF16ToF32(*(*uint16)(unsafe.Pointer(&b[0])))))
}
