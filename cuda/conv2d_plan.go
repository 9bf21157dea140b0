package cuda

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

// conv2DPath is who convolves.
type conv2DPath uint8

const (
	convPlain     conv2DPath = iota // f32 on CUDA cores
	convTensor                      // f16, bf16, and f32 rounded to TF32, on tensor cores
	convGroups                      // f16 and bf16 on the tensor cores of compute capability 9.0, by warpgroups
	convPatch                       // as convGroups, with pixels that are fetched once for all taps
	convFew                         // f16 and bf16 on CUDA cores, where few numbers meet in a sum
	convDepthwise                   // one channel a group
)

// conv2DPass is one of the three products of a convolution.
type conv2DPass uint8

const (
	convForward conv2DPass = iota
	convGradInput
	convGradWeight
)

const (
	// conv2DExtent bounds what kernels count in int32: pixels, elements along k, offsets in an image.
	conv2DExtent = 1 << 30
	// conv2DReach bounds how far a kernel reaches beyond a pixel.
	conv2DReach = 1 << 14
	// conv2DShared is the shared memory that a block may have without being asked for.
	conv2DShared = 48 << 10
)

// conv2DPlan is a convolution as it is queued, as a product of (m, k) by (k, n) a group. What is gathered is called x:
// it is dy in the gradient of the input, whose y is dx.
type conv2DPlan struct {
	pass   conv2DPass
	path   conv2DPath
	typ    device.DType
	p      device.Conv2D
	images int
	xh, xw int
	yh, yw int
	xc, yc int // channels of a group
	kh, kw int

	tileM, tileN int
	whole        bool // 16 bytes of channels are read at a time
	phases       int  // of pixels that meet the same taps of the kernel
	splits       int  // of k
	patch        patch

	pool    bool // windows of 2x2, whose pixels yh and yw count
	moments bool // of what is written are wanted
}

// planConv2D chooses for y = act(conv(x, w) + b); false: not served.
func planConv2D(y, x, w, b device.View, p device.Conv2D, act device.UnOp, can abilities) (conv2DPlan, bool) {
	return planConv2DPool(y, device.View{}, device.View{}, device.View{}, x, w, b, p, act, device.Pool2D{}, can)
}

// planConv2DGradInput chooses for dx from dy and w.
func planConv2DGradInput(dx, dy, w device.View, p device.Conv2D, can abilities) (conv2DPlan, bool) {
	c, ok := newConv2DPlan(convGradInput, dx, dy, w, dy, dx, p, can)
	c.stagePatch(dy)
	return c, ok && w.Type == dy.Type && w.Contiguous()
}

// planConv2DGradWeight chooses for dw from x and dy.
func planConv2DGradWeight(dw, x, dy device.View, p device.Conv2D, can abilities) (conv2DPlan, bool) {
	c, ok := newConv2DPlan(convGradWeight, x, dy, dw, x, dy, p, can)
	if !ok || dw.Type != x.Type && dw.Type != device.F32 || !dw.Contiguous() || !evenly(dy) {
		return c, false
	}
	if can.groups {
		c.groupWeights(evenly(x))
	}
	return c, true
}

