package opstest

import (
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/acumen-ml/acumen/device"
)

// Figures are the worst errors that a run of the table saw: relative ones, or roundings in half precision.
type Figures map[Figure]Worst

// Figure says of which op, where and in which type.
type Figure struct {
	Op, Device string
	Type       device.DType
}

// Worst is the worst error of an op's values and of its gradients.
type Worst struct{ Value, Grad float64 }

// note adds what was seen on a device, with its fused kernels or without: that is one device here.
func (f Figures) note(op, dev string, typ device.DType, value, grad float64) {
	dev, _, _ = strings.Cut(dev, " ")
	k := Figure{op, dev, typ}
	f[k] = Worst{math.Max(f[k].Value, value), math.Max(f[k].Grad, grad)}
}

// Add takes the figures of another run in.
func (f Figures) Add(g Figures) { maps.Copy(f, g) }

// Page is the table of docs/ops-errors.md: a line for each row, with the cases of the table and of the golden files, and
// value and gradient on each device in each type.
func (f Figures) Page(devs []string, golden map[string]int) string {
	var b strings.Builder
	types := []device.DType{device.F64, device.F32, device.F16, device.BF16}
	b.WriteString("| Op | Cases | Golden |")
	for _, typ := range types {
		for _, d := range devs {
			fmt.Fprintf(&b, " %s %s |", typ, d)
		}
	}
	b.WriteString("\n|---|--:|--:|" + strings.Repeat("--:|", len(types)*len(devs)) + "\n")
	for _, r := range Table() {
		fmt.Fprintf(&b, "| %s | %d | %d |", r.Op, len(r.Cases), golden[r.Golden])
		for _, typ := range types {
			for _, d := range devs {
				w := f[Figure{r.Op, d, typ}]
				if typ.Size() == 2 {
					fmt.Fprintf(&b, " %.2f, %.2f |", w.Value, w.Grad)
				} else {
					fmt.Fprintf(&b, " %s, %s |", short(w.Value), short(w.Grad))
				}
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// short writes a relative error with two digits.
func short(x float64) string {
	if x == 0 {
		return "0"
	}
	return strings.Replace(fmt.Sprintf("%.1e", x), "e-0", "e-", 1)
}
