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

// UnitServes reports whether the matrix unit, where there is one, takes segments of k pairs well: at least eight at a time.
func UnitServes(k int) bool { return amxChunk([]Seg{{K: k}}) >= amxSide/2 }

// chunkAMX is amxChunk of t if the matrix unit computes t with the kernels of l, else 0.
func (t *Tile[T]) chunkAMX(l Level) int {
	if t.Flags&(Pairs|Scale) != Pairs || t.Flags&Split != 0 && t.ByCols != 0 || l != AVX512 || !MatrixUnit() || t.Rows == 0 || t.Cols == 0 {
		return 0
	}
	return amxChunk(t.Segs)
}

// amx is the definition of a tile of Pairs by the matrix unit. It has 0 for what is under 2^-126. Where sums are added to C they
// grow from there.
func (t *Tile[T]) amx(chunk int) {
	for i := range t.Rows {
		row := i * t.ARow
		if t.ABlock != 0 {
			row = i/(2*amxSide)*t.ABlock + i%(2*amxSide)*t.ARow
		}
		for j := range t.Cols {
			var sum float32
			c := &t.C[i*t.CRow+j]
			if t.Flags&Add != 0 {
				sum = float32(*c)
			}
			for _, s := range t.Segs {
				for from := 0; from < s.K; from += chunk {
					a, b := t.A[s.A+row+from*t.AK:], t.B[s.B+from*t.BK+j:]
					if t.Flags&Split == 0 {
						sum = t.addPairs(sum, a, b, chunk)
						continue
					}
					for _, p := range partProducts {
						sum = t.addPairs(sum, a[p[0]*t.APlane:], b[p[1]*t.BPlane:], chunk)
					}
				}
			}
			*c = T(sum)
		}
	}
	t.finishAMX(Generic)
}

// partProducts is the products of parts that are summed with Split, those of the smallest parts first. The three left out are, by
// parts of at most 2^-8 and 2^-16 of a number, under 2^-22 of its product, and 2^-27 in the root mean square.
var partProducts = [6][2]int{{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}}

// addPairs is sum and the products of n elements of a column and a row, as an instruction of the unit has it.
func (t *Tile[T]) addPairs(sum float32, a, b []T, n int) float32 {
	var even, odd float32
	for k := range n {
		x, y := float32(a[k*t.AK]), float32(b[k*t.BK])
		even += first(x) * first(y)
		odd += second(x) * second(y)
	}
	return sum + (even + odd)
}

// alone is the tile without products.
func (t *Tile[T]) alone(l Level, flags int) {
	rest := *t
	rest.Segs, rest.Flags = nil, t.Flags&^(Pairs|Split)|flags
	rest.Run(l)
}

// empty reports whether there are no products.
func (t *Tile[T]) empty() bool {
	for _, s := range t.Segs {
		if s.K != 0 {
			return false
		}
	}
	return true
}

// finishAMX does what the matrix unit leaves to do once sums are in C.
func (t *Tile[T]) finishAMX(l Level) {
	if t.Bias == nil && t.Flags&Relu == 0 {
		return
	}
	t.alone(l, Add)
}
