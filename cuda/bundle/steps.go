package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// stepModes are how PyTorch runs a step, as scripts/steps.py calls it, and in a heading.
var stepModes = []struct{ mode, heading string }{{"eager", "PyTorch eager"}, {"compile", "torch.compile"}, {"graphs", "torch.compile, CUDA graphs"}}

// wholeSteps measures steps of training from random bytes that lie on the device, in half precision, beside PyTorch.
func wholeSteps(name string, shape [3]int, batches ...int) func(*Job) error {
	return func(j *Job) error {
		const table = "Whole steps, f16, images/s (medians of seven); PyTorch: half weights, channels-last"
		heading := []string{"Network", "Batch", "acumen"}
		for _, m := range stepModes {
			heading = append(heading, m.heading)
		}
		j.Row(table, append(heading, "acumen / best torch.compile")...)
		var missing error
		for _, batch := range batches {
			batch = pick(j, batch, 1)
			mine, err := stepRate(j, name, shape, batch)
			if err != nil {
				return fmt.Errorf("%s, batch %d: %w", name, batch, err)
			}
			row, best := []string{name, strconv.Itoa(batch), perSecond(mine)}, 0.0
			for _, m := range stepModes {
				if j.Dry && m.mode != "eager" {
					row = append(row, "-") // compiling takes longer than a dry run may
					continue
				}
				theirs, err := torchSteps(j, name, batch, m.mode)
				if err != nil {
					row, missing = append(row, "-"), errors.Join(missing, fmt.Errorf("%s: %w", m.heading, err))
					continue
				}
				if row = append(row, perSecond(theirs)); m.mode != "eager" {
					best = max(best, theirs)
				}
			}
			ratio := "-"
			if best > 0 {
				ratio = fmt.Sprintf("%.2f", mine/best)
			}
			j.Row(table, append(row, ratio)...)
			if err := callByCall(j, name, shape, batch); err != nil {
				return fmt.Errorf("%s, batch %d, call by call: %w", name, batch, err)
			}
			j.Figure("batch %d: %s images/s, %s of torch.compile's", batch, perSecond(mine), ratio)
		}
		if errors.As(missing, new(*skipped)) {
			j.Figure("no PyTorch: %v", firstLine(missing.Error()))
			return nil // what can be measured without it was
		}
		return missing
	}
}

// perSecond is a rate, with digits that mean something.
func perSecond(rate float64) string {
	if rate < 100 {
		return fmt.Sprintf("%.3g", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// stepRate is images per second of acumen's captured steps: the median of seven stretches of at least a fifth of a second.
func stepRate(j *Job, name string, shape [3]int, batch int) (rate float64, err error) {
	d, err := device.Open(j.Device)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	e, err := newStep(j, d, name, shape, batch, false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	run := func(n int) (time.Duration, error) {
		begin := time.Now()
		for range n {
			if err := e.TrainStep(); err != nil {
				return 0, err
			}
		}
		if err := d.Sync(); err != nil {
			return 0, err
		}
		return time.Since(begin), nil
	}
	if j.Dry { // slow enough to be measured at the first step
		t, err := run(1)
		return float64(batch) / t.Seconds(), err
	}
	if _, err := run(20); err != nil {
		return 0, err
	}
	t, err := run(10)
	if err != nil {
		return 0, err
	}
	steps := max(5, int(10*200*time.Millisecond/max(t, 1)))
	var rates []float64
	for range 7 {
		if t, err = run(steps); err != nil {
			return 0, err
		}
		rates = append(rates, float64(steps*batch)/t.Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)/2], err
}

// newStep is an engine that takes the steps that are measured.
func newStep(j *Job, d device.Device, name string, shape [3]int, batch int, plain bool) (*trainer.Engine, error) {
	net, err := model.New(name, shape, 10)
	if err != nil {
		return nil, err
	}
	set, err := pictures(pick(j, 10, 3)*batch, shape)
	if err != nil {
		return nil, err
	}
	o := trainer.Options{Epochs: 10000, Batch: batch, Seed: 1, Precision: device.F16, NoCapture: plain, Optimizer: optim.SGD{LR: 1e-4, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}}
	return trainer.NewEngine(d, net, set, o)
}

// callByCall tells where the time of a step goes: each call is waited for, so that some microseconds of every one are those of
// the launch.
func callByCall(j *Job, name string, shape [3]int, batch int) (err error) {
	d, err := device.Open(j.Device)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	e, err := newStep(j, d, name, shape, batch, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	steps := pick(j, 10, 1)
	for range pick(j, 3, 0) {
		if err := e.TrainStep(); err != nil {
			return err
		}
	}
	p := device.NewProfiler(d)
	p.Shapes = true
	for range steps {
		if err := e.TrainStep(); err != nil {
			return err
		}
	}
	p.Stop()
	table := fmt.Sprintf("One step of %s, batch %d, call by call, microseconds", name, batch)
	j.Row(table, "Call", "Calls", "In all", "Each", "TB/s", "TFLOP/s")
	var all time.Duration
	for _, r := range p.Rows() {
		us := r.Time.Seconds() * 1e6
		all += r.Time
		j.Row(table, r.Kernel, fmt.Sprintf("%.1f", float64(r.Calls)/float64(steps)), fmt.Sprintf("%.1f", us/float64(steps)), fmt.Sprintf("%.1f", us/float64(r.Calls)),
			fmt.Sprintf("%.2f", r.Bytes/us/1e6), fmt.Sprintf("%.1f", r.Flops/us/1e6))
	}
	j.Row(table, "all", "", fmt.Sprintf("%.1f", all.Seconds()*1e6/float64(steps)), "", "", "")
	return nil
}

// torchSteps is PyTorch's rate.
func torchSteps(j *Job, name string, batch int, mode string) (rate float64, err error) {
	err = torch(j, "steps.py", func(line []byte) error {
		var r struct {
			Rate float64 `json:"images_per_s"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("steps.py said %q: %w", line, err)
		}
		rate = r.Rate
		return nil
	}, name, strconv.Itoa(batch), mode)
	if err == nil && rate == 0 {
		err = errors.New("steps.py told no rate")
	}
	return rate, err
}
