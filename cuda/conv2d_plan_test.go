package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

type nowhere struct{}

func (nowhere) Bytes() int { return 1 << 40 }
func (nowhere) Free()      {}

var conv2DPathNames = [...]string{convPlain: "plain", convTensor: "tensor", convGroups: "groups", convPatch: "patch", convFew: "few", convDepthwise: "depthwise"}

func TestConv2DPlan(t *testing.T) {
	all, h100 := abilities{blas: true, tensor: true}, abilities{blas: true, tensor: true, groups: true}
	for _, c := range []struct {
		typ                            device.DType
		n, h, w, c, o, k               int
		stride, pad, groups            int32
		can                            abilities
		forward, gradInput, gradWeight string // path, tile, splits, whole
	}{
		{device.F16, 2000, 31, 31, 24, 64, 3, 1, 1, 1, all, "tensor 128x64/1 whole", "tensor 128x32/1 whole", "tensor 64x128/132 whole"},
		{device.F16, 2000, 15, 15, 64, 256, 3, 1, 1, 1, all, "tensor 128x128/1 whole", "tensor 128x64/1 whole", "tensor 128x128/26 whole"},
		{device.F16, 2000, 31, 31, 24, 64, 3, 1, 1, 1, h100, "patch 256x64/1 whole", "patch 256x32/1 whole", "tensor 64x128/132 whole"},
		{device.F16, 2000, 15, 15, 64, 256, 3, 1, 1, 1, h100, "patch 256x128/1 whole", "patch 256x64/1 whole", "groups 256x64/44 whole"},
		{device.BF16, 2000, 7, 7, 256, 256, 3, 1, 1, 1, h100, "patch 256x128/1 whole", "patch 256x128/1 whole", "groups 256x64/11 whole"},
		{device.F16, 2000, 15, 15, 128, 192, 3, 1, 1, 2, h100, "patch 256x128/1 whole", "groups 128x64/1 whole", "groups 128x64/22 whole"},
		{device.F16, 2000, 7, 7, 256, 384, 3, 1, 1, 1, h100, "patch 256x128/1 whole", "patch 256x128/1 whole", "groups 128x128/7 whole"},
		{device.F16, 128, 126, 126, 64, 64, 3, 1, 1, 1, h100, "patch 256x64/1 whole", "patch 256x64/1 whole", "groups 64x64/132 whole"},
		{device.F16, 128, 130, 130, 64, 64, 3, 1, 1, 1, h100, "patch 256x64/1 whole", "patch 256x64/1 whole", "tensor 64x128/52 whole"},
		{device.F16, 512, 32, 32, 64, 128, 5, 1, 2, 1, h100, "patch 256x128/1 whole", "patch 256x64/1 whole", "groups 128x64/29 whole"},
		{device.F16, 512, 32, 32, 64, 128, 3, 2, 1, 1, h100, "groups 128x128/1 whole", "groups 128x64/1 whole", "tensor 128x128/52 whole"},
		{device.F16, 512, 32, 32, 64, 128, 7, 1, 3, 1, h100, "tensor 128x128/1 whole", "tensor 128x64/1 whole", "tensor 128x128/10 whole"},
		{device.F16, 64, 3, 3, 256, 256, 3, 1, 1, 1, h100, "tensor 64x64/7 whole", "tensor 64x64/7 whole", "groups 256x64/2 whole"},
		{device.F16, 64, 3, 3, 256, 256, 3, 1, 1, 1, all, "tensor 64x64/7 whole", "tensor 64x64/7 whole", "tensor 128x128/2 whole"},
		{device.F16, 128, 32, 32, 3, 16, 3, 1, 1, 1, all, "few 128x32/1", "tensor 128x32/1", "tensor 64x64/264"},
		{device.F32, 64, 28, 28, 1, 6, 5, 1, 2, 1, all, "plain 128x32/1", "plain 128x32/1", "plain 64x64/196"},
		{device.F32, 64, 28, 28, 64, 64, 3, 2, 1, 1, abilities{tensor: true, tf32: true}, "tensor 64x64/1 whole", "tensor 128x64/1 whole", "tensor 64x128/49 whole"},
		{device.F32, 8, 28, 28, 64, 64, 3, 1, 1, 64, abilities{}, "depthwise 0x0/1 whole", "depthwise 0x0/1 whole", "depthwise 0x0/49 whole"},
		{device.F16, 8, 28, 28, 64, 64, 3, 1, 1, 1, abilities{blas: true}, "", "", ""},
		{device.F64, 8, 28, 28, 64, 64, 3, 1, 1, 1, all, "", "", ""},
		{device.F16, 8, 28, 28, 64, 64, 3, 0, 1, 1, all, "", "", ""},
		{device.F16, 0, 28, 28, 64, 64, 3, 1, 1, 1, all, "", "", ""},
	} {
		p := conv2DCall(c.stride, c.pad, 1, c.groups)
		oh, ow := 1, 1
		if c.stride > 0 {
			oh, ow = p.Out(c.h, c.w, c.k, c.k)
		}
		x := device.Make(nowhere{}, c.typ, 0, c.n, c.h, c.w, c.c)
		y := device.Make(nowhere{}, c.typ, 0, c.n, oh, ow, c.o)
		w := device.Make(nowhere{}, c.typ, 0, c.o, c.k, c.k, c.c/int(c.groups))
		said := func(q conv2DPlan, ok bool) string {
			if !ok {
				return ""
			}
			high := q.tileM
			if q.path == convPatch {
				high = patchHigh
			}
			s := fmt.Sprintf("%s %dx%d/%d", conv2DPathNames[q.path], high, q.tileN, q.splits)
			if q.whole {
				s += " whole"
			}
			if q.path != convDepthwise {
				_, _, _, shared := q.launch(132)
				limit := conv2DShared
				if q.path == convGroups || q.path == convPatch {
					limit = sharedLimit(9, 0)
				}
				require.LessOrEqual(t, int(shared), limit, "%+v", c)
			}
			require.LessOrEqual(t, q.scratch(), 64<<20, "%+v", c)
			return s
		}
		require.Equal(t, c.forward, said(planConv2D(y, x, w, device.View{}, p, device.Relu, c.can)), "%+v", c)
		require.Equal(t, c.gradInput, said(planConv2DGradInput(x, y, w, p, c.can)), "%+v", c)
		require.Equal(t, c.gradWeight, said(planConv2DGradWeight(w, x, y, p, c.can)), "%+v", c)
	}
}

