package cuda

import "github.com/acumen-ml/acumen/device"

// Conv2DPool is z = act(conv(x, w) + b), as Conv2D has it, of which the last row and column may be missing, and y = its
// maxima under windows of 2x2 with their places in idx (I32, or none), as MaxPool2D finds them, or y = z if pool is zero;
// and the statistics of y's channels in mean and variance (both f32, or none), as BatchNormStats finds them.
func (d *Device) Conv2DPool(y, idx, mean, variance, x, w, b device.View, p device.Conv2D, act device.UnOp, pool device.Pool2D) bool {
	c, ok := planConv2DPool(y, idx, mean, variance, x, w, b, p, act, pool, d.abilities())
	if ok {
		d.convolve(c, conv2DOperands{y: y, idx: idx, mean: mean, variance: variance, x: x, w: w, b: b, act: act})
	}
	return ok
}

var two = device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1}

// planConv2DPool chooses for Conv2DPool; false: not served.
func planConv2DPool(y, idx, mean, variance, x, w, b device.View, p device.Conv2D, act device.UnOp, pool device.Pool2D, can abilities) (c conv2DPlan, ok bool) {
	pooled := pool != device.Pool2D{}
	switch act {
	case device.Identity, device.Relu:
	case device.Sigmoid, device.Tanh, device.Gelu, device.GeluTanh, device.Silu:
		if pooled {
			return c, false
		}
	default:
		return c, false
	}
	if pooled && pool != two || idx.Valid() && (!pooled || idx.Type != device.I32 || !idx.SameShape(y) || !idx.Contiguous()) {
		return c, false
	}
	out := y
	if pooled {
		if !y.Valid() || y.Rank != 4 || y.D(1) > conv2DReach || y.D(2) > conv2DReach {
			return c, false
		}
		out.Dim[1] *= 2 // what the windows cover
		out.Dim[2] *= 2
	}
	c, ok = newConv2DPlan(convForward, x, out, w, x, out, p, can)
	c.pool = pooled
	if !ok || w.Type != x.Type || !w.Contiguous() {
		return c, false
	}
	if b.Valid() && (b.Type > device.BF16 || b.Type == device.F64 || !b.Contiguous() || b.Len() != w.D(0)) {
		return c, false
	}
	if c.moments = mean.Valid(); c.moments != variance.Valid() || c.moments && !vectors(device.F32, w.D(0), mean, variance) {
		return c, false
	}
	if _, rows := normRows(y); c.moments && !rows {
		return c, false
	}
	c.stagePatch(x)
	c.takeFew(out, act)
	return c, c.path != convDepthwise || !pooled && !c.moments
}

const (
	// momentsJoined is how many chunks bn_join_stats is given at most.
	momentsJoined = 512
	// momentsGroups is how many conv2d_merge makes of more.
	momentsGroups = 256
)

// tiled is how the rows that are written are cut into the tiles that have moments.
func (c *conv2DPlan) tiled() (rows, per, chunks, group int) {
	rows, per = c.images*c.yh*c.yw, c.tileM
	if c.pool {
		rows, per = rows/4, per/4
	}
	chunks, group = partsOf(rows, per), 1
	if chunks > momentsJoined {
		group = partsOf(chunks, momentsGroups)
	}
	return rows, per, chunks, group
}

// afterwards reports whether statistics are made of what has been written.
func (c *conv2DPlan) afterwards() bool { return c.splits > 1 || c.path == convFew }

// scratch is the bytes for the sums of splits and exchanged weights, or for moments.
func (c *conv2DPlan) scratch() int {
	if !c.moments {
		return c.sums() + c.exchanged()
	}
	rows, _, chunks, group := c.tiled()
	channels := int(c.p.Groups) * c.yc
	if c.afterwards() {
		return max(c.sums(), statsScratch(rows, channels, c.typ))
	}
	n := 8 * chunks * channels
	if group > 1 {
		n += 8 * partsOf(chunks, group) * channels
	}
	return n
}

// mergeParams is the twin of struct MergeParams.
type mergeParams struct {
	fault, part, to              uintptr
	rows                         int64
	channels, chunks, per, group int32
}

var kConv2DMerge = kernel("conv2d", "conv2d_merge")

// joinMoments queues the statistics of all rows from the moments of their tiles.
func (d *Device) joinMoments(c *conv2DPlan, part uintptr, mean, variance device.View) error {
	rows, per, chunks, group := c.tiled()
	channels := mean.Len()
	if group > 1 {
		to := part + uintptr(8*chunks*channels)
		p := mergeParams{fault: d.fault(), part: part, to: to, rows: int64(rows), channels: int32(channels), chunks: int32(chunks), per: int32(per), group: int32(group)}
		chunks, per = partsOf(chunks, group), per*group
		if err := launch(d, kConv2DMerge, [3]uint32{uint32(chunks), uint32(partsOf(channels, 32)), 1}, 256, 0, &p); err != nil {
			return err
		}
		part = to
	}
	return d.joinStats(part, mean, variance, rows, chunks, per)
}
