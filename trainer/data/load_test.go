package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
)

func TestNames(t *testing.T) {
	assert.Equal(t, []string{"mnist", "cifar10", "folder"}, Names())
	for i, info := range List() {
		assert.Equal(t, Names()[i], info.Name)
		assert.NotEmpty(t, info.About)
	}
	_, _, err := Load("cifar-10", t.TempDir(), Options{})
	refused(t, err, `data.name: there is no data set "cifar-10"`)
	assert.Contains(t, fault.HintOf(err), "did you mean cifar10?")
	_, err = Verify("imagenet", t.TempDir(), Options{})
	refused(t, err, "imagenet")
	assert.Contains(t, fault.HintOf(err), "the data sets are mnist, cifar10, folder")
	_, err = Get(t.Context(), "mnits", t.TempDir(), GetOptions{})
	refused(t, err, "mnits")
	_, err = Get(t.Context(), "folder", t.TempDir(), GetOptions{})
	refused(t, err, "your own files")
}

// The numbers by which sets are normalised by default are those of their own table's shape.
func TestNormalisations(t *testing.T) {
	for _, info := range List() {
		n, ok := normalisations[info.Name]
		require.Equal(t, info.Shape[2] > 0, ok, info.Name)
		if ok {
			assert.Len(t, n[0], info.Shape[2])
			assert.Len(t, n[1], info.Shape[2])
		}
	}
}

// The code on the page about adding a data set is that of the examples, which the compiler and a test have seen.
func TestPageShowsTheExamples(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "adding-a-data-set.md"))
	require.NoError(t, err)
	b, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	code := strings.ReplaceAll(string(b), "\n\t", "\n") // bodies of functions stand at the margin there
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.Len(t, blocks, 2)
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		for part := range strings.SplitSeq(strings.ReplaceAll(block, "\n\t", "\n"), "\n\n") {
			assert.Contains(t, code, strings.TrimSpace(part))
		}
	}
}
