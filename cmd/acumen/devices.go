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
		Use:   "devices [DEVICE]",
		Short: "List the devices that can compute, in the order in which auto tries them",
		Long: `devices lists the devices there are, in the order in which auto tries them, and why one cannot be used. With DEVICE, as
--device takes it (auto, cpu, cuda, cuda:N), it shows that one alone, and ends with status 2 if it cannot be used: a script
need not read what it says. It opens no device, and takes no memory of a GPU.`,
		Args: arguments(0, 1, "at most one device is expected"),
		RunE: func(_ *cobra.Command, args []string) error {
			all := device.List()
			if len(args) == 1 {
				d, err := device.Find(args[0])
				if err != nil {
					return err
				}
				all = []device.Info{d}
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, d := range all {
				what := d.Description
				if d.Reason != "" {
					what = "not usable: " + d.Reason
					if d.Advice != "" {
						what += " (" + d.Advice + ")"
					}
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
