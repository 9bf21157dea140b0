package cpu

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
)

// MatMul is y = alpha a b + beta y, batched, for any strides and types.
func (d *Device) MatMul(y, a, b device.View, alpha, beta float64) {
	r := int(y.Rank)
	if r < 2 || a.Rank < 2 || b.Rank < 2 || a.D(-1) != b.D(-2) || y.D(-2) != a.D(-2) || y.D(-1) != b.D(-1) {
		panic(fmt.Sprintf("MatMul: %s = %s times %s", y, a, b))
	}
	var dims [device.MaxRank]int
	for i := range r {
		dims[i] = int(y.Dim[i])
	}
	wide := func(v device.View) device.View { // v with y's leading axes
		w := dims
		w[r-2], w[r-1] = v.D(-2), v.D(-1)
		to := device.Make(nil, v.Type, 0, w[:r]...)
		if !broadcasts(v, to) {
			panic(fmt.Sprintf("MatMul: %s = %s times %s: batches", y, a, b))
		}
		return v.BroadcastTo(to)
	}
	wa, wb := wide(a), wide(b)
	if y.Len() == 0 {
		return
	}
	switch device.Compute(y.Type, a.Type, b.Type) {
	case device.F64:
		matMul[float64](d, y, wa, wb, alpha, beta)
	case device.F32:
		matMul[float32](d, y, wa, wb, alpha, beta)
	default:
		matMulInt(d, y, wa, wb, alpha, beta)
	}
}

// foldBatch turns leading axes over which b does not change into rows of a and y, where the strides allow.
func foldBatch(y, a, b device.View) (device.View, device.View, device.View) {
	r := int(y.Rank)
	for i := range r - 2 {
		if b.Str[i] != 0 && b.Dim[i] != 1 {
			return y, a, b
		}
	}
	m := y.Len() / y.D(-1)
	if r == 2 || a.D(-1) == 0 || !y.CanReshape(m, y.D(-1)) || !a.CanReshape(m, a.D(-1)) {
		return y, a, b
	}
	for b.Rank > 2 {
		b = b.Slice(0, 0, 1, 1).Squeeze(0)
	}
	return y.Reshape(m, y.D(-1)), a.Reshape(m, a.D(-1)), b
}

// operand is a matrix, or a batch of them, as the loops below see it: the memory of a view from its lowest element on,
// the place of element 0, and strides.
type operand[T float] struct {
	s     []T              // nil if the view holds another type
	at    func(i int) T    // reads any type, nil if s is there
	to    func(i int, v T) // writes any type
	off   int
	r, c  int // strides of rows and columns
	batch [device.MaxRank]int32
}

func newOperand[T float](v device.View) operand[T] {
	n := int(v.Rank)
	o := operand[T]{r: int(v.Str[n-2]), c: int(v.Str[n-1]), batch: v.Str}
	low := v
	for i := range n {
		if v.Str[i] < 0 && v.Dim[i] > 0 {
			o.off -= int(v.Dim[i]-1) * int(v.Str[i])
		}
	}
	low.Off -= o.off
	if v.Type == dtypeOf[T]() {
		o.s = slice[T](low)
	} else {
		o.at, o.to = accessors[T](low)
	}
	return o
}

// origin is the place of element (0, 0) of matrix i of the batch with extents dims.
func (o *operand[T]) origin(i int, dims []int32) int {
	at := o.off
	for x := len(dims) - 1; x >= 0; x-- {
		at += i % int(dims[x]) * int(o.batch[x])
		i /= int(dims[x])
	}
	return at
}

// pack is packPanels for operands of any type.
func (o *operand[T]) pack(dst []T, off, rs, ks, n, k, width int) {
	if o.s != nil {
		packPanels(dst, o.s, off, rs, ks, n, k, width)
		return
	}
	for i := 0; i < n; i += width {
		p := dst[i*k:][:width*k]
		for r := range width {
			for l := range k {
				if i+r < n {
					p[l*width+r] = o.at(off + (i+r)*rs + l*ks)
				} else {
					p[l*width+r] = 0
				}
			}
		}
	}
}

const (
	matMulTile  = 128     // rows and columns of an output tile at most: packing both operands costs some 3 % of its products
	matMulPart  = 1 << 15 // multiply-adds that are worth a part of their own
	matMulParts = 16      // parts that a large product is cut into at least
)

