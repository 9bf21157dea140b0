package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// lists are the models that are rows of layers, as a configuration would have them. CLASSES stands for the number of
// classes.
var lists = map[string]string{
	// Two hidden layers, the network of cpu speed comparisons on MNIST: 784-512-512-10 has 669,706 parameters.
	"mlp": `[flatten, {linear: 512}, relu, {linear: 512}, relu, {linear: CLASSES}]`,

	// LeNet-5 (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86, 1998) with ReLU and max pooling, all maps of the first
	// convolution feeding all of the second: 61,706 parameters on 28x28x1.
	"lenet5": `[{conv2d: {out: 6, kernel: 5, pad: 2}}, relu, {maxpool: 2}, {conv2d: {out: 16, kernel: 5}}, relu, {maxpool: 2}, flatten,
		{linear: 120}, relu, {linear: 84}, relu, {linear: CLASSES}]`,

	// The LeNet of later frameworks' examples, 20-50-500-10: 431,080 parameters on 28x28x1.
	"lenet5-wide": `[{conv2d: {out: 20, kernel: 5}}, relu, {maxpool: 2}, {conv2d: {out: 50, kernel: 5}}, relu, {maxpool: 2}, flatten,
		{linear: 500}, relu, {linear: CLASSES}]`,

	// For CIFAR-10 on small machines: 5,982,208 multiply-adds for a 32x32x3 picture. Pooling stands before the norm, so
	// that norm and ReLU pass over a quarter of the pixels.
	"cnn-small": `[{conv2d: {out: 24, pad: same, bias: false}}, {maxpool: 2}, batchnorm, relu,
		{conv2d: {out: 32, pad: same, bias: false}}, {maxpool: 2}, batchnorm, relu,
		{conv2d: {out: 64, pad: same, bias: false}}, batchnorm, relu,
		{conv2d: {out: 64, pad: same, bias: false}}, {maxpool: 2}, batchnorm, relu, flatten, {linear: CLASSES}]`,

	// In the manner of VGG (Simonyan and Zisserman, arXiv 1409.1556): pairs of 3x3 convolutions, width doubling as the
	// picture halves, with batch norm, and dropout behind the second and the third.
	"cnn": `[{conv2d: {out: 32, pad: same, bias: false}}, batchnorm, relu, {conv2d: {out: 32, pad: same, bias: false}}, batchnorm, relu, {maxpool: 2},
		{conv2d: {out: 64, pad: same, bias: false}}, batchnorm, relu, {conv2d: {out: 64, pad: same, bias: false}}, batchnorm, relu, {maxpool: 2}, {dropout: 0.1},
		{conv2d: {out: 128, pad: same, bias: false}}, batchnorm, relu, {conv2d: {out: 128, pad: same, bias: false}}, batchnorm, relu, {maxpool: 2}, {dropout: 0.2},
		flatten, {linear: CLASSES}]`,
}

// blocks are the models that are built in Go, for pictures of so many channels.
var blocks = map[string]func(channels, classes int) *Sequential{
	"resnet20": resnet20,
	"resnet18": resnet18,
	"cifar94":  cifar94,
}

// Names is the names that New knows, in alphabetical order.
func Names() []string {
	names := append(slices.Collect(maps.Keys(lists)), slices.Collect(maps.Keys(blocks))...)
	slices.Sort(names)
	return names
}

// New makes the model called name, without weights, for pictures of input (height, width, channels). An unknown name,
// or a picture too small for the model, is an error.
func New(name string, input [3]int, classes int) (*Network, error) {
	var n *Network
	err := checkEnds(name, input, classes)
	if err != nil {
		return nil, err
	}
	if list, ok := lists[name]; ok {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(list, "CLASSES", fmt.Sprint(classes))), &doc); err != nil {
			return nil, err
		}
		forgetLines(&doc)
		b := listBuilder{where: name, made: new(int)}
		seq, _, lerr := b.list(&doc, input[:])
		if lerr != nil {
			return nil, fmt.Errorf("model %s for pictures of %s: %w", name, shapeText(input[:]), lerr)
		}
		n, err = NewNetwork(name, seq, input, classes)
	} else if f, ok := blocks[name]; ok {
		n, err = NewNetwork(name, f(input[2], classes), input, classes)
	} else {
		hint := "the models are " + strings.Join(Names(), ", ")
		if near := nearest.Name(name, Names()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, fault.Usagef(hint, "model.name: there is no model %q", name)
	}
	if err != nil {
		return nil, err
	}
	n.Spec, err = specText(spec{Name: name, Input: input, Classes: classes})
	return n, err
}

