package subject

import (
	"fmt"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

const classes = 10

// Network is the model of c for the pictures it is compared on, and the shape of these.
func Network(c peer.Case) (*model.Network, [3]int, error) {
	shape := [3]int{32, 32, 3}
	if c.Net == "mlp" || c.Net == "lenet5" || c.Net == "lenet5-wide" {
		shape = [3]int{28, 28, 1}
	}
	net, err := model.New(c.Net, shape, classes)
	return net, shape, err
}

// Pictures is n pictures of noise with labels of noise.
func Pictures(n int, shape [3]int) (data.Set, error) {
	rnd := rand.New(rand.NewPCG(1, 2))
	px, labels := make([]uint8, n*shape[0]*shape[1]*shape[2]), make([]int32, n)
	for i := range px {
		px[i] = uint8(rnd.Uint32())
	}
	for i := range labels {
		labels[i] = int32(rnd.IntN(classes))
	}
	names := make([]string, classes)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return data.New("noise", names, tensor.New(tensor.WithShape(n, shape[0], shape[1], shape[2]), tensor.WithBacking(px)),
		tensor.New(tensor.WithShape(n), tensor.WithBacking(labels)))
}

// moments are mean and deviation of noise, for each channel.
func moments(shape [3]int) (mean, std []float64) {
	for range shape[2] {
		mean, std = append(mean, 0.5), append(std, 0.289)
	}
	return mean, std
}

// Options are those of the step that bench/python/nets.py trains with. cifar94's loss there is summed over the batch.
func Options(c peer.Case, shape [3]int) (trainer.Options, error) {
	o := trainer.Options{Batch: c.Batch, Optimizer: optim.SGD{LR: 1e-3, Momentum: 0.85, Nesterov: true, WeightDecay: 5e-4}, Seed: 1}
	if c.Net == "cifar94" {
		o.Loss.LabelSmoothing = 0.2
	}
	var ok bool
	if o.Precision, o.TF32, ok = trainer.Precision(precision(c)); !ok {
		return o, fmt.Errorf("no precision %s", c.Precision)
	}
	o.Mean, o.Std = moments(shape)
	return o, nil
}

func precision(c peer.Case) string {
	if c.Precision == "" {
		return "f32"
	}
	return c.Precision
}

// NewEngine is c's step on dev, captured, or with single call by call. Its data, so many batches, lies on the device.
func NewEngine(dev device.Device, c peer.Case, batches int, single bool) (*trainer.Engine, error) {
	const steps = 1 << 18 // that can be made
	net, shape, err := Network(c)
	if err != nil {
		return nil, err
	}
	set, err := Pictures(batches*c.Batch, shape)
	if err != nil {
		return nil, err
	}
	o, err := Options(c, shape)
	if err != nil {
		return nil, err
	}
	o.Epochs, o.NoCapture = steps/batches, single
	return trainer.NewEngine(dev, net, set, o)
}

// alive is an error if a step was not finite: then those after it wrote nothing.
func alive(e *trainer.Engine, c peer.Case) error {
	e.RequestMetrics()
	m, _, err := e.Metrics(true)
	if err == nil && !m.Alive {
		err = fmt.Errorf("%s, batch %d: training diverged by step %d", c.Net, c.Batch, m.Step)
	}
	return err
}

func inference(dev device.Device, c peer.Case) (*job, error) {
	net, shape, err := Network(c)
	if err != nil {
		return nil, err
	}
	net.Init(1)
	o, err := Options(c, shape)
	if err != nil {
		return nil, err
	}
	inf, err := trainer.NewInference(dev, net, trainer.InferenceOptions{Batch: c.Batch, Mean: o.Mean, Std: o.Std, Precision: o.Precision})
	if err != nil {
		return nil, err
	}
	px := make([]byte, c.Batch*shape[0]*shape[1]*shape[2])
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range px {
		px[i] = byte(rnd.Uint32())
	}
	return &job{call: func() error {
		rows, err := inf.Predict(px)
		if err == nil && len(rows) != c.Batch {
			err = fmt.Errorf("%s: %d rows for %d pictures", c.Net, len(rows), c.Batch)
		}
		return err
	}, close: inf.Close}, nil
}
