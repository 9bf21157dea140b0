// Command golden checks acumen against files of literal cases in the format acumen-golden-v1. It prints a line for each
// tensor that does not agree, and how many cases passed; the exit status is 1 if any failed, 2 if a file cannot be read.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/ops/opstest"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("golden", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: golden [-device cpu] [-type f64] [-v] FILE...")
		flags.PrintDefaults()
	}
	name := flags.String("device", "cpu", "device to check")
	typ := flags.String("type", "f64", "type of the numbers: f64 or f32")
	verbose := flags.Bool("v", false, "count the cases of each op")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	types := map[string]device.DType{"f64": device.F64, "f32": device.F32}
	t, ok := types[*typ]
	if !ok || flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	dev, err := device.Open(*name)
	if err != nil {
		fmt.Fprintln(stderr, "golden:", err)
		return 2
	}
	defer dev.Close()
	passed, failed, byOp := 0, 0, map[string]int{}
	for _, path := range flags.Args() {
		cases, err := opstest.ReadGolden(path)
		if err != nil {
			fmt.Fprintln(stderr, "golden:", err)
			return 2
		}
		for i := range cases {
			byOp[cases[i].Op]++
			bad := opstest.RunGolden(dev, t, &cases[i])
			for _, m := range bad {
				fmt.Fprintln(stdout, m)
			}
			if len(bad) > 0 {
				failed++
			} else {
				passed++
			}
		}
	}
	if *verbose {
		for _, op := range slices.Sorted(maps.Keys(byOp)) {
			fmt.Fprintf(stdout, "%6d %s\n", byOp[op], op)
		}
	}
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}
