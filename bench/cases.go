package main

import (
	"fmt"

	"github.com/acumen-ml/acumen/bench/peer"
)

// entry is a row of a table: a case, and what it is counted in.
type entry struct {
	label string
	c     peer.Case
	work  float64 // of one call: operations, elements or pictures
	flops float64 // operations of one call as sums over taps, padding left out; 0: not known
}

func matmulEntries() []entry {
	var all []entry
	for _, s := range [][3]int{{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {1024, 2304, 256}} {
		m, k, n := s[0], s[1], s[2]
		work := 2 * float64(m) * float64(k) * float64(n)
		all = append(all, entry{fmt.Sprintf("%dx%dx%d", m, k, n), peer.Case{Kind: "matmul", M: m, K: k, N: n}, work, work})
	}
	return all
}

// linearLayers are batch, inputs and outputs of layers whose weights are large beside a batch.
var linearLayers = [][3]int{{1, 1024, 1024}, {16, 2048, 2048}, {128, 1024, 1024}, {128, 1024, 4096}, {128, 4096, 1024}, {512, 1024, 1024}}

func linearEntries(layers ...[3]int) []entry {
	var all []entry
	for _, s := range layers {
		batch, in, out := s[0], s[1], s[2]
		for _, backward := range []bool{false, true} {
			c := peer.Case{Kind: "linear", Forward: true, Backward: backward, Batch: batch, In: in, Out: out}
			work := 2 * float64(batch) * float64(in) * float64(out)
			if backward {
				work *= 3
			}
			all = append(all, entry{fmt.Sprintf("%d->%d, batch %d, %s", in, out, batch, direction(c)), c, work, work})
		}
	}
	return all
}

// conv2DEntries are the 3x3 convolutions of cifar94 at batch 256, most of them.
func conv2DEntries() []entry {
	var all []entry
	for _, s := range [][3]int{{24, 64, 31}, {64, 64, 15}, {64, 256, 15}, {256, 256, 7}, {256, 256, 3}} {
		in, out, size := s[0], s[1], s[2]
		for _, backward := range []bool{false, true} {
			c := peer.Case{Kind: "conv2d", Forward: true, Backward: backward, Batch: 256, Size: size, In: in, Out: out, Kernel: 3}
			work := convWork(c)
			all = append(all, entry{fmt.Sprintf("%d->%d at %dx%d, %s", in, out, size, size, direction(c)), c, work, work * tapsInside(size, 3)})
		}
	}
	return all
}

func direction(c peer.Case) string {
	switch {
	case c.Forward && c.Backward:
		return "forward + backward"
	case c.Backward:
		return "backward"
	}
	return "forward"
}

// convWork counts a product with padding as any other: what is customary.
func convWork(c peer.Case) float64 {
	forward := 2 * float64(c.Batch*c.Size*c.Size) * float64(c.Kernel*c.Kernel*c.In*c.Out)
	if c.Backward {
		return 3 * forward
	}
	return forward
}

// tapsInside is the share of a k x k kernel's taps that fall on pixels, in all positions on a padded picture of one size
// before and after.
func tapsInside(size, k int) float64 {
	inside := 0
	for tap := -(k / 2); tap <= k/2; tap++ {
		inside += max(0, size-max(tap, -tap))
	}
	share := float64(inside) / float64(size*k)
	return share * share
}

func passEntries() []entry {
	var all []entry
	add := func(label string, c peer.Case) {
		work := float64(c.Batch * c.In)
		if c.Size > 0 {
			work *= float64(c.Size * c.Size)
		}
		c.Kind = "pass"
		all = append(all, entry{label: label + ", " + direction(c), c: c, work: work})
	}
	image := func(op string, forward, backward bool) peer.Case {
		return peer.Case{Op: op, Forward: forward, Backward: backward, Batch: 1024, Size: 31, In: 64}
	}
	add("batch norm", image("batchnorm", true, false))
	add("batch norm", image("batchnorm", true, true))
	add("GELU", image("gelu", true, false))
	add("GELU", image("gelu", false, true))
	pool := image("maxpool", true, false)
	pool.Kernel = 2
	add("max pool 2", pool)
	pool.Backward = true
	add("max pool 2", pool)
	add("ReLU", image("relu", true, false))
	for _, k := range []int{10, 1000} {
		add(fmt.Sprintf("cross entropy of %d", k), peer.Case{Op: "crossentropy", Forward: true, Backward: true, Batch: 1024, In: k})
	}
	return all
}

// cifar94Step is the operations of a training step of cifar94 for one picture: three times those of the forward pass that
// fall on pixels, but no gradient of the pictures, and none of the whitening convolution.
const cifar94Step = 0.607e9

// netEntry is a step, or a pass of inference, of a batch.
func netEntry(kind, net string, batch int, precision string) entry {
	e := entry{label: fmt.Sprintf("%s, %d", net, batch), c: peer.Case{Kind: kind, Net: net, Batch: batch, Precision: precision}, work: float64(batch)}
	if kind == "step" && net == "cifar94" {
		e.flops = cifar94Step * e.work
	}
	return e
}

func stepEntries() []entry {
	return []entry{
		netEntry("step", "cifar94", 256, "f32"), netEntry("step", "cifar94", 1024, "f32"), netEntry("step", "resnet18", 128, "f32"),
		netEntry("step", "resnet20", 128, "f32"), netEntry("step", "lenet5-wide", 64, "f32"), netEntry("step", "mlp", 128, "f32"),
	}
}

func bf16Entries() []entry {
	return []entry{netEntry("step", "cifar94", 256, "bf16"), netEntry("step", "cifar94", 1024, "bf16"), netEntry("step", "resnet18", 128, "bf16")}
}

func inferEntries() []entry {
	return []entry{netEntry("infer", "resnet18", 1, "f32"), netEntry("infer", "resnet18", 128, "f32"), netEntry("infer", "cifar94", 256, "f32")}
}

// gomlxEntries are what gomlx's Go back-end can do of the rest: it has no gradients of convolution and pooling.
func gomlxEntries() []entry {
	conv := peer.Case{Kind: "conv2d", Forward: true, Batch: 64, Size: 15, In: 64, Out: 64, Kernel: 3}
	return []entry{
		{"convolution 3x3, 64->64 at 15x15, batch 64", conv, 1, convWork(conv) * tapsInside(15, 3)},
		{"step of mlp, 128", peer.Case{Kind: "step", Net: "mlp", Batch: 128}, 1, 0},
	}
}
