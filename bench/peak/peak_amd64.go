package peak

import (
	"golang.org/x/sys/cpu"

	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// fma512 is n rounds of 24 independent acc = acc x + y on 16 numbers each.
//
//go:noescape
func fma512(n int, x, y float32)

// fma256 is n rounds of 12 independent acc = acc x + y on 8 numbers each.
//
//go:noescape
func fma256(n int, x, y float32)

// slots256 is fma256 with eight instructions in a round that do nothing.
//
//go:noescape
func slots256(n int, x, y float32)

// dot512 is n rounds of 24 independent acc[i] += x[2i] y[2i] + x[2i+1] y[2i+1] on 16 numbers acc each; x and y hold two
// bf16 numbers.
//
//go:noescape
func dot512(n int, x, y uint32)

// tiles is n rounds of four independent tiles of 16 x 16 sums, to each of which 32 products a sum are added; config says that
// tile registers are whole.
//
//go:noescape
func tiles(n int, config *[64]byte)

// triad is: for i := range a { a[i] = b[i] + s*c[i] }, for a multiple of 32 elements at addresses of a multiple of 32.
//
//go:noescape
func triad(a, b, c []float32, s float32)

// stream is triad with stores that pass by the caches.
//
//go:noescape
func stream(a, b, c []float32, s float32)

// elements of each array of a triad: 64 MiB, beyond every cache.
const elements = 16 << 20

// loops are those that this processor has: without threads, the ones that stay in registers.
func loops(threads int) (map[Kind]loop, []Kind) {
	all, order := map[Kind]loop{}, []Kind{}
	add := func(has bool, k Kind, f loop) {
		if has {
			all[k] = f
			order = append(order, k)
		}
	}
	x := cpu.X86
	avx2, avx512 := x.HasAVX2 && x.HasFMA, x.HasAVX512F
	add(avx512, FMA512, func(_, n int) float64 { fma512(n<<10, .999, 1e-3); return float64(n<<10) * 24 * 16 * 2 })
	add(avx2, FMA256, func(_, n int) float64 { fma256(n<<10, .999, 1e-3); return float64(n<<10) * 12 * 8 * 2 })
	add(avx2, Slots, func(_, n int) float64 { slots256(n<<10, .999, 1e-3); return float64(n<<10) * 12 * 8 * 2 })
	add(avx512 && x.HasAVX512BF16, BF16, func(_, n int) float64 {
		dot512(n<<10, 0x3f7f3f7f, 0x3a003a00) // .996 and .000488
		return float64(n<<10) * 24 * 32 * 2
	})
	add(simd.MatrixUnit(), Tiles, func(_, n int) float64 {
		config := [64]byte{0: 1}
		for t := range 8 {
			config[16+2*t], config[48+t] = 64, 16
		}
		tiles(n<<8, &config)
		return float64(n<<8) * 4 * 16 * 16 * 32 * 2
	})
	if avx2 && threads > 0 {
		arrays := make([][3][]float32, threads)
		for i := range arrays {
			for k := range arrays[i] {
				v := aligned(elements)
				for j := range v {
					v[j] = 1
				}
				arrays[i][k] = v
			}
		}
		pass := func(f func(a, b, c []float32, s float32)) loop {
			return func(id, n int) float64 {
				v := arrays[id]
				for range n {
					f(v[0], v[1], v[2], 3)
				}
				return float64(n) * 12 * elements
			}
		}
		add(true, Triad, pass(triad))
		add(true, Stream, pass(stream))
	}
	return all, order
}
