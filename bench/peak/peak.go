// Package peak measures what a machine's cores can do at most: multiply-adds in registers and bytes to and from memory.
// Benchmarks are given as fractions of it. The loops are assembly without loads in the arithmetic ones, so that neither
// a compiler nor memory is measured; where there is no assembly, nothing can be measured, and Measure gives nothing.
package peak

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// Kind is something that has a peak.
type Kind string

// The kinds. Operations are floating-point multiplications and additions; bytes are those that a program names: two
// arrays read and one written, without the lines that a processor reads before it overwrites them. Slots has the rate of
// FMA256 on a core of one's own, and less on one that shares the slots of its instructions with another's work.
const (
	FMA512 Kind = "f32 FMA, AVX-512"
	FMA256 Kind = "f32 FMA, AVX2"
	Slots  Kind = "f32 FMA and no-ops, AVX2" // eight to twelve: the loads of a tile of six rows, without what they read
	BF16   Kind = "bf16 dot"
	Tiles  Kind = "bf16 tiles, AMX"
	Triad  Kind = "triad"
	Stream Kind = "triad, streaming stores"
)

// Unit is what the rates of k count.
func (k Kind) Unit() string {
	if k == Triad || k == Stream {
		return "GB/s"
	}
	return "GFLOP/s"
}

// Rate is what repeated measurements of one kind with so many threads gave, all threads together, in k.Unit().
type Rate struct {
	Kind         Kind
	Threads      int
	Median, Best float64
}

// Rates is what Measure gives.
type Rates []Rate

// Of is the highest rate of kind k with so many threads, 0 if it was not measured. It is less than the machine can do only
// if something else was at work each time.
func (r Rates) Of(k Kind, threads int) float64 {
	for _, x := range r {
		if x.Kind == k && x.Threads == threads {
			return x.Best
		}
	}
	return 0
}

// F32 is the highest f32 rate.
func (r Rates) F32(threads int) float64 { return max(r.Of(FMA512, threads), r.Of(FMA256, threads)) }

// HalfKind is the kind of bf16 products that is the fastest here.
func (r Rates) HalfKind(threads int) Kind {
	if r.Of(Tiles, threads) > r.Of(BF16, threads) {
		return Tiles
	}
	return BF16
}

// Bandwidth is the highest rate of memory.
func (r Rates) Bandwidth(threads int) float64 {
	return max(r.Of(Triad, threads), r.Of(Stream, threads))
}

// loop runs n rounds on one thread and tells how many operations or bytes that was. id tells threads apart.
type loop func(id, n int) float64

// visit is how long one measurement takes.
const visit = 60 * time.Millisecond

// Measure takes each kind that this processor has with each number of threads, rounds times in turn.
func Measure(threads []int, rounds int) Rates {
	loops, order := loops(slices.Max(threads))
	type key struct {
		k Kind
		t int
	}
	size, seen := map[Kind]int{}, map[key][]float64{}
	for _, k := range order {
		size[k] = calibrate(loops[k])
	}
	for range rounds {
		for _, k := range order {
			for _, t := range threads {
				seen[key{k, t}] = append(seen[key{k, t}], Together(loops[k], size[k], t))
			}
		}
	}
	var all Rates
	for _, k := range order {
		for _, t := range threads {
			s := seen[key{k, t}]
			slices.Sort(s)
			all = append(all, Rate{Kind: k, Threads: t, Median: s[len(s)/2], Best: s[len(s)-1]})
		}
	}
	return all
}

// Arithmetic is how long so many threads, which start together, take for operations of kind k in registers. It is 0 if
// this processor has no such kind.
func Arithmetic(k Kind, threads int, operations float64) time.Duration {
	all, _ := loops(0)
	f := all[k]
	if f == nil {
		return 0
	}
	n := max(1, int(operations/float64(threads)/f(0, 1)))
	return time.Duration(operations / Together(f, n, threads))
}

// calibrate is the number of rounds that fill a visit.
func calibrate(f loop) int {
	n := 1
	for {
		t := time.Now()
		f(0, n)
		if d := time.Since(t); d > visit/8 {
			return max(1, int(float64(n)*float64(visit)/float64(d)))
		}
		n *= 2
	}
}

// Together is the sum of the rates, in billions a second, of threads that start at the same time: each calls f with its number
// and n, and f tells how many operations, or bytes, that was.
func Together(f func(id, n int) float64, n, threads int) float64 {
	rates := make([]float64, threads)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for id := range threads {
		ready.Add(1)
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-start
			t := time.Now()
			work := f(id, n)
			rates[id] = work / time.Since(t).Seconds() / 1e9
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum
}
