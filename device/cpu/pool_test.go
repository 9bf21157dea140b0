package cpu

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Each part of each phase runs once, on a worker that no other part runs on at that time, and after all parts of the
// phase before.
func TestPoolRunsEveryPartOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := newPool(threads)
		rnd := rand.New(rand.NewPCG(7, uint64(threads)))
		for round := range 1000 {
			n := []int{0, 1, 2, 3, 17, 200}[rnd.IntN(6)]
			ran := make([]atomic.Int32, n)
			busy := make([]atomic.Bool, threads)
			var strangers, early, total atomic.Int64
			first := phase{n: n, run: func(part, worker int) {
				if busy[worker].Swap(true) {
					strangers.Add(1)
				}
				ran[part].Add(1)
				total.Add(1)
				busy[worker].Store(false)
			}}
			second := phase{n: n, run: func(_, _ int) {
				if total.Load() != int64(n) {
					early.Add(1)
				}
			}}
			p.run(&first)
			p.run(&second)
			for i := range ran {
				require.EqualValues(t, 1, ran[i].Load(), "part %d of %d", i, n)
			}
			require.Zero(t, strangers.Load(), "two parts on one worker at once")
			require.Zero(t, early.Load(), "parts before the barrier")
			if round%100 == 99 {
				time.Sleep(time.Millisecond) // long enough for the workers to fall asleep
			}
		}
		p.close()
	}
}

// One part needs no other thread: it must not pay for waking one.
func TestPoolRunsOnePartOnTheCaller(t *testing.T) {
	p := newPool(3)
	defer p.close()
	gen := p.state.Load()
	p.run(&phase{n: 1, run: func(part, worker int) { assert.Equal(t, [2]int{0, 0}, [2]int{part, worker}) }})
	assert.Equal(t, gen, p.state.Load())
}

func TestCloseStopsThreads(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		d := Open(device.Options{Threads: 4})
		d.pool.run(&phase{n: 8, run: func(int, int) {}})
		require.NoError(t, d.Close())
	}
	for i := 0; runtime.NumGoroutine() > before && i < 1000; i++ { // those that have ended may still be counted
		time.Sleep(time.Millisecond)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}

// More threads than processors on several devices at once: each has its own results.
func TestDevicesAtOnce(t *testing.T) {
	var wait sync.WaitGroup
	for k := range 3 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			d := Open(device.Options{Threads: 3})
			m, err := d.Alloc(4 * 100000)
			if !assert.NoError(t, err) {
				return
			}
			x := device.Make(m, device.F32, 0, 100000)
			d.Fill(x, float64(k))
			for range 100 {
				d.Unary(device.Affine, x, x, 1, float64(k+1))
			}
			for _, v := range slice[float32](x) {
				if !assert.Equal(t, float32(k+100*(k+1)), v) {
					break
				}
			}
			m.Free()
			assert.NoError(t, d.Sync())
			assert.NoError(t, d.Close())
		}()
	}
	wait.Wait()
}

// BenchmarkDispatch is what a phase costs before it does anything.
func BenchmarkDispatch(b *testing.B) {
	for _, n := range []int{1, 2, 16} {
		b.Run(fmt.Sprintf("parts=%d", n), func(b *testing.B) {
			p := newPool(runtime.GOMAXPROCS(0))
			defer p.close()
			ph := phase{n: n, run: func(int, int) {}}
			for b.Loop() {
				p.run(&ph)
			}
		})
	}
}
