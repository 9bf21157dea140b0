package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/device"
)

func (a *app) devicesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List the devices that can compute, in the order in which auto tries them",
		Args:  arguments(0, 0, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, d := range device.List() {
				what := d.Description
				if d.Reason != "" {
					what = "not usable: " + d.Reason
				}
				fmt.Fprintf(t, "%s\t%s\n", d.Name, what)
			}
			return t.Flush()
		},
	}
}

// deviceLine tells where a run computes, and, where auto came to that, why not on a GPU.
func deviceLine(d device.Device, asked string) string {
	line := fmt.Sprintf("device %s, %s", d.Name(), device.Describe(d))
	if asked != "auto" || strings.HasPrefix(d.Name(), "cuda") {
		return line
	}
	reason := "this program was built without the CUDA back-end"
	for _, i := range device.List() {
		if strings.HasPrefix(i.Name, "cuda") {
			reason = i.Reason
		}
	}
	return line + " (no GPU: " + reason + ")"
}