func matMul[T float](d *Device, y, a, b device.View, alpha, beta float64) {
	y, a, b = foldBatch(y, a, b)
	k := a.D(-1)
	if k > 1 && typesAre[T](y, a, b) {
		// Against a few rows a matrix that lies row by row is read once, in that order.
		if y.D(-2) < tileM && rowStride(b) >= 0 && colStride(b) == 1 {
			matMulThin[T](d, y, a, b, alpha, beta)
			return
		}
		if y.D(-1) < tileM && colStride(a) >= 0 && rowStride(a) == 1 {
			matMulThin[T](d, y.T(), b.T(), a.T(), alpha, beta)
			return
		}
	}
	if y.D(-2) < tileM && y.D(-1) > y.D(-2) {
		y, a, b = y.T(), b.T(), a.T() // the transposed product has full tiles
	}
	m, n := y.D(-2), y.D(-1)
	oy, oa, ob := newOperand[T](y), newOperand[T](a), newOperand[T](b)
	lead := y.Dim[:y.Rank-2]
	batches := 1
	for _, x := range lead {
		batches *= int(x)
	}
	mb, nb := blocks(m, matMulTile, tileM), blocks(n, matMulTile, tileN)
	ceil := func(a, b int) int { return (a + b - 1) / b }
	for batches*ceil(m, mb)*ceil(n, nb) < matMulParts && mb*nb*max(k, 1) > 2*matMulPart && max(mb, nb) > 16 {
		if mb >= nb {
			mb = ceil(mb/2, tileM) * tileM
		} else {
			nb = ceil(nb/2, tileN) * tileN
		}
	}
	mt, nt := ceil(m, mb), ceil(n, nb)
	tiles := batches * mt * nt
	each := max(1, matMulPart/(mb*nb*max(k, 1)))
	rows := oa.s != nil && ob.s != nil && (oa.c == 1 || k == 1) && (ob.r == 1 || k == 1) && oa.r >= 0 && ob.c >= 0
	kb := blocks(k, blockK, 8)
	var scratch, tileAt int
	if !rows {
		tileAt = panelLen(mb, kb, tileM) + panelLen(nb, kb, tileN)
	}
	if scratch = tileAt; oy.s == nil {
		scratch += mb * nb
	}
	if scratch > 0 {
		d.reserve(scratch * sizeOf[T]())
	}
	al, be := T(alpha), T(beta)
	d.enqueue("MatMul", []device.View{y}, []device.View{a, b}, 2*float64(batches)*float64(m)*float64(n)*float64(k), phase{
		n: ceil(tiles, each),
		run: func(part, worker int) {
			var buf []T
			if scratch > 0 {
				buf = scratchOf[T](d, worker, scratch)
			}
			for t := part * each; t < min(tiles, (part+1)*each); t++ {
				i0, j0 := t/nt%mt*mb, t%nt*nb
				mc, nc := min(mb, m-i0), min(nb, n-j0)
				batch := t / (mt * nt)
				atY := oy.origin(batch, lead) + i0*oy.r + j0*oy.c
				atA := oa.origin(batch, lead) + i0*oa.r
				atB := ob.origin(batch, lead) + j0*ob.c
				s := sink[T]{alpha: al, beta: be}
				if oy.s != nil {
					s.c, s.rs, s.cs = oy.s, oy.r, oy.c
				} else {
					s.c, s.rs, s.cs, s.beta = buf[tileAt:], nc, 1, 0
				}
				base := atY
				if oy.s == nil {
					base = 0
				}
				switch {
				case k == 0:
					s.at(base).empty(mc, nc)
				case rows:
					gemmRows(s.at(base), oa.s[atA:], oa.r, ob.s[atB:], ob.c, mc, nc, k)
				default:
					pa, pb := buf[:panelLen(mc, kb, tileM)], buf[panelLen(mc, kb, tileM):]
					for l := 0; l < k; l += kb {
						kc := min(kb, k-l)
						oa.pack(pa, atA+l*oa.c, oa.r, oa.c, mc, kc, tileM)
						ob.pack(pb, atB+l*ob.r, ob.c, ob.r, nc, kc, tileN)
						u := s.at(base).block(l == 0, l+kc == k)
						gemmPanels(&u, pa, pb, mc, nc, kc)
					}
				}
				if oy.s == nil {
					for i := range mc {
						for j := range nc {
							v, x := s.c[i*nc+j], atY+i*oy.r+j*oy.c
							if be != 0 {
								v += be * oy.at(x)
							}
							oy.to(x, v)
						}
					}
				}
			}
		},
	})
}

