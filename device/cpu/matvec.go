package cpu

import "github.com/acumen-ml/acumen/device/cpu/simd"

// vectors reports whether the product is of few rows by a b whose columns lie as those do: the rows of a matrix that is
// multiplied by vectors. To pack panels of them would take longer than to read them. On Zen 3 that holds for one vector from
// k = 16 on, and for up to four from four times as much for each further one.
func (p *product[T]) vectors() bool {
	most := 1
	if p.level == simd.AVX2 {
		most = 4
	}
	return p.m <= most && p.k >= 4<<(2*p.m) && p.per == 1 && p.a.s != nil && p.a.c == 1 && p.b.s != nil && p.b.r == 1 && p.b.c >= 0
}

// byVectors is the phase that computes such products. A part's rows of the matrix stay in a cache from vector to vector.
func (p *product[T]) byVectors() phase {
	each := min(p.n, max(1, matMulPart/p.k))
	parts := ceil(p.n, each)
	p.d.reserve(each * sizeOf[T]())
	return phase{n: p.batches * parts, run: func(part, worker int) {
		batch, from := part/parts, part%parts*each
		sums := scratchOf[T](p.d, worker, each)[:min(each, p.n-from)]
		w := p.b.s[p.b.origin(batch, p.lead)+from*p.b.c:]
		a, y := p.a.origin(batch, p.lead), p.y.origin(batch, p.lead)+from*p.y.c
		for i := range p.m {
			simd.MatVec(p.level, sums, w, p.a.s[a+i*p.a.r:][:p.k], p.b.c)
			for j, v := range sums {
				p.y.add(y+i*p.y.r+j*p.y.c, p.alpha*v, p.beta)
			}
		}
	}}
}