// newConv2DPlan chooses for a pass between in (N,H,W,C) and out (N,OH,OW,O), whichever of them is written; x is gathered.
func newConv2DPlan(pass conv2DPass, in, out, w, x, y device.View, p device.Conv2D, can abilities) (c conv2DPlan, ok bool) {
	if !conv2DImages(x) || !conv2DImages(y) || x.Type != y.Type || x.D(0) != y.D(0) || w.Rank != 4 || w.Len() == 0 || w.Len() > conv2DExtent {
		return c, false
	}
	g := int(p.Groups)
	if g < 1 || p.StrideH < 1 || p.StrideW < 1 || p.DilH < 1 || p.DilW < 1 || p.PadH < 0 || p.PadW < 0 {
		return c, false
	}
	if w.D(3)*g != in.D(3) || w.D(0) != out.D(3) || w.D(0)%g != 0 {
		return c, false
	}
	if oh, ow := p.Out(in.D(1), in.D(2), w.D(1), w.D(2)); oh < out.D(1) || ow < out.D(2) {
		return c, false
	}
	if max((w.D(1)-1)*int(p.DilH)+int(p.PadH), (w.D(2)-1)*int(p.DilW)+int(p.PadW), int(p.StrideH), int(p.StrideW)) > conv2DReach {
		return c, false
	}
	c = conv2DPlan{
		pass: pass, typ: x.Type, p: p, images: x.D(0), xh: x.D(1), xw: x.D(2), yh: y.D(1), yw: y.D(2),
		xc: x.D(3) / g, yc: y.D(3) / g, kh: w.D(1), kw: w.D(2), phases: 1, splits: 1,
	}
	if pass == convGradInput {
		c.phases = int(p.StrideH) * int(p.StrideW)
	}
	switch {
	case c.xc == 1 && c.yc == 1 && g > 1:
		c.path = convDepthwise
	case c.typ == device.F32 && !(can.tensor && can.tf32):
		c.path = convPlain
	case can.tensor:
		c.path = convTensor
	default:
		return c, false
	}
	if g > 1<<16-1 || c.phases > 1<<16-1 || c.path == convDepthwise && c.kh*c.kw > depthwiseTaps {
		return c, false
	}
	e := 16 / c.typ.Size()
	if c.path == convDepthwise {
		c.whole = g%e == 0 && evenly16(x) && evenly16(y)
		c.phases = 1
		if s := c.depthwise(); pass == convGradWeight {
			c.splits = max(1, min(productBlocks/s.tiles, c.images*c.yh*c.yw/(depthwiseRows*s.lines)))
		}
		return c, true
	}
	c.cut()
	c.whole = c.xc%e == 0 && evenly16(x) && (pass == convForward || c.yc%e == 0)
	if pass == convGradWeight {
		c.whole = c.whole && evenly16(y)
	} else {
		c.whole = c.whole && w.Off*w.Type.Size()%16 == 0
	}
	switch {
	case !c.whole:
		c.anyTile()
	case can.groups && c.groupable():
		c.path = convGroups
	}
	return c, true
}

// conv2DImages reports whether v is (N,H,W,C) with adjacent channels, of a type that the kernels have, that int32 counts.
func conv2DImages(v device.View) bool {
	if !v.Valid() || v.Rank != 4 || v.Len() == 0 || v.Type > device.BF16 || v.Type == device.F64 {
		return false
	}
	for a, s := range v.Str[:3] {
		if s < 0 || s == 0 && v.Dim[a] > 1 {
			return false
		}
	}
	if v.Str[3] != 1 && v.Dim[3] != 1 || v.D(0)*v.D(1)*v.D(2) > conv2DExtent {
		return false
	}
	return (v.D(1)-1)*int(v.Str[1])+(v.D(2)-1)*int(v.Str[2])+v.D(3) <= math.MaxInt32
}

// evenly reports whether all pixels lie at one distance.
func evenly(v device.View) bool { return v.CanReshape(v.Len()/v.D(3), v.D(3)) }

// evenly16 reports whether all pixels begin at multiples of 16 bytes.
func evenly16(v device.View) bool {
	at := v.Off
	for a := range 3 {
		if v.Dim[a] > 1 {
			at |= int(v.Str[a])
		}
	}
	return at*v.Type.Size()%16 == 0
}

// product is the extents of the matrices of a group and, in the gradient of the input, of the largest phase.
func (c *conv2DPlan) product() (m, n, k int) {
	taps := c.kh * c.kw
	switch c.pass {
	case convGradWeight:
		return c.yc, taps * c.xc, c.images * c.yh * c.yw
	case convGradInput:
		sh, sw := int(c.p.StrideH), int(c.p.StrideW)
		return c.images * partsOf(c.yh, sh) * partsOf(c.yw, sw), c.yc, partsOf(c.kh, c.apart(sh, int(c.p.DilH))) * partsOf(c.kw, c.apart(sw, int(c.p.DilW))) * c.xc
	}
	return c.images * c.yh * c.yw, c.yc, taps * c.xc
}

