package cuda

import "github.com/acumen-ml/acumen/device"

// The gradient of the weights by warpgroups, conv2d_wgmma_grad.cu: a block sums tileM output by tileN input channels of a
// few taps, a third of which each of its warpgroups has.

// conv2DGroupsGradTiles are output and input channels of a block's sums.
var conv2DGroupsGradTiles = [][2]int{{256, 64}, {128, 128}, {128, 64}, {64, 64}}

const (
	// conv2DGradDepth is how many pixels are a step.
	conv2DGradDepth = 64
	// conv2DGradRing is how many pixels of x are held, those of four steps among them.
	conv2DGradRing = 512
	// conv2DGradReach is how many pixels the taps of a block may lie apart.
	conv2DGradReach = conv2DGradRing - 4*conv2DGradDepth
	// conv2DGradProcessors are what splits are to fill. A constant: how sums are cut must not depend on the GPU.
	conv2DGradProcessors = productBlocks / 2
	// conv2DGradSums bounds the bytes that the sums of the splits take.
	conv2DGradSums = 64 << 20
)

// groupWeights lets warpgroups have a gradient of the weights that they can have: even tells that images lie evenly. Where
// they lie does not change in how many splits is summed.
func (c *conv2DPlan) groupWeights(even bool) {
	q := *c
	if !q.weightTile() {
		return
	}
	q.path = convGroups
	q.cutWeights()
	c.splits = q.splits
	if c.whole && even {
		*c = q
	}
}

// weightTile chooses the tile; false: taps, channels or images do not suit.
func (c *conv2DPlan) weightTile() bool {
	switch {
	case c.path != convTensor || c.typ == device.F32 || c.xc%64 != 0 || c.yc%8 != 0 || c.kh*c.kw > conv2DGroupsTaps:
		return false
	case c.p.StrideH != 1 || c.p.StrideW != 1 || c.xh != c.yh || c.xw != c.yw:
		return false
	case c.yc <= 64:
		c.tileM, c.tileN = 64, 64
	case c.yc%256 == 0:
		c.tileM, c.tileN = 256, 64
	case c.xc%128 == 0:
		c.tileM, c.tileN = 128, 128
	default:
		c.tileM, c.tileN = 128, 64
	}
	taps := c.kh * c.kw
	return 6*taps >= 5*roundUp(taps, c.weightTaps()) && c.tapsNear() // blocks are filled to five sixths at least
}

// tapsNear reports whether the taps of each block lie near enough to each other.
func (c *conv2DPlan) tapsNear() bool {
	taps, each := c.kh*c.kw, c.weightTaps()
	if int(c.p.PadH)*c.xw+int(c.p.PadW) > conv2DExtent/2 {
		return false
	}
	for first := 0; first < taps; first += each {
		low, high := c.shift(first), c.shift(first)
		for tap := first; tap < min(first+each, taps); tap++ {
			low, high = min(low, c.shift(tap)), max(high, c.shift(tap))
		}
		if high-low > conv2DGradReach {
			return false
		}
	}
	return true
}

// shift is how many pixels away a tap meets one.
func (c *conv2DPlan) shift(tap int) int {
	return (tap/c.kw*int(c.p.DilH)-int(c.p.PadH))*c.xw + tap%c.kw*int(c.p.DilW) - int(c.p.PadW)
}

// weightTaps is how many taps a block has.
func (c *conv2DPlan) weightTaps() int {
	if c.tileM == 64 {
		return 9
	}
	return 3
}

// weightTiles are the tiles of output channels, and those of taps and input channels.
func (c *conv2DPlan) weightTiles() (rows, cols int) {
	return partsOf(c.yc, c.tileM), partsOf(c.kh*c.kw, c.weightTaps()) * (c.xc / c.tileN)
}

// weightShared is four stages of dy, the pixels of x, masks and zeros, from a multiple of 1024 on.
func (c *conv2DPlan) weightShared() int {
	return 4*conv2DGradDepth*2*c.tileM + conv2DGradRing*2*c.tileN + 4*4*conv2DGradDepth + 128 + 1024
}

// cutWeights chooses the splits by what they are expected to take: so many rounds of blocks on all processors, each of them
// the products of its steps at 600 TFLOP/s in all and two steps' time to begin and end, and sums that are written and read
// at 3 TB/s. The smallest of equals.
func (c *conv2DPlan) cutWeights() {
	steps, blocks := partsOf(c.images*c.yh*c.yw, conv2DGradDepth), c.blocks()
	step := 2 * float64(conv2DGradDepth*c.tileM*c.tileN*c.weightTaps()) * conv2DGradProcessors / 6e14
	sums := 4 * c.kh * c.kw * c.xc * c.yc * int(c.p.Groups)
	best := 0.0
	for s := 1; s == 1 || s <= steps/4 && s*blocks <= 8*conv2DGradProcessors && s*sums <= conv2DGradSums; s++ {
		cost := float64(partsOf(s*blocks, conv2DGradProcessors)*(partsOf(steps, s)+2)) * step
		if s > 1 {
			cost += 2 * float64(s*sums) / 3e12
		}
		if s == 1 || cost < best {
			best, c.splits = cost, s
		}
	}
}
