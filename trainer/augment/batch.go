package augment

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// The columns of the draw, as the doc of device.Augment says.
const (
	drawCropRow = iota
	drawCropCol
	drawFlip
	drawCutRow
	drawCutCol
	draws = 8
)

type augmenter interface {
	Augment(y, images, idx, state device.View, p device.Augment) bool
}

// Batch is the pictures idx (B, I32) of images (M,H,W,C, U8), changed and normalised as p says, of shape (B,H,W,C) and
// type typ. The caller holds it. The draws come from t.RNG, which may be the zero View where p changes nothing at
// random. An index outside images is an error at the device's next Sync. On a device without the fused kernel Augment
// the batch is composed, with the same draws and the same bits.
func Batch(t *ops.Tape, images, idx device.View, p device.Augment, typ device.DType) *ops.Tensor {
	if images.Rank != 4 || images.Type != device.U8 || idx.Rank != 1 || idx.Type != device.I32 || images.D(3) > len(p.Scale) {
		panic(fmt.Sprintf("augment.Batch: images %s, index %s", images, idx))
	}
	h, w := images.D(1), images.D(2)
	if p.Reflect && int(p.Pad) >= min(h, w) {
		panic(fmt.Sprintf("augment.Batch: reflection of %d pixels in images %s", p.Pad, images))
	}
	random := p.Pad > 0 || p.Flip || p.Cutout > 0
	if random && (t.RNG.Type != device.I32 || t.RNG.Len() != 4 || !t.RNG.Valid()) {
		panic(fmt.Sprintf("augment.Batch: the tape's RNG is %s, want i32[4]", t.RNG))
	}
	y := t.Temp(typ, idx.D(0), h, w, images.D(3))
	if k, ok := device.As[augmenter](t.Dev); ok && k.Augment(y.Value(), images, idx, t.RNG, p) {
		return y
	}
	c := composer{d: t.Dev, a: t.Arena, p: p, b: idx.D(0), h: h, w: w}
	defer c.free()
	px := c.get(device.U8, c.b, h, w, images.D(3))
	c.d.Gather(px, images, idx)
	if !random {
		c.normalise(y.Value(), px, device.View{})
		return y
	}
	u := c.get(device.F32, c.b, draws)
	c.d.Random(u, device.Uniform, t.RNG, p.Stream)
	at, keep := c.places(u)
	moved := px
	if p.Pad > 0 || p.Flip {
		moved = c.get(device.U8, px.Shape()...)
		c.d.Gather(moved, px.Reshape(c.b*h*w, images.D(3)), at)
	}
	c.normalise(y.Value(), moved, keep)
	return y
}

// composer composes a batch from the small kernel set. Places are I32, since f32 does not count every pixel of a batch.
type composer struct {
	d       device.Device
	a       *device.Arena
	p       device.Augment
	b, h, w int
	taken   []device.View
}

func (c *composer) get(t device.DType, dims ...int) device.View {
	v := c.a.Get(t, dims...)
	c.taken = append(c.taken, v)
	return v
}

func (c *composer) free() {
	for i := len(c.taken) - 1; i >= 0; i-- {
		c.a.Put(c.taken[i])
	}
}

// normalise is y = byte * scale + bias of each channel, rounded to f32 after product and sum, and 0 where keep is.
// keep is (B,H,W), or the zero View for all.
func (c *composer) normalise(y, px, keep device.View) {
	k := px.D(3)
	scale, bias := c.get(device.F32, k), c.get(device.F32, k)
	for i := range k {
		c.d.Fill(scale.Slice(0, i, 1, 1), float64(c.p.Scale[i]))
		c.d.Fill(bias.Slice(0, i, 1, 1), float64(c.p.Bias[i]))
	}
	x := y
	if y.Type != device.F32 {
		x = c.get(device.F32, px.Shape()...)
	}
	c.d.Binary(device.Mul, x, px, scale) // two kernels and not one Affine, which may round once
	c.d.Binary(device.Add, x, x, bias)
	if keep.Valid() {
		zero := c.get(device.F32)
		c.d.Fill(zero, 0)
		c.d.Where(x, keep.Unsqueeze(3), x, zero)
	}
	if y.Type != device.F32 {
		c.d.Copy(y, x)
	}
}

