//go:build linux && !race

package cpu

import "golang.org/x/sys/unix"

// offHeap is the size from which memory lies outside the heap: the collector, which lets a heap grow to twice what is in
// use, does not count it then, what is never touched takes nothing, and giving it back is at once. The race detector sees
// the heap alone, so that under it all memory is there.
const offHeap = 1 << 20

// hugePage is the size of a large page; memory that begins on one is translated by one entry for each 2 MiB.
const hugePage = 2 << 20

// area is memory outside the heap, up to the end of its last large page.
type area struct{ mapped []byte }

// pages is n bytes of zeros outside the heap, on small pages, which begin where a large one may.
func pages(n int) (data []byte, a *area, err error) {
	mapped, err := unix.Mmap(-1, 0, ceil(n, hugePage)*hugePage+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.Madvise(mapped, unix.MADV_NOHUGEPAGE) // a system without large pages has small ones, here and below
	off := misaligned(mapped, hugePage)
	return mapped[off : off+n : off+n], &area{mapped}, nil
}

// large has what is touched from now on lie on large pages.
func (a *area) large() { _ = unix.Madvise(a.mapped, unix.MADV_HUGEPAGE) }

// enlarge brings what was touched onto large pages, too. Before Linux 6.1 the system does that by and by.
func (a *area) enlarge() {
	a.large()
	off := misaligned(a.mapped, hugePage)
	_ = unix.Madvise(a.mapped[off:len(a.mapped)-hugePage+off], unix.MADV_COLLAPSE)
}

func (a *area) free() { _ = unix.Munmap(a.mapped) }
