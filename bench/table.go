package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/bench/peak"
	"github.com/acumen-ml/acumen/bench/peer"
)

// Names of those that are compared.
const (
	acumen   = "acumen"
	tuned    = "PyTorch tuned"
	stock    = "PyTorch stock"
	openBLAS = "OpenBLAS"
	gonum    = "gonum"
	gomlx    = "gomlx"
	thePeak  = "peak" // a ceiling
	alone    = "kernel alone"
)

// table is cases that are compared with the same peers.
type table struct {
	name, title string
	unit        string  // of speeds
	scale       float64 // of one unit
	entries     []entry
	peers       []string
	better      []string // the ratio to the better of these is given, too
	peak        peak.Kind
	kernel      bool // acumen's tile kernel alone is measured, too
}

// result is a row of a table with a number of threads.
type result struct {
	entry
	threads int
	times   map[string]timing
}

// speed is the median speed of a side, 0 if there is none.
func (t *table) speed(r result, name string) float64 {
	s := r.times[name].seconds
	if len(s) == 0 {
		return 0
	}
	return r.work / median(s) / t.scale
}

// best is the highest speed of a visit of a side.
func (t *table) best(r result, name string) float64 {
	if s := r.times[name].seconds; len(s) > 0 {
		return r.work / slices.Min(s) / t.scale
	}
	return 0
}

// kind is the peak that a table's cases are held against; with AVX-512 switched off, AVX2's.
func (t *table) kind(threads int, rates peak.Rates) peak.Kind {
	switch {
	case t.peak == peak.BF16:
		return rates.HalfKind(threads)
	case t.peak != "":
		return t.peak
	case os.Getenv("ACUMEN_SIMD") == "avx2" || rates.Of(peak.FMA256, threads) > rates.Of(peak.FMA512, threads):
		return peak.FMA256
	}
	return peak.FMA512
}

// share is the part of the peak that a side reaches, the median over visits of both that followed each other; 0 if it is not
// known.
func (t *table) share(r result, name string) float64 {
	var top []float64
	for _, s := range r.times[thePeak].seconds {
		top = append(top, s*r.flops/1e9)
	}
	if x := ratio(r.times[name].seconds, top); x > 0 {
		return x
	}
	return 0
}

// part is the part of the highest peak seen that a speed of r is, 0 if that is not known.
func (t *table) part(r result, speed float64, rates peak.Rates) float64 {
	top := rates.Of(t.kind(r.threads, rates), r.threads)
	if r.flops == 0 || top == 0 {
		return 0
	}
	return speed * t.scale * r.flops / r.work / 1e9 / top
}

// ratioTo is our speed by that of the better of some peers; NaN if none was measured.
func (t *table) ratioTo(r result, peers ...string) float64 {
	best := math.NaN()
	for _, p := range peers {
		if x := ratio(r.times[acumen].seconds, r.times[p].seconds); !math.IsNaN(x) && !(best < x) {
			best = x
		}
	}
	return best
}

// number is x with three significant digits, and digits in groups.
func number(x float64) string {
	switch {
	case x == 0 || math.IsNaN(x):
		return "-"
	case x < 9.995:
		return fmt.Sprintf("%.2f", x)
	case x < 99.95:
		return fmt.Sprintf("%.1f", x)
	}
	s := fmt.Sprintf("%.0f", x)
	if len(s) > 3 {
		d := len(s) - 3
		s = s[:d] + "," + s[d:]
	}
	if len(s) > 7 {
		d := len(s) - 7
		s = s[:d] + "," + s[d:]
	}
	return s
}

// cell is a speed, with its share of the peak if that is known, and a star if there were fewer visits than asked for.
func (t *table) cell(r result, name string, rounds int) string {
	speed := t.speed(r, name)
	if speed == 0 {
		return "-"
	}
	s := number(speed)
	if n := len(r.times[name].seconds); n < rounds {
		s += "*"
	}
	return s + bracket(t.share(r, name))
}

// bracket is a share of the peak behind a speed.
func bracket(share float64) string {
	if share > 0 {
		return fmt.Sprintf(" (%.2f)", share)
	}
	return ""
}

