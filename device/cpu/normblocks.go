package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// normBlocks is m rows of c channels in n blocks of about 256 KiB of f32. In a block, as many rows as long says are taken
// as one, whose parameters repeat: vectors serve 48 channels better than 3.
type normBlocks struct {
	level                simd.Level
	m, c, long, block, n int
}

// newNormBlocks is the blocks of rows that are lds apart in the views that have them.
func newNormBlocks[T float](m, c int, lds ...int) normBlocks {
	l := levelFor[T]()
	b := normBlocks{level: l, m: m, c: c, long: l.LongRow(c)}
	for _, ld := range lds {
		if ld != c || m < b.long {
			b.long = 1
		}
	}
	b.block = max(1, (1<<16)/b.wide()) * b.long
	b.n = ceil(m, b.block)
	return b
}

// wide is the number of elements of a long row.
func (b *normBlocks) wide() int { return b.long * b.c }

// rows is the first row of a block and how many it has.
func (b *normBlocks) rows(block int) (lo, rows int) {
	lo = block * b.block
	return lo, min(b.block, b.m-lo)
}

// each calls f for rows from lo on: for long ones, and for what they leave. Each has w elements, and is k rows of a view
// from the next.
func (b *normBlocks) each(lo, rows int, f func(lo, rows, w, k int)) {
	if n := rows / b.long; n > 0 {
		f(lo, n, b.wide(), b.long)
	}
	if n := rows % b.long; n > 0 {
		f(lo+rows-n, n, b.c, 1)
	}
}

// repeat fills a long row with its first c elements.
func repeat[T float](row []T, c int) {
	for i := c; i < len(row); i += c {
		copy(row[i:], row[:c])
	}
}

// fold adds to the first c elements of a long row of sums the others.
func fold(row []float64, c int) {
	for i := c; i < len(row); i += c {
		for j, v := range row[i : i+c] {
			row[j] += v
		}
	}
}

// split gives the halves of x.
func split[T any](x []T) (a, b []T) { return x[:len(x)/2], x[len(x)/2:] }

// split3 gives the thirds of x.
func split3[T any](x []T) (a, b, c []T) {
	n := len(x) / 3
	return x[:n], x[n : 2*n], x[2*n:]
}

// streams reports whether a result is better written past the caches: it is larger than they are, so that nothing that
// reads it next would find its beginning there.
func streams(y device.View) bool { return y.Bytes() >= 32<<20 }
