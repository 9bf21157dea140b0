// Package bundle is what one takes to a GPU: stages, each in a process of its own, that tell whether the CUDA back-end is
// right there and how fast it is. `make gpu-bundle` links it with the tests of package cuda into one program,
// acumen-gpu-bundle, which needs neither Go nor a network; `make gpu-bundle-dry` runs it on the stand-in driver.
//
// Each stage has a time limit. What it gave is a line of results.jsonl, written to the disk as soon as it ends; a stage
// that fails, crashes or hangs stops none of those after it but those that need it. summary.md is made of the lines,
// log.txt is all that the stages printed.
package bundle
