package device_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

type block int

func (b block) Bytes() int { return int(b) }
func (block) Free()        {}

// offset is where element index of v lies.
func offset(v device.View, index ...int) int {
	o := v.Off
	for a, i := range index {
		o += i * int(v.Str[a])
	}
	return o
}

func TestViews(t *testing.T) {
	m := block(1 << 20)
	v := device.Make(m, device.F32, 10, 2, 3, 4)
	assert.Equal(t, []int{2, 3, 4}, v.Shape())
	assert.Equal(t, 24, v.Len())
	assert.Equal(t, 96, v.Bytes())
	assert.True(t, v.Contiguous())
	assert.Equal(t, 10+1*12+2*4+3, offset(v, 1, 2, 3))

	p := v.Permute(2, 0, 1)
	assert.Equal(t, []int{4, 2, 3}, p.Shape())
	assert.Equal(t, offset(v, 1, 2, 3), offset(p, 3, 1, 2))
	assert.False(t, p.Contiguous())
	assert.Equal(t, offset(v, 1, 2, 3), offset(v.T(), 1, 3, 2))

	s := v.Slice(1, 1, 2, 1)
	assert.Equal(t, []int{2, 2, 4}, s.Shape())
	assert.Equal(t, offset(v, 1, 2, 0), offset(s, 1, 1, 0))
	f := v.Flip(2)
	assert.Equal(t, offset(v, 1, 1, 3), offset(f, 1, 1, 0))
	assert.Equal(t, offset(v, 1, 0, 2), offset(v.At(1, 0), 1, 2))
	assert.Equal(t, []int{2, 1, 3, 4}, v.Unsqueeze(1).Shape())
	assert.Equal(t, v, v.Unsqueeze(1).Squeeze(1))

	b := device.Make(m, device.F32, 0, 3, 1).Broadcast(2, 3, 4)
	assert.Equal(t, offset(b, 0, 2, 0), offset(b, 1, 2, 3))

	assert.Equal(t, []int{6, 4}, v.Reshape(6, 4).Shape())
	assert.True(t, v.Slice(0, 0, 1, 1).CanReshape(12))
	assert.False(t, p.CanReshape(24))

	w := device.Make(m, device.F32, 0, 1, 5, 6, 2).Window(3, 2, 2, 1, 1, 2)
	assert.Equal(t, []int{1, 2, 4, 3, 2, 2}, w.Shape()) // (5-3)/2+1, (6-3)/1+1
	assert.Equal(t, (2*1+2)*12+(3+1*2)*2+1, offset(w, 0, 1, 3, 2, 1, 1))
	assert.Equal(t, 0, device.Make(m, device.F32, 0, 1, 2, 2, 1).Window(3, 3, 1, 1, 1, 1).Len())

	for name, f := range map[string]func(){
		"rank":      func() { device.Make(m, device.F32, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1) },
		"negative":  func() { device.Make(m, device.F32, 0, -1) },
		"reshape":   func() { v.Reshape(5, 5) },
		"broadcast": func() { v.Broadcast(2, 3, 5) },
		"slice":     func() { v.Slice(1, 2, 2, 1) },
		"permute":   func() { v.Permute(0, 0, 1) },
	} {
		assert.Panics(t, f, name)
	}
}

// A random life of an arena: no two live views overlap, all are aligned, and what starts and ends empty repeats its
// addresses.
func TestArena(t *testing.T) {
	life := func(a *device.Arena) (offs []int) {
		rnd := rand.New(rand.NewPCG(5, 6))
		var live []device.View
		for range 2000 {
			if len(live) > 0 && rnd.IntN(2) == 0 {
				i := rnd.IntN(len(live))
				a.Put(live[i])
				live = append(live[:i], live[i+1:]...)
				continue
			}
			v := a.Get(device.F32, rnd.IntN(500))
			offs = append(offs, v.Off)
			require.Zero(t, v.Off*4%device.Align)
			for _, w := range live {
				require.True(t, v.Off >= w.Off+w.Len() || w.Off >= v.Off+v.Len() || v.Len() == 0 || w.Len() == 0)
			}
			live = append(live, v)
		}
		for _, v := range live {
			a.Put(v)
		}
		return offs
	}
	dry := device.Phantom()
	want := life(dry)
	require.Zero(t, dry.Live())
	real := device.NewArena(block(dry.High())) // exactly as large as the dry run said
	assert.Equal(t, want, life(real))
	assert.Equal(t, want, life(real))
	assert.Equal(t, dry.High(), real.High())

	v := real.Get(device.F64, 3)
	real.Put(v)
	assert.Panics(t, func() { real.Put(v) }, "twice")
	assert.Panics(t, func() { real.Get(device.U8, dry.High()+1) }, "too large")
	poisoned := 0
	real.Poison = func(device.View) { poisoned++ }
	real.Put(real.Get(device.U8, 1))
	assert.Equal(t, 1, poisoned)
}

func TestOutShapes(t *testing.T) {
	for _, c := range []struct {
		p      device.Pool2D
		h, w   int
		oh, ow int
	}{
		{device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1}, 5, 4, 2, 2},
		{device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1, Ceil: true}, 5, 4, 3, 2},
		{device.Pool2D{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Ceil: true}, 6, 5, 4, 3},
		{device.Pool2D{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Ceil: true}, 1, 1, 1, 1}, // a second window would start in the padding
		{device.Pool2D{KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, DilH: 2, DilW: 2}, 4, 5, 0, 1},
	} {
		oh, ow := c.p.Out(c.h, c.w)
		assert.Equal(t, [2]int{c.oh, c.ow}, [2]int{oh, ow}, "%+v of %dx%d", c.p, c.h, c.w)
	}
	conv := device.Conv2D{StrideH: 2, StrideW: 1, PadH: 1, DilH: 1, DilW: 2, Groups: 1}
	oh, ow := conv.Out(7, 7, 3, 3)
	assert.Equal(t, [2]int{4, 3}, [2]int{oh, ow})
}