// conv2DCall is a convolution with the same numbers in both directions.
func conv2DCall(stride, pad, dil, groups int32) device.Conv2D {
	return device.Conv2D{StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DilH: dil, DilW: dil, Groups: groups}
}

// Where operands lie decides how they are read, but not in which order is summed.
func TestConv2DPlanOfPlaces(t *testing.T) {
	can, h100 := abilities{tensor: true}, abilities{tensor: true, groups: true}
	p := conv2DCall(1, 1, 1, 1)
	at := func(off int) [3]device.View {
		return [3]device.View{
			device.Make(nowhere{}, device.F16, off, 64, 4, 4, 256), device.Make(nowhere{}, device.F16, off, 64, 4, 4, 256), device.Make(nowhere{}, device.F16, off, 256, 3, 3, 256),
		}
	}
	whole, odd := at(8), at(3)
	for i, f := range []func(v [3]device.View) (conv2DPlan, bool){
		func(v [3]device.View) (conv2DPlan, bool) {
			return planConv2D(v[0], v[1], v[2], device.View{}, p, device.Identity, can)
		},
		func(v [3]device.View) (conv2DPlan, bool) { return planConv2DGradInput(v[0], v[1], v[2], p, can) },
		func(v [3]device.View) (conv2DPlan, bool) { return planConv2DGradWeight(v[2], v[0], v[1], p, can) },
		func(v [3]device.View) (conv2DPlan, bool) { return planConv2DGradWeight(v[2], v[0], v[1], p, h100) },
	} {
		a, ok := f(whole)
		require.True(t, ok)
		b, ok := f(odd)
		require.True(t, ok)
		require.True(t, a.whole && !b.whole)
		require.Greater(t, a.splits, 1)
		require.Equal(t, a.splits, b.splits, "pass %d", i)
		require.Equal(t, a.scratch(), b.scratch(), "pass %d", i)
	}
}