// places tells for each pixel of the batch from which pixel of the B*H*W uncropped ones it comes, in at (B,H,W), and in
// keep (B,H,W) with 0 which pixels are normalised 0.
func (c *composer) places(u device.View) (at, keep device.View) {
	d := c.d
	row, col := c.get(device.I32, c.b, c.h, 1), c.get(device.I32, c.b, 1, c.w)
	d.Iota(row, 1, 0, 1)
	d.Iota(col, 2, 0, 1)
	var cut device.View
	if c.p.Cutout > 0 {
		inRow, inCol := c.inSquare(row, u, drawCutRow, c.h), c.inSquare(col, u, drawCutCol, c.w)
		cut = c.get(device.I32, c.b, c.h, c.w)
		d.Binary(device.Mul, cut, inRow, inCol)
		d.Unary(device.Affine, cut, cut, -1, 1)
	}
	if c.p.Flip {
		half, flip := c.get(device.F32), c.get(device.I32, c.b, 1, 1)
		d.Fill(half, 0.5)
		d.Binary(device.Lt, flip, c.column(u, drawFlip), half)
		turn := c.get(device.I32, c.b, 1, c.w) // what takes column s to w-1-s
		d.Iota(turn, 2, float64(c.w-1), -2)
		d.Binary(device.Mul, turn, turn, flip)
		d.Binary(device.Add, col, col, turn)
	}
	keep = cut
	if c.p.Pad > 0 {
		okRow, okCol := c.shift(row, u, drawCropRow, c.h), c.shift(col, u, drawCropCol, c.w)
		if !c.p.Reflect {
			keep = c.get(device.I32, c.b, c.h, c.w)
			d.Binary(device.Mul, keep, okRow, okCol)
			if cut.Valid() {
				d.Binary(device.Mul, keep, keep, cut)
			}
		}
	}
	at = c.get(device.I32, c.b, c.h, c.w)
	d.Iota(at, 0, 0, float64(c.h*c.w))
	d.Unary(device.Affine, row, row, float64(c.w), 0)
	d.Binary(device.Add, at, at, row)
	d.Binary(device.Add, at, at, col)
	return at, keep
}

func (c *composer) column(u device.View, i int) device.View {
	return u.Slice(1, i, 1, 1).Unsqueeze(2)
}

// drawn is floor(u n) of one column, (B,1,1).
func (c *composer) drawn(u device.View, i, n int) device.View {
	v := c.get(device.I32, c.b, 1, 1)
	c.d.Unary(device.Affine, v, c.column(u, i), float64(n), 0)
	return v
}

// within is 1 where 0 <= x < n, else 0.
func (c *composer) within(x device.View, n int) device.View {
	ok := c.get(device.I32, x.Shape()...)
	c.d.Unary(device.Clamp, ok, x, 0, float64(n-1))
	c.d.Binary(device.Eq, ok, ok, x)
	return ok
}

// inSquare is 1 for those of n rows or columns x that the cutout covers.
func (c *composer) inSquare(x, u device.View, draw, n int) device.View {
	lo, rel := c.drawn(u, draw, n), c.get(device.I32, x.Shape()...)
	c.d.Unary(device.Affine, lo, lo, 1, float64(-(c.p.Cutout / 2)))
	c.d.Binary(device.Sub, rel, x, lo)
	return c.within(rel, int(c.p.Cutout))
}

// shift moves rows or columns x by the crop's draw and brings them back into 0..n-1, by reflection or cut off at the
// edge. ok is 1 where they were inside.
func (c *composer) shift(x, u device.View, draw, n int) (ok device.View) {
	by := c.drawn(u, draw, int(2*c.p.Pad+1))
	c.d.Unary(device.Affine, by, by, 1, float64(-c.p.Pad))
	c.d.Binary(device.Add, x, x, by)
	if !c.p.Reflect {
		ok = c.within(x, n)
		c.d.Unary(device.Clamp, x, x, 0, float64(n-1))
		return ok
	}
	c.d.Unary(device.Abs, x, x, 0, 0) // n-1 - |n-1 - |x||
	c.d.Unary(device.Affine, x, x, -1, float64(n-1))
	c.d.Unary(device.Abs, x, x, 0, 0)
	c.d.Unary(device.Affine, x, x, -1, float64(n-1))
	return device.View{}
}
