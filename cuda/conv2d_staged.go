package cuda

import "github.com/acumen-ml/acumen/device"

var (
	kConv2DStaged   = conv2DPaddedKernels("staged", [][2]int{{128, 128}, {128, 64}, {128, 32}})
	kConv2DResident = conv2DPaddedKernels("resident", [][2]int{{128, 64}, {128, 32}})
)

// conv2DPaddedKernels are the kernels of a way to stage pixels, by type and pass.
func conv2DPaddedKernels(way string, tiles [][2]int) (k [device.BF16 + 1][2]conv2DKernels) {
	for _, typ := range []device.DType{device.F16, device.BF16} {
		for pass, name := range []string{convForward: "conv2d_", convGradInput: "conv2d_dx_"} {
			k[typ][pass] = conv2DKernelsOf("conv2d_mma_"+way, name+way, typ.String(), tiles, nil)
		}
	}
	return k
}

// largeShared are the files whose kernels may ask for as much shared memory as a block can have.
var largeShared = []string{"conv2d_mma_staged", "conv2d_mma_resident"}

const (
	// residentBlocks is how many blocks are left where the weights stay: enough for some waves of a large GPU.
	residentBlocks = 6 * productBlocks
	// residentMost is how many tiles a block has at most.
	residentMost = 16
	// blockShared is the shared memory that the system takes in each block.
	blockShared = 1 << 10
)

// stageable reports whether staging is worth it: each pixel serves several taps, and all channels are there.
func (c *conv2DPlan) stageable() bool {
	return c.path == convTensor && c.typ != device.F32 && c.pass != convGradWeight && c.splits == 1 && c.tileM == 128 &&
		c.p.StrideH == 1 && c.p.StrideW == 1 && c.kh*c.kw >= 4 && (c.xc <= 32 || c.xc%32 == 0)
}

// stage takes the best way to stage pixels on a GPU whose blocks may have so much shared memory, if there is one: that in
// which weights stay, with narrow tiles if need be, then that in which they come through a ring. More than what any block
// may have is asked for only where two blocks still share a processor, so that one multiplies while the other waits.
func (c *conv2DPlan) stage(limit int) {
	two := (limit+blockShared)/2 - blockShared
	r := *c
	r.path, r.tileN = convResident, min(c.tileN, 64)
	if r.each = min(r.blocks()/residentBlocks, residentMost); r.each > 1 && r.residentShared() <= two {
		*c = r
	} else if c.stagedShared() <= max(two, conv2DShared) {
		c.path = convStaged
	}
}

// staged is the bytes of a slice of the channels of as many pixels, with those around them, as 128 neighbours can meet.
func (c *conv2DPlan) staged() int {
	spanH, spanW := (c.kh-1)*int(c.p.DilH), (c.kw-1)*int(c.p.DilW)
	rows := 126/c.yw + 2          // that 128 pixels lie in
	images := 126/(c.yh*c.yw) + 2 // likewise
	if c.pool {
		rows = 2 * (60/c.yw + 2) // 32 windows
	}
	bytes := (rows + images*spanH) * (c.yw + spanW) * min(c.xc, 32) * c.typ.Size()
	return roundUp(bytes, 128) // chunks are permuted within so many
}

// turned is the bytes for 32 rows of sums of each row of warps, with their places, or for maxima with theirs, and the bias.
func (c *conv2DPlan) turned() int {
	rows := 64
	if c.tileN == 32 {
		rows = 128
	}
	return rows*((c.tileN+4)*4+8) + 4*c.tileN
}

// stagedShared is the shared memory of a block: three stages of weights, one slice of pixels or two, a chunk of zeros; later
// what is turned.
func (c *conv2DPlan) stagedShared() int {
	pixels := c.staged()
	if c.xc > 32 {
		pixels *= 2
	}
	return max(3*64*c.tileN+pixels+16, c.turned())
}

// slice is the bytes between two slices of pixels of which either makes place for what is turned.
func (c *conv2DPlan) slice() int { return roundUp(max(c.staged(), c.turned()), 128) }

// residentShared is the shared memory of a block: all weights in panels of 64 bytes of k, two slices of pixels, a chunk of
// zeros.
func (c *conv2DPlan) residentShared() int {
	chunks := min(c.xc/8, 4) // of a slice
	panels := c.xc / (8 * chunks) * partsOf(c.kh*c.kw*chunks, 4)
	return panels*64*c.tileN + 2*c.slice() + 16
}
