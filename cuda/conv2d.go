package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// conv2DParams is the twin of struct Conv2DParams in conv2d.cuh.
type conv2DParams struct {
	fault                                            uintptr
	x, w, bias, y, part, idx, moments                uintptr
	xImage, yImage                                   int64
	xRow, xCol, yRow, yCol                           int32
	xh, xw, yh, yw, xc, yc                           int32
	images, groups                                   int32
	kh, kw, strideH, strideW, padH, padW, dilH, dilW int32
	tapH, tapW, offH, offW                           int32
	splits, rows, cols                               int32
	act, biasType, yType, together                   int32
	beta                                             float32
	pool, patch                                      int32
}

// conv2DKernels are the kernels of a pass for a type: by tile, those that read 16 bytes of channels at a time and those
// that read single elements.
type conv2DKernels struct{ whole, single map[[2]int]kernelID }

var conv2DTypes = [...]string{device.F32: "f32", device.F16: "f16", device.BF16: "bf16"}

func conv2DKernelsOf(file, pass, typ string, whole, single [][2]int) conv2DKernels {
	named := func(form string, tiles [][2]int) map[[2]int]kernelID {
		k := map[[2]int]kernelID{}
		for _, t := range tiles {
			k[t] = kernel(file, fmt.Sprintf("%s_%s%s_%dx%d", pass, form, typ, t[0], t[1]))
		}
		return k
	}
	return conv2DKernels{named("", whole), named("any_", single)}
}

var (
	conv2DTiles  = [][2]int{{128, 128}, {128, 64}, {128, 32}, {64, 64}}
	conv2DSingle = [][2]int{{128, 32}, {64, 64}}

	kConv2DPlain = [...]conv2DKernels{
		convForward:    conv2DKernelsOf("conv2d", "conv2d", "f32", conv2DTiles, conv2DSingle),
		convGradInput:  conv2DKernelsOf("conv2d", "conv2d_dx", "f32", conv2DTiles, conv2DSingle),
		convGradWeight: conv2DKernelsOf("conv2d_grad", "conv2d_dw", "f32", [][2]int{{128, 128}, {64, 64}}, [][2]int{{64, 64}}),
	}
	kConv2DTensor = [...][3]conv2DKernels{
		device.F32: conv2DTensorKernels("tf32"), device.F16: conv2DTensorKernels("f16"), device.BF16: conv2DTensorKernels("bf16"),
	}
	kConv2DFinish     = [...]kernelID{device.F32: kernel("conv2d", "conv2d_finish_f32"), device.F16: kernel("conv2d", "conv2d_finish_f16"), device.BF16: kernel("conv2d", "conv2d_finish_bf16")}
	kConv2DGradFinish = kernel("conv2d_grad", "conv2d_dw_finish")
)

func conv2DTensorKernels(typ string) [3]conv2DKernels {
	return [3]conv2DKernels{
		convForward:    conv2DKernelsOf("conv2d_mma_"+typ, "conv2d", typ, conv2DTiles, conv2DSingle),
		convGradInput:  conv2DKernelsOf("conv2d_mma_"+typ, "conv2d_dx", typ, conv2DTiles, conv2DSingle),
		convGradWeight: conv2DKernelsOf("conv2d_mma_grad", "conv2d_dw", typ, [][2]int{{128, 128}, {64, 128}, {64, 64}}, [][2]int{{64, 64}}),
	}
}

// Conv2D is y = act(conv(x, w) + b): x (N,H,W,C), w (O,KH,KW,C/G), b (O) or none, y (N,OH,OW,O), images and weights of
// one type, f32, f16 or bf16.
func (d *Device) Conv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp) bool {
	c, ok := planConv2D(y, x, w, b, p, act, d.abilities())
	if ok {
		d.convolve(c, conv2DOperands{y: y, x: x, w: w, b: b, act: act})
	}
	return ok
}

