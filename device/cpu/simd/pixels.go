package simd

// Pixels turns the bytes of pixels to numbers: byte b of channel c is float32(b Scale[c]) + Bias[c] in float32, with two
// roundings on all levels.
type Pixels struct {
	level       Level
	channels    int
	scale, bias []float32 // of as many pixels as fill whole vectors
}

// NewPixels is for pixels of as many channels as scale and bias have.
func NewPixels(l Level, scale, bias []float32) *Pixels {
	p := &Pixels{level: l, channels: len(scale)}
	n := 1
	if l != Generic {
		lanes := l.Panel() / 2
		n = lanes / gcd(lanes, len(scale))
	}
	for range n {
		p.scale, p.bias = append(p.scale, scale...), append(p.bias, bias...)
	}
	return p
}

// Numbers writes len(x) numbers to y: those of whole pixels.
func Numbers[T Float](p *Pixels, y []T, x []byte) {
	y = y[:len(x)]
	done := 0
	if lanes := p.level.Panel() / 2; p.level != Generic && is32[T]() && len(x) >= lanes {
		done = len(x) / lanes * lanes
		pixels32(p.level, ptr32(y), &x[0], &p.scale[0], &p.bias[0], done/lanes, 4*len(p.scale))
	}
	c := done % p.channels
	for i := done; i < len(x); i++ {
		y[i] = T(float32(float32(x[i])*p.scale[c]) + p.bias[c])
		if c++; c == p.channels {
			c = 0
		}
	}
}
