package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pool is threads that share the parts of one phase after the other. The caller is worker 0; the others spin for a
// short while between phases, since the next one commonly follows at once, and then sleep.
type pool struct {
	n int // workers, the caller among them

	// state is generation<<32 | next part. A part is claimed by adding 1, which fails if the generation has moved on: a
	// late worker cannot take a part of a phase that it has not seen.
	state    atomic.Uint64
	current  atomic.Pointer[phase]
	finished atomic.Int64
	closed   atomic.Bool
	sleepers []sleeper
	gone     sync.WaitGroup
}

type sleeper struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [48]byte // a cache line each
}

// A worker that finds no new phase looks for half a millisecond, longer than most parts that another is still busy with and
// than what one thread does alone in a step; then it naps between looks, for 0.1 s in all; then it sleeps until it is woken. A
// goroutine that sleeps takes a record from a list of the runtime's, which allocates when it is empty: in a step no worker
// should come to that.
const (
	patience = 500 * time.Microsecond
	looks    = 512 // between two looks at the clock
	naps     = 100
	longest  = time.Millisecond
)

func newPool(n int) *pool {
	p := &pool{n: n, sleepers: make([]sleeper, n)}
	var ready sync.WaitGroup
	ready.Add(n - 1)
	p.gone.Add(n - 1)
	for w := 1; w < n; w++ {
		p.sleepers[w].wake = make(chan struct{}, 1)
		go func() {
			time.Sleep(time.Nanosecond) // a goroutine's first nap allocates its timer: now, not in a step
			ready.Done()
			p.work(w)
		}()
	}
	ready.Wait()
	return p
}

// run runs all parts of ph and returns when they are done.
func (p *pool) run(ph *phase) {
	if ph.n <= 1 || p.n == 1 {
		runtime.LockOSThread() // as in help
		defer runtime.UnlockOSThread()
		for i := range ph.n {
			ph.run(i, 0)
		}
		return
	}
	gen := p.state.Load()>>32 + 1
	p.state.Store(gen<<32 | 1<<32 - 1) // no part of the old phase can be claimed while the new one is put in place
	p.finished.Store(0)
	p.current.Store(ph)
	p.state.Store((gen + 1) << 32)
	for w := 1; w < min(p.n, ph.n); w++ {
		if s := &p.sleepers[w]; s.asleep.Load() && s.asleep.CompareAndSwap(true, false) {
			s.wake <- struct{}{}
		}
	}
	p.help(0)
	for i := 1; p.finished.Load() < int64(ph.n); i++ {
		if i%64 == 0 {
			runtime.Gosched()
		}
	}
	p.current.Store(nil) // nothing that a step holds is kept for an idle device
}

// help claims and runs parts of the current phase until none is left, and gives its generation. Meanwhile its goroutine
// stays on its thread: the runtime stops a goroutine every 10 ms, and another thread might go on with it, on a processor
// whose caches are cold.
func (p *pool) help(worker int) uint64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		s := p.state.Load()
		ph, i := p.current.Load(), int(uint32(s))
		if ph == nil || i >= ph.n {
			if uint32(s) == 1<<32-1 {
				return s>>32 - 1 // between two phases: not seen yet
			}
			return s >> 32
		}
		if p.state.CompareAndSwap(s, s+1) {
			ph.run(i, worker)
			p.finished.Add(1)
		}
	}
}

func (p *pool) work(w int) {
	defer p.gone.Done()
	me, seen := &p.sleepers[w], uint64(0)
	for {
		var began time.Time
		napped := 0
		for i := 1; p.state.Load()>>32 == seen; i++ {
			if i%looks != 0 {
				continue
			}
			runtime.Gosched()
			if began.IsZero() {
				began = time.Now()
			}
			if time.Since(began) < patience {
				continue
			}
			if p.closed.Load() {
				return
			}
			if napped < naps {
				napped++
				time.Sleep(min(longest, time.Duration(napped)*50*time.Microsecond))
				continue
			}
			me.asleep.Store(true)
			if (p.state.Load()>>32 != seen || p.closed.Load()) && me.asleep.CompareAndSwap(true, false) {
				break
			}
			<-me.wake
			began, napped = time.Time{}, 0
		}
		if p.closed.Load() {
			return
		}
		seen = p.help(w)
	}
}

// close ends the threads.
func (p *pool) close() {
	if p.closed.Swap(true) {
		return
	}
	for w := 1; w < p.n; w++ {
		if s := &p.sleepers[w]; s.asleep.CompareAndSwap(true, false) {
			s.wake <- struct{}{}
		}
	}
	p.gone.Wait()
}