// write makes the table in Markdown.
func (t *table) write(w io.Writer, results []result, rates peak.Rates, rounds int) error {
	head := []string{"", "threads", acumen + ", " + t.unit}
	if len(t.peers) == 0 {
		head = append(head, "fastest visit")
	}
	if t.kernel {
		head = append(head, alone)
	}
	for _, p := range t.peers {
		head = append(head, p, "ratio")
	}
	if len(t.better) > 0 {
		head = append(head, "ratio to the better of "+strings.Join(t.better, " and "))
	}
	rows := [][]string{head}
	for _, r := range results {
		row := []string{r.label, fmt.Sprint(r.threads), t.cell(r, acumen, rounds)}
		if len(t.peers) == 0 {
			best := t.best(r, acumen)
			row = append(row, number(best)+bracket(t.part(r, best, rates)))
		}
		if t.kernel {
			row = append(row, t.cell(r, alone, rounds))
		}
		for _, p := range t.peers {
			row = append(row, t.cell(r, p, rounds), number(t.ratioTo(r, p)))
		}
		if len(t.better) > 0 {
			row = append(row, number(t.ratioTo(r, t.better...)))
		}
		rows = append(rows, row)
	}
	if len(t.peers) > 0 && len(results) > 0 {
		rows = append(rows, t.means(results)...)
	}
	if _, err := fmt.Fprintf(w, "\n## %s\n\n", t.title); err != nil {
		return err
	}
	if err := markdown(w, rows); err != nil {
		return err
	}
	return t.notes(w, results)
}

// means are a row of geometric means for each number of threads, with the smallest ratio.
func (t *table) means(results []result) [][]string {
	var rows [][]string
	var threads []int
	for _, r := range results {
		if !slices.Contains(threads, r.threads) {
			threads = append(threads, r.threads)
		}
	}
	columns := [][]string{}
	for _, p := range t.peers {
		columns = append(columns, []string{p})
	}
	if len(t.better) > 0 {
		columns = append(columns, t.better)
	}
	for _, n := range threads {
		row := []string{"geometric mean (smallest)", fmt.Sprint(n), ""}
		if t.kernel {
			row = append(row, "")
		}
		for i, c := range columns {
			var all []float64
			for _, r := range results {
				if x := t.ratioTo(r, c...); r.threads == n && !math.IsNaN(x) {
					all = append(all, x)
				}
			}
			s := "-"
			if len(all) > 0 {
				s = fmt.Sprintf("%s (%s)", number(geomean(all)), number(slices.Min(all)))
			}
			if i < len(t.peers) {
				row = append(row, "")
			}
			row = append(row, s)
		}
		rows = append(rows, row)
	}
	return rows
}

// notes says what could not be measured.
func (t *table) notes(w io.Writer, results []result) error {
	var said []string
	for _, r := range results {
		for _, name := range append([]string{acumen}, t.peers...) {
			if err := r.times[name].err; err != nil {
				line := fmt.Sprintf("%s: %v", r.label, err)
				var lacks *peer.LacksError
				if errors.As(err, &lacks) {
					line = lacks.Error()
				}
				if !slices.Contains(said, line) {
					said = append(said, line)
				}
			}
		}
	}
	for _, s := range said {
		if _, err := fmt.Fprintf(w, "\n%s\n", s); err != nil {
			return err
		}
	}
	return nil
}

// markdown writes rows, the first of which is the head, with columns of equal width; all but the first are set right.
func markdown(w io.Writer, rows [][]string) error {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, s := range row {
			width[i] = max(width[i], len([]rune(s)), 3)
		}
	}
	var b strings.Builder
	for k, row := range rows {
		for i, s := range row {
			if i == 0 {
				fmt.Fprintf(&b, "| %-*s ", width[i], s)
			} else {
				fmt.Fprintf(&b, "| %*s ", width[i], s)
			}
		}
		b.WriteString("|\n")
		if k > 0 {
			continue
		}
		for i, n := range width {
			if i == 0 {
				b.WriteString("|" + strings.Repeat("-", n+2))
			} else {
				b.WriteString("|" + strings.Repeat("-", n+1) + ":")
			}
		}
		b.WriteString("|\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
