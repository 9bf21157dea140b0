package main

import (
	"context"
	"fmt"
	"time"

	"github.com/acumen-ml/acumen/bench/peak"
)

const (
	quietTable = "matmul-quiet"
	quietTitle = "Matrix products in quiet moments, f32"

	quietShare = 0.95  // of the peak: what the kernel alone reaches at least in a quiet moment
	quietFew   = 20    // quiet moments of which a median says something
	quietProbe = 4e7   // operations of a thread before a product and after it: half a millisecond or less, not on the clock as much again
	quietWork  = 1.5e8 // operations of a thread in a moment, about, or one product
)

// moment is a product, or some if they are small, and the kernel alone before and after it, in GFLOP/s. slots is the rate of
// multiply-adds beside no-ops, 0 if that is not measured: what is less than the peak there is lost to another's instructions.
type moment struct{ slots, before, product, after float64 }

// quietOf is the products of moments in which the kernel alone was at most 5 % below the peak, before and after. What else
// the host's processors do comes and goes within tenths of a second; an arithmetic loop that reads nothing hardly notices.
func quietOf(all []moment, top float64) []float64 {
	var products []float64
	for _, m := range all {
		if min(m.before, m.after) >= quietShare*top {
			products = append(products, m.product)
		}
	}
	return products
}

// quietMoments tells what matrix products lose by themselves from what other work on the host takes from them.
func (b *bench) quietMoments(ctx context.Context) error {
	rows := [][]string{{"", "threads", "moments", "FMA and no-ops, of the peak", "kernel alone, of the peak", "product, of the peak", "quiet moments", "product, of the peak, in these"}}
	for _, e := range matmulEntries() {
		for _, n := range b.o.threads {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			kind := (&table{}).kind(n, b.rates)
			if b.rates.Of(kind, n) == 0 {
				fmt.Fprintf(b, "\n## %s\n\nThere is no assembly for this processor: not measured.\n", quietTitle)
				return nil
			}
			b.say("%s: %s, %s", quietTable, e.label, plural(n, "thread"))
			all, top, err := b.moments(e, n, kind)
			if err != nil {
				b.failed = append(b.failed, fmt.Sprintf("%s, %s: %v", quietTable, e.label, err))
				continue
			}
			rows = append(rows, append([]string{e.label, fmt.Sprint(n)}, momentCells(all, top)...))
		}
		if err := b.ours.Drop(); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "\n## %s\n\nQuiet: the kernel alone reaches %.2f of the peak right before a product and right after it.\n\n", quietTitle, quietShare)
	if err := markdown(b, rows); err != nil {
		return err
	}
	return b.save()
}

// momentCells are a row's medians.
func momentCells(all []moment, top float64) []string {
	var slots, probes, products []float64
	for _, m := range all {
		slots, probes, products = append(slots, m.slots), append(probes, m.before, m.after), append(products, m.product)
	}
	quiet, cell, beside := quietOf(all, top), "-", "-"
	if x := median(slots); x > 0 {
		beside = fmt.Sprintf("%.2f", x/top)
	}
	if len(quiet) >= quietFew {
		cell = fmt.Sprintf("%.2f", median(quiet)/top)
	}
	return []string{fmt.Sprint(len(all)), beside, fmt.Sprintf("%.2f", median(probes)/top), fmt.Sprintf("%.2f", median(products)/top), fmt.Sprint(len(quiet)), cell}
}

// moments takes one after the other until the time is over, and gives the median of the peak, measured in turn with them.
func (b *bench) moments(e entry, threads int, kind peak.Kind) (all []moment, top float64, err error) {
	warm, budget := 4*time.Millisecond, b.pace.budget/3
	if b.o.quick {
		budget = b.pace.budget / 2
	}
	kernel := kernelAlone{quietProbe * float64(threads)}
	alone := func() float64 {
		d, _ := kernel.Time(e.c, threads, 1, 1)
		return kernel.operations / float64(d)
	}
	calls := max(1, int(quietWork*float64(threads)/e.flops))
	var peaks []float64
	d, err := b.ours.Time(e.c, threads, 1, 1)
	for end := time.Now().Add(budget); err == nil && (len(all) == 0 || time.Now().Before(end)); {
		peaks = append(peaks, kernel.operations/float64(peak.Arithmetic(kind, threads, kernel.operations)))
		var m moment
		if kind == peak.FMA256 {
			m.slots = kernel.operations / float64(peak.Arithmetic(peak.Slots, threads, kernel.operations))
		}
		m.before = alone()
		// Threads that the probe woke come between; the product's own must be awake again.
		if d, err = b.ours.Time(e.c, threads, 1+int(warm/max(d, 1)), calls); err != nil {
			break
		}
		m.product, m.after = e.flops/float64(d), alone()
		all = append(all, m)
	}
	if err != nil {
		return nil, 0, err
	}
	return all, median(peaks), nil
}
