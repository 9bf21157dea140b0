package opstest

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Named is a device under the name that tests give it: "cuda:0 unfused", for example.
type Named struct {
	Name   string
	Device device.Device
}

// Open opens a device twice, as it is and without its fused kernels, until the test's end.
func Open(t *testing.T, name string) (both []Named) {
	for _, as := range []string{name, name + " unfused"} {
		d, err := device.Open(name)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, d.Close()) })
		if as != name {
			d = device.Unfused(d)
		}
		both = append(both, Named{as, d})
	}
	return both
}

// RunTable runs every case of every row on every device and gives the worst errors, which it prints with -v.
func RunTable(t *testing.T, devs []Named) Figures {
	figures := Figures{}
	for _, r := range Table() {
		t.Run(r.Op, func(t *testing.T) {
			for _, d := range devs {
				var worst Errors
				for _, c := range r.Cases {
					e, err := Check(d.Device, r, c)
					assert.NoError(t, err)
					worst.Value64, worst.Value32 = max(worst.Value64, e.Value64), max(worst.Value32, e.Value32)
					worst.Grad64, worst.Grad32 = max(worst.Grad64, e.Grad64), max(worst.Grad32, e.Grad32)
				}
				figures.note(r.Op, d.Name, device.F64, worst.Value64, worst.Grad64)
				figures.note(r.Op, d.Name, device.F32, worst.Value32, worst.Grad32)
				t.Logf("%-14s %2d cases: value f64 %.1e f32 %.1e, gradient f64 %.1e f32 %.1e", d.Name, len(r.Cases), worst.Value64, worst.Value32, worst.Grad64, worst.Grad32)
			}
		})
	}
	return figures
}

// RunTableInHalfPrecision runs every case in f16 and bf16. Sums, statistics and losses must be f32 inside: what is left
// is the rounding of results. A value is rounded once; a gradient feels the roundings of y, dy and itself, and the
// steepness of a function at a rounded y: 4 where 2.5 was measured. It gives the worst errors in roundings.
func RunTableInHalfPrecision(t *testing.T, devs []Named) Figures {
	figures := Figures{}
	for _, r := range Table() {
		t.Run(r.Op, func(t *testing.T) {
			for _, typ := range []device.DType{device.F16, device.BF16} {
				for _, d := range devs {
					var value, grad float64
					for _, c := range r.Cases {
						v, g, err := CheckHalf(d.Device, typ, r, c, 1, 4)
						assert.NoError(t, err)
						value, grad = max(value, v), max(grad, g)
					}
					figures.note(r.Op, d.Name, typ, value, grad)
					t.Logf("%-14s %-4s %2d cases: value %.2f roundings, gradient %.2f", d.Name, typ, len(r.Cases), value, grad)
				}
			}
		})
	}
	return figures
}

// GoldenFiles reads all golden cases in a folder and counts them by op.
func GoldenFiles(t *testing.T, files fs.FS) (byOp map[string]int, cases []GoldenCase) {
	paths, err := fs.Glob(files, "*.json")
	require.NoError(t, err)
	byOp = map[string]int{}
	for _, p := range paths {
		b, err := fs.ReadFile(files, p)
		require.NoError(t, err)
		if !strings.Contains(string(b[:min(len(b), 200)]), GoldenFormat) {
			continue // whole networks have a format of their own
		}
		cs, err := ParseGolden(b)
		require.NoError(t, err, p)
		for _, c := range cs {
			byOp[c.Op]++
		}
		cases = append(cases, cs...)
	}
	return byOp, cases
}

// RunGoldenFiles runs all golden cases in a folder on every device.
func RunGoldenFiles(t *testing.T, devs []Named, files fs.FS) {
	byOp, cases := GoldenFiles(t, files)
	require.GreaterOrEqual(t, len(cases), 120)
	for _, d := range devs {
		for i := range cases {
			for _, m := range RunGolden(d.Device, device.F64, &cases[i]) {
				t.Errorf("%s: %s", d.Name, m)
			}
		}
	}
	var lines []string
	for op, n := range byOp {
		lines = append(lines, fmt.Sprintf("%s %d", op, n))
	}
	slices.Sort(lines)
	t.Logf("%d cases: %s", len(cases), strings.Join(lines, ", "))
}
