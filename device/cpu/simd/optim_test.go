package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// updates are all forms of optimisers: arrays are w, those that are written, and g.
var updates = []struct {
	name   string
	arrays int
	run    func(l Level, x [][]float32)
}{
	{"sgd", 2, func(l Level, x [][]float32) { sgdOf(false, false).Run(l, x[0], nil, x[1]) }},
	{"sgd first", 3, func(l Level, x [][]float32) { sgdOf(true, false).Run(l, x[0], x[1], x[2]) }},
	{"sgd first nesterov", 3, func(l Level, x [][]float32) { sgdOf(true, true).Run(l, x[0], x[1], x[2]) }},
	{"sgd momentum", 3, func(l Level, x [][]float32) { sgdOf(false, false).Run(l, x[0], x[1], x[2]) }},
	{"sgd nesterov", 3, func(l Level, x [][]float32) { sgdOf(false, true).Run(l, x[0], x[1], x[2]) }},
	{"adam", 4, func(l Level, x [][]float32) { adamOf().Run(l, x[0], x[1], x[2], nil, x[3]) }},
	{"adam max", 5, func(l Level, x [][]float32) { adamOf().Run(l, x[0], x[1], x[2], x[3], x[4]) }},
}

func sgdOf(first, nesterov bool) *SGD[float32] {
	return &SGD[float32]{Shrink: 0.99, Scale: 0.5, Decay: 0.01, LR: 0.1, Momentum: 0.9, Damp: 0.8, First: first, Nesterov: nesterov}
}

func adamOf() *Adam[float32] {
	return &Adam[float32]{Shrink: 0.99, Scale: 0.5, Decay: 0.01, Rate: 0.1, Root: 0.3, Eps: 1e-8, C1: 0.1, B2: 0.99, C2: 0.01}
}

func checkUpdates(t testing.TB, l Level, r *rand.Rand, n int) {
	for _, u := range updates {
		what := fmt.Sprintf("%s of %d at %s", u.name, n, l)
		var end, start, want, one [][]float32
		for i := range u.arrays {
			a, b := guarded(t, n)
			for k := range a {
				a[k] = float32(r.NormFloat64())
				if i > 1 && i < 4 && u.arrays > 3 { // second moments
					a[k] *= a[k]
				}
			}
			copy(b, a)
			end, start, want, one = append(end, a), append(start, b), append(want, append([]float32{}, a...)), append(one, append([]float32{}, a...))
		}
		u.run(l, end)
		u.run(l, start)
		u.run(Generic, want)
		for k := range n { // each element by itself
			var x [][]float32
			for i := range one {
				x = append(x, one[i][k:k+1])
			}
			u.run(l, x)
		}
		for i := range end {
			same(t, want[i], end[i], want[i], 1e-6, what) // a handful of roundings, or a fused one less
			require.Equal(t, bitsOf(end[i]), bitsOf(start[i]), what)
			require.Equal(t, bitsOf(end[i]), bitsOf(one[i]), what)
		}
	}
}

func TestUpdates(t *testing.T) {
	for _, l := range levels() {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 5, 8, 15, 16, 17, 33, 64, 100, 300} {
			checkUpdates(t, l, r, n)
		}
	}
}

func FuzzUpdates(f *testing.F) {
	f.Add(uint64(1), uint16(24))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		for _, l := range levels() {
			checkUpdates(t, l, rand.New(rand.NewPCG(seed, 2)), int(n)%300)
		}
	})
}

func BenchmarkUpdates(b *testing.B) {
	const n = 4096
	for _, l := range allLevels() {
		for _, u := range updates {
			x := make([][]float32, u.arrays)
			for i := range x {
				x[i] = make([]float32, n)
			}
			b.Run(fmt.Sprintf("%s/%s", l, u.name), func(b *testing.B) {
				b.ReportMetric(float64(fastest(b, func() { u.run(l, x) }).Nanoseconds())/n, "ns/element")
			})
		}
	}
}
