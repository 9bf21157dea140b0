package bundle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/acumen-ml/acumen/internal/fault"
)

// commit is what was built; the linker sets it.
var commit = "unknown"

// stageCommand is the first argument of a process that is to run one stage.
const stageCommand = "stage"

// dryPatience multiplies limits in a dry run: the stand-in computes on a CPU that others may use as well.
const dryPatience = 3

const usage = `acumen-gpu-bundle shows on a machine with a GPU whether acumen's CUDA back-end is right there, and how fast it is.

usage: acumen-gpu-bundle [flags]
       acumen-gpu-bundle --summary results.jsonl,more.jsonl    Markdown of what was written before

Stages run in the order of --list, each in a process of its own. Their results are in the folder of --out:
results.jsonl (a line for each, as it ends), summary.md, log.txt, vectors-ARCH.gz.
Exit status: 0 nothing failed, 1 a stage failed, 2 wrong use, 3 the time of --budget was over before the last stage.

`

// Main is the program: it gives the exit status.
func Main(args []string) int {
	stages := Stages()
	if len(args) > 0 && args[0] == stageCommand {
		stages = hidden()
	}
	return command(args, stages, os.Stdout, os.Stderr)
}

func command(args []string, stages []Stage, stdout, stderr io.Writer) int {
	if len(args) > 1 && args[0] == stageCommand {
		return child(args[1], args[2:], stages, stderr)
	}
	err := parent(args, stages, stdout, stderr)
	var status exitStatus
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(stderr, "acumen-gpu-bundle: %v\n", err)
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	return int(fault.KindOf(err))
}

// exitStatus is the error of a run that has told all there is to tell.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// flags are those that stages get too.
func (s *Settings) flags(f *flag.FlagSet) {
	f.StringVar(&s.Out, "out", "gpu-results", "`folder` for results; lines are added to what is there")
	f.BoolVar(&s.Dry, "dry", false, "small sizes, and nothing asserted about accuracy or speed: for the stand-in driver")
	f.Func("data-dir", "`folder` with CIFAR-10; several, with commas between them, may have a part each: some of the .bin files, or pieces of cifar-10-binary.tar.gz as split makes them (cifar-10-binary.tar.gz.aa and so on)", func(v string) error {
		s.DataDirs = strings.Split(v, ",")
		return nil
	})
	f.StringVar(&s.Python, "python", "python3", "the `Python` whose PyTorch is compared with")
	f.StringVar(&s.Device, "device", "cuda:0", "the `GPU`")
}

// arguments are the flags that make these settings.
func (s *Settings) arguments() []string {
	args := []string{"--out=" + s.Out, "--python=" + s.Python, "--device=" + s.Device}
	if s.Dry {
		args = append(args, "--dry")
	}
	if len(s.DataDirs) > 0 {
		args = append(args, "--data-dir="+strings.Join(s.DataDirs, ","))
	}
	return args
}

func parent(args []string, stages []Stage, stdout, stderr io.Writer) error {
	r := &runner{say: stdout, least: leastTime}
	f := flag.NewFlagSet("acumen-gpu-bundle", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, usage)
		f.PrintDefaults()
	}
	r.flags(f)
	list := f.Bool("list", false, "list the stages, and end")
	from := f.String("from", "", "begin with this `stage`")
	only := f.String("only", "", "run these `stages` alone, with commas between them")
	made := f.String("summary", "", "print the summary of these `files`, with commas between them, and end")
	f.DurationVar(&r.budget, "budget", 0, "end before so much `time` is over, such as 9m30s, and say with which stage to go on")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return exitStatus(fault.Usage) // the flag package has said why
	}
	if f.NArg() > 0 {
		return fault.Usagef("--help lists the flags", "%q is no flag", f.Arg(0))
	}
	if *made != "" {
		all, err := readResults(strings.Split(*made, ",")...)
		if err == nil {
			fmt.Fprint(stdout, summary(all))
		}
		return err
	}
	some := []string{}
	if *only != "" {
		some = strings.Split(*only, ",")
	}
	var err error
	if r.stages, err = choose(stages, *from, some); err != nil {
		return err
	}
	if *list {
		for _, s := range r.stages {
			fmt.Fprintf(stdout, "%-18s %5s  %s\n", s.Name, s.Limit, s.About)
		}
		return nil
	}
	for i := range r.stages {
		if r.Dry {
			r.stages[i].Limit *= dryPatience
		}
	}
	if r.program, err = os.Executable(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := r.run(ctx)
	if err == nil && status != 0 {
		err = exitStatus(status)
	}
	return err
}

// child runs one stage in this process and tells the runner by way of the first of its extra files.
func child(name string, args []string, stages []Stage, stderr io.Writer) int {
	j := &Job{report: os.NewFile(3, "report")}
	if _, err := j.report.Stat(); err != nil { // a person runs it
		j.report = nil
	}
	f := flag.NewFlagSet(stageCommand, flag.ContinueOnError)
	f.SetOutput(stderr)
	j.flags(f)
	if err := f.Parse(args); err != nil {
		return int(fault.Usage)
	}
	chosen, err := choose(stages, "", []string{name})
	if err == nil {
		err = chosen[0].Run(j)
	}
	var s *skipped
	switch {
	case err == nil:
		return 0
	case errors.As(err, &s):
		j.send(report{Skip: s.reason})
		return 0
	}
	fmt.Fprintln(stderr, err)
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	j.send(report{Fail: err.Error()})
	return 1
}

// since is the time since a moment, as people say it.
func since(t time.Time) string { return rounded(time.Since(t)) }
