package cuda

import "github.com/acumen-ml/acumen/device"

const (
	conv2DPatchFile     = "conv2d_patch"
	conv2DPatchWideFile = "conv2d_patch_wide"
)

// kConv2DPatch are the kernels by type, pass and output channels of a tile: slots of 64 input channels, and of 32 (narrow).
var kConv2DPatch = conv2DPatchKernels()

type conv2DPatchKernel struct{ whole, narrow map[int]kernelID }

func conv2DPatchKernels() (k [device.BF16 + 1][2]conv2DPatchKernel) {
	for _, typ := range []device.DType{device.F16, device.BF16} {
		for pass, name := range []string{convForward: "conv2d_patch", convGradInput: "conv2d_dx_patch"} {
			of := func(file, form string, channels ...int) map[int]kernelID {
				all := map[int]kernelID{}
				for _, n := range channels {
					tile := [2]int{patchHigh, n}
					all[n] = conv2DKernelsOf(file, name+form, typ.String(), [][2]int{tile}, nil).whole[tile]
				}
				return all
			}
			k[typ][pass] = conv2DPatchKernel{of(conv2DPatchFile, "", 64, 32), of(conv2DPatchFile, "_narrow", 64, 32)}
			k[typ][pass].whole[128] = of(conv2DPatchWideFile, "_wide", 128)[128]
		}
	}
	return k
}

// patch is how a convolution by warpgroups stages its pixels: what a block of patchHigh pixels meets lies together in memory,
// rows of them at most, and is fetched once for all taps, slot channels at a time.
type patch struct{ rows, slot int }

const (
	// patchHigh is how many pixels are written from a patch.
	patchHigh = 256
	// patchStages is how many steps' weights are in shared memory.
	patchStages = 4
	// patchSets is how many tiles' rows conv2d_patch_wide.cu has there.
	patchSets = 4
)

// stagePatch lets a convolution by warpgroups fetch the pixels of x once for all taps, where the kernels for that serve it and
// the processors of a large GPU have work: of conv2d_patch_wide.cu each has one block, which does tile after tile.
func (c *conv2DPlan) stagePatch(x device.View) {
	if !c.patchable(x) {
		return
	}
	const processors = productBlocks / 2
	q := c.patchOf()
	m, n, _ := c.product()
	tiles := partsOf(m, patchHigh) * partsOf(n, c.tileN) * int(c.p.Groups)
	if q.shared(c) > sharedLimit(9, 0) || c.tileN < 128 && tiles < processors || c.tileN == 128 && 5*tiles < 4*roundUp(tiles, processors) {
		return
	}
	c.path, c.patch = convPatch, q
}

// patchable reports whether pixels may be fetched once: they have neighbours in memory as in the image, are met by several
// taps, and those of later pixels that are written lie behind those of earlier ones. Of 24 and 32 channels two taps make a
// step. The next slice of channels is fetched while taps of this are multiplied: there must be as many steps as stages.
func (c *conv2DPlan) patchable(x device.View) bool {
	taps := c.kh * c.kw
	wide := c.xc%64 == 0 && taps >= patchStages
	narrow := c.xc > 16 && c.xc <= 32 && c.tileN < 128 && c.kw > 1 && taps < conv2DGroupsTaps
	return c.path == convGroups && c.pass != convGradWeight && c.splits == 1 && (wide || narrow) && c.p.StrideH == 1 && c.p.StrideW == 1 &&
		c.yh <= c.xh && c.yw <= c.xw && evenly(x)
}

// patchOf is the patch: the first pixel and the last, and between those, as far as the rows and images that are written are
// shorter than those that are read, all that lies at the ends.
func (c *conv2DPlan) patchOf() patch {
	q := patch{slot: 64}
	if c.xc%64 != 0 {
		q.slot = 32
	}
	last, rows, images := patchHigh-1, partsOf(patchHigh-1, c.yw), partsOf(patchHigh-1, c.yw*c.yh)
	if c.pool { // by windows, the last of which ends a row lower
		const windows = patchHigh/4 - 1
		last, rows, images = 2*windows+c.xw+1, partsOf(windows, c.yw/2), partsOf(windows, c.yw/2*(c.yh/2))
		last += rows * c.xw
	}
	last += rows*max(c.xw-c.yw, 0) + images*max(c.xh-c.yh, 0)*c.xw
	q.rows = last + 1 + (c.kh-1)*int(c.p.DilH)*c.xw + (c.kw-1)*int(c.p.DilW)
	return q
}

// shared is the bytes of shared memory of a block, from a multiple of 1024 on: weights, zeros and patches, and later the sums
// of 128 pixels with where they go; in conv2d_patch_wide.cu sums have room of their own, as have rows and barriers.
func (q patch) shared(c *conv2DPlan) int {
	n := patchStages*128*c.tileN + 128
	if c.tileN == 128 {
		return 1024 + n + 2*(64*4*(64+8)+1024) + patchSets*patchHigh*16 + 128 + 2*q.rows*128
	}
	patches := 1
	if c.xc > q.slot {
		patches = 2
	}
	return 1024 + max(n+patches*q.rows*2*q.slot, 128*(4*(c.tileN+8)+8))
}

// patchLaunch is the kernel that serves c with its patch, the grid, and the threads of a block.
func (c *conv2DPlan) patchLaunch(processors int) (k kernelID, grid [3]uint32, threads uint32) {
	m, n, _ := c.product()
	tiles, groups := partsOf(m, patchHigh)*partsOf(n, c.tileN), int(c.p.Groups)
	of, threads := kConv2DPatch[c.typ][c.pass].whole, 256
	switch {
	case c.tileN == 128: // blocks have several tiles, so that one is fetched while another is multiplied
		tiles, threads = min(tiles, partsOf(processors, groups)), 384
	case c.patch.slot == 32:
		of = kConv2DPatch[c.typ][c.pass].narrow
	}
	return of[c.tileN], [3]uint32{uint32(tiles), uint32(groups), 1}, threads
}
