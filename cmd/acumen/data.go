package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/report"
)

func (a *app) dataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Download, check and list data sets",
		Args:  subcommandOnly,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.dataListCommand(), a.dataVerifyCommand(), a.dataGetCommand())
	return c
}

func (a *app) dataListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the data sets that are known",
		Args:  arguments(0, 0, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "name\tpictures\tclasses\ttraining\ttest\tdownload\twhat")
			for _, i := range data.List() {
				size, load, dash := "-", "-", func(n int) string {
					if n == 0 {
						return "-"
					}
					return fmt.Sprint(n)
				}
				if i.Shape[0] > 0 {
					size = fmt.Sprintf("%dx%dx%d", i.Shape[0], i.Shape[1], i.Shape[2])
				}
				if i.Bytes > 0 {
					load = fmt.Sprintf("%d MB", (i.Bytes+500_000)/1_000_000)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, size, dash(i.Classes), dash(i.Train), dash(i.Test), load, i.About)
			}
			return t.Flush()
		},
	}
}

func (a *app) dataVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify NAME",
		Short: "Check that a data set is whole and unchanged",
		Long:  "verify reads the data set NAME in data.dir and compares it with what it must be, however its files are packed.",
		Args:  arguments(1, 1, "one data set is expected"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := dataConfig(c)
			if err != nil {
				return err
			}
			parts, err := data.Verify(args[0], cfg.Data.Dir, dataOptions(cfg))
			if err != nil {
				return err
			}
			return a.parts(args[0], parts)
		},
	}
	addSettings(c, "data-dir")
	return c
}

// dataConfig is the configuration of a command that has flags but no file.
func dataConfig(c *cobra.Command) (*config.Config, error) {
	sets, err := settings(c)
	if err != nil {
		return nil, err
	}
	return config.Load(nil, sets)
}

func (a *app) dataGetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Download a data set",
		Long: `get downloads the data set NAME to data.dir, checks and unpacks it. What is there already and right is not downloaded;
a download that was broken off goes on. The addresses of data.mirrors are tried before the official ones.`,
		Args: arguments(1, 1, "one data set is expected"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := dataConfig(c)
			if err != nil {
				return err
			}
			p := report.NewDownload(cfg.Progress, a.err)
			parts, err := data.Get(c.Context(), args[0], cfg.Data.Dir, data.GetOptions{Mirrors: cfg.Data.Mirrors, Progress: p.Observe})
			p.Close()
			if err != nil {
				return err
			}
			return a.parts(args[0], parts)
		},
	}
	addSettings(c, "data-dir", "progress")
	return c
}

// parts prints what of a data set was found.
func (a *app) parts(name string, parts []data.Part) error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, p := range parts {
		fmt.Fprintf(t, "%s\t%d\t%.16s\t%s\n", p.Name, p.Records, p.Digest, p.Path)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s is whole\n", name)
	return err
}
