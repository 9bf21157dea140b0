package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
	"github.com/acumen-ml/acumen/trainer/report"
)

// Ways to deal with a run that is in the folder already.
const (
	resumeNever = "never" // it is an error
	resumeMust  = "must"  // go on with it; that there is none is an error
	resumeAuto  = "auto"  // go on with it, or start one
)

// profileSteps is how many steps --profile watches: enough for a mean, few enough to wait for.
const profileSteps = 20

type trainFlags struct {
	run, resume             string
	smoke, profile, noGraph bool
}

func (a *app) trainCommand() *cobra.Command {
	var f trainFlags
	c := &cobra.Command{
		Use:   "train [CONFIG]",
		Short: "Train a network",
		Long: `train trains the network of the configuration CONFIG: a YAML file, or the name of one that is in the program
(see acumen config --list). Without one it trains lenet5 on MNIST. Results go to a new folder, runs/NAME-001.

--resume goes on with a run that was stopped: that of --run DIR, else the last of its name. --resume=auto does so if
there is one, and starts it otherwise; of a finished run both print the table. So a job that may be stopped at any time
is always started as: acumen train CONFIG --run DIR --resume=auto`,
		Args: arguments(0, 1, "at most one configuration is expected"),
		RunE: func(c *cobra.Command, args []string) error {
			sets, err := settings(c)
			if err != nil {
				return err
			}
			if f.noGraph {
				sets = append(sets, config.Setting{Key: "trainer.capture", Value: "false", Label: "--no-graph"})
			}
			return a.train(c.Context(), f, strings.Join(args, ""), sets)
		},
	}
	c.Flags().StringVar(&f.run, "run", "", "`DIR`: the run's folder, instead of a new one under run.root")
	c.Flags().StringVar(&f.resume, "resume", resumeNever, "`MODE`: what to do with a run that is there: never, auto, or must, which is --resume alone")
	c.Flags().Lookup("resume").NoOptDefVal = resumeMust
	c.Flags().BoolVar(&f.smoke, "smoke", false, "see whether all works: two steps, one evaluation, one checkpoint written and read back; nothing is kept")
	c.Flags().BoolVar(&f.profile, "profile", false, fmt.Sprintf("tell the time of each kernel over %d steps, which then run call by call", profileSteps))
	c.Flags().BoolVar(&f.noGraph, "no-graph", false, "run steps call by call, not as recorded graphs (key trainer.capture: false)")
	addSettings(c, "device", "threads", "seed", "data-dir", "progress")
	return c
}

// train starts, continues, or only shows a run.
func (a *app) train(ctx context.Context, f trainFlags, arg string, sets []config.Setting) (err error) {
	switch f.resume {
	case resumeNever, resumeMust, resumeAuto:
	default:
		return fault.Usagef("write --resume, --resume=auto or --resume=never", "--resume=%s is not known", f.resume)
	}
	if f.smoke && (f.run != "" || f.resume != resumeNever) {
		return fault.Usagef("leave out --run and --resume: nothing is kept", "--smoke does not go together with --run and --resume")
	}
	cfg, folder, err := findRun(f, arg, sets)
	if err != nil {
		return err
	}
	if folder != nil {
		if res, err := folder.Result(); err != nil {
			return err
		} else if res != nil && !longer(cfg, res) {
			return a.finished(res, folder)
		}
	}
	j, err := prepare(cfg)
	if err != nil {
		return err
	}
	defer j.close(&err)
	if f.smoke {
		return a.smoke(ctx, j)
	}
	resumed := folder != nil
	if folder == nil {
		if err = trainer.Fits(j.dev, j.net, j.train, j.test, j.options); err != nil {
			return err // before there is a folder, which would have the settings that are to be changed
		}
		if folder, err = newFolder(f, cfg); err != nil {
			return err
		}
	}
	if f.profile {
		j.options.ProfileSteps = profileSteps
	}
	return a.fit(ctx, j, folder, resumed)
}

