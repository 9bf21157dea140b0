package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/bench/subject"
)

func TestTapsInside(t *testing.T) {
	for size, want := range map[int]float64{31: .957, 15: .913, 7: .819, 3: .605} {
		assert.InDelta(t, want, tapsInside(size, 3), 5e-4, size)
	}
	assert.Equal(t, 1., tapsInside(4, 1))
	// Counted one by one.
	const size, k = 5, 5
	inside := 0
	for y := range size {
		for x := range size {
			for r := range k {
				for s := range k {
					if i, j := y+r-k/2, x+s-k/2; i >= 0 && i < size && j >= 0 && j < size {
						inside++
					}
				}
			}
		}
	}
	assert.InDelta(t, float64(inside)/(size*size*k*k), tapsInside(size, k), 1e-15)
}

// Every case of every table is one that acumen has a kernel for; small, it runs.
func TestAcumenHasAllCases(t *testing.T) {
	s := subject.New("cpu")
	seen := map[string]bool{}
	for _, table := range tables(options{}) {
		require.NotEmpty(t, table.entries, table.name)
		for _, e := range table.entries {
			c := e.c
			c.Batch = min(c.Batch, 2)
			if c.Net == "resnet18" && seen[c.Kind+c.Net] {
				continue // it is large even for two pictures
			}
			seen[c.Kind+c.Net] = true
			if c.Kind == "matmul" {
				c.M, c.K, c.N = c.M/16, c.K/16, c.N/16
			}
			d, err := s.Time(c, 2, 0, 1)
			require.NoError(t, err, "%s, %s", table.name, e.label)
			assert.Positive(t, d)
			assert.Positive(t, e.work)
		}
	}
	require.NoError(t, s.Drop())
}
