package simd

// Philox fills out with the words of Philox 4x32-10 (see package device) for the counters from c on, of which the first
// word counts: out[4i] to out[4i+3] are those of c[0]+i. All levels give the same bits.
func Philox(l Level, out []uint32, c [4]uint32, key [2]uint32) {
	n := 0
	if l != Generic {
		group := l.Panel() // words of a step of the kernel
		if n = len(out) / group; n > 0 {
			var keys [20]uint32
			k := key
			for i := range 10 {
				keys[2*i], keys[2*i+1] = k[0], k[1]
				k[0] += philoxKey0
				k[1] += philoxKey1
			}
			philox32(l, &out[0], n, &c, &keys)
		}
		n *= group
	}
	c[0] += uint32(n / 4)
	for ; n < len(out); n += 4 {
		w := philox(c, key)
		copy(out[n:], w[:])
		c[0]++
	}
}

const philoxKey0, philoxKey1 = 0x9E3779B9, 0xBB67AE85

func philox(c [4]uint32, k [2]uint32) [4]uint32 {
	c0, c1, c2, c3, k0, k1 := c[0], c[1], c[2], c[3], k[0], k[1] // arrays would go through memory in every round
	for range 10 {
		p0, p1 := uint64(c0)*0xD2511F53, uint64(c2)*0xCD9E8D57
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += philoxKey0
		k1 += philoxKey1
	}
	return [4]uint32{c0, c1, c2, c3}
}
