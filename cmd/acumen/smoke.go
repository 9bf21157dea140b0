package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/report"
)

// smokeExamples bounds the evaluation of a smoke test.
const smokeExamples = 500

// smoke trains two steps, evaluates once, and writes a checkpoint and reads it back, in a folder that it removes.
func (a *app) smoke(ctx context.Context, j *job) (err error) {
	root, err := report.At(j.cfg.Run.Root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(root.Path, "smoke-*")
	if err != nil {
		return fault.Failuref("choose a folder that you may write to, with --set run.root=DIR", "run folder: %w", err)
	}
	defer os.RemoveAll(dir)
	o := j.options
	o.Epochs, o.MaxSteps, o.EarlyStop, o.Dir = 1, 2, 0, dir
	test := j.test
	if test == nil {
		test = j.train
	}
	if test, err = data.Limit(test, min(test.Len(), smokeExamples)); err != nil {
		return err
	}
	res, err := trainer.Fit(ctx, j.dev, j.net, j.train, test, o)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, checkpoint.Last)
	ck, err := checkpoint.Load(path)
	if err != nil {
		return err
	}
	net, err := ck.Network()
	if err != nil {
		return err
	}
	for _, p := range j.net.Params() {
		q := net.Param(p.Path)
		if q == nil || !p.Value.Eq(q.Value) {
			return fault.Failuref("see whether the disk is sound", "%s: parameter %s was not read back as it was written", path, p.Path)
		}
	}
	_, err = fmt.Fprintf(a.out, "smoke test passed: %s on %s, %d steps, loss %.4f, evaluated on %d pictures, checkpoint written and read back\n",
		j.net.Name, j.dev.Name(), res.Steps, res.TrainLoss, test.Len())
	return err
}
