package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the Makefile; a program that go install built has its module's version instead.
var version = ""

// versions gives the program's version and the commit that it was built from, as far as they are known.
func versions() (v, commit string) {
	v = version
	if b, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = b.Main.Version
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	if v == "" {
		v = "unknown"
	}
	return v, commit
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  arguments(0, 0, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v, commit := versions()
			if commit != "" {
				commit = ", commit " + commit
			}
			_, err := fmt.Fprintf(a.out, "acumen %s (%s, %s/%s%s)\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH, commit)
			return err
		},
	}
}
