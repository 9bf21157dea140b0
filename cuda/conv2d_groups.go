package cuda

import (
	"github.com/acumen-ml/acumen/cuda/kernels"
	"github.com/acumen-ml/acumen/device"
)

const (
	conv2DGroupsFile     = "conv2d_wgmma"
	conv2DGroupsGradFile = "conv2d_wgmma_grad"
)

var kConv2DGroups = conv2DGroupsKernels()

func conv2DGroupsKernels() (k [device.BF16 + 1][3]conv2DKernels) {
	for _, typ := range []device.DType{device.F16, device.BF16} {
		for pass, name := range []string{convForward: "conv2d_wgmma", convGradInput: "conv2d_dx_wgmma"} {
			k[typ][pass] = conv2DKernelsOf(conv2DGroupsFile, name, typ.String(), [][2]int{{128, 128}, {128, 64}, {128, 32}}, nil)
		}
		k[typ][convGradWeight] = conv2DKernelsOf(conv2DGroupsGradFile, "conv2d_dw_wgmma", typ.String(), conv2DGroupsGradTiles, nil)
	}
	return k
}

// largeShared are the files whose kernels may ask for as much shared memory as a block can have.
var largeShared = []string{conv2DGroupsFile, conv2DPatchFile, conv2DPatchWideFile, conv2DGroupsGradFile}

// conv2DGroupsTaps is how many taps the kernels have bits for.
const conv2DGroupsTaps = 32

// hasGroups reports whether a GPU has wgmma, and this program machine code that uses it: only what is compiled for sm_90a
// does.
func hasGroups(major, minor int) bool {
	for _, file := range largeShared {
		if arch, err := kernels.Arch(file, major, minor); err != nil || arch != "sm_90a" {
			return false
		}
	}
	return true
}

// groupable reports whether warpgroups can have the convolution: rows for their tiles, and 16 bytes of channels of both
// operands together along k.
func (c *conv2DPlan) groupable() bool {
	return c.path == convTensor && c.typ != device.F32 && c.tileM == 128 && c.kh*c.kw <= conv2DGroupsTaps &&
		c.pass != convGradWeight
}

// exchanged is the bytes of weights whose input and output channels have changed places.
func (c *conv2DPlan) exchanged() int {
	if c.path != convGroups && c.path != convPatch || c.pass != convGradInput {
		return 0
	}
	return int(c.p.Groups) * c.yc * c.kh * c.kw * c.xc * c.typ.Size()
}

// exchange queues the copy of weights w (O,KH,KW,C/G) to an address as (G,C/G,KH,KW,O/G).
func (d *Device) exchange(c *conv2DPlan, to uintptr, w device.View) error {
	g := int(c.p.Groups)
	x := w.Reshape(g, c.xc, c.kh, c.kw, c.yc).Permute(0, 4, 2, 3, 1)
	n := newNest(device.Make(nil, c.typ, 0, x.Shape()...), x)
	n.op[0].data = to
	return d.launchCopy(n, c.typ, c.typ)
}