// forgetLines makes errors in one of the lists above say nothing of lines, which the user cannot see.
func forgetLines(n *yaml.Node) {
	n.Line = 0
	for _, c := range n.Content {
		forgetLines(c)
	}
}

// conv is a square convolution without bias, padded so that stride 1 keeps the picture's size.
func conv(in, out, kernel, stride int, init Initializer) *Conv2D {
	s, p := int32(stride), int32(kernel/2)
	return NewConv2D(in, out, [2]int{kernel, kernel}, device.Conv2D{StrideH: s, StrideW: s, PadH: p, PadW: p}, false, init)
}

func relu() *Activation { return NewActivation(device.Relu) }

// basicBlock adds, to s, two 3x3 convolutions with batch norm round which shortcut leads, and the ReLU after them.
func (s *Sequential) basicBlock(in, out, stride int, shortcut Module) {
	he := KaimingNormal()
	s.add(NewResidual(NewSequential(conv(in, out, 3, stride, he), NewBatchNorm(out, true), relu(), conv(out, out, 3, 1, he), NewBatchNorm(out, true)), shortcut))
	s.add(relu())
}

// resnet20 is the network for CIFAR-10 of He, Zhang, Ren, Sun, arXiv 1512.03385, section 4.2, n = 3, with shortcuts of
// option A: 269,722 parameters.
func resnet20(channels, classes int) *Sequential {
	s := NewSequential(conv(channels, 16, 3, 1, KaimingNormal()), NewBatchNorm(16, true), relu())
	in := 16
	for _, out := range []int{16, 32, 64} {
		for range 3 {
			if in != out {
				s.basicBlock(in, out, 2, NewSubsample(2, out))
			} else {
				s.basicBlock(in, out, 1, nil)
			}
			in = out
		}
	}
	return s.head(in, classes)
}

// resnet18 is ResNet-18 of the same paper with the stem that suits 32x32 pictures, one 3x3 convolution and no pooling,
// and 1x1 convolutions as shortcuts (option B): 11,173,962 parameters.
func resnet18(channels, classes int) *Sequential {
	s := NewSequential(conv(channels, 64, 3, 1, KaimingNormal()), NewBatchNorm(64, true), relu())
	in := 64
	for _, out := range []int{64, 128, 256, 512} {
		stride := 1
		var shortcut Module
		if in != out {
			stride = 2
			shortcut = NewSequential(conv(in, out, 1, stride, KaimingNormal()), NewBatchNorm(out, true))
		}
		s.basicBlock(in, out, stride, shortcut)
		s.basicBlock(out, out, 1, nil)
		in = out
	}
	return s.head(in, classes)
}

func (s *Sequential) head(in, classes int) *Sequential {
	for _, m := range []Module{NewAdaptivePool2D(1, 1, false), NewFlatten(), NewLinear(in, classes, true, nil)} {
		s.add(m)
	}
	return s
}

// cifar94 is the network of airbench94 (Jordan, arXiv 2404.00498): 1,971,352 trained parameters. Its first convolution
// is frozen: whiten.weight is to be set from the training pictures' patches, and starts random. Batch norms have a
// scale fixed at 1, eps 1e-12, and keep 0.6 of the old statistics; convolutions start with identity filters.
func cifar94(channels, classes int) *Sequential {
	gelu := func() Module { return NewActivation(device.Gelu) }
	norm := func(c int) Module {
		b := NewBatchNorm(c, false)
		b.Momentum, b.Eps = 0.4, 1e-12
		return b
	}
	pool := func(k int32) Module { return NewMaxPool2D(device.Pool2D{KernelH: k, KernelW: k}) }
	whiten := NewConv2D(channels, 8*channels, [2]int{2, 2}, device.Conv2D{}, true, nil) // (O,2,2,C): each of 4 C patch values, and its negative
	whiten.Weight.Frozen = true
	s := NewSequential(Named("whiten", whiten), gelu())
	in := 8 * channels
	for _, out := range []int{64, 256, 256} {
		for _, m := range []Module{conv(in, out, 3, 1, Dirac(FanIn())), pool(2), norm(out), gelu(), conv(out, out, 3, 1, Dirac(FanIn())), norm(out), gelu()} {
			s.add(m)
		}
		in = out
	}
	for _, m := range []Module{pool(3), NewFlatten(), NewLinear(in, classes, false, nil), NewScale(1.0 / 9)} {
		s.add(m)
	}
	return s
}
