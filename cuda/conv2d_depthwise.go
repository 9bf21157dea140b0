package cuda

import "github.com/acumen-ml/acumen/device"

// depthwiseKernels are a pass's kernels by type: those whose threads have 16 bytes of channels, and single ones.
func depthwiseKernels(name string) (p packed) {
	for t, n := range conv2DTypes {
		if n != "" {
			p.wide[t] = kernel("conv2d_depthwise", name+"_"+n+map[int]string{4: "x4", 2: "x8"}[device.DType(t).Size()])
			p.single[t] = kernel("conv2d_depthwise", name+"_"+n+"x1")
		}
	}
	return p
}

var kConv2DDepthwise = [...]packed{
	convForward: depthwiseKernels("conv2d_depthwise"), convGradInput: depthwiseKernels("conv2d_depthwise_dx"), convGradWeight: depthwiseKernels("conv2d_depthwise_dw"),
}

// launchDepthwise queues c where there is one channel a group.
func (d *Device) launchDepthwise(c *conv2DPlan, q *conv2DParams) error {
	s := c.depthwise()
	q.rows, q.cols, q.together = int32(s.lines), int32(s.packs), flag(c.whole)
	k := kConv2DDepthwise[c.pass].single[c.typ]
	if s.v > 1 {
		k = kConv2DDepthwise[c.pass].wide[c.typ]
	}
	positions := c.images * c.yh * c.yw
	if c.pass == convGradWeight {
		return launch(d, k, [3]uint32{uint32(c.splits), uint32(s.tiles), uint32(c.kh * c.kw)}, 256, uint32(s.lines*s.packs*s.v*4), q)
	}
	blocks := max(1, min(partsOf(positions, s.lines), 16*d.gpu.processors/s.tiles))
	return launch(d, k, [3]uint32{uint32(blocks), uint32(s.tiles), 1}, 256, uint32(c.kh*c.kw*s.packs*s.v*4), q)
}
