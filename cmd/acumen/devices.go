package main

import (
	"fmt"
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
