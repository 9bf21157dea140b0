package data

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

func TestSplit(t *testing.T) {
	// Classes of 50, 30, 15 and 5 pictures, in turn as long as they last.
	sizes := []int{50, 30, 15, 5}
	var labels []int32
	for i := range 50 {
		for c, n := range sizes {
			if i < n {
				labels = append(labels, int32(c))
			}
		}
	}
	s, err := New("x", digits[:4], tensor.New(tensor.WithShape(100, 1, 1, 1), tensor.WithBacking(make([]byte, 100))), tensor.New(tensor.WithShape(100), tensor.WithBacking(labels)))
	require.NoError(t, err)
	for _, c := range []struct {
		part float64
		want []int // of each class: floors of the shares, then largest remainders, the first class of equal ones
	}{{20, []int{10, 6, 3, 1}}, {0.2, []int{10, 6, 3, 1}}, {1, []int{1, 0, 0, 0}}, {7, []int{4, 2, 1, 0}}, {99, []int{49, 30, 15, 5}}, {0.5, []int{25, 15, 8, 2}}} {
		train, held, err := Split(s, c.part, 3)
		require.NoError(t, err)
		a, _ := Indices(train)
		b, _ := Indices(held)
		assert.True(t, slices.IsSorted(a))
		assert.True(t, slices.IsSorted(b))
		all := slices.Sorted(slices.Values(slices.Concat(a, b)))
		assert.Equal(t, iota32(100), all, "each picture is in one part")
		got := make([]int, 4)
		for _, l := range held.Labels() {
			got[l]++
		}
		assert.Equal(t, c.want, got, "%v", c.part)
	}
	digest := func(seed uint64) string {
		_, held, err := Split(s, 20, seed)
		require.NoError(t, err)
		at, _ := Indices(held)
		return Digest(at)
	}
	assert.Equal(t, digest(1), digest(1))
	assert.NotEqual(t, digest(1), digest(2))
	assert.NotEqual(t, digest(1), digest(1+1<<40), "all of the seed counts")
	assert.Equal(t, "a6babbfeb8d89cbbce6c6ef8b65e94c1dd9fca1c2140cf35177fce46f63a5339", digest(1), "a split that was stored must be found again by later versions")
	for _, v := range []float64{0, -1, 100, 200, 2.5, 0.001, 0.999, math.NaN(), math.Inf(1)} {
		_, _, err := Split(s, v, 1)
		refused(t, err, "data.validation")
	}
}

// Where a class is drawn from at random, its members are equally likely to be held out.
func TestSplitIsUniform(t *testing.T) {
	s := numbered(t, 20, 2)
	count := make([]int, 20)
	const runs = 2000
	for seed := range uint64(runs) {
		_, held, err := Split(s, 4, seed)
		require.NoError(t, err)
		at, _ := Indices(held)
		for _, k := range at {
			count[k]++
		}
	}
	for _, c := range count {
		assert.InDelta(t, runs/5, c, 4.5*math.Sqrt(runs*0.2*0.8)) // 4.5 standard deviations of a binomial count
	}
}