func rowStride(v device.View) int { return int(v.Str[v.Rank-2]) }

func colStride(v device.View) int { return int(v.Str[v.Rank-1]) }

func typesAre[T float](vs ...device.View) bool {
	for _, v := range vs {
		if v.Type != dtypeOf[T]() {
			return false
		}
	}
	return true
}

// matMulThin is the product of a few rows with a matrix that lies row by row: y's rows are sums of rows of b.
func matMulThin[T float](d *Device, y, a, b device.View, alpha, beta float64) {
	oy, oa, ob := newOperand[T](y), newOperand[T](a), newOperand[T](b)
	m, n, k := y.D(-2), y.D(-1), a.D(-1)
	lead := y.Dim[:y.Rank-2]
	batches := 1
	for _, x := range lead {
		batches *= int(x)
	}
	nb := blocks(n, 512, 8)
	nt := (n + nb - 1) / nb
	d.reserve(nb * sizeOf[T]())
	al, be := T(alpha), T(beta)
	d.enqueue("MatMul", []device.View{y}, []device.View{a, b}, 2*float64(batches)*float64(m)*float64(n)*float64(k), phase{
		n: batches * nt,
		run: func(part, worker int) {
			batch, j0 := part/nt, part%nt*nb
			sum := scratchOf[T](d, worker, nb)[:min(nb, n-j0)]
			atY, atA, atB := oy.origin(batch, lead), oa.origin(batch, lead), ob.origin(batch, lead)+j0
			s := sink[T]{c: oy.s, off: atY + j0*oy.c, rs: oy.r, cs: oy.c, alpha: al, beta: be}
			for i := range m {
				clear(sum)
				l := 0
				for ; l+4 <= k; l += 4 {
					x, p := atA+i*oa.r+l*oa.c, atB+l*ob.r
					axpy4(sum, ob.s[p:], ob.s[p+ob.r:], ob.s[p+2*ob.r:], ob.s[p+3*ob.r:], oa.s[x], oa.s[x+oa.c], oa.s[x+2*oa.c], oa.s[x+3*oa.c])
				}
				for ; l < k; l++ {
					v := oa.s[atA+i*oa.r+l*oa.c]
					for j, w := range ob.s[atB+l*ob.r:][:len(sum)] {
						sum[j] += v * w
					}
				}
				for j, v := range sum {
					s.set(i, j, v)
				}
			}
		},
	})
}

// axpy4 is: y[j] += a0*x0[j] + a1*x1[j] + a2*x2[j] + a3*x3[j], from left to right.
func axpy4[T float](y, x0, x1, x2, x3 []T, a0, a1, a2, a3 T) {
	x0, x1, x2, x3 = x0[:len(y)], x1[:len(y)], x2[:len(y)], x3[:len(y)]
	for j, v := range y {
		v += a0 * x0[j]
		v += a1 * x1[j]
		v += a2 * x2[j]
		y[j] = v + a3*x3[j]
	}
}

// matMulInt is the product of integers, in int64, and stored with saturation if alpha or beta is not whole.
func matMulInt(d *Device, y, a, b device.View, alpha, beta float64) {
	oy, oa, ob := newOperand[float64](y), newOperand[float64](a), newOperand[float64](b)
	m, n, k := y.D(-2), y.D(-1), a.D(-1)
	lead := y.Dim[:y.Rank-2]
	batches := 1
	for _, x := range lead {
		batches *= int(x)
	}
	d.enqueue("MatMul", []device.View{y}, []device.View{a, b}, 2*float64(batches)*float64(m)*float64(n)*float64(k), phase{
		n: batches * m,
		run: func(part, worker int) {
			batch, i := part/m, part%m
			atY, atA, atB := oy.origin(batch, lead)+i*oy.r, oa.origin(batch, lead)+i*oa.r, ob.origin(batch, lead)
			for j := range n {
				var sum int64
				for l := range k {
					sum += int64(oa.at(atA+l*oa.c)) * int64(ob.at(atB+l*ob.r+j*ob.c))
				}
				v := alpha * float64(sum)
				if beta != 0 {
					v += beta * oy.at(atY+j*oy.c)
				}
				oy.to(atY+j*oy.c, math.Trunc(v))
			}
		},
	})
}
