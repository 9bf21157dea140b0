package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// fewDepth is how many numbers meet in a sum at most, where matrices of them would be mostly zeros.
const fewDepth = 32

// fewChannels are how many channels a thread of conv2d_few.cu can write.
var fewChannels = []int{32, 24, 8}

var kConv2DFew = conv2DFewKernels()

func conv2DFewKernels() (k [device.BF16 + 1]map[int]kernelID) {
	for _, typ := range []device.DType{device.F16, device.BF16} {
		k[typ] = map[int]kernelID{}
		for _, n := range fewChannels {
			k[typ][n] = kernel("conv2d_few", fmt.Sprintf("conv2d_few_%s_%d", typ, n))
		}
	}
	return k
}

// takeFew lets CUDA cores have a convolution of few numbers in a sum whose operands are not read 16 bytes at a time: a first
// layer's. y is written so.
func (c *conv2DPlan) takeFew(y device.View, act device.UnOp) {
	if c.pass == convForward && c.path == convTensor && c.typ != device.F32 && !c.whole && !c.pool && c.splits == 1 && c.p.Groups == 1 &&
		c.kh*c.kw*c.xc <= fewDepth && c.yc%8 == 0 && evenly16(y) && (act == device.Identity || act == device.Relu) {
		c.path = convFew
	}
}

// fewLaunch is the kernel that serves c, its grid, threads and bytes of shared memory.
func (c *conv2DPlan) fewLaunch() (k kernelID, grid [3]uint32, threads, shared uint32) {
	n := 0
	for _, n = range fewChannels {
		if c.yc%n == 0 {
			break
		}
	}
	const pixels = 2 * 128 // of a block
	return kConv2DFew[c.typ][n], [3]uint32{uint32(partsOf(c.images*c.yh*c.yw, pixels)), uint32(c.yc / n), 1}, 128, uint32(4 * n * c.kh * c.kw * c.xc)
}
