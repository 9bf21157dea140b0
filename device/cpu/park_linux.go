package cpu

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// parker is where one thread sleeps until another wakes it. It waits in the kernel on a word (Franke, Russell and
// Kirkwood, "Fuss, futexes and furwocks", 2002): a channel takes a record of the waiter from a list of the runtime's,
// which allocates when it is empty, and a step must allocate nothing.
type parker struct{ word atomic.Uint32 }

const (
	futexWaitPrivate = 128
	futexWakePrivate = 129
)

// park returns once unpark has been called since the last park.
func (p *parker) park() {
	for !p.word.CompareAndSwap(1, 0) {
		syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&p.word)), futexWaitPrivate, 0, 0, 0, 0) // returns at once if the word is 1
	}
}

// unpark ends the present park, or the next.
func (p *parker) unpark() {
	p.word.Store(1)
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&p.word)), futexWakePrivate, 1, 0, 0, 0)
}
