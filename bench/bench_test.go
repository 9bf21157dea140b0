package main

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/acumen-ml/acumen/bench/peak"
	"github.com/acumen-ml/acumen/bench/subject"
)

// peaks are measured once, when a benchmark first runs.
var peaks = sync.OnceValue(func() peak.Rates { return peak.Measure(benchThreads(), 15) })

func benchThreads() []int {
	if runtime.GOMAXPROCS(0) > 1 {
		return []int{1, 2}
	}
	return []int{1}
}

// benchmark runs the entries of the quick tables as Go benchmarks, with their speed in the table's unit, and the share of
// the machine's peak where their operations are known.
func benchmark(b *testing.B, name string) {
	s := subject.New("cpu")
	defer s.Drop()
	for _, t := range tables(options{quick: true}) {
		if t.name != name {
			continue
		}
		for _, e := range t.entries {
			for _, n := range benchThreads() {
				b.Run(fmt.Sprintf("%s/threads=%d", e.label, n), func(b *testing.B) {
					if err := s.Prepare(e.c, n); err != nil {
						b.Fatal(err)
					}
					if err := s.Run(1); err != nil {
						b.Fatal(err)
					}
					rates := peaks()
					b.ReportAllocs()
					b.ResetTimer()
					if err := s.Run(b.N); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					second := b.Elapsed().Seconds() / float64(b.N)
					b.ReportMetric(e.work/second/t.scale, strings.ReplaceAll(t.unit, " ", ""))
					r := result{e, n, nil}
					if share := t.part(r, e.work/second/t.scale, rates); share > 0 {
						b.ReportMetric(100*share, "%peak")
					}
				})
			}
		}
	}
}

func BenchmarkMatMul(b *testing.B)    { benchmark(b, "matmul") }
func BenchmarkLinear(b *testing.B)    { benchmark(b, "linear") }
func BenchmarkConv2D(b *testing.B)    { benchmark(b, "conv2d") }
func BenchmarkPass(b *testing.B)      { benchmark(b, "passes") }
func BenchmarkStep(b *testing.B)      { benchmark(b, "steps") }
func BenchmarkInference(b *testing.B) { benchmark(b, "infer") }