// Conv2DGradInput is dx (N,H,W,C), overwritten, the gradient of conv(x, w) to x from dy (N,OH,OW,O).
func (d *Device) Conv2DGradInput(dx, dy, w device.View, p device.Conv2D) bool {
	c, ok := planConv2DGradInput(dx, dy, w, p, d.abilities())
	if ok {
		d.convolve(c, conv2DOperands{y: dx, x: dy, w: w})
	}
	return ok
}

// Conv2DGradWeight is dw (O,KH,KW,C/G) = the gradient of conv(x, w) to w from dy (N,OH,OW,O), + beta dw. dw is of the
// images' type, or f32.
func (d *Device) Conv2DGradWeight(dw, x, dy device.View, p device.Conv2D, beta float64) bool {
	c, ok := planConv2DGradWeight(dw, x, dy, p, d.abilities())
	if ok {
		d.convolve(c, conv2DOperands{y: dw, x: x, w: dy, beta: beta})
	}
	return ok
}

// conv2DOperands are what a convolution reads and writes: y is written, x is gathered, w is the other factor, which is dy
// in the gradient of the weights; b, idx, mean and variance may be absent.
type conv2DOperands struct {
	y, x, w, b, idx, mean, variance device.View
	act                             device.UnOp
	beta                            float64
}

var conv2DNames = [...]string{convForward: "Conv2D", convGradInput: "Conv2DGradInput", convGradWeight: "Conv2DGradWeight"}

// convolve queues c.
func (d *Device) convolve(c conv2DPlan, o conv2DOperands) {
	name := conv2DNames[c.pass]
	if c.pool || c.moments {
		name = "Conv2DPool"
	}
	scratch := c.scratch()
	d.reserve(scratch)
	d.enqueue(name, present(o.y, o.idx, o.mean, o.variance), present(o.x, o.w, o.b), c.flops(), func() error {
		q := c.params(o.y, o.x, o.w, o.idx)
		q.fault, q.bias, q.biasType, q.idx = d.fault(), addressOf(o.b), int32(o.b.Type), addressOf(o.idx)
		q.act, q.beta = int32(o.act), float32(o.beta)
		var part uintptr
		if scratch > 0 {
			var err error
			if part, err = d.borrow(scratch); err != nil {
				return err
			}
		}
		if c.exchanged() > 0 {
			q.w = part + uintptr(c.sums())
			if err := d.exchange(&c, q.w, o.w); err != nil {
				return err
			}
		}
		if c.splits > 1 {
			q.part = part
		} else if c.moments {
			q.moments = part
		}
		if err := d.launchConv2D(&c, &q); err != nil || !c.moments {
			return err
		}
		if c.afterwards() {
			return d.launchStats(o.mean, o.variance, o.y)
		}
		return d.joinMoments(&c, part, o.mean, o.variance)
	})
}

// launchConv2D queues the kernels that write y.
func (d *Device) launchConv2D(c *conv2DPlan, q *conv2DParams) error {
	if c.path == convDepthwise {
		if err := d.launchDepthwise(c, q); err != nil || c.splits == 1 {
			return err
		}
	} else {
		k, grid, threads, shared := c.launch(d.gpu.processors)
		if c.splits == 1 {
			return launch(d, k, grid, threads, shared, q)
		}
		first := *q
		first.pool = 0 // the parts are of pixels
		if err := launch(d, k, grid, threads, shared, &first); err != nil {
			return err
		}
	}
	k := kConv2DFinish[c.typ]
	if c.pass == convGradWeight {
		k = kConv2DGradFinish
	}
	return launch(d, k, d.spread(c.sums()/(4*c.splits), 256), 256, 0, q)
}

