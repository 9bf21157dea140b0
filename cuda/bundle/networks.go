package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// precisions are the words of configurations, in the order of stages.
var precisions = []string{"f32", "tf32", "bf16", "f16"}

// small are networks that between them have every fused kernel of training, on pictures of 3 channels.
var small = map[string]string{
	"lenet5":       `{name: lenet5, input: [32, 32, 3], classes: 10}`,
	"resnet20":     `{name: resnet20, input: [16, 16, 3], classes: 10}`,
	"94 % network": `{layers: [{conv2d: {out: 24, kernel: 2}}, gelu, {conv2d: {out: 16, kernel: 3, pad: same, bias: false}}, {maxpool: 2}, batchnorm, gelu, {conv2d: {out: 32, kernel: 3, pad: same, bias: false}}, batchnorm, gelu, {maxpool: 3}, {dropout: 0.1}, flatten, {linear: {out: 10, bias: false}}], input: [32, 32, 3], classes: 10}`,
}

// pictures is a set of n random pictures in 10 classes, each of which has its brightness under noise.
func pictures(n int, shape [3]int) (data.Set, error) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	size := shape[0] * shape[1] * shape[2]
	px, labels := make([]byte, n*size), make([]int32, n)
	for i := range n {
		labels[i] = int32(r.IntN(10))
		for j := range size {
			px[i*size+j] = byte(int(labels[i])*15 + r.IntN(110))
		}
	}
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return data.New("random", names, tensor.New(tensor.WithShape(n, shape[0], shape[1], shape[2]), tensor.WithBacking(px)), tensor.New(tensor.WithShape(n), tensor.WithBacking(labels)))
}

// training is what steps of a network gave.
type training struct {
	losses []float64
	top1   float64 // on the test set, if there is one
	digest string  // of all parameters and buffers
}

// opened calls f with a device, and closes it.
func opened(name string, f func(d device.Device) error) error {
	d, err := device.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f(d), d.Close())
}

// train trains and looks at each loss, then evaluates where test is not nil.
func train(d device.Device, net *model.Network, set, test data.Set, steps int, o trainer.Options) (t *training, err error) {
	e, err := trainer.NewEngine(d, net, set, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	t = &training{}
	for range steps {
		if err := e.TrainStep(); err != nil {
			return nil, err
		}
		e.RequestMetrics()
		m, _, err := e.Metrics(true)
		if err != nil {
			return nil, err
		}
		t.losses = append(t.losses, m.Loss)
	}
	if test != nil {
		r, err := e.Evaluate(context.Background(), test)
		if err != nil {
			return nil, err
		}
		t.top1 = r.Top1
	}
	if err := e.Download(); err != nil {
		return nil, err
	}
	t.digest = digest(net)
	return t, nil
}

// digest is of the bits of all parameters and buffers.
func digest(net *model.Network) string {
	h := sha256.New()
	for _, p := range net.Params() {
		fmt.Fprintln(h, p.Path, p.Shape)
		_ = binary.Write(h, binary.LittleEndian, p.Value.Data()) // a hash takes all
	}
	for _, b := range net.Buffers() {
		fmt.Fprintln(h, b.Path)
		_ = binary.Write(h, binary.LittleEndian, b.Value.Data())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// withPrecision sets a precision by its word.
func withPrecision(o trainer.Options, name string) trainer.Options {
	o.Precision, o.TF32, _ = trainer.Precision(name)
	return o
}

var sgd = optim.SGD{LR: 0.05, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}
