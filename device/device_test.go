package device_test

import (
	"cmp"
	"math"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
)

// The seam stays small: what a device can do beyond it is asked for with As.
func TestSeamIsSmall(t *testing.T) {
	all, kernels := reflect.TypeFor[device.Device](), reflect.TypeFor[device.Kernels]()
	t.Logf("Device %d methods of its own, Kernels %d", all.NumMethod()-kernels.NumMethod(), kernels.NumMethod())
	assert.LessOrEqual(t, all.NumMethod(), 20)
	others := reflect.TypeFor[device.Memory]().NumMethod() + reflect.TypeFor[device.Graph]().NumMethod() + reflect.TypeFor[device.Ticket]().NumMethod() + reflect.TypeFor[device.Hooker]().NumMethod()
	assert.LessOrEqual(t, others, 8)
}

func TestViewIsSmall(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(device.View{}), uintptr(128)) // above, every call allocates
}

func TestHalfPrecision(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		if f := device.F16ToF32(h); f == f {
			require.Equal(t, h, device.F32ToF16(f), "f16 %#x", h)
		} else {
			g := device.F16ToF32(device.F32ToF16(f))
			require.True(t, g != g)
		}
		if f := device.BF16ToF32(h); f == f {
			require.Equal(t, h, device.F32ToBF16(f), "bf16 %#x", h)
		} else {
			g := device.BF16ToF32(device.F32ToBF16(f))
			require.True(t, g != g)
		}
	}
	// Halfway between two neighbours the even one is taken, and just past halfway the farther.
	for i := range 0x7bff {
		lo, hi := device.F16ToF32(uint16(i)), device.F16ToF32(uint16(i+1))
		mid := float32((float64(lo) + float64(hi)) / 2)
		even := uint16(i + i&1)
		require.Equal(t, even, device.F32ToF16(mid), "between %v and %v", lo, hi)
		require.Equal(t, uint16(i), device.F32ToF16(math.Nextafter32(mid, 0)))
		require.Equal(t, uint16(i+1), device.F32ToF16(math.Nextafter32(mid, hi+1)))
	}
	assert.Equal(t, uint16(0x7c00), device.F32ToF16(65520))
	assert.Equal(t, uint16(0x7bff), device.F32ToF16(65519))
}

// The known answers are those that come with the authors' Random123 1.09 for philox4x32-10.
func TestPhilox(t *testing.T) {
	for _, c := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		assert.Equal(t, c.want, device.Philox(c.ctr, c.key))
	}
	assert.Equal(t, float32(0), device.UniformOf(255))
	assert.Less(t, device.UniformOf(math.MaxUint32), float32(1))
	for _, u := range []uint32{0, 1, 255, 256, math.MaxUint32} {
		a, b := device.NormalsOf(u, 77)
		assert.False(t, math.IsNaN(a) || math.IsInf(a, 0) || math.IsNaN(b) || math.IsInf(b, 0))
	}
}

func TestPermutation(t *testing.T) {
	for _, n := range []uint32{1, 2, 3, 5, 16, 17, 255, 1000, 50000} {
		seen, moved := make([]bool, n), 0
		for i := range n {
			p := device.PermutationAt(i, n, [4]uint32{1, 2, 3, 4}, 5)
			require.Less(t, p, n)
			require.False(t, seen[p])
			seen[p] = true
			if p != i {
				moved++
			}
		}
		if n > 100 {
			assert.Greater(t, moved, int(n)*9/10)
		}
	}
	assert.NotEqual(t, device.PermutationAt(0, 50000, [4]uint32{1}, 5), device.PermutationAt(0, 50000, [4]uint32{2}, 5))
}

func TestOpen(t *testing.T) {
	usable := map[string]bool{}
	first := ""
	for _, i := range device.List() {
		assert.True(t, (i.Description == "") != (i.Reason == ""), "%s: a description, or the reason why it cannot be used", i.Name)
		if i.Reason == "" {
			usable[i.Name] = true
			first = cmp.Or(first, i.Name)
		}
	}
	assert.True(t, usable["cpu"])
	d, err := device.Open("auto")
	require.NoError(t, err)
	assert.Equal(t, first, d.Name())
	assert.NotEmpty(t, device.Describe(d))
	require.NoError(t, d.Close())
	if !usable["cuda:0"] {
		for _, spec := range []string{"cuda:0", "cuda"} {
			_, err := device.Open(spec)
			require.ErrorContains(t, err, "cuda", "it never falls back")
		}
	}
	for spec, say := range map[string]string{"gpu": "no such device", "cpu:x": "not a device number", "cpu:1": "one CPU", "cpu:-1": "not a device number"} {
		_, err := device.Open(spec)
		require.ErrorContains(t, err, say, spec)
		var open *device.OpenError
		require.ErrorAs(t, err, &open)
		assert.NotEmpty(t, open.Hint())
	}
	_, err = device.Open("cpu", device.Options{Threads: -1})
	assert.ErrorContains(t, err, "threads")
	assert.NotEmpty(t, device.List())
}

func TestUnfused(t *testing.T) {
	d, err := device.Open("cpu")
	require.NoError(t, err)
	type softmax interface{ Softmax(y, x device.View) bool }
	_, ok := device.As[softmax](d)
	assert.True(t, ok)
	_, ok = device.As[softmax](device.Unfused(d))
	assert.False(t, ok)
	_, ok = device.As[device.Hooker](device.Unfused(d))
	assert.True(t, ok)
	require.NoError(t, d.Close())
}
