//go:build cuda

package vectors

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVectors runs every case on the GPU or on its stand-in, which is to give what the references and what true GPUs gave.
func TestVectors(t *testing.T) {
	require.EqualValues(t, 48, unsafe.Sizeof(params{}), "the twin of VectorParams")
	r, err := Open(0)
	if err != nil {
		t.Skip(err)
	}
	defer func() { require.NoError(t, r.Close()) }()
	mine, figures, wrong := Collect(r, "this one")
	for _, err := range wrong {
		t.Error(err)
	}
	for _, f := range figures {
		if f.Exact {
			t.Logf("%-32s %6d results, all to the bit", f.Name, f.Count)
		} else {
			t.Logf("%-32s %6d results, worst %.2f of the bound", f.Name, f.Count, f.Worst)
		}
	}
	require.Len(t, figures, len(Cases()))
	paths, err := filepath.Glob("../sim/testdata/vectors/*.gz")
	require.NoError(t, err)
	for _, p := range paths {
		f, err := os.Open(p)
		require.NoError(t, err)
		gpu, err := Read(f)
		require.NoError(t, err, p)
		require.NoError(t, f.Close())
		n, stale, wrong := mine.Compare(gpu)
		t.Logf("%s: %d cases beside those of %s", filepath.Base(p), n, gpu.Device)
		assert.Empty(t, stale, "%s is of other inputs: let the GPU bundle write it anew", p)
		for _, err := range wrong {
			t.Errorf("%s: %v", filepath.Base(p), err)
		}
	}
}
