package data

import (
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
