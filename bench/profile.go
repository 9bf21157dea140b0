package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/bench/subject"
	"github.com/acumen-ml/acumen/device"
)

// part is what a step spends on calls of one kernel with views of the same shapes.
type part struct {
	what  string
	calls int
	times []float64 // seconds of all its calls, a number for each step
	bytes float64   // of a step
	flops float64
}

// bound is the least time for a step's calls in seconds, and what sets it.
func (p *part) bound(flops, bandwidth float64) (float64, string) {
	compute, memory := p.flops/flops/1e9, p.bytes/bandwidth/1e9
	if compute >= memory {
		return compute, "arithmetic"
	}
	return memory, "memory"
}

// stepProfile takes one step of cifar94 apart: of each kernel with each shape the time, and how near it is to the bound
// that it is up against.
func (b *bench) stepProfile() error {
	batch := 256
	if b.o.quick {
		batch = 64
	}
	for _, n := range b.o.threads {
		b.say("step-profile: %s", plural(n, "thread"))
		parts, step, err := profile(peer.Case{Kind: "step", Net: "cifar94", Batch: batch}, n, b.o.rounds)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "\n## One step of cifar94, batch %d, %s\n\n", batch, plural(n, "thread"))
		if err := markdown(b, profileRows(parts, b.rates.F32(n), b.rates.Bandwidth(n))); err != nil {
			return err
		}
		fmt.Fprintf(b, "\n%s\n", topThree(parts, step, b.rates.F32(n), b.rates.Bandwidth(n)))
		if err := b.save(); err != nil {
			return err
		}
	}
	return nil
}

// profile runs steps call by call. step is the median time of one.
func profile(c peer.Case, threads, steps int) (parts []*part, step float64, err error) {
	d, err := device.Open("cpu", device.Options{Threads: threads})
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if cerr := d.Close(); err == nil {
			err = cerr
		}
	}()
	e, err := subject.NewEngine(d, c, 8, true)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	if err := e.TrainStep(); err != nil { // begins the epoch, too
		return nil, 0, err
	}
	seen := map[string]*part{}
	var all []float64
	for k := range steps {
		var began time.Time
		var total float64
		undo := device.Hook(d, func(c device.Call) error {
			if c.Phase == device.Before {
				began = time.Now()
				return nil
			}
			took := time.Since(began).Seconds()
			what := describe(c)
			p := seen[what]
			if p == nil {
				p = &part{what: what, times: make([]float64, steps)}
				seen[what] = p
				parts = append(parts, p)
			}
			p.times[k] += took
			if k == 0 {
				p.calls++
				p.bytes += device.Traffic(c)
				p.flops += c.Flops
			}
			total += took
			return nil
		})
		err := e.TrainStep()
		if err == nil {
			err = d.Sync()
		}
		undo()
		if err != nil {
			return nil, 0, err
		}
		all = append(all, total)
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(median(b.times), median(a.times)) })
	return parts, median(all), nil
}

// describe is the kernel and the shapes that tell its calls apart: what it writes first, and the largest that it reads.
func describe(c device.Call) string {
	s := c.Kernel
	if len(c.Writes) > 0 {
		s += " " + shape(c.Writes[0])
	}
	if len(c.Reads) > 0 {
		s += " from " + shape(slices.MaxFunc(c.Reads, func(a, b device.View) int { return cmp.Compare(a.Len(), b.Len()) }))
	}
	return s
}

func shape(v device.View) string {
	if v.Rank == 0 {
		return "scalar"
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(v.Shape()), "[]"), " ", "x")
}

// leastShare of a step's time has a row of its own.
const leastShare = 0.002

func profileRows(parts []*part, flops, bandwidth float64) [][]string {
	rows := [][]string{{"kernel", "calls", "ms", "of the step", "GFLOP/s", "GB/s", "bound, ms", "by", "of the bound"}}
	row := func(p *part, total float64) []string {
		t := median(p.times)
		bound, by := p.bound(flops, bandwidth)
		return []string{p.what, fmt.Sprint(p.calls), fmt.Sprintf("%.3f", 1e3*t), fmt.Sprintf("%.1f %%", 100*t/total), number(p.flops / t / 1e9), number(p.bytes / t / 1e9), fmt.Sprintf("%.3f", 1e3*bound), by, fmt.Sprintf("%.2f", bound/t)}
	}
	total, bound := 0.0, 0.0
	for _, p := range parts {
		x, _ := p.bound(flops, bandwidth)
		total += median(p.times)
		bound += x
	}
	rest := &part{what: "all others", times: []float64{0}}
	for _, p := range parts {
		if median(p.times) >= leastShare*total {
			rows = append(rows, row(p, total))
			continue
		}
		rest.calls += p.calls
		rest.times[0] += median(p.times)
		rest.bytes += p.bytes
		rest.flops += p.flops
	}
	if rest.calls > 0 {
		rows = append(rows, row(rest, total))
	}
	return append(rows, []string{"all", "", fmt.Sprintf("%.3f", 1e3*total), "", "", "", fmt.Sprintf("%.3f", 1e3*bound), "", fmt.Sprintf("%.2f", bound/total)})
}

// topThree says what the three parts that lie farthest from their bounds would still give.
func topThree(parts []*part, step, flops, bandwidth float64) string {
	type gain struct {
		what    string
		seconds float64
	}
	var gains []gain
	for _, p := range parts {
		x, _ := p.bound(flops, bandwidth)
		gains = append(gains, gain{p.what, median(p.times) - x})
	}
	slices.SortStableFunc(gains, func(a, b gain) int { return cmp.Compare(b.seconds, a.seconds) })
	var said []string
	sum := 0.0
	for _, g := range gains[:min(3, len(gains))] {
		said = append(said, fmt.Sprintf("%s %.1f ms", g.what, 1e3*g.seconds))
		sum += g.seconds
	}
	return fmt.Sprintf("At their bounds the first three would save %s: %.1f of %.1f ms, a step %.2f times as fast.", strings.Join(said, ", "), 1e3*sum, 1e3*step, step/(step-sum))
}
