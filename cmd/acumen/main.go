// Command acumen trains neural networks and uses them. See `acumen --help`, and docs/errors.md for its exit statuses.
package main

import (
	"os"

	_ "go4.org/unsafe/assume-no-moving-gc" // lets gorgonia.org/tensor start on this version of Go

	_ "github.com/acumen-ml/acumen/device/all"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
