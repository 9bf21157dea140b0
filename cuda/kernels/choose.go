package kernels

import (
	"strconv"
	"strings"
)

// integrated are the compute capabilities of processors with a GPU in them (Orin, Thor), which machine code for cards is
// not made for although the major number is the same; they load what was compiled for exactly them, or PTX.
var integrated = map[int]bool{72: true, 87: true, 88: true, 101: true, 110: true}

// Choose picks the best of several architectures for a GPU of compute capability major.minor; false if none serves.
// Machine code runs on GPUs of the same major and no smaller minor number: the highest such minor is the best one, and
// sm_90a, with the instructions that 9.0 alone has, is better than sm_90. PTX runs on all later GPUs, once translated.
func Choose(archs []string, major, minor int) (string, bool) {
	capability := 10*major + minor
	best, rank := "", 0
	for _, arch := range archs {
		number, special, ok := parse(arch)
		var r int // PTX below machine code
		switch {
		case !ok || number > capability:
			continue
		case isPTX(arch):
			if special && number != capability {
				continue
			}
			r = number
		case special || integrated[capability] || integrated[number]:
			if number != capability {
				continue
			}
			r = 10000 + 2*number
		default:
			if number/10 != major {
				continue
			}
			r = 10000 + 2*number
		}
		if special {
			r++
		}
		if r > rank {
			best, rank = arch, r
		}
	}
	return best, rank > 0
}

// parse takes sm_90a apart: 90, and whether it has instructions of that one architecture.
func parse(arch string) (number int, special, ok bool) {
	_, digits, ok := strings.Cut(arch, "_")
	if !ok {
		return 0, false, false
	}
	digits, special = strings.CutSuffix(digits, "a")
	number, err := strconv.Atoi(digits)
	return number, special, err == nil && number > 0
}

func isPTX(arch string) bool { return strings.HasPrefix(arch, "compute_") }
