// Command golden checks acumen against files of literal cases in the format acumen-golden-v1. It prints a line for each
// tensor that does not agree, and how many cases passed; the exit status is 1 if any failed, 2 if a file cannot be read.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/ops/opstest"
)

func main() { os.Exit(run()) }

func run() int {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: golden [-device cpu] [-type f64] [-v] FILE...")
		flag.PrintDefaults()
	}
	name := flag.String("device", "cpu", "device to check")
	typ := flag.String("type", "f64", "type of the numbers: f64 or f32")
	verbose := flag.Bool("v", false, "count the cases of each op")
	flag.Parse()
	types := map[string]device.DType{"f64": device.F64, "f32": device.F32}
	t, ok := types[*typ]
	if !ok || flag.NArg() == 0 {
		flag.Usage()
		return 2
	}
	dev, err := device.Open(*name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		return 2
	}
	defer dev.Close()
	passed, failed, byOp := 0, 0, map[string]int{}
	for _, path := range flag.Args() {
		cases, err := opstest.ReadGolden(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "golden:", err)
			return 2
		}
		for i := range cases {
			byOp[cases[i].Op]++
			bad := opstest.RunGolden(dev, t, &cases[i])
			for _, m := range bad {
				fmt.Println(m)
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
			fmt.Printf("%6d %s\n", byOp[op], op)
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}
