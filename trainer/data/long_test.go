//go:build long

package data

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRealCIFAR10 reads all of CIFAR-10 in ACUMEN_DATA_DIR, by default data in the module's folder.
func TestRealCIFAR10(t *testing.T) {
	dir := os.Getenv("ACUMEN_DATA_DIR")
	if dir == "" {
		dir = "data"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", "..", dir)
	}
	parts, err := Verify("cifar10", dir, Options{})
	require.NoError(t, err, "get CIFAR-10 with `acumen data get cifar10`, or let ACUMEN_DATA_DIR name the folder that has cifar-10-batches-bin")
	assert.Equal(t, []int{50000, 10000}, []int{parts[0].Records, parts[1].Records})
	train, test, err := Load("cifar10", dir, Options{})
	require.NoError(t, err)
	for i, s := range []Set{train, test} {
		count := make([]int, 10)
		for _, l := range s.Labels() {
			count[l]++
		}
		for _, c := range count {
			assert.Equal(t, []int{5000, 1000}[i], c)
		}
	}
	mean, std, err := Statistics(train)
	require.NoError(t, err)
	// The published numbers, to the five digits that they have.
	assert.InDeltaSlice(t, []float64{0.49140, 0.48216, 0.44653}, mean, 5e-6)
	assert.InDeltaSlice(t, []float64{0.24703, 0.24349, 0.26159}, std, 5e-6)
	m, s := Normalisation(train)
	assert.InDeltaSlice(t, mean, m, 5e-5) // four digits
	assert.InDeltaSlice(t, std, s, 5e-5)
	_, held, err := Split(train, 5000, 1)
	require.NoError(t, err)
	count := make([]int, 10)
	for _, l := range held.Labels() {
		count[l]++
	}
	assert.Equal(t, []int{500, 500, 500, 500, 500, 500, 500, 500, 500, 500}, count)
}
