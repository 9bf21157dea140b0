package checkpoint

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// populate makes the pages of b, all at once: one fault for each would take as long as to read what they are for. A kernel
// before 5.14 does not know how, and makes them one by one, as they are written.
func populate(b []byte) {
	page := uintptr(os.Getpagesize())
	if off := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (page - 1); off < uintptr(len(b)) {
		_ = unix.Madvise(b[off:], unix.MADV_POPULATE_WRITE)
	}
}
