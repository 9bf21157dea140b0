package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// app is one call of the program.
type app struct {
	out, err io.Writer
	args     []string // as given, for the record
}

// run does what args say and gives the exit status: 0 done, 1 fault, 2 usage, configuration or data, 3 diverged,
// 130 or 143 stopped by a signal.
func run(args []string, out, errw io.Writer) (status int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(errw, "acumen: internal error: %v\n%s", p, debug.Stack())
			fmt.Fprintln(errw, "hint: this is a mistake in acumen; please report it with these lines and the output of `acumen version`")
			status = int(fault.Failure)
		}
	}()
	a := &app{out: out, err: errw, args: args}
	ctx, stop := a.signals()
	defer stop()
	root := a.root()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return a.report(ctx, err)
	}
	return 0
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "acumen",
		Short: "Train neural networks and use them",
		Long: `acumen trains neural networks on a CPU or a GPU, and uses what was trained.

  acumen train                      train lenet5 on the MNIST that is in the program
  acumen train mnist/tanh128        train a configuration that is in the program
  acumen train my.yaml --set trainer.epochs=3
  acumen predict runs/lenet5-001/best.safetensors digit.png`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, s := range c.Commands() {
			names = append(names, s.Name())
		}
		hint := "see `acumen --help`"
		if s := nearest.Name(args[0], names); s != "" {
			hint = "the nearest command is " + s + "; " + hint
		}
		return fault.Usagef(hint, "unknown command %q", args[0])
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.Usagef(flagHint(c, err)+"see `"+c.CommandPath()+" --help`", "%s: %w", c.CommandPath(), err)
	})
	root.AddCommand(a.trainCommand(), a.evalCommand(), a.predictCommand(), a.devicesCommand(), a.dataCommand(), a.inspectCommand(), a.configCommand(), a.verifyCommand(), a.planCommand(), a.versionCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args = subcommandOnly
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	return root
}

// subcommandOnly refuses words that are not one of a command's subcommands.
func subcommandOnly(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, s := range c.Commands() {
		names = append(names, s.Name())
	}
	return fault.Usagef("write "+c.CommandPath()+" "+strings.Join(names, "|"), "%s: %q is not one of its commands", c.CommandPath(), args[0])
}

// arguments checks how many there are; what names them for the message.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		given := fmt.Sprintf("%d are given", len(args))
		if len(args) == 1 {
			given = "1 is given"
		}
		return fault.Usagef("write "+c.UseLine()+"; see `"+c.CommandPath()+" --help`", "%s: %s, %s", c.CommandPath(), what, given)
	}
}

// signalled is the cause of a context that a signal ended.
type signalled struct{ sig os.Signal }

func (s signalled) Error() string {
	if s.sig == os.Interrupt {
		return "interrupted"
	}
	return "terminated"
}

// status is 128 and the signal's number.
func (s signalled) status() int {
	if s.sig == os.Interrupt {
		return 130
	}
	return 143
}

// signals ends the context at the first SIGINT or SIGTERM, so that work can be saved, and the program at the second.
func (a *app) signals() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case s := <-got:
				cause := signalled{s}
				if !first {
					os.Exit(cause.status())
				}
				fmt.Fprintf(a.err, "\nacumen: %v: ending after this step; once more ends at once\n", cause)
				cancel(cause)
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		close(done)
		cancel(nil)
	}
}

// report prints an error with its hint and gives the exit status.
func (a *app) report(ctx context.Context, err error) int {
	var stopped signalled
	if !errors.As(err, &stopped) && errors.Is(err, context.Canceled) {
		errors.As(context.Cause(ctx), &stopped)
	}
	hint := fault.HintOf(err)
	switch {
	case hint != "":
	case stopped.sig != nil:
		hint = "run the same command again"
	case fault.KindOf(err) == fault.Usage:
		hint = "see `acumen --help`"
	default:
		hint = "if it happens again, report it with the command line and the output of `acumen version`"
	}
	fmt.Fprintf(a.err, "acumen: %s\nhint: %s\n", strings.TrimSpace(err.Error()), hint)
	if stopped.sig != nil {
		return stopped.status()
	}
	return int(fault.KindOf(err))
}
