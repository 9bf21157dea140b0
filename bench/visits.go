package main

import (
	"time"

	"github.com/acumen-ml/acumen/bench/peak"
	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// contender is a program that can time cases: acumen, or a peer.
type contender interface {
	// Time makes skip calls, then calls of them on the clock, and gives the mean time of one.
	Time(c peer.Case, threads, skip, calls int) (time.Duration, error)
	// Drop forgets cases and their memory.
	Drop() error
}

// side is a contender by its name.
type side struct {
	name string
	contender
}

// ceiling is the arithmetic in registers that a case is held against, visited as the sides are: what slows the machine for
// a while slows it, too. A call of it is a billion operations.
type ceiling struct{ kind peak.Kind }

func (c ceiling) Time(_ peer.Case, threads, skip, calls int) (time.Duration, error) {
	peak.Arithmetic(c.kind, threads, 1e9*float64(skip))
	return peak.Arithmetic(c.kind, threads, 1e9*float64(calls)) / time.Duration(calls), nil
}

func (ceiling) Drop() error { return nil }

// kernelAlone is acumen's tile kernel on operands that stay in a first-level cache, as long sums as products have and as many
// rows a call: what a product could reach if nothing were packed or fetched. A call of it is operations, about. On a machine
// whose cores have other work, too, as a virtual one's may, it stays below the peak, which reads nothing.
type kernelAlone struct{ operations float64 }

func (k kernelAlone) Time(_ peer.Case, threads, skip, calls int) (time.Duration, error) {
	const depth = 256
	l := simd.Active()
	rows, width := 8*l.Rows(l.Panel()), l.Panel()
	work := float64(2 * rows * width * depth)
	tiles := make([]simd.Tile[float32], threads)
	for i := range tiles {
		tiles[i] = simd.Tile[float32]{ // all rows read the same row of a: what they read lies near, however many they are
			A: make([]float32, depth), B: make([]float32, width*depth), C: make([]float32, rows*width), Segs: []simd.Seg{{K: depth}},
			AK: 1, BK: width, CRow: width, Rows: rows, Cols: width, Width: width,
		}
	}
	runs := max(1, int(k.operations/float64(threads)/work))
	run := func(id, n int) float64 {
		for range n {
			tiles[id].Run(l)
		}
		return float64(n) * work
	}
	peak.Together(run, skip*runs, threads)
	return time.Duration(k.operations / peak.Together(run, calls*runs, threads)), nil
}

func (kernelAlone) Drop() error { return nil }

// pace is how visits are made.
type pace struct {
	rounds int
	visit  time.Duration // what a visit's timed calls should take together
	rest   time.Duration // before each visit: threads of the side before wait for work on a processor before they sleep
	budget time.Duration // for one side's visits to one case; the visits may then be fewer than rounds
}

const mostCalls = 2000 // of a visit

// calls is how many calls fill a visit, and how many are made before the clock starts, if one takes d.
func (p pace) calls(d time.Duration) (skip, timed int) {
	if d <= 0 {
		return 1, mostCalls
	}
	if d < 2*p.visit {
		skip = 1 // after the rest, what a processor had in its caches is another's
	}
	return skip, max(1, min(mostCalls, int(p.visit/d)))
}

// timing is what the visits of one side to one case gave.
type timing struct {
	seconds []float64 // of a call, one number a visit
	err     error
}

// compare has all sides do c in turn, A B A B ..., after one call each that only tells how long it takes. A side that fails
// is not asked again. If one call exceeds the budget, it is all that is measured.
func (p pace) compare(c peer.Case, threads int, sides []side) []timing {
	type state struct {
		last  time.Duration
		spent time.Duration
	}
	all, states := make([]timing, len(sides)), make([]state, len(sides))
	ask := func(i, skip, timed int) (time.Duration, bool) {
		time.Sleep(p.rest)
		began := time.Now()
		d, err := sides[i].Time(c, threads, skip, timed)
		states[i].spent += time.Since(began)
		states[i].last = d
		all[i].err = err
		return d, err == nil
	}
	for i := range sides {
		if d, ok := ask(i, 0, 1); ok && d > p.budget {
			all[i].seconds = append(all[i].seconds, d.Seconds())
		}
	}
	for range p.rounds {
		for i := range sides {
			s := &states[i]
			if all[i].err != nil || len(all[i].seconds) > 0 && s.spent+s.last > p.budget {
				continue
			}
			skip, timed := p.calls(s.last)
			if d, ok := ask(i, skip, timed); ok {
				all[i].seconds = append(all[i].seconds, d.Seconds())
			}
		}
	}
	return all
}
