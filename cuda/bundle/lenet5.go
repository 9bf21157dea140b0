package bundle

import (
	"fmt"
	"math"
	"time"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// lenet5 trains LeNet-5 on MNIST, captured and call by call: the loss goes the CPU's way, and 300 steps of 64 teach at
// least 95 %.
func lenet5(precision string) func(*Job) error {
	// Mean distance of the loss from the CPU's over the first 20 steps: other orders of sums, then factors, and in the last
	// two all activations, rounded to 11, 8 and 11 bits, magnified by the steps. Some times what the stand-in gave: 6e-4,
	// 0.011, 0.020 and 0.015.
	apart := map[string]float64{"f32": 5e-3, "tf32": 0.06, "bf16": 0.1, "f16": 0.06}[precision]
	return func(j *Job) error {
		set, test, err := data.EmbeddedMNIST()
		if err == nil && j.Dry {
			test, err = data.Limit(test, 50)
		}
		if err != nil {
			return err
		}
		const compared = 20
		steps := pick(j, 300, 3)
		o := trainer.Options{Epochs: 1, Batch: pick(j, 64, 16), EvalBatch: pick(j, 1000, 50), Seed: 1, Optimizer: optim.Adam{LR: 0.005, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8},
			Schedule: schedule.Config{Name: "piecewise", At: []float64{0, 20, 300}, Values: []float64{0.2, 1, 0.02}}}
		run := func(d device.Device, test data.Set, steps int, o trainer.Options) (*training, error) {
			net, err := model.New("lenet5", [3]int{28, 28, 1}, 10)
			if err != nil {
				return nil, err
			}
			return train(d, net, set, test, steps, o)
		}
		var want []float64
		if err := opened("cpu", func(d device.Device) error {
			t, err := run(d, nil, min(compared, steps), o)
			if err == nil {
				want = t.losses
			}
			return err
		}); err != nil {
			return err
		}
		o = withPrecision(o, precision)
		return opened(j.Device, func(d device.Device) error {
			if o.TF32 && !trainer.HasTF32(d) {
				return skip("this GPU has no TF32")
			}
			for _, plain := range []bool{false, true} {
				o.NoCapture = plain
				begin := time.Now()
				t, err := run(d, test, steps, o)
				if err != nil {
					return err
				}
				distance := 0.0
				for i, l := range want {
					distance += math.Abs(t.losses[i]-l) / float64(len(want))
				}
				how := map[bool]string{false: "captured", true: "call by call"}[plain]
				j.Figure("%s: %.2f %% after %d steps of %d, loss %.1e from the CPU's over the first %d, in %s", how, 100*t.top1, steps, o.Batch, distance, len(want), since(begin))
				if !(distance <= apart) {
					return fmt.Errorf("%s: the loss is %.2g from the CPU's on average, at most %.2g was expected", how, distance, apart)
				}
				if !j.Dry && t.top1 < 0.95 {
					return fmt.Errorf("%s: %.2f %% of the test pictures are right, at least 95 %% were expected", how, 100*t.top1)
				}
			}
			return nil
		})
	}
}
