package main

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/bench/setup"
	"github.com/acumen-ml/acumen/bench/subject"
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
)

// process makes the command of one process of a side.
type process func() *exec.Cmd

// sample is what one process took.
type sample struct {
	seconds float64 // from its start to its first line, or to its end if it says nothing
	peak    float64 // bytes, where it tells
}

// observe runs a process that says "first" when its first step is done and then the peak of its resident bytes; one that
// does neither is timed to its end.
func observe(cmd *exec.Cmd) (sample, error) {
	var s sample
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "first" {
			s.seconds = time.Since(began).Seconds()
		} else if n, err := strconv.ParseFloat(lines.Text(), 64); err == nil {
			s.peak = n
		}
	}
	if err := cmd.Wait(); err != nil {
		return s, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, problems.String())
	}
	if s.seconds == 0 {
		s.seconds = time.Since(began).Seconds()
	}
	return s, nil
}

// alternate runs the processes of all sides in turn, rounds times after skip that do not count: the first brings files
// into memory.
func alternate(ctx context.Context, skip, rounds int, sides []process) ([][]sample, error) {
	all := make([][]sample, len(sides))
	for k := range skip + rounds {
		for i, p := range sides {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			s, err := observe(p())
			if err != nil {
				return nil, err
			}
			if k >= skip {
				all[i] = append(all[i], s)
			}
		}
	}
	return all, nil
}

func seconds(s sample) float64 { return s.seconds }

func pick(all []sample, f func(sample) float64) []float64 {
	var x []float64
	for _, s := range all {
		x = append(x, f(s))
	}
	return x
}

// processTables are what is seen from outside: time to a first step, memory, a prediction.
var processTables = []struct {
	name, title string
	rows        func(*bench, context.Context) ([][]string, error)
}{
	{"first-step", "From the start of a process to its first finished step, seconds", (*bench).firstSteps},
	{"memory", "Peak resident size of a process after three steps, MiB", (*bench).memory},
	{"predict", "`acumen predict` of one 32x32 picture, whole process, seconds", (*bench).predictions},
}

// needsPeers reports whether a table says nothing without peers.
func needsPeers(table string) bool {
	for _, t := range processTables {
		if t.name == table {
			return true
		}
	}
	return table == "gomlx"
}

// processes measures them; one that fails is named at the end, and the others are measured all the same.
func (b *bench) processes(ctx context.Context) error {
	for _, t := range processTables {
		if !b.o.wants(t.name) {
			continue
		}
		var rows [][]string
		err := b.setUpPython(ctx)
		if err == nil {
			rows, err = t.rows(b, ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.failed = append(b.failed, fmt.Sprintf("%s: %v", t.name, err))
			fmt.Fprintf(b.log, "bench: %s is left out: %v\n", t.name, err)
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n", t.title)
		if err := markdown(b, rows); err != nil {
			return err
		}
		if err := b.save(); err != nil {
			return err
		}
	}
	return nil
}

// trainers are processes of all sides that train for so many steps.
func (b *bench) trainers(c peer.Case, threads, steps int) ([]process, error) {
	me, err := os.Executable()
	args := []string{"first-step", c.Net, fmt.Sprint(c.Batch), fmt.Sprint(threads), fmt.Sprint(steps)}
	return []process{
		func() *exec.Cmd { return exec.Command(me, args...) },
		func() *exec.Cmd { return b.python.Command(setup.Tuned, "process.py", args...) },
		func() *exec.Cmd { return b.python.Command(setup.Stock, "process.py", args...) },
	}, err
}

var trainersHead = []string{"", "threads", acumen, tuned, "ratio", stock, "ratio"}

func (b *bench) firstSteps(ctx context.Context) ([][]string, error) {
	rows := [][]string{trainersHead}
	for _, e := range []entry{netEntry("step", "cifar94", 256, "f32"), netEntry("step", "mlp", 128, "f32")} {
		for _, n := range b.o.threads {
			b.say("first-step: %s, %s", e.label, plural(n, "thread"))
			sides, err := b.trainers(e.c, n, 1)
			if err != nil {
				return nil, err
			}
			all, err := alternate(ctx, 1, b.o.rounds, sides)
			if err != nil {
				return nil, err
			}
			rows = append(rows, processRow(e.label, n, all, seconds))
			want := 10.
			if e.c.Net == "cifar94" {
				if want = 2.5; b.kind() == zen5 {
					want = 4
				}
			}
			b.floors = append(b.floors, floor{"process start to first step of " + e.label + ", ratio to tuned", n, want, ratio(pick(all[0], seconds), pick(all[1], seconds))})
		}
	}
	return rows, nil
}

func (b *bench) memory(ctx context.Context) ([][]string, error) {
	rows := [][]string{trainersHead}
	n := slices.Max(b.o.threads)
	for _, e := range stepEntries() {
		b.say("memory: %s, %s", e.label, plural(n, "thread"))
		sides, err := b.trainers(e.c, n, 3)
		if err != nil {
			return nil, err
		}
		all, err := alternate(ctx, 0, min(b.o.rounds, 3), sides) // it varies little
		if err != nil {
			return nil, err
		}
		mib := func(s sample) float64 { return s.peak / (1 << 20) }
		rows = append(rows, processRow(e.label, n, all, mib))
		b.floors = append(b.floors, floor{"peak resident size of " + e.label + ", stock's by acumen's", n, 1, ratio(pick(all[0], mib), pick(all[2], mib))})
	}
	return rows, nil
}

func processRow(label string, threads int, all [][]sample, f func(sample) float64) []string {
	ours := pick(all[0], f)
	row := []string{label, fmt.Sprint(threads), number(median(ours))}
	for _, s := range all[1:] {
		theirs := pick(s, f)
		row = append(row, number(median(theirs)), number(ratio(ours, theirs)))
	}
	return row
}

// unconfigured is an environment without variables that configure the command; how the CPU computes stays as it is.
func unconfigured(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, "ACUMEN_") && !strings.HasPrefix(v, "ACUMEN_SIMD=") && !strings.HasPrefix(v, "ACUMEN_WINOGRAD=")
	})
}

