package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
)

// write prints the plan for people.
func (p *plan) write(w io.Writer) error {
	fmt.Fprintf(w, "%s in %s on %s (%s): %d parameters\n", p.Model, p.Precision, p.GPU, p.Device, p.Parameters)
	auto := ""
	if p.auto {
		auto = " (auto)"
	}
	fmt.Fprintf(w, "%s%s, evaluation of %d; data set %s, %s pictures\n\n", cut(p.Batch, p.MicroBatches), auto, p.EvalBatch, p.name, strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Data), " ", " + "), "[]"))
	for _, m := range append(slices.Clone(p.Memory), trainer.MemoryUse{What: "in all", Bytes: p.Bytes}) {
		fmt.Fprintf(w, "%14d  %10s  %s\n", m.Bytes, device.Size(m.Bytes), m.What)
	}
	fmt.Fprintf(w, "%s\n\n", p.verdict())
	width := 0
	for _, r := range p.Kernels {
		width = max(width, len(r.Kernel))
	}
	fmt.Fprintf(w, "%-*s  %5s  %9s  %9s  %10s  %12s  %6s  %s\n", width, "a step", "calls", "MB", "GFLOP", "bound, us", "expected, us", "share", "bound by")
	for _, r := range append(slices.Clone(p.Kernels), p.Total) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-*s  %5d  %9.2f  %9.2f  %10.1f  %12.1f  %6s  %s", width, r.Kernel, r.Calls, r.Bytes/1e6, r.Flops/1e9, r.Bound.Seconds()*1e6, r.Expected.Seconds()*1e6,
			fmt.Sprintf("%.1f %%", 100*r.Expected.Seconds()/p.Total.Expected.Seconds()), r.By), " "))
	}
	_, err := fmt.Fprintf(w, "about %.0f pictures a second, at most %.0f; guesses until they are measured\n", float64(p.Batch)/p.Total.Expected.Seconds(), float64(p.Batch)/p.Total.Bound.Seconds())
	return err
}

// verdict tells whether that fits, and what would.
func (p *plan) verdict() string {
	into := fmt.Sprintf("into the %s that may be used of %s", device.Size(p.Usable), device.Size(p.Available))
	s := "it does not fit " + into
	switch f := p.Fitting; {
	case p.Fits:
		s = "it fits " + into
	case f == nil:
		s += ", and neither does one picture at a time"
	default:
		var set []string
		if f.MicroBatches != p.MicroBatches {
			s += fmt.Sprintf("; %s do", cut(p.Batch, f.MicroBatches))
			set = append(set, fmt.Sprintf("trainer.micro_batches: %d", f.MicroBatches))
		}
		if f.EvalBatch != p.EvalBatch {
			set = append(set, fmt.Sprintf("trainer.eval_batch: %d", f.EvalBatch))
		}
		s += fmt.Sprintf(": set %s, or trainer.batch: auto", strings.Join(set, " and "))
	}
	return s + fmt.Sprintf("\nthe largest batch that fits in one piece is about %d", p.LargestBatch)
}

// cut tells how a batch is cut.
func cut(batch, micro int) string {
	if micro == 1 {
		return fmt.Sprintf("batches of %d in one piece", batch)
	}
	return fmt.Sprintf("batches of %d in %d micro-batches of %d", batch, micro, batch/micro)
}
