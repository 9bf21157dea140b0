package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
)

// verifyTolerance is how far a layer may lie from the reference, relative to its largest number, in each precision:
// sums taken in another order differ by a few roundings a layer, which depth and batch norm multiply.
var verifyTolerance = map[string]float64{
	"f64":  1e-9,
	"f32":  1e-4, // resnet20: 3e-6 measured
	"tf32": 3e-2, // factors rounded to 11 bits
	"f16":  3e-2, // numbers rounded to 11 bits in every layer
	"bf16": 2e-1, // to 8 bits
}

func (a *app) verifyCommand() *cobra.Command {
	var tolerance float64
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify [CONFIG]",
		Short: "Compare a device with the CPU, layer by layer",
		Long: `verify runs forward and backward of a configuration's first batch on the CPU and on a device, from the same weights,
and compares every layer's output, its gradient and the gradients of all weights. It tells the worst relative error of
each layer, names the first that lies beyond the tolerance, and then ends with status 1. The CPU itself is compared with
its own kernels composed from the small set that every device has.`,
		Args: arguments(0, 1, "at most one configuration is expected"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			sets, err := settings(c)
			if err != nil {
				return err
			}
			cfg, err := resolve(strings.Join(args, ""), sets)
			if err != nil {
				return err
			}
			j, err := prepare(cfg)
			if err != nil {
				return err
			}
			defer j.close(&err)
			if tolerance == 0 {
				tolerance = verifyTolerance[cfg.Precision]
			}
			return a.verify(j, tolerance, asJSON)
		},
	}
	c.Flags().Float64Var(&tolerance, "tolerance", 0, "`X`: the largest relative error that passes; 0: as the precision needs it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addSettings(c, "device", "threads", "seed", "data-dir")
	return c
}

// verified is what verify found of one layer or parameter.
type verified struct {
	Name           string   `json:"name"`
	Shape          []int    `json:"shape"`
	Output         *float64 `json:"output,omitempty"` // relative errors
	Gradient       *float64 `json:"gradient,omitempty"`
	WeightGradient *float64 `json:"weight_gradient,omitempty"`
}

func (a *app) verify(j *job, tolerance float64, asJSON bool) error {
	ref, err := device.Open("cpu", device.Options{Threads: j.cfg.Threads})
	if err != nil {
		return err
	}
	defer ref.Close()
	against := "the CPU"
	if j.dev.Name() == "cpu" {
		ref, against = device.Unfused(ref), "its composed kernels"
	}
	all, err := trainer.Compare(ref, j.dev, j.net, j.train, j.options)
	if err != nil {
		return err
	}
	rows, worst := gather(all)
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		if err := e.Encode(rows); err != nil {
			return err
		}
	} else if err := writeVerified(a.out, rows); err != nil {
		return err
	}
	for _, d := range all {
		if !(d.Error <= tolerance) {
			return fault.Failuref("rule out the hardware by running it again; then report it with the table and the output of `acumen devices`",
				"%s of %s: relative error %.2g on %s, over %.2g: the first in the order of computing", d.Kind, d.Name, d.Error, j.dev.Name(), tolerance)
		}
	}
	if !asJSON {
		fmt.Fprintf(a.out, "%s on %s agrees with %s: worst relative error %.2g, %.2g is allowed\n", j.net.Name, j.dev.Name(), against, worst, tolerance)
	}
	return nil
}

// gather puts what belongs to one layer or parameter in one row, in the order of forward.
func gather(all []trainer.Deviation) (rows []*verified, worst float64) {
	at := map[string]*verified{}
	for _, d := range all {
		r := at[d.Name]
		if r == nil {
			r = &verified{Name: d.Name, Shape: d.Shape}
			at[d.Name] = r
			rows = append(rows, r)
		}
		e := min(d.Error, math.MaxFloat64) // JSON has no infinity
		worst = max(worst, d.Error)
		switch d.Kind {
		case trainer.Output:
			r.Output = &e
		case trainer.OutputGrad:
			r.Gradient = &e
		case trainer.ParameterGrad:
			r.WeightGradient = &e
		}
	}
	return rows, worst
}

func writeVerified(w io.Writer, rows []*verified) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	show := func(e *float64) string {
		if e == nil {
			return ""
		}
		return fmt.Sprintf("%.2g", *e)
	}
	fmt.Fprintln(t, "layer or parameter\tshape\toutput\tgradient\tweight gradient\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", r.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Shape), " ", "x"), "[]"), show(r.Output), show(r.Gradient), show(r.WeightGradient))
	}
	return t.Flush()
}
