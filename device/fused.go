package device

// The parameter types of fused kernels live here; the interfaces by which ops ask for such kernels stand beside the ops
// that use them. All are plain values, so that a call allocates nothing.

// Conv2D describes a two-dimensional convolution: images (N,H,W,C), weights (O,KH,KW,C/Groups).
type Conv2D struct {
	StrideH, StrideW int32
	PadH, PadW       int32 // zeros on both sides
	DilH, DilW       int32
	Groups           int32
}

// Out is the output's height and width for an input of h x w under a kernel of kh x kw; under 1 where it does not fit.
func (p Conv2D) Out(h, w, kh, kw int) (oh, ow int) {
	return outExtent(h, kh, int(p.StrideH), int(p.PadH), int(p.DilH)), outExtent(w, kw, int(p.StrideW), int(p.PadW), int(p.DilW))
}

func outExtent(n, k, stride, pad, dil int) int {
	if n += 2*pad - dil*(k-1) - 1; n < 0 {
		return 0
	}
	return n/stride + 1
}

// Pool2D describes two-dimensional pooling over images (N,H,W,C).
type Pool2D struct {
	KernelH, KernelW int32
	StrideH, StrideW int32
	PadH, PadW       int32 // on both sides; never the winner of a maximum
	DilH, DilW       int32
	Ceil             bool // count a last, partly covered window, if it starts inside the image or its left padding
}

// Out is the output's height and width for an input of h x w; under 1 where the window does not fit. Ceil follows
// PyTorch: a window that would start in the right padding is dropped.
func (p Pool2D) Out(h, w int) (oh, ow int) {
	return p.out(h, int(p.KernelH), int(p.StrideH), int(p.PadH), int(p.DilH)), p.out(w, int(p.KernelW), int(p.StrideW), int(p.PadW), int(p.DilW))
}

// Tiles reports whether windows lie side by side, without padding or gaps: each pixel is under one, or, where a last
// window would not fit, under none.
func (p Pool2D) Tiles() bool {
	return p.KernelH > 0 && p.KernelW > 0 && p.StrideH == p.KernelH && p.StrideW == p.KernelW && p.PadH == 0 && p.PadW == 0 && p.DilH == 1 && p.DilW == 1 && !p.Ceil
}

func (p Pool2D) out(n, k, stride, pad, dil int) int {
	m := n + 2*pad - dil*(k-1) - 1
	if !p.Ceil {
		if m < 0 {
			return 0
		}
		return m/stride + 1
	}
	if m += stride - 1; m < 0 {
		return 0
	}
	o := m/stride + 1
	if (o-1)*stride >= n+pad {
		o--
	}
	return o
}

// Augment describes how a batch is made from resident bytes, in one pass: gather, crop out of a padded image, flip,
// cut out, normalise. The numbers for image i of a batch are row i of a Uniform draw of shape (batch, 8) on Stream:
// column 0 the crop's row floor(u (2 Pad + 1)), 1 its column, 2 the flip (u < 1/2), 3 and 4 row and column of the
// cutout's centre floor(u H), floor(u W); the products are rounded to f32.
type Augment struct {
	Pad         int32      // pixels of padding on each side before a crop of the original size; 0: no crop
	Reflect     bool       // pad by reflection without repeating the edge, else so that the normalised value is 0
	Flip        bool       // mirror left to right with probability 1/2
	Cutout      int32      // side of a square set to normalised 0, from centre - Cutout/2 on; 0: none
	Stream      uint32     // Philox stream of the draws
	Scale, Bias [4]float32 // normalised = byte * Scale[channel] + Bias[channel]
}

// Optimiser kernels read four device scalars from one view, since they change between launches of a graph:
// the learning rate, the factor on gradients (clipping, loss scale), the number of this update (1 at the first), and
// whether to write at all (0: nothing is written).
const (
	HyperLR = iota
	HyperGradScale
	HyperStep
	HyperOK
	HyperLen
)

// SGD describes an update by stochastic gradient descent.
type SGD struct {
	Momentum, Dampening float64
	Nesterov            bool
	WeightDecay         float64
	Decoupled           bool // w -= lr WeightDecay w, instead of g += WeightDecay w
}

// Adam describes an update by Adam (Kingma and Ba, arXiv 1412.6980) or, Decoupled, AdamW (Loshchilov and Hutter,
// arXiv 1711.05101).
type Adam struct {
	Beta1, Beta2, Eps float64
	WeightDecay       float64
	Decoupled         bool
	AMSGrad           bool // Reddi, Kale, Kumar, arXiv 1904.09237
}
