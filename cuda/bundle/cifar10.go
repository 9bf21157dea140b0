package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// recipe is a configuration of configs/cifar10, and the least accuracy on the test set that its training must reach.
type recipe struct {
	name    string
	options trainer.Options
	least   float64
}

var (
	recipeSGD  = optim.SGD{LR: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}
	oneCycle   = schedule.Config{Name: "onecycle", Warmup: 0.3}
	cnnSmall   = recipe{"cnn-small", trainer.Options{Epochs: 6, Batch: 64, Augment: augment.Spec{Flip: true, Pad: 2, Reflect: true}}, 0.81} // the CPU: 82.05 %; seeds differ by some 0.4
	resnet20of = recipe{"resnet20", trainer.Options{Epochs: 30, Batch: 128, Augment: augment.Spec{Flip: true, Pad: 4}}, 0.895}              // He and others: 91.25 % after 164 epochs
	resnet18of = recipe{"resnet18", trainer.Options{Epochs: 30, Batch: 256, Augment: augment.Spec{Flip: true, Pad: 4}}, 0.935}              // one run on an H200: 93.57 %
)

// accuracy trains a recipe on CIFAR-10 in a precision.
func accuracy(r recipe, precision string) func(*Job) error {
	return func(j *Job) error {
		dirs := j.DataDirs
		if len(dirs) == 0 && !j.Dry {
			return skip("no CIFAR-10: --data-dir names the folder, or the folders, that have it")
		}
		if len(dirs) == 0 {
			made, err := os.MkdirTemp("", "acumen-random-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(made)
			if dirs, err = randomCIFAR(made); err != nil {
				return err
			}
		}
		dir, done, err := cifarFolder(dirs)
		if err != nil {
			return err
		}
		defer done()
		set, test, err := data.CIFAR10(dir)
		if err != nil {
			return err
		}
		o := withPrecision(r.options, precision)
		o.Seed, o.EvalBatch, o.Optimizer, o.Schedule, o.LogEvery = 1, 500, recipeSGD, oneCycle, 200
		if j.Dry {
			o.MaxSteps, o.Batch = 1, 4
			if test, err = data.Limit(test, 20); err != nil {
				return err
			}
		}
		net, err := model.New(r.name, [3]int{32, 32, 3}, 10)
		if err != nil {
			return err
		}
		d, err := device.Open(j.Device)
		if err != nil {
			return err
		}
		o.Observe = func(e trainer.Event) {
			if e.Kind == trainer.EventEpoch {
				fmt.Printf("epoch %d: loss %.4f\n", e.Epoch, e.TrainLoss)
			}
		}
		res, err := trainer.Fit(context.Background(), d, net, set, test, o)
		if err = errors.Join(err, d.Close()); err != nil {
			return err
		}
		j.Figure("%.2f %% of %d test pictures after %d epochs, %.1f s, %.0f images/s with all that belongs to it", 100*res.Test.Top1, test.Len(), res.Epochs, res.Seconds, float64(res.Steps*o.Batch)/res.Seconds)
		if !j.Dry && res.Test.Top1 < r.least {
			return fmt.Errorf("%.2f %% are fewer than the %.1f %% that were expected", 100*res.Test.Top1, 100*r.least)
		}
		return nil
	}
}

// cifarFolder gives one folder that has what several have together: files as they are, and the archive put together
// from its pieces.
func cifarFolder(dirs []string) (dir string, done func(), err error) {
	if len(dirs) == 1 {
		if pieces, err := filepath.Glob(filepath.Join(dirs[0], cifarArchive+".*")); err != nil || len(pieces) == 0 {
			return dirs[0], func() {}, err
		}
	}
	if dir, err = os.MkdirTemp("", "acumen-cifar10-"); err != nil {
		return "", nil, err
	}
	done = func() { os.RemoveAll(dir) }
	if err = gather(dir, dirs); err != nil {
		done()
	}
	return dir, done, err
}

const cifarArchive = "cifar-10-binary.tar.gz"

// gather links the .bin files of dirs, and of folders named cifar-10-batches-bin in them, into dir, and joins pieces.
func gather(dir string, dirs []string) error {
	var pieces []string
	for _, d := range dirs {
		if _, err := os.Stat(d); err != nil {
			return fault.Usagef("--data-dir names folders with CIFAR-10", "%v", err)
		}
		for _, pattern := range []string{"*.bin", "cifar-10-batches-bin/*.bin", cifarArchive + ".*"} {
			found, err := filepath.Glob(filepath.Join(d, pattern))
			if err != nil {
				return err
			}
			for _, f := range found {
				if strings.HasPrefix(filepath.Base(f), cifarArchive) {
					pieces = append(pieces, f)
					continue
				}
				whole, err := filepath.Abs(f)
				if err != nil {
					return err
				}
				if err := os.Symlink(whole, filepath.Join(dir, filepath.Base(f))); err != nil {
					return fault.Usagef("give each file once", "%v", err)
				}
			}
		}
	}
	if len(pieces) == 0 {
		return nil
	}
	slices.SortFunc(pieces, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	to, err := os.Create(filepath.Join(dir, cifarArchive))
	if err != nil {
		return err
	}
	for _, p := range pieces {
		from, err := os.Open(p)
		if err != nil {
			return errors.Join(err, to.Close())
		}
		_, err = io.Copy(to, from)
		if err = errors.Join(err, from.Close()); err != nil {
			return errors.Join(err, to.Close())
		}
	}
	return to.Close()
}

// randomCIFAR writes random pictures in CIFAR-10's files, into two folders below dir.
func randomCIFAR(dir string) (dirs []string, err error) {
	r := rand.New(rand.NewPCG(1, 1))
	for i, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
		if i%3 == 0 {
			dirs = append(dirs, filepath.Join(dir, fmt.Sprint(i)))
			if err := os.Mkdir(dirs[len(dirs)-1], 0o755); err != nil {
				return nil, err
			}
		}
		var b []byte
		for range 26 {
			b = append(b, byte(r.IntN(10)))
			for range 3 * 32 * 32 {
				b = append(b, byte(r.Uint32()))
			}
		}
		if err := os.WriteFile(filepath.Join(dirs[len(dirs)-1], name), b, 0o644); err != nil {
			return nil, err
		}
	}
	return dirs, nil
}
