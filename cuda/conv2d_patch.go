package cuda

import "github.com/acumen-ml/acumen/device"

const conv2DPatchFile = "conv2d_patch"

// patchTiles are pixels and channels of a tile.
var patchTiles = [][2]int{{256, 128}, {128, 128}, {256, 64}, {256, 32}}

// kConv2DPatch are the kernels by type and pass: whole for slots of 64 channels, single for those of 32.
var kConv2DPatch = conv2DPatchKernels()

func conv2DPatchKernels() (k [device.BF16 + 1][2]conv2DKernels) {
	for _, typ := range []device.DType{device.F16, device.BF16} {
		for pass, name := range []string{convForward: "conv2d_patch", convGradInput: "conv2d_dx_patch"} {
			of := func(form string, tiles ...[2]int) map[[2]int]kernelID {
				return conv2DKernelsOf(conv2DPatchFile, name+form, typ.String(), tiles, nil).whole
			}
			k[typ][pass] = conv2DKernels{of("", patchTiles...), of("_narrow", patchTiles[1:]...)}
		}
	}
	return k
}

// patch is how a convolution by warpgroups stages its pixels: what a block of high pixels meets lies together in memory, rows
// of them at most, and is fetched once for all taps, slot channels at a time.
type patch struct{ high, rows, slot int }

const (
	// patchStages is how many steps' weights are in shared memory.
	patchStages = 4
	// patchSets is how many tiles' rows are.
	patchSets = 4
	// patchSteps is the fewest steps of a slice of channels: in the last of them the next slice is fetched.
	patchSteps = 4
)

// stagePatch lets a convolution by warpgroups fetch the pixels of x once for all taps, where the kernels for that serve it and
// every processor of a large GPU has work.
func (c *conv2DPlan) stagePatch(x device.View) {
	if !c.patchable(x) {
		return
	}
	m, n, _ := c.product()
	for _, tile := range patchTiles {
		q := c.patchOf(tile[0])
		if tile[1] == c.tileN && (q.slot == 64 || tile != patchTiles[0]) && q.shared(c) <= sharedLimit(9, 0) && partsOf(m, q.high)*partsOf(n, c.tileN)*int(c.p.Groups) >= productBlocks/2 {
			c.path, c.patch = convPatch, q
			return
		}
	}
}

// patchable reports whether pixels may be fetched once: they have neighbours in memory as in the image, are met by several
// taps, and those of later pixels that are written lie behind those of earlier ones.
func (c *conv2DPlan) patchable(x device.View) bool {
	taps := c.kh * c.kw
	wide := c.xc%64 == 0 && taps >= patchSteps
	narrow := c.xc > 16 && c.xc <= 32 && c.kw > 1 && taps < conv2DGroupsTaps && taps > 2*(patchSteps-1)
	return c.path == convGroups && c.pass != convGradWeight && c.splits == 1 && (wide || narrow) && c.p.StrideH == 1 && c.p.StrideW == 1 && c.yh <= c.xh && c.yw <= c.xw && x.CanReshape(x.Len()/x.D(3), x.D(3))
}

// patchOf is the patch for blocks of high pixels: of them the first and the last, and between those, as far as the rows and
// images that are written are shorter than those that are read, all that lies at the ends.
func (c *conv2DPlan) patchOf(high int) patch {
	q := patch{high: high, slot: 64}
	if c.xc%64 != 0 {
		q.slot = 32
	}
	last, rows, images := high-1, partsOf(high-1, c.yw), partsOf(high-1, c.yw*c.yh)
	if c.pool { // by windows, the last of which ends a row lower
		windows := high/4 - 1
		last, rows, images = 2*windows+c.xw+1, partsOf(windows, c.yw/2), partsOf(windows, c.yw/2*(c.yh/2))
		last += rows * c.xw
	}
	last += rows*max(c.xw-c.yw, 0) + images*max(c.xh-c.yh, 0)*c.xw
	q.rows = last + 1 + (c.kh-1)*int(c.p.DilH)*c.xw + (c.kw-1)*int(c.p.DilW)
	return q
}

// shared is the bytes of shared memory of a block: weights, zeros, the sums of two warpgroups that are written at a time with
// where they go, rows, barriers, and two patches, from a multiple of 1024 on.
func (q patch) shared(c *conv2DPlan) int {
	sums := 64*4*(min(c.tileN, 64)+8) + 1024
	return 1024 + patchStages*128*c.tileN + 128 + 2*sums + patchSets*q.high*16 + 128 + 2*q.rows*2*q.slot
}

// moments is how many pixels have moments of their own: those of a warpgroup, and two of them share the tile of 256 x 128.
func (q patch) moments(c *conv2DPlan) int {
	if c.tileN == 128 {
		return 128
	}
	return q.high
}

// patchKernel is the kernel that serves c with its patch.
func (c *conv2DPlan) patchKernel() kernelID {
	of := kConv2DPatch[c.typ][c.pass].whole
	if c.patch.slot == 32 {
		of = kConv2DPatch[c.typ][c.pass].single
	}
	return of[[2]int{c.patch.high, c.tileN}]
}
