package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/bench/subject"
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// firstStepCommand is the process that bench times from outside: what a program that trains does from its start on.
func firstStepCommand(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:    "first-step NET BATCH THREADS STEPS",
		Short:  `Say "first" after the first step, and after STEPS the peak of resident bytes`,
		Hidden: true,
		Args:   cobra.ExactArgs(4),
		RunE: func(_ *cobra.Command, args []string) error {
			var n [3]int
			for i := range n {
				var err error
				if n[i], err = strconv.Atoi(args[i+1]); err != nil || n[i] < 1 {
					return fault.Usagef("write numbers of 1 or more", "%q is no number", args[i+1])
				}
			}
			return firstStep(out, peer.Case{Net: args[0], Batch: n[0]}, n[1], n[2])
		},
	}
}

func firstStep(out io.Writer, c peer.Case, threads, steps int) (err error) {
	d, err := device.Open("cpu", device.Options{Threads: threads})
	if err != nil {
		return err
	}
	e, err := subject.NewEngine(d, c, 1, false)
	if err != nil {
		return err
	}
	for i := range steps {
		if err := e.TrainStep(); err != nil {
			return err
		}
		if err := d.Sync(); err != nil {
			return err
		}
		if i == 0 {
			fmt.Fprintln(out, "first")
		}
	}
	peak, err := peakResident()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, peak)
	return e.Close()
}

// peakResident is the most memory, in bytes, that this process has had at a time, as Linux counts it.
func peakResident() (int, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kib, err := strconv.Atoi(f[1])
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status does not tell VmHWM")
}