// findRun resolves the configuration, and finds the run to go on with; folder is nil for a new one.
func findRun(f trainFlags, arg string, sets []config.Setting) (cfg *config.Config, folder *report.Folder, err error) {
	if f.run != "" {
		folder = &report.Folder{Path: f.run}
		if folder.Used() && arg == "" && f.resume != resumeNever {
			name, text, err := folder.Config()
			if err != nil {
				return nil, nil, err
			}
			cfg, err = config.Load(&config.File{Name: name, Text: text}, sets)
			if err != nil {
				return nil, nil, err
			}
			return cfg, folder, sameRun(cfg, folder)
		}
	}
	if cfg, err = resolve(arg, sets); err != nil {
		return nil, nil, err
	}
	if f.run == "" && f.resume != resumeNever {
		var ok bool
		if folder, ok, err = report.Newest(cfg.Run.Root, cfg.Run.Name); err != nil {
			return nil, nil, err
		} else if !ok {
			folder = &report.Folder{Path: filepath.Join(cfg.Run.Root, cfg.Run.Name+"-*")}
		}
	}
	switch {
	case folder == nil:
		return cfg, nil, nil
	case !folder.Used() && f.resume == resumeMust:
		return nil, nil, fault.Usagef("start it without --resume, or with --resume=auto", "%s: there is no run to go on with", folder.Path)
	case !folder.Used():
		return cfg, nil, nil
	case f.resume == resumeNever:
		return nil, nil, fault.Usagef("go on with it by --resume, or choose another folder", "%s: there is a run in this folder", folder.Path)
	}
	return cfg, folder, sameRun(cfg, folder)
}

// sameRun refuses to go on with a run under a configuration that would have given another one.
func sameRun(cfg *config.Config, folder *report.Folder) error {
	name, text, err := folder.Config()
	if err != nil {
		return err
	}
	was, err := config.Stored(&config.File{Name: name, Text: text})
	if err != nil {
		return err
	}
	if key, there, here, ok := config.Difference(was, cfg); ok {
		return fault.Usagef("go on with the same value, or start another run", "%s: the run was started with %s: %s, now it is %s", folder.Path, key, there, here)
	}
	return nil
}

// longer reports whether a run that trainer.max_steps ended is to go on.
func longer(cfg *config.Config, res *trainer.Result) bool {
	return res.Stopped == "max steps" && (cfg.Trainer.MaxSteps == 0 || cfg.Trainer.MaxSteps > res.Steps)
}

// newFolder makes the folder of a new run.
func newFolder(f trainFlags, cfg *config.Config) (folder *report.Folder, err error) {
	if f.run != "" {
		folder, err = report.At(f.run)
	} else {
		folder, err = report.Create(cfg.Run.Root, cfg.Run.Name)
	}
	if err != nil {
		return nil, err
	}
	return folder, folder.WriteConfig(cfg.YAML())
}

// fit runs the trainer in a folder.
func (a *app) fit(ctx context.Context, j *job, folder *report.Folder, resume bool) error {
	if err := folder.AddEnvironment(a.environment(j)); err != nil {
		return err
	}
	log, err := folder.OpenLog(j.cfg.Trainer.Epochs)
	if err != nil {
		return err
	}
	metrics, err := folder.OpenMetrics()
	if err != nil {
		return errors.Join(err, log.Close())
	}
	log.Printf("acumen %s", strings.Join(a.args, " "))
	progress := report.NewProgress(j.cfg.Progress, a.err, j.cfg.Trainer.Epochs)
	if j.cfg.Progress != "none" {
		fmt.Fprintf(a.err, "%s\n%s on %s; run folder %s\n", deviceLine(j.dev, j.cfg.Device), j.net.Name, j.train.Name(), folder.Path)
	}
	o := j.options
	o.Dir, o.Resume = folder.Path, resume
	o.Observe = func(e trainer.Event) {
		log.Observe(e)
		metrics.Observe(e)
		progress.Observe(e)
	}
	res, err := trainer.Fit(ctx, j.dev, j.net, j.train, j.test, o)
	progress.Close()
	if err != nil {
		err = interrupted(err, folder)
		log.Printf("%v; hint: %s", err, fault.HintOf(err))
	} else {
		log.Printf("finished")
	}
	if cerr := errors.Join(metrics.Close(), log.Close()); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if o.ProfileSteps > 0 && res.Profile != nil {
		fmt.Fprintf(a.out, "%d steps, run call by call:\n", o.ProfileSteps)
		if err := res.Profile.Table(a.out); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
	}
	if err := folder.WriteResult(res); err != nil {
		return err
	}
	return a.finished(res, folder)
}

// interrupted adds to a run that a signal stopped the command that goes on with it.
func interrupted(err error, folder *report.Folder) error {
	var i *trainer.Interrupted
	if !errors.As(err, &i) || i.Path == "" {
		return err
	}
	return fault.Failuref("go on with: acumen train --run "+folder.Path+" --resume", "%w; saved in %s", err, i.Path)
}

// finished prints what a run gave.
func (a *app) finished(res *trainer.Result, folder *report.Folder) error {
	if err := report.WriteResult(a.out, res); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "run folder %s\nnext: acumen predict %s FILE...\n", folder.Path, filepath.Join(folder.Path, checkpoint.Best))
	return err
}
