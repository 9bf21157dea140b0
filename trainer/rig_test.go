package trainer_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// pictures is n pictures of 8x8x1 in 4 classes: a bright quarter that tells the class, under noise.
func pictures(t testing.TB, n int, seed uint64) data.Set {
	state := [4]uint32{uint32(seed), 99, 0, 0}
	px, labels := make([]byte, n*64), make([]int32, n)
	for i := range n {
		labels[i] = int32(device.PermutationAt(uint32(i), uint32(n), state, 5) % 4)
		for y := range 8 {
			for x := range 8 {
				v := device.PermutationAt(uint32(i*64+y*8+x), uint32(n*64), state, 6) % 160
				if int32(y/4*2+x/4) == labels[i] {
					v += 60
				}
				px[i*64+y*8+x] = byte(v)
			}
		}
	}
	s, err := data.New("quarters", []string{"nw", "ne", "sw", "se"}, tensor.New(tensor.WithShape(n, 8, 8, 1), tensor.WithBacking(px)), tensor.New(tensor.WithShape(n), tensor.WithBacking(labels)))
	require.NoError(t, err)
	return s
}

const (
	convNet  = `{layers: [{conv2d: {out: 6, kernel: 3, pad: same}}, relu, {maxpool: 2}, {dropout: 0.2}, {conv2d: {out: 8, kernel: 3, pad: same, bias: false}}, batchnorm, relu, flatten, {linear: 4}], input: [8, 8, 1], classes: 4}`
	plainNet = `{layers: [flatten, {linear: 12}, tanh, {linear: 4}], input: [8, 8, 1], classes: 4}`
)

func network(t testing.TB, spec string) *model.Network {
	net, err := model.FromSpec(spec)
	require.NoError(t, err)
	return net
}

//go:noinline
func open(t testing.TB, name string, threads int) device.Device {
	d, err := device.Open(name, device.Options{Threads: threads})
	require.NoError(t, err)
	return d
}

func options() trainer.Options {
	return trainer.Options{Epochs: 2, Batch: 16, Optimizer: optim.SGD{LR: 0.05, Momentum: 0.9, Nesterov: true, WeightDecay: 1e-3}, Seed: 3,
		Augment: augment.Spec{Pad: 1, Cutout: 2}, LogEvery: 3}
}

// digest is the SHA-256 of all parameters and buffers, bit for bit.
func digest(net *model.Network) string {
	h := sha256.New()
	add := func(path string, v *tensor.Dense) {
		fmt.Fprint(h, path)
		switch x := v.Data().(type) {
		case []float32:
			for _, f := range x {
				_ = binary.Write(h, binary.LittleEndian, math.Float32bits(f))
			}
		case []float64:
			for _, f := range x {
				_ = binary.Write(h, binary.LittleEndian, math.Float64bits(f))
			}
		default:
			panic(fmt.Sprintf("%T", x))
		}
	}
	for _, p := range net.Params() {
		add(p.Path, p.Value)
	}
	for _, b := range net.Buffers() {
		add(b.Path, b.Value)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// fit trains a fresh network of spec on a fresh device and gives the digest of what came out.
func fit(t testing.TB, spec string, threads int, train, test data.Set, o trainer.Options) (string, *trainer.Result) {
	return fitOn(t, context.Background(), open(t, "cpu", threads), spec, train, test, o)
}

func fitOn(t testing.TB, ctx context.Context, dev device.Device, spec string, train, test data.Set, o trainer.Options) (string, *trainer.Result) {
	net := network(t, spec)
	res, err := trainer.Fit(ctx, dev, net, train, test, o)
	require.NoError(t, err)
	require.NoError(t, dev.Close())
	return digest(net), res
}

// values is all parameters, one after the other.
func values(net *model.Network) []float64 {
	var all []float64
	for _, p := range net.Params() {
		switch x := p.Value.Data().(type) {
		case []float32:
			for _, f := range x {
				all = append(all, float64(f))
			}
		case []float64:
			all = append(all, x...)
		}
	}
	return all
}

// distance is max|a-b| / max|a|.
func distance(a, b []float64) float64 {
	d, m := 0.0, 0.0
	for i := range a {
		d, m = max(d, math.Abs(a[i]-b[i])), max(m, math.Abs(a[i]))
	}
	return d / m
}

func float64Bytes(x []float64) []byte {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func float64s(b []byte) []float64 {
	var x []float64
	for ; len(b) > 0; b = b[8:] {
		x = append(x, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return x
}