// predictions times the command on a network of random weights, on as many threads as it takes by itself.
func (b *bench) predictions(ctx context.Context) ([][]string, error) {
	program, err := b.place.Build("./cmd/acumen")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "acumen-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	picture := filepath.Join(dir, "picture.png")
	if err := writePicture(picture); err != nil {
		return nil, err
	}
	rows := [][]string{{"", acumen, tuned, "ratio", stock, "ratio"}}
	for _, net := range []string{"cifar94", "resnet18"} {
		b.say("predict: %s", net)
		run := filepath.Join(dir, net)
		if err := train(ctx, net, run); err != nil {
			return nil, err
		}
		weights := filepath.Join(run, "weights.pt")
		if _, err := observe(b.python.Command(setup.Stock, "process.py", "save", net, weights)); err != nil {
			return nil, err
		}
		all, err := alternate(ctx, 1, b.o.rounds, []process{
			func() *exec.Cmd {
				cmd := exec.Command(program, "predict", filepath.Join(run, "best.safetensors"), picture)
				cmd.Env = unconfigured(os.Environ())
				return cmd
			},
			func() *exec.Cmd {
				return b.python.Command(setup.Tuned, "process.py", "predict", net, weights, picture)
			},
			func() *exec.Cmd {
				return b.python.Command(setup.Stock, "process.py", "predict", net, weights, picture)
			},
		})
		if err != nil {
			return nil, err
		}
		b.floors = append(b.floors, floor{"acumen predict with " + net + ", ratio to tuned", 0, 20, ratio(pick(all[0], seconds), pick(all[1], seconds))})
		row := processRow(net, 0, all, seconds)
		rows = append(rows, append(row[:1], row[2:]...))
	}
	return rows, nil
}

// train leaves a checkpoint of a network after one step.
func train(ctx context.Context, net, dir string) (err error) {
	c := peer.Case{Net: net, Batch: 16}
	n, shape, err := subject.Network(c)
	if err != nil {
		return err
	}
	set, err := subject.Pictures(16, shape)
	if err != nil {
		return err
	}
	o, err := subject.Options(c, shape)
	if err != nil {
		return err
	}
	o.Epochs, o.Dir = 1, dir
	d, err := device.Open("cpu")
	if err != nil {
		return err
	}
	defer func() {
		if cerr := d.Close(); err == nil {
			err = cerr
		}
	}()
	_, err = trainer.Fit(ctx, d, n, set, nil, o)
	return err
}

// writePicture makes a 32x32 picture.
func writePicture(path string) error {
	m := image.NewNRGBA(image.Rect(0, 0, 32, 32))
	for y := range 32 {
		for x := range 32 {
			wave := 127 + 120*math.Sin(float64(x*y)/40)
			m.Set(x, y, color.NRGBA{uint8(8 * x), uint8(8 * y), uint8(wave), 255})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, m); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
