package simd

// Float is what kernels compute with.
type Float interface{ float32 | float64 }

// Seg is a run of K products in a Tile: from element A of its first operand and element B of its second on.
type Seg struct{ A, B, K int }

// Tile is a block of a product: Rows x Cols sums, each over all Segs in their order, and in a segment over k from 0 on, of
//
//	A[seg.A + i ARow + k AK] B[seg.B + k BK + j]      i < Rows, j < Cols
//
// and then
//
//	C[i CRow + j] = relu(alpha sum + Bias[j] + C[i CRow + j])
//
// of which Flags say what is done. Of each row of B Width elements are read, one of the widths that the level has; a
// packed panel has BK = Width. If ByCols is 1 ARow is 1, else AK is. The vector kernels do not check the places of segments:
// those are the caller's promise.
//
// Ahead is memory that the vector kernels may fetch into a second-level cache while they multiply; it may be empty.
//
// With Pairs, of float32 only, an element of A or B is two numbers in bf16, see PairRows; their products are added. The
// level is ForPairs then.
//
// With Split, too, it is two numbers of f32, each in three parts, see SplitRows: those of A are APlane apart, those of B BPlane.
// Of the products of parts the six that matter are added, see Tile.amx. Scale and ByCols do not go with it. Each 32 rows of A begin
// ABlock behind those before, if that is not 0.
type Tile[T Float] struct {
	A, B, C, Bias []T // Bias nil: none
	Segs          []Seg
	ARow, AK, BK  int
	CRow          int
	Rows, Cols    int
	Width         int
	ByCols        int
	Flags         int
	Alpha         T
	Ahead         []T

	APlane, BPlane, ABlock int
}

// The flags of a Tile.
const (
	Add   = 1 << iota // C is added to
	Relu              // max(x, 0); NaN stays
	Scale             // sums are multiplied by Alpha
	Pairs             // elements of A and B are pairs
	Split             // of numbers in three parts
)

// Run computes the tile with the kernels of l. Those of AVX-512 take no more rows than have room in registers, the others any
// number: their sums are short, and what a call costs is much beside them. So does the matrix unit.
func (t *Tile[T]) Run(l Level) {
	if chunk := t.chunkAMX(l); chunk > 0 {
		t.runAMX(l, chunk)
		return
	}
	if t.Flags&Split != 0 && t.empty() {
		t.alone(l, 0)
		return
	}
	if l != AVX512 || t.Rows <= l.Rows(t.Width) || t.Flags&Split != 0 {
		t.run(l)
		return
	}
	part := *t
	tiles := (t.Rows + l.Rows(t.Width) - 1) / l.Rows(t.Width)
	high := (t.Rows + tiles - 1) / tiles
	for r := 0; r < t.Rows; r += high {
		part.Rows, part.A, part.C = min(high, t.Rows-r), t.A[min(r*t.ARow, len(t.A)):], t.C[r*t.CRow:]
		part.run(l)
	}
}

func (t *Tile[T]) run(l Level) {
	f, ok := any(t).(*Tile[float32])
	switch {
	case t.Flags&Split != 0:
		t.amx(max(amxChunk(t.Segs), 1))
	case t.Flags&Pairs != 0:
		if !ok || !tilePairs(f, l) {
			t.pairs()
		}
	case !ok || !tile32(f, l):
		t.generic()
	}
}

// generic is the definition. Products are summed one by one in the order of k, each product rounded; vector kernels fuse.
func (t *Tile[T]) generic() {
	for i := 0; i < t.Rows; i += 4 {
		for j := 0; j < t.Cols; j += 2 {
			var sum [8]T
			for _, s := range t.Segs {
				t.dot4x2(&sum, s, i, j)
			}
			for r := range min(4, t.Rows-i) {
				for c := range min(2, t.Cols-j) {
					t.put(i+r, j+c, sum[2*r+c])
				}
			}
		}
	}
}

func (t *Tile[T]) put(i, j int, v T) {
	if t.Flags&Scale != 0 {
		v *= t.Alpha
	}
	if t.Bias != nil {
		v += t.Bias[j]
	}
	c := &t.C[i*t.CRow+j]
	if t.Flags&Add != 0 {
		v += *c
	}
	if t.Flags&Relu != 0 {
		v = max(v, 0)
	}
	*c = v
}

// dot4x2 adds a segment's products for rows i to i+3 and columns j and j+1. Rows beyond the last repeat it.
func (t *Tile[T]) dot4x2(sum *[8]T, s Seg, i, j int) {
	if s.K == 0 {
		return
	}
	last := t.Rows - 1
	row := func(r int) []T { return t.A[s.A+min(i+r, last)*t.ARow:] }
	a0, a1, a2, a3 := row(0), row(1), row(2), row(3)
	next := min(1, t.Width-1-j) // the panel may be one column wide
	b := t.B[s.B+j:]
	c00, c01, c10, c11, c20, c21, c30, c31 := sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7]
	at := 0
	for k := range s.K {
		b0, b1 := b[k*t.BK], b[k*t.BK+next]
		x0, x1, x2, x3 := a0[at], a1[at], a2[at], a3[at]
		c00 += x0 * b0
		c01 += x0 * b1
		c10 += x1 * b0
		c11 += x1 * b1
		c20 += x2 * b0
		c21 += x2 * b1
		c30 += x3 * b0
		c31 += x3 * b1
		at += t.AK
	}
	*sum = [8]T{c00, c01, c10, c11, c20, c21, c30, c31}
}
