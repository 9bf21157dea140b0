package cuda

import (
	"math"

	"github.com/acumen-ml/acumen/device"
)

var (
	kMaxPool      = packedKernels("pool2d", "max_pool")
	kMaxPoolGrad  = packedKernels("pool2d", "max_pool_grad")
	kMaxPoolTiles = packedKernels("pool2d", "max_pool_tiles")
	kAvgPool      = packedKernels("pool2d", "avg_pool")
	kAvgPoolGrad  = packedKernels("pool2d", "avg_pool_grad")
)

// poolParams is the twin of struct PoolParams.
type poolParams struct {
	fault, x, y, idx                                           uintptr
	xImage, yImage                                             int64
	xRow, xCol, yRow, yCol                                     int32
	h, w, oh, ow, channels                                     int32
	kh, kw, strideH, strideW, padH, padW, dilationH, dilationW int32
	n                                                          uint32
	rows, cols, packs                                          divider
	byStrideH, byStrideW                                       divider
	aligned, countPad                                          int32
	_                                                          int32
}

// images reports whether v is (N,H,W,C) with adjacent channels, of floating-point elements that 32-bit numbers count.
func images(v device.View) bool {
	if !v.Valid() || v.Rank != 4 || v.Len() == 0 || v.Len() > math.MaxInt32 || !isFloat(v.Type) {
		return false
	}
	for _, s := range v.Str[:3] {
		if s < 0 {
			return false
		}
	}
	return (v.Str[3] == 1 || v.Dim[3] == 1) && extent(v) <= math.MaxInt32
}

// extent is how many elements one of the images spans.
func extent(v device.View) int { return (v.D(1)-1)*int(v.Str[1]) + (v.D(2)-1)*int(v.Str[2]) + v.D(3) }

// pooled reports whether pooling by p can lead from x to y; idx is of y's shape, or absent.
func pooled(x, y, idx device.View, p device.Pool2D) bool {
	if !images(x) || !images(y) || x.Type != y.Type || x.D(0) != y.D(0) || x.D(3) != y.D(3) {
		return false
	}
	if oh, ow := p.Out(x.D(1), x.D(2)); oh != y.D(1) || ow != y.D(2) {
		return false
	}
	return !idx.Valid() || idx.Type == device.I32 && idx.SameShape(y) && idx.Contiguous()
}

// pool queues a kernel of pool2d.cu with a thread for v channels of each of n x rows x cols elements.
func (d *Device) pool(k kernelID, v int, x, y, idx device.View, rows, cols int, p device.Pool2D, countPad bool) error {
	packs := x.D(3) / v
	n := x.D(0) * rows * cols * packs
	q := poolParams{fault: d.fault(), x: address(x), y: address(y), idx: addressOf(idx), xImage: int64(x.Str[0]), yImage: int64(y.Str[0]),
		xRow: x.Str[1], xCol: x.Str[2], yRow: y.Str[1], yCol: y.Str[2], h: x.Dim[1], w: x.Dim[2], oh: y.Dim[1], ow: y.Dim[2], channels: x.Dim[3],
		kh: p.KernelH, kw: p.KernelW, strideH: p.StrideH, strideW: p.StrideW, padH: p.PadH, padW: p.PadW, dilationH: p.DilH, dilationW: p.DilW,
		n: uint32(n), rows: newDivider(rows), cols: newDivider(cols), packs: newDivider(packs),
		byStrideH: newDivider(int(p.StrideH)), byStrideW: newDivider(int(p.StrideW)), aligned: aligned(v, x, y, idx), countPad: flag(countPad)}
	return launch(d, k, d.spread(n, 256), 256, 0, &q)
}

// MaxPool2D is y = the largest element under each window of x (N,H,W,C), y (N,OH,OW,C); idx (I32, y's shape, or none)
// its place h*W+w in the image, the first of equals; NaN is largest. A window wholly in the padding gives -Inf and
// place -1.
func (d *Device) MaxPool2D(y, idx, x device.View, p device.Pool2D) bool {
	if !pooled(x, y, idx, p) {
		return false
	}
	k, v := kMaxPool.of(x.Type, x.D(3))
	d.enqueue("MaxPool2D", present(y, idx), []device.View{x}, 0, func() error {
		return d.pool(k, v, x, y, idx, y.D(1), y.D(2), p, false)
	})
	return true
}

// MaxPool2DGrad is dx = the gradient of MaxPool2D: each dy (N,OH,OW,C) added, in order, to the place in dx (N,H,W,C)
// that idx names.
func (d *Device) MaxPool2DGrad(dx, dy, idx device.View, p device.Pool2D) bool {
	if !idx.Valid() || !pooled(dx, dy, idx, p) {
		return false
	}
	rows, cols := dx.D(1), dx.D(2)
	k, v := kMaxPoolGrad.of(dx.Type, dx.D(3))
	if p.KernelH == p.StrideH && p.KernelW == p.StrideW && p.PadH == 0 && p.PadW == 0 && p.DilH == 1 && p.DilW == 1 {
		k, v = kMaxPoolTiles.of(dx.Type, dx.D(3))
		rows, cols = (rows-1)/int(p.KernelH)+1, (cols-1)/int(p.KernelW)+1
	}
	d.enqueue("MaxPool2DGrad", []device.View{dx}, []device.View{dy, idx}, 0, func() error {
		return d.pool(k, v, dx, dy, idx, rows, cols, p, false)
	})
	return true
}

// AvgPool2D is y (N,OH,OW,C) = the mean under each window of x (N,H,W,C). Padding counts as zeros if countPad is set,
// else not at all; a window without a counted pixel gives 0.
func (d *Device) AvgPool2D(y, x device.View, p device.Pool2D, countPad bool) bool {
	if !pooled(x, y, device.View{}, p) {
		return false
	}
	k, v := kAvgPool.of(x.Type, x.D(3))
	d.enqueue("AvgPool2D", []device.View{y}, []device.View{x}, 0, func() error {
		return d.pool(k, v, x, y, device.View{}, y.D(1), y.D(2), p, countPad)
	})
	return true
}

// AvgPool2DGrad is dx (N,H,W,C) = the gradient of AvgPool2D from dy (N,OH,OW,C); overlapping windows are added in
// order.
func (d *Device) AvgPool2DGrad(dx, dy device.View, p device.Pool2D, countPad bool) bool {
	if !pooled(dx, dy, device.View{}, p) {
		return false
	}
	k, v := kAvgPoolGrad.of(dx.Type, dx.D(3))
	d.enqueue("AvgPool2DGrad", []device.View{dx}, []device.View{dy}, 0, func() error {
		return d.pool(k, v, dx, dy, device.View{}, dx.D(1), dx.D(2), p, countPad)
	})
	return true
}
