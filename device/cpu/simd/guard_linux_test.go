package simd

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// guarded is two slices of n elements without access right behind and right before them: a kernel that leaves the first
// at its end, or the second at its beginning, ends the test.
func guarded(t testing.TB, n int) (atEnd, atStart []float32) {
	page := syscall.Getpagesize()
	size := (4*n + page - 1) / page * page
	one := func(skip int) []float32 {
		b, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, syscall.Munmap(b)) })
		require.NoError(t, syscall.Mprotect(b[:page], syscall.PROT_NONE))
		require.NoError(t, syscall.Mprotect(b[page+size:], syscall.PROT_NONE))
		if n == 0 {
			return nil
		}
		return unsafe.Slice((*float32)(unsafe.Pointer(&b[page+skip])), n)
	}
	return one(size - 4*n), one(0)
}
