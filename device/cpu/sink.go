package cpu

// sink is where a tile's sums go: c[off+i*rs+j*cs] = act(alpha sum + bias[j] + beta c).
type sink[T float] struct {
	c           []T
	off         int // place of element (0, 0)
	rs, cs      int
	alpha, beta T
	bias        []T // nil: none
	relu        bool
}

func (s *sink[T]) set(i, j int, v T) {
	p := &s.c[s.off+i*s.rs+j*s.cs]
	if s.alpha != 1 {
		v *= s.alpha
	}
	if s.bias != nil {
		v += s.bias[j]
	}
	if s.beta != 0 {
		v += s.beta * *p
	}
	if s.relu {
		v = max(v, 0)
	}
	*p = v
}

// put stores columns j to j+cols-1 of rows i+lo to i+hi-1 of a register tile whose first row is i.
func (s *sink[T]) put(acc *[8]T, i, j, lo, hi, cols int) {
	if cols == 2 && s.cs == 1 && s.alpha == 1 {
		x, rs := s.off+(i+lo)*s.rs+j, s.rs
		var b0, b1 T
		if s.bias != nil {
			b0, b1 = s.bias[j], s.bias[j+1]
		}
		switch {
		case s.relu && s.beta == 0:
			for r := lo; r < hi && r < 4; r++ {
				c := (*[2]T)(s.c[x:])
				c[0], c[1] = max(acc[2*r]+b0, 0), max(acc[2*r+1]+b1, 0)
				x += rs
			}
			return
		case !s.relu && s.beta == 0:
			for r := lo; r < hi && r < 4; r++ {
				c := (*[2]T)(s.c[x:])
				c[0], c[1] = acc[2*r]+b0, acc[2*r+1]+b1
				x += rs
			}
			return
		}
	}
	if s.rs == 1 && s.alpha == 1 && s.bias == nil && !s.relu && lo == 0 && hi == 4 && (s.beta == 0 || s.beta == 1) {
		for t := range cols {
			c := (*[4]T)(s.c[s.off+i+(j+t)*s.cs:])
			if s.beta == 0 {
				c[0], c[1], c[2], c[3] = acc[t], acc[2+t], acc[4+t], acc[6+t]
			} else {
				c[0] += acc[t]
				c[1] += acc[2+t]
				c[2] += acc[4+t]
				c[3] += acc[6+t]
			}
		}
		return
	}
	for r := lo; r < hi; r++ {
		for t := range cols {
			s.set(i+r, j+t, acc[2*r+t])
		}
	}
}

// block is s for one of several blocks of k: the caller's beta belongs to the first, bias and activation to the last.
func (s sink[T]) block(first, last bool) sink[T] {
	if !first {
		s.beta = 1
	}
	if !last {
		s.bias, s.relu = nil, false
	}
	return s
}

// at is s with its element (0, 0) moved on by n places.
func (s sink[T]) at(n int) sink[T] {
	s.off += n
	return s
}

// empty stores the sums over no k.
func (s sink[T]) empty(m, n int) {
	for i := range m {
		for j := range n {
			s.set(i, j, 0)
		}
	}
}
