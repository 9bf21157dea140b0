package device

import "math"

// Philox is the counter-based generator Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011): four random words from a counter and a key.
func Philox(c [4]uint32, k [2]uint32) [4]uint32 {
	c0, c1, c2, c3, k0, k1 := c[0], c[1], c[2], c[3], k[0], k[1] // arrays would go through memory in every round
	for range 10 {
		p0, p1 := uint64(c0)*0xD2511F53, uint64(c2)*0xCD9E8D57
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return [4]uint32{c0, c1, c2, c3}
}

// UniformOf maps a random word to [0, 1); exact in f32.
func UniformOf(u uint32) float32 { return float32(u>>8) * (1.0 / (1 << 24)) }

// NormalsOf maps two random words to two independent normal deviates (Box and Muller 1958), in float64.
func NormalsOf(u0, u1 uint32) (n0, n1 float64) {
	r := math.Sqrt(-2 * math.Log((float64(u0>>8)+1)/(1<<24))) // (0, 1], so that the logarithm is finite
	s, c := math.Sincos(2 * math.Pi * float64(u1>>8) / (1 << 24))
	return r * c, r * s
}

// PermutationAt is element i of the random permutation of 0 .. n-1 that state and stream name: a six-round Feistel
// network on the next even power of two with Philox as round function, walked until it falls below n (Black and
// Rogaway, "Ciphers with arbitrary finite domains", 2002).
func PermutationAt(i, n uint32, state [4]uint32, stream uint32) uint32 {
	half := uint32(1)
	for uint64(1)<<(2*half) < uint64(n) {
		half++
	}
	mask := uint32(1)<<half - 1
	for {
		l, r := i>>half, i&mask
		for round := range uint32(6) {
			f := Philox([4]uint32{r | round<<16, stream, state[2], state[3]}, [2]uint32{state[0], state[1]})
			l, r = r, l^f[0]&mask
		}
		if i = l<<half | r; i < n {
			return i
		}
	}
}
