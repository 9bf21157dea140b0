//go:build cuda

package driver

import (
	"debug/elf"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program with this package needs the C library and nothing of NVIDIA's: this test's own does.
func TestNeededLibraries(t *testing.T) {
	f, err := elf.Open("/proc/self/exe")
	require.NoError(t, err)
	defer f.Close()
	libs, err := f.ImportedLibraries()
	require.NoError(t, err)
	t.Log(libs)
	for _, l := range libs {
		assert.Contains(t, []string{"libc.so.6", "libdl.so.2", "libpthread.so.0", "libm.so.6"}, l) // the last three stand apart before glibc 2.34
	}
}
