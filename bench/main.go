// Command bench compares acumen's CPU back-end with PyTorch, OpenBLAS, gonum and gomlx, side by side in one run, and with
// what the machine can do at most. It installs what it compares with.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/bench/setup"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := command(os.Stdout, os.Stderr).ExecuteContext(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		if h := fault.HintOf(err); h != "" {
			fmt.Fprintln(os.Stderr, "hint: "+h)
		}
		os.Exit(int(fault.KindOf(err)))
	}
}

func command(out, log io.Writer) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "bench",
		Short: "Compare acumen's speed on this machine with its peers'",
		Long: `bench measures the machine's peaks, then acumen and its peers in turn, and writes tables of ratios: above 1, acumen
is faster. It installs the peers into a cache folder (ACUMEN_BENCH_CACHE) first, and runs in the repository's root.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Usagef("bench --only "+args[0], "unknown argument %q", args[0])
			}
			return nil
		},
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			o.command = "go run ./bench " + strings.Join(os.Args[1:], " ")
			return run(c.Context(), o, out, log)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Usagef("see bench --help", "%w", err) })
	f := c.Flags()
	f.StringSliceVar(&o.only, "only", nil, "`TABLES`: "+strings.Join(tableNames(), ", ")+"; default all")
	f.IntSliceVar(&o.threads, "threads", nil, "`NUMBERS` of threads; default 1, and 2 if there are as many processors")
	f.IntVar(&o.rounds, "rounds", 0, "`N`: visits to each case, of which the median counts; default 5, 3 with --quick")
	f.BoolVar(&o.quick, "quick", false, "acumen alone, without peers, in two minutes")
	f.StringVar(&o.file, "out", "", "`FILE.md` that gets the tables too")
	c.AddCommand(firstStepCommand(out))
	return c
}

// options are what the command line says.
type options struct {
	only    []string
	threads []int
	rounds  int
	quick   bool
	file    string
	command string
}

func (o *options) complete() error {
	for _, name := range o.only {
		if !slices.Contains(tableNames(), name) {
			hint := "one of " + strings.Join(tableNames(), ", ")
			if near := nearest.Name(name, tableNames()); near != "" {
				hint = "did you mean " + near + "?"
			}
			return fault.Usagef(hint, "--only: there is no table %q", name)
		}
		if o.quick && needsPeers(name) {
			return fault.Usagef("leave out --quick", "--only %s: it compares with peers, which --quick leaves out", name)
		}
	}
	if o.rounds < 0 {
		return fault.Usagef("write --rounds 5", "--rounds %d", o.rounds)
	}
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 3
		}
	}
	if len(o.threads) == 0 {
		o.threads = []int{1}
		if runtime.GOMAXPROCS(0) > 1 {
			o.threads = append(o.threads, 2)
		}
	}
	for _, t := range o.threads {
		if t < 1 || t > runtime.GOMAXPROCS(0) {
			return fault.Usagef(fmt.Sprintf("from 1 to %d", runtime.GOMAXPROCS(0)), "--threads %d", t)
		}
	}
	return nil
}

func (o *options) wants(table string) bool { return len(o.only) == 0 || slices.Contains(o.only, table) }

func run(ctx context.Context, o options, out, log io.Writer) error {
	if err := o.complete(); err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "bench", "python", "requirements.txt")); err != nil {
		return fault.Usagef("run it in the repository's root: go run ./bench", "bench/ was not found: %w", err)
	}
	cache, err := setup.DefaultCache()
	if err != nil {
		return err
	}
	b := newBench(o, setup.Place{Root: root, Cache: cache, Log: log}, out, log)
	defer b.close()
	began := time.Now()
	err = b.all(ctx)
	if err == nil {
		err = b.verdict(time.Since(began))
	}
	return err
}
