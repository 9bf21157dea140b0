package bundle

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
)

// capturedIsPlain trains each small network in each precision captured, captured again, and call by call: the weights
// must be the same to the bit.
func capturedIsPlain(j *Job) error {
	return opened(j.Device, func(d device.Device) error {
		var wrong []error
		n := 0
		for _, name := range slices.Sorted(maps.Keys(small)) {
			for _, precision := range precisions {
				if first := map[string]string{"lenet5": "f32", "resnet20": "f16"}[name]; j.Dry && first != "" && first != precision {
					continue
				}
				if precision == "tf32" && !trainer.HasTF32(d) {
					continue
				}
				if err := threeWays(j, d, name, precision); errors.As(err, new(*differs)) {
					wrong = append(wrong, err)
				} else if err != nil {
					return fmt.Errorf("%s in %s: %w", name, precision, err)
				}
				n++
			}
		}
		j.Figure("%d networks and precisions trained thrice, %d differences", n, len(wrong))
		return errors.Join(wrong...)
	})
}

// differs is the error of two trainings that should have been the same.
type differs struct{ network, precision, how, got, want string }

func (e *differs) Error() string {
	return fmt.Sprintf("%s in %s, %s: weights with the digest %s, captured %s", e.network, e.precision, e.how, e.got, e.want)
}

func threeWays(j *Job, d device.Device, name, precision string) error {
	o := withPrecision(trainer.Options{Epochs: 4, Batch: pick(j, 64, 4), Seed: 3, Optimizer: sgd, Augment: augment.Spec{Flip: true, Pad: 2, Reflect: true, Cutout: 4}}, precision)
	once := func(plain bool) (string, error) {
		net, err := model.FromSpec(small[name])
		if err != nil {
			return "", err
		}
		set, err := pictures(4*o.Batch, net.Input)
		if err != nil {
			return "", err
		}
		o.NoCapture = plain
		t, err := train(d, net, set, nil, pick(j, 12, 2), o)
		if err != nil {
			return "", err
		}
		return t.digest, nil
	}
	want, err := once(false)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		how   string
		plain bool
	}{{"run again", false}, {"call by call", true}} {
		got, err := once(way.plain)
		if err != nil {
			return err
		}
		if got != want {
			return &differs{name, precision, way.how, got, want}
		}
	}
	return nil
}