// Warpgroups have gradients of weights where taps and channels suit, and images lie evenly.
func TestConv2DPlanGroupsGrad(t *testing.T) {
	h100 := abilities{tensor: true, groups: true}
	path := func(x, y device.View, kh, kw int, p device.Conv2D) conv2DPath {
		c, ok := planConv2DGradWeight(device.Make(nowhere{}, device.F32, 0, y.D(3), kh, kw, x.D(3)), x, y, p, h100)
		require.True(t, ok)
		return c.path
	}
	view := func(dims ...int) device.View { return device.Make(nowhere{}, device.BF16, 0, dims...) }
	x, y, p := view(9, 8, 8, 64), view(9, 8, 8, 72), conv2DCall(1, 1, 1, 1)
	require.Equal(t, convGroups, path(x, y, 3, 3, p))
	require.Equal(t, convGroups, path(view(9, 8, 8, 128).Slice(3, 64, 64, 1), view(9, 8, 8, 80).Slice(3, 8, 72, 1), 3, 3, p), "pixels with gaps")
	require.Equal(t, convGroups, path(view(9, 8, 1, 64), view(9, 8, 1, 72), 3, 3, p), "columns of one pixel")
	require.Equal(t, convTensor, path(view(9, 8, 9, 64).Slice(2, 0, 8, 1), y, 3, 3, p), "rows with gaps")
	require.Equal(t, convTensor, path(view(9, 9, 8, 64).Slice(1, 0, 8, 1), y, 3, 3, p), "images with gaps")
	require.Equal(t, convTensor, path(view(9, 8, 8, 68).Slice(3, 4, 64, 1), y, 3, 3, p), "not from a multiple of 16 bytes")
	require.Equal(t, convTensor, path(view(9, 8, 8, 96), y, 3, 3, p), "input channels that fill no tile")
	require.Equal(t, convTensor, path(x, view(9, 8, 8, 68), 3, 3, p), "output channels that are no eights")
	require.Equal(t, convTensor, path(x, view(9, 6, 6, 72), 3, 3, conv2DCall(1, 0, 1, 1)), "a smaller result")
	require.Equal(t, convTensor, path(x, y, 1, 1, conv2DCall(1, 0, 1, 1)), "one tap")
	require.Equal(t, convTensor, path(x, view(9, 8, 8, 64), 3, 1, conv2DCall(1, 1, 1, 1)), "three taps of nine")
	require.Equal(t, convTensor, path(x, y, 7, 7, conv2DCall(1, 3, 1, 1)), "more taps than bits")
}

func TestConv2DPlanDeclines(t *testing.T) {
	can := abilities{tensor: true}
	p := conv2DCall(1, 0, 1, 1)
	x, w, y := device.Make(nowhere{}, device.F32, 0, 2, 3, 3, 2), device.Make(nowhere{}, device.F32, 0, 2, 3, 3, 2), device.Make(nowhere{}, device.F32, 0, 2, 1, 1, 2)
	declined := func(why string, y, x, w, b device.View, p device.Conv2D, act device.UnOp) {
		_, ok := planConv2D(y, x, w, b, p, act, can)
		require.False(t, ok, why)
	}
	none := device.View{}
	_, ok := planConv2D(y, x, w, none, p, device.Identity, can)
	require.True(t, ok)
	declined("an activation with a parameter", y, x, w, none, p, device.LeakyRelu)
	declined("an activation that is not served", y, x, w, none, p, device.Exp)
	declined("a bias of another length", y, x, w, device.Make(nowhere{}, device.F32, 0, 3), p, device.Identity)
	declined("a bias of integers", y, x, w, device.Make(nowhere{}, device.I32, 0, 2), p, device.Identity)
	declined("a flipped image", y, x.Flip(1), w, none, p, device.Identity)
	declined("one image many times", y, x.Slice(0, 0, 1, 1).BroadcastTo(x), w, none, p, device.Identity)
	declined("flipped weights", y, x, w.Flip(0), none, p, device.Identity)
	declined("weights of another type", y, x, device.Make(nowhere{}, device.F16, 0, 2, 3, 3, 2), none, p, device.Identity)
	declined("a result of another type", device.Make(nowhere{}, device.F16, 0, 2, 1, 1, 2), x, w, none, p, device.Identity)
	declined("a result of another size", device.Make(nowhere{}, device.F32, 0, 2, 2, 1, 2), x, w, none, p, device.Identity)
	declined("groups that do not divide", y, x, w, none, conv2DCall(1, 0, 1, 2), device.Identity)
	declined("no group", y, x, w, none, conv2DCall(1, 0, 1, 0), device.Identity)
	declined("channels apart", y, device.Make(nowhere{}, device.F32, 0, 2, 3, 3, 4).Slice(3, 0, 2, 2), w, none, p, device.Identity)
	_, ok = planConv2DGradWeight(device.Make(nowhere{}, device.F16, 0, 2, 3, 3, 2), x, y, p, can)
	require.False(t, ok, "a gradient that is shorter than the images")
	_, ok = planConv2DGradInput(x, y, w.Flip(0), p, can)
	require.False(t, ok)
}

