//go:build linux && !race

package cpu

import "golang.org/x/sys/unix"

// offHeap is the size from which memory lies outside the heap: the collector, which lets a heap grow to twice what is in
// use, does not count it then, what is never touched takes nothing, and giving it back is at once. The race detector sees
// the heap alone, so that under it all memory is there.
const offHeap = 1 << 20

// hugePage is the size of a large page; memory that begins on one is translated by one entry for each 2 MiB.
const hugePage = 2 << 20

// pages is n bytes of zeros outside the heap, on large pages to the last, and what gives them back.
func pages(n int) (data []byte, free func(), err error) {
	all, err := unix.Mmap(-1, 0, ceil(n, hugePage)*hugePage+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil, err
	}
	off := misaligned(all, hugePage)
	_ = unix.Madvise(all, unix.MADV_HUGEPAGE) // a system without large pages has small ones
	return all[off : off+n : off+n], func() { _ = unix.Munmap(all) }, nil
}