// apart is how many taps lie between those that meet a pixel, in the gradient of the input.
func (c *conv2DPlan) apart(stride, dil int) int { return stride / gcd(stride, dil) }

// depthwise is how channels and positions are dealt to blocks where there is one channel a group: a thread has v channels,
// a block packs of them, and lines of positions. It follows from the shape, and with it the order of sums.
type depthwise struct{ v, packs, lines, tiles int }

const (
	// depthwiseTaps is how many taps the kernels have room for.
	depthwiseTaps = 512
	// depthwiseShared is the room for weights in shared memory.
	depthwiseShared = 16 << 10
	// depthwiseRows is how many positions are the least that a thread sums.
	depthwiseRows = 8
)

func (c *conv2DPlan) depthwise() depthwise {
	d := depthwise{v: 1}
	if e := 16 / c.typ.Size(); int(c.p.Groups)%e == 0 {
		d.v = e
	}
	all := int(c.p.Groups) / d.v
	d.packs = min(all, 32)
	for d.packs > 1 && c.pass != convGradWeight && c.kh*c.kw*d.packs*d.v*4 > depthwiseShared {
		d.packs = partsOf(d.packs, 2)
	}
	d.lines = 256 / d.packs
	d.tiles = partsOf(all, d.packs)
	return d
}

// partsOf is how many parts of a size, the last perhaps shorter, make n.
func partsOf(n, size int) int { return (n + size - 1) / size }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// cut chooses tiles and splits. The splits decide in which order is summed: they must not depend on where operands lie.
func (c *conv2DPlan) cut() {
	m, n, k := c.product()
	c.tileM, c.tileN = 128, 128
	least := productBlocks / 2
	if c.pass == convGradWeight {
		if m <= 64 && c.path == convTensor {
			c.tileM = 64
		}
		if (m <= 64 || n <= 64) && c.path == convPlain || n <= 64 && c.path == convTensor {
			c.tileM, c.tileN = 64, 64
		}
	} else {
		switch {
		case n <= 32:
			c.tileN = 32
		case n <= 64 || roundUp(n, 128) > roundUp(n, 64)*8/7:
			c.tileN = 64
		}
		if c.tileN > 32 && c.blocks() < least {
			c.tileM, c.tileN = 64, 64
		}
	}
	if blocks, deepest := c.blocks(), k/productDepth; blocks <= least && deepest >= 2 {
		c.splits = min(productBlocks/blocks, deepest)
	}
}

// anyTile takes the tile for operands that are read element by element.
func (c *conv2DPlan) anyTile() {
	if c.pass != convGradWeight && c.tileN == 32 {
		c.tileM = 128
		return
	}
	c.tileM, c.tileN = 64, 64
}

// tiles are the rows and columns of tiles.
func (c *conv2DPlan) tiles() (rows, cols int) {
	if c.path == convGroups && c.pass == convGradWeight {
		return c.weightTiles()
	}
	m, n, _ := c.product()
	return partsOf(m, c.tileM), partsOf(n, c.tileN)
}

func (c *conv2DPlan) blocks() int {
	rows, cols := c.tiles()
	return rows * cols * int(c.p.Groups) * c.phases
}

// sums is the bytes that the sums of the splits take.
func (c *conv2DPlan) sums() int {
	switch {
	case c.splits == 1:
		return 0
	case c.pass == convGradWeight:
		return 4 * c.splits * int(c.p.Groups) * c.yc * c.kh * c.kw * c.xc
	}
	return 4 * c.splits * c.images * c.yh * c.yw * int(c.p.Groups) * c.yc
}

// flops is the arithmetic, multiplications and additions, padding counted.
func (c *conv2DPlan) flops() float64 {
	positions := c.yh * c.yw
	if c.pass == convGradInput {
		positions = c.xh * c.xw
	}
	return 2 * float64(c.images) * float64(positions) * float64(c.p.Groups) * float64(c.yc) * float64(c.kh*c.kw*c.xc)
}