func TestConv2DPoolPlan(t *testing.T) {
	all, h100 := abilities{blas: true, tensor: true}, abilities{blas: true, tensor: true, groups: true}
	same, sameTwo := conv2DCall(1, 1, 1, 1), conv2DCall(2, 1, 1, 1)
	stats := device.Make(nowhere{}, device.F32, 0, 64)
	for _, c := range []struct {
		typ        device.DType
		n, h, w, c int
		p          device.Conv2D
		act        device.UnOp
		pool       device.Pool2D
		stats      bool
		can        abilities
		want       string // path, tile, splits, tiles with moments, merged by so many
		scratch    int
	}{
		{device.F16, 2000, 31, 31, 24, same, device.Identity, two, true, all, "tensor 128x64/1, 14063 of 32 by 55", 8 * 64 * (14063 + 256)},
		{device.F16, 2000, 15, 15, 64, same, device.Gelu, device.Pool2D{}, true, h100, "patch 128x64/1, 3516 of 128 by 14", 8 * 64 * (3516 + 252)},
		{device.F16, 2000, 15, 15, 64, same, device.Identity, two, false, h100, "patch 128x64/1", 0},
		{device.F32, 16, 8, 8, 64, same, device.Relu, two, true, all, "plain 64x64/2, 16 of 16 by 1", 4 * 2 * 1024 * 64},
		{device.F32, 640, 9, 9, 3, sameTwo, device.Relu, two, true, all, "plain 64x64/1, 160 of 16 by 1", 8 * 64 * 160},
		{device.F16, 20, 9, 9, 64, same, device.Tanh, two, true, all, "", 0}, // pooling looks at numbers before tanh
		{device.F16, 20, 9, 9, 64, same, device.LeakyRelu, device.Pool2D{}, true, all, "", 0},
		{device.F16, 20, 9, 9, 64, same, device.Relu, device.Pool2D{KernelH: 3, KernelW: 3, StrideH: 3, StrideW: 3, DilH: 1, DilW: 1}, true, all, "", 0},
		{device.F16, 20, 9, 9, 64, same, device.Relu, two, true, abilities{}, "", 0},
		{device.F64, 20, 9, 9, 64, same, device.Relu, two, true, all, "", 0},
	} {
		oh, ow := c.p.Out(c.h, c.w, 3, 3)
		if c.pool != (device.Pool2D{}) {
			oh, ow = c.pool.Out(oh, ow)
		}
		x, w, y := device.Make(nowhere{}, c.typ, 0, c.n, c.h, c.w, c.c), device.Make(nowhere{}, c.typ, 0, 64, 3, 3, c.c), device.Make(nowhere{}, c.typ, 0, c.n, oh, ow, 64)
		var idx, mean, variance device.View
		if c.stats {
			mean, variance = stats, stats
		}
		if c.pool == two {
			idx = device.Make(nowhere{}, device.I32, 0, c.n, oh, ow, 64)
		}
		q, ok := planConv2DPool(y, idx, mean, variance, x, w, device.View{}, c.p, c.act, c.pool, c.can)
		said := ""
		if ok {
			said = fmt.Sprintf("%s %dx%d/%d", conv2DPathNames[q.path], q.tileM, q.tileN, q.splits)
			if c.stats {
				_, per, chunks, group := q.tiled()
				said += fmt.Sprintf(", %d of %d by %d", chunks, per, group)
			}
			require.Equal(t, c.scratch, q.scratch(), "%+v", c)
		}
		require.Equal(t, c.want, said, "%+v", c)
	}
	// Operands that do not fit.
	x, w, y := device.Make(nowhere{}, device.F16, 0, 4, 9, 9, 8), device.Make(nowhere{}, device.F16, 0, 64, 3, 3, 8), device.Make(nowhere{}, device.F16, 0, 4, 4, 4, 64)
	idx := device.Make(nowhere{}, device.I32, 0, 4, 4, 4, 64)
	served := func(y, idx, mean, variance device.View) bool {
		_, ok := planConv2DPool(y, idx, mean, variance, x, w, device.View{}, same, device.Identity, two, all)
		return ok
	}
	none := device.View{}
	require.True(t, served(y, idx, stats, stats))
	require.False(t, served(y, idx, stats, none), "half of the statistics")
	require.False(t, served(y, idx, stats, device.Make(nowhere{}, device.F64, 0, 64)), "statistics of another type")
	require.False(t, served(y, idx, stats.Slice(0, 0, 63, 1), stats.Slice(0, 0, 63, 1)), "statistics of fewer channels")
	require.False(t, served(y, y, none, none), "places are whole numbers")
	require.False(t, served(y, idx.Slice(3, 0, 63, 1), none, none), "places of another shape")
	require.False(t, served(device.Make(nowhere{}, device.F16, 0, 4, 5, 4, 64), none, none, none), "a result of another size")
	require.False(t, served(none, none, none, none), "no result")
}
