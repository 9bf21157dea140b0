package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/acumen-ml/acumen/bench/peak"
)

// floor is a number that acumen is to reach, and what it reached.
type floor struct {
	what       string
	threads    int // 0: as many as a program takes by itself
	want, have float64
}

func (f floor) met() bool { return f.have >= f.want }

// zen5 is the kind of machine on which some floors are higher or hold at all.
const zen5 = "AMD EPYC, Zen 5"

// floors are those of a table, of what was measured of it. kind is the machine's, rates its peaks.
func (t *table) floors(results []result, kind string, rates peak.Rates) []floor {
	var all []floor
	// add puts what f finds in the results with so many threads against want; NaN: nothing was measured.
	add := func(what string, threads int, want, have float64) {
		if !math.IsNaN(have) && !math.IsNaN(want) {
			all = append(all, floor{what, threads, want, have})
		}
	}
	var threads []int
	by := map[int][]result{}
	for _, r := range results {
		if by[r.threads] == nil {
			threads = append(threads, r.threads)
		}
		by[r.threads] = append(by[r.threads], r)
	}
	for _, n := range threads {
		rs := by[n]
		// of takes f of the rows that a word begins.
		of := func(prefix string, f func(result) float64) []float64 {
			var x []float64
			for _, r := range rs {
				if v := f(r); strings.HasPrefix(r.label, prefix) && !math.IsNaN(v) && v > 0 {
					x = append(x, v)
				}
			}
			return x
		}
		share := func(name string) func(result) float64 {
			return func(r result) float64 { return t.share(r, name) }
		}
		to := func(peers ...string) func(result) float64 {
			return func(r result) float64 { return t.ratioTo(r, peers...) }
		}
		switch t.name {
		case "matmul":
			want := 0.92
			if n > 1 {
				want = 0.88
			}
			from512 := least(of("", func(r result) float64 {
				if r.c.M < 512 {
					return math.NaN()
				}
				return share(acumen)(r)
			}))
			add("matrix products from 512 up, least share of the peak", n, want, from512)
			if t.kind(n, rates) == peak.FMA256 {
				add("the same, as asked of AVX2", n, 0.85, from512)
			}
			add("matrix products, mean ratio to the better of MKL and OpenBLAS", n, 0.97, geomean(of("", to(t.better...))))
			add("matrix products, least ratio to the better", n, 0.9, least(of("", to(t.better...))))
		case "conv2d":
			add("convolutions, least ratio to tuned", n, 1, least(of("", to(tuned))))
			// PyTorch may leave less room than that below the peak.
			add("convolutions, mean ratio to tuned, or 0.95 of the peak", n, min(1.15, 0.95/geomean(of("", share(tuned)))), geomean(of("", to(tuned))))
		case "steps":
			add("step of cifar94, least share of the ceiling", n, 0.83, least(of("cifar94", share(acumen))))
			for _, w := range []struct {
				net  string
				want float64
			}{{"cifar94", 1}, {"resnet18", 1.05}, {"resnet20", 1.3}, {"lenet5-wide", 1.5}, {"mlp", 1}} {
				add("step of "+w.net+", least ratio to tuned", n, w.want, least(of(w.net, to(tuned))))
			}
			if kind == zen5 {
				add("step of cifar94, 1024, ratio to stock", n, 1.6, least(of("cifar94, 1024", to(stock))))
				add("step of lenet5-wide, ratio to stock", n, 2, least(of("lenet5-wide", to(stock))))
				add("step of mlp, ratio to stock", n, 2, least(of("mlp", to(stock))))
			}
		case "bf16":
			add("bf16 step of cifar94, least ratio to tuned", n, 1, least(of("cifar94", to(tuned))))
		case "gomlx":
			add("gomlx, least ratio", n, 200, least(of("", to(gomlx))))
		case "infer":
			add("inference, least ratio to tuned", n, 1.1, least(of("", to(tuned))))
		}
	}
	return all
}

// least is the smallest of x, NaN of none.
func least(x []float64) float64 {
	m := math.NaN()
	for _, v := range x {
		if !(m <= v) {
			m = v
		}
	}
	return m
}

func writeFloors(w io.Writer, all []floor) error {
	rows := [][]string{{"", "threads", "wanted", "measured", ""}}
	for _, f := range all {
		verdict, threads := "**missed**", fmt.Sprint(f.threads)
		if f.met() {
			verdict = "met"
		}
		if f.threads == 0 {
			threads = "-"
		}
		rows = append(rows, []string{f.what, threads, number(f.want), number(f.have), verdict})
	}
	if _, err := fmt.Fprint(w, "\n## Floors\n\n"); err != nil {
		return err
	}
	return markdown(w, rows)
}
