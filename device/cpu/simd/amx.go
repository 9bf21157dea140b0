package simd

// Products of pairs by the matrix unit of Intel's AMX: TDPBF16PS multiplies 16 rows of 16 pairs by 16 rows of 16 columns, in 16
// cycles. It sums apart what comes of the first numbers of the pairs and of the second, up to 16 pairs each, and adds both to
// the sums of a tile; so results differ from those of VDPBF16PS in their last digits.

const amxSide = 16 // rows, columns and pairs of a tile register

// amxChunk is the pairs that one instruction takes of the segments of a tile, which must all be multiples of it: the largest
// number up to 16; 0 if that is too small for the unit to pay, or there are no products.
func amxChunk(segs []Seg) int {
	g := 0
	for _, s := range segs {
		for a := s.K; a != 0; {
			g, a = a, g%a
		}
	}
	const least = 4
	for c := amxSide; c >= least; c-- {
		if g != 0 && g%c == 0 {
			return c
		}
	}
	return 0
}

// chunkAMX is amxChunk of t if the matrix unit computes t with the kernels of l, else 0.
func (t *Tile[T]) chunkAMX(l Level) int {
	if t.Flags&(Pairs|Scale) != Pairs || l != AVX512 || !MatrixUnit() || t.Rows == 0 || t.Cols == 0 {
		return 0
	}
	return amxChunk(t.Segs)
}

// amx is the definition of a tile of Pairs by the matrix unit. It has 0 for what is under 2^-126. Where sums are added to C they
// grow from there.
func (t *Tile[T]) amx(chunk int) {
	for i := range t.Rows {
		for j := range t.Cols {
			var sum float32
			c := &t.C[i*t.CRow+j]
			if t.Flags&Add != 0 {
				sum = float32(*c)
			}
			for _, s := range t.Segs {
				for from := 0; from < s.K; from += chunk {
					var even, odd float32
					for k := from; k < from+chunk; k++ {
						a, b := float32(t.A[s.A+i*t.ARow+k*t.AK]), float32(t.B[s.B+k*t.BK+j])
						even += first(a) * first(b)
						odd += second(a) * second(b)
					}
					sum += even + odd
				}
			}
			*c = T(sum)
		}
	}
	t.finishAMX(Generic)
}

// finishAMX does what the matrix unit leaves to do once sums are in C.
func (t *Tile[T]) finishAMX(l Level) {
	if t.Bias == nil && t.Flags&Relu == 0 {
		return
	}
	rest := *t
	rest.Segs, rest.Flags = nil, t.Flags&^Pairs|Add
	rest.Run(l)
}