// params is what the kernels are told of operands and shapes.
func (c *conv2DPlan) params(y, x, w, idx device.View) conv2DParams {
	p := c.p
	q := conv2DParams{
		x: address(x), w: address(w), y: address(y), xImage: int64(x.Str[0]), xRow: x.Str[1], xCol: x.Str[2],
		xh: int32(c.xh), xw: int32(c.xw), yh: int32(c.yh), yw: int32(c.yw), xc: int32(c.xc), yc: int32(c.yc),
		images: int32(c.images), groups: p.Groups, kh: int32(c.kh), kw: int32(c.kw),
		strideH: p.StrideH, strideW: p.StrideW, padH: p.PadH, padW: p.PadW, dilH: p.DilH, dilW: p.DilW,
		splits: int32(c.splits), yType: int32(y.Type),
	}
	if c.path != convDepthwise {
		rows, cols := c.tiles()
		q.rows, q.cols = int32(rows), int32(cols)
	}
	gh, gw := int32(gcd(int(p.StrideH), int(p.DilH))), int32(gcd(int(p.StrideW), int(p.DilW)))
	q.tapH, q.offH, q.tapW, q.offW = p.StrideH/gh, p.DilH/gh, p.StrideW/gw, p.DilW/gw
	if c.path == convPatch {
		q.patch, q.xCol = int32(c.patch.rows), x.Reshape(x.Len()/x.D(3), x.D(3)).Str[0]
	}
	if c.pass == convGradWeight {
		q.yCol = w.Reshape(w.Len()/w.D(3), w.D(3)).Str[0]
		if c.path == convGroups {
			q.xCol = x.Reshape(x.Len()/x.D(3), x.D(3)).Str[0] // whatever the stride of an axis of one pixel
		}
		return q
	}
	q.yImage, q.yRow, q.yCol = int64(y.Str[0]), y.Str[1], y.Str[2]
	q.pool = flag(c.pool)
	fours := y.Off | idx.Off | c.yc
	for a := range 3 {
		if y.Dim[a] > 1 {
			fours |= int(y.Str[a])
		}
	}
	q.together = flag(fours%4 == 0)
	return q
}

// launch is the kernel that serves c, its grid, which may depend on how many processors there are, the threads of a block and
// its bytes of shared memory.
func (c *conv2DPlan) launch(processors int) (k kernelID, grid [3]uint32, threads, shared uint32) {
	switch c.path {
	case convPatch:
		k, grid, threads = c.patchLaunch(processors)
		return k, grid, threads, uint32(c.patch.shared(c))
	case convFew:
		return c.fewLaunch()
	}
	rows, cols := c.tiles()
	grid = [3]uint32{uint32(rows * cols * c.splits), uint32(c.p.Groups), uint32(c.phases)}
	tile := [2]int{c.tileM, c.tileN}
	of := &kConv2DPlain[c.pass]
	threads, shared = 256, uint32(c.plainShared())
	switch c.path {
	case convTensor: // three stages of 64 bytes of k
		of = &kConv2DTensor[c.typ][c.pass]
		threads, shared = 128, uint32(3*64*(c.tileM+c.tileN))
	case convGroups: // three stages of 128 bytes of k, from a multiple of 1024 on
		of = &kConv2DGroups[c.typ][c.pass]
		threads, shared = 256, uint32(3*128*(c.tileM+c.tileN)+1024)
		if c.pass == convGradWeight {
			threads, shared = 384, uint32(c.weightShared())
		}
	}
	k = of.whole[tile]
	if !c.whole {
		k = of.single[tile]
	}
	return k, grid, threads, shared
}

// plainShared is what conv2d_plain.cuh needs: two stages of 16 rows of k, each padded by 4, and later a part of the sums
// with the places of its rows, or maxima with theirs and the bias.
func (c *conv2DPlan) plainShared() int {
	high := c.tileM
	if c.tileM == 128 && c.tileN > 32 { // 8 rows a thread
		high /= 2
	}
	return max(2*16*4*(c.tileM+c.tileN+8), high*(4*(c.tileN+4)+8)+4*c.tileN)
}
