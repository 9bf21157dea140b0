package bundle

import "fmt"

// speedCase is one call whose speed is measured. scripts/speed.py makes the same in PyTorch.
type speedCase struct {
	Kind    string `json:"kind"`
	Type    string `json:"type"`  // f16, bf16, f32, or tf32: f32 with factors rounded in products
	Batch   int    `json:"batch"` // pictures; for products, updates and copies 1
	Height  int    `json:"height"`
	Width   int    `json:"width"`
	In      int    `json:"in"`  // channels; for products k, for updates and copies how many numbers
	Out     int    `json:"out"` // for products n
	Kernel  int    `json:"kernel"`
	Stride  int    `json:"stride"`
	Pad     int    `json:"pad"`
	Comment string `json:"-"` // which layer it is
}

func (c speedCase) String() string {
	s := fmt.Sprintf("%d x %dx%dx%d", c.Batch, c.Height, c.Width, c.In)
	switch c.Kind {
	case "conv", "conv_dx", "conv_dw":
		s += fmt.Sprintf(" -> %d, %dx%d", c.Out, c.Kernel, c.Kernel)
		if c.Stride > 1 {
			s += fmt.Sprintf(" by %d", c.Stride)
		}
	case "product":
		s = fmt.Sprintf("%d x %d x %d", c.Height, c.In, c.Out)
	case "copy", "sgd", "adam":
		s = fmt.Sprintf("%d", c.In)
	case "loss":
		s = fmt.Sprintf("%d x %d", c.Batch, c.In)
	}
	return fmt.Sprintf("%s %s %s", c.Kind, c.Type, s)
}

// out is height and width of a convolution's or pooling's result.
func (c speedCase) out() (h, w int) {
	of := func(n int) int { return (n+2*c.Pad-c.Kernel)/c.Stride + 1 }
	return of(c.Height), of(c.Width)
}

func (c speedCase) size() int {
	if c.Type == "f16" || c.Type == "bf16" {
		return 2
	}
	return 4
}

// flops are the multiplications and additions of a product or convolution; 0 for what memory bounds.
func (c speedCase) flops() float64 {
	switch c.Kind {
	case "conv", "conv_dx", "conv_dw":
		h, w := c.out()
		return 2 * float64(c.Batch*h*w) * float64(c.Out) * float64(c.Kernel*c.Kernel*c.In)
	case "product":
		return 2 * float64(c.Height) * float64(c.In) * float64(c.Out)
	}
	return 0
}

// bytes are the fewest that must be read and written.
func (c speedCase) bytes() float64 {
	x, s := c.Batch*c.Height*c.Width*c.In, c.size()
	switch c.Kind {
	case "conv", "conv_dx", "conv_dw":
		h, w := c.out()
		return float64((x + c.Batch*h*w*c.Out + c.Out*c.Kernel*c.Kernel*c.In) * s)
	case "product":
		return float64((c.Height*c.In + c.In*c.Out + c.Height*c.Out) * s)
	case "copy", "norm", "gelu":
		return float64(2 * x * s)
	case "norm_grad", "gelu_grad":
		return float64(3 * x * s)
	case "pool", "pool_grad": // with an index for each window
		h, w := c.out()
		return float64(x*s + c.Batch*h*w*c.In*(s+4))
	case "loss": // logits, and their gradient
		return float64(2 * c.Batch * c.In * s)
	case "sgd":
		return float64(5 * 4 * c.In)
	case "adam":
		return float64(7 * 4 * c.In)
	case "augment":
		return float64(x + x*s)
	}
	panic("bundle: bytes of " + c.Kind)
}

// layer is a convolution of a network, with what follows it.
type layer struct {
	side, in, out, kernel, stride, pad int
}

// networkLayers are the convolutions of the two networks at the batch sizes at which they are trained; those that come
// several times, once.
var networkLayers = []struct {
	name   string
	batch  int
	layers []layer
}{
	{"94 % network", 2000, []layer{{32, 3, 24, 2, 1, 0}, {31, 24, 64, 3, 1, 1}, {15, 64, 64, 3, 1, 1}, {15, 64, 256, 3, 1, 1}, {7, 256, 256, 3, 1, 1}, {3, 256, 256, 3, 1, 1}}},
	{"resnet18", 512, []layer{{32, 3, 64, 3, 1, 1}, {32, 64, 64, 3, 1, 1}, {32, 64, 128, 3, 2, 1}, {32, 64, 128, 1, 2, 0}, {16, 128, 128, 3, 1, 1}, {16, 128, 256, 3, 2, 1},
		{8, 256, 256, 3, 1, 1}, {8, 256, 512, 3, 2, 1}, {4, 512, 512, 3, 1, 1}}},
}

// convolutions are the layers of both networks in one of the three passes.
func convolutions(kind string) []speedCase {
	var all []speedCase
	for _, n := range networkLayers {
		for i, l := range n.layers {
			if i == 0 && kind == "conv_dx" {
				continue // nobody asks for the gradient of the pictures
			}
			if i == 0 && n.name == "94 % network" && kind != "conv" {
				continue // whose weights are fixed
			}
			all = append(all, speedCase{Kind: kind, Type: "f16", Batch: n.batch, Height: l.side, Width: l.side, In: l.in, Out: l.out, Kernel: l.kernel, Stride: l.stride, Pad: l.pad, Comment: n.name})
		}
	}
	return all
}

// others are the calls between convolutions.
func others() []speedCase {
	var all []speedCase
	add := func(comment, kind, typ string, batch, side, in, kernel, stride int) {
		all = append(all, speedCase{Kind: kind, Type: typ, Batch: batch, Height: side, Width: side, In: in, Kernel: kernel, Stride: stride, Comment: comment})
	}
	for _, k := range []string{"norm", "norm_grad", "gelu", "gelu_grad"} {
		add("94 % network", k, "f16", 2000, 15, 64, 0, 0)
		add("94 % network", k, "f16", 2000, 7, 256, 0, 0)
	}
	for _, k := range []string{"norm", "norm_grad"} {
		add("resnet18", k, "f16", 512, 32, 64, 0, 0)
	}
	for _, k := range []string{"pool", "pool_grad"} {
		add("94 % network", k, "f16", 2000, 31, 64, 2, 2)
		add("94 % network", k, "f16", 2000, 15, 256, 2, 2)
	}
	add("94 % network", "augment", "f16", 2000, 32, 3, 0, 0)
	add("both", "loss", "f32", 2000, 1, 10, 0, 0)
	for _, k := range []string{"sgd", "adam"} {
		add("resnet18", k, "f32", 1, 1, 11173962, 0, 0)
	}
	return all
}

// ceilings are what nothing is faster than: a copy that no cache holds, and large products.
func ceilings() []speedCase {
	all := []speedCase{{Kind: "copy", Type: "f32", Batch: 1, Height: 1, Width: 1, In: 1 << 28}}
	for _, typ := range []string{"f16", "bf16", "tf32"} {
		all = append(all, speedCase{Kind: "product", Type: typ, Batch: 1, Height: 8192, Width: 1, In: 8192, Out: 8192})
	}
	return append(all, speedCase{Kind: "product", Type: "f32", Batch: 1, Height: 4096, Width: 1, In: 4096, Out: 4096})
}

// shrunk is the case at a size for the stand-in.
func (c speedCase) shrunk() speedCase {
	c.Batch = min(c.Batch, 2)
	c.Height, c.Width = min(c.Height, 9), min(c.Width, 9)
	c.In, c.Out = min(c.In, 64), min(c.Out, 64)
	return c
}
