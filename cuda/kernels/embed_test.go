//go:build cuda

package kernels_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/cuda/kernels"
)

// TestEmbedded reads every image that was embedded, and looks for the kernels in it that the index promises.
func TestEmbedded(t *testing.T) {
	index, err := kernels.Index()
	if errors.Is(err, kernels.ErrNotBuilt) {
		_, _, err = kernels.Image("fill", 9, 0)
		assert.ErrorIs(t, err, kernels.ErrNotBuilt)
		assert.Nil(t, kernels.Files())
		assert.Nil(t, kernels.Kernels("fill"))
		t.Skip("no kernel has been compiled: 'make cubins' does")
	}
	require.NoError(t, err)
	sources, err := filepath.Glob("*.cu")
	require.NoError(t, err)
	assert.Len(t, kernels.Files(), len(sources), "one for each source file; 'make cubins' compiles those that are missing")
	assert.GreaterOrEqual(t, index.Driver, 525)
	assert.NotEmpty(t, index.Compiler)

	declared := regexp.MustCompile(`(?m)^KERNEL\((\w+),`)
	images := 0
	for _, name := range kernels.Files() {
		text, err := os.ReadFile(name + ".cu")
		require.NoError(t, err, "a file that is gone is embedded: 'make cubins' removes it")
		for _, m := range declared.FindAllSubmatch(text, -1) {
			assert.Contains(t, kernels.Kernels(name), string(m[1]), name)
		}
		for _, capability := range [][2]int{{7, 5}, {8, 0}, {8, 6}, {8, 7}, {8, 9}, {9, 0}, {10, 0}, {10, 3}, {12, 0}, {12, 1}, {13, 0}} {
			image, arch, err := kernels.Image(name, capability[0], capability[1])
			if err != nil {
				assert.ErrorContains(t, err, "was not compiled for compute capability")
				continue
			}
			images++
			if strings.HasPrefix(arch, "compute_") {
				assert.Contains(t, string(image), ".version "+index.Files[name].PTX)
				assert.Equal(t, byte(0), image[len(image)-1])
			} else {
				assert.True(t, bytes.HasPrefix(image, []byte("\x7fELF")), "%s for %s is no cubin", name, arch)
			}
		}
	}
	assert.Positive(t, images)
}
