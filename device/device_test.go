package device_test

import (
	"cmp"
	"errors"
	"fmt"
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

func TestSize(t *testing.T) {
	for n, want := range map[int]string{0: "0 bytes", 12: "12 bytes", 1536: "1.5 KiB", 3 << 20: "3 MiB", 2 << 30: "2 GiB"} {
		assert.Equal(t, want, device.Size(n))
	}
}

// An error of memory that is full says what was asked for and who has the rest, as far as that is known.
func TestOutOfMemory(t *testing.T) {
	cause := errors.New("cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2)")
	full := &device.OutOfMemory{Device: "cuda:0", Asked: 2 << 30, Held: 5 << 30, Own: 40 << 20, Free: 1 << 30, Total: 8 << 30, Advice: "end other programs", Err: cause}
	err := fmt.Errorf("model x: %w", device.WantedFor("weights", full))
	assert.Same(t, full, errors.Unwrap(device.WantedFor("gradients", err)))
	assert.Equal(t, "weights", full.For, "the first name counts")
	assert.EqualError(t, err, "model x: cuda:0: out of memory: 2 GiB (2147483648 bytes) wanted for weights; 1 GiB are free of 8 GiB, 5 GiB are in use here, 40 MiB are scratch and workspaces, 2 GiB are the driver's and other programs'")
	assert.ErrorIs(t, err, cause)
	assert.Contains(t, full.Hint(), "; or end other programs")
	assert.Equal(t, 6<<30+40<<20, full.Room())
	assert.EqualError(t, &device.OutOfMemory{Device: "cpu", Asked: 4096, Held: 1024, Free: 2048}, "cpu: out of memory: 4 KiB (4096 bytes) wanted; 2 KiB are free, 1 KiB are in use here")
	assert.EqualError(t, &device.OutOfMemory{Device: "cuda:0", For: "a graph", Free: 1024, Err: cause}, "cuda:0: out of memory: none left for a graph; 1 KiB are free, 0 bytes are in use here (cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2))")
	assert.Same(t, cause, device.WantedFor("weights", cause), "other errors stay as they are")
}

// A device that is not there counts memory as the true one has it, and has no more than its limit. Its twin starts with
// what it has taken for itself.
func TestPlannedMemory(t *testing.T) {
	for _, d := range planned(t) {
		room := d.Own() + 1<<20
		d.Limit(room)
		m, err := d.Alloc(1 << 19)
		require.NoError(t, err)
		_, err = d.Alloc(1<<19 + 1)
		full, ok := errors.AsType[*device.OutOfMemory](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, 1<<19, full.Free)
		assert.Equal(t, 1<<19, full.Held)
		assert.Equal(t, room, full.Room())
		twin, err := device.Twin(d)
		require.NoError(t, err)
		assert.Equal(t, d.Own(), twin.Own())
		require.Error(t, d.Close(), "memory is still allocated")
		m.Free()
		require.NoError(t, d.Close())
		n, err := twin.Alloc(1 << 40)
		require.NoError(t, err, "a twin has no limit")
		d = twin
		v := device.Make(n, device.F32, 0, 8)
		d.Upload(v, make([]byte, 32))
		d.Fill(v, 7)
		b := []byte{1, 2, 3, 4}
		require.NoError(t, d.Download(b, v.Slice(0, 0, 1, 1)))
		assert.Equal(t, []byte{0, 0, 0, 0}, b, "nothing is computed")
		g, err := d.Capture(func() { d.Fill(v, 7) })
		require.NoError(t, err)
		g.Launch()
		g.Close()
		require.NoError(t, d.Sync())
		n.Free()
		require.NoError(t, d.Close())
	}
}

// planned are a planned GPU and the CPU's twin.
func planned(t *testing.T) []device.Planned {
	gpu, err := device.Plan("rtx4060")
	require.NoError(t, err)
	cpu, err := device.Open("cpu")
	require.NoError(t, err)
	twin, err := device.Twin(cpu)
	require.NoError(t, err)
	require.NoError(t, cpu.Close())
	_, limited, err := device.Room(cpu)
	require.NoError(t, err)
	assert.False(t, limited, "the CPU has no memory of its own")
	room, limited, err := device.Room(gpu)
	require.NoError(t, err)
	assert.True(t, limited)
	assert.Less(t, room, gpu.Peaks().Memory, "the driver takes a part")
	return []device.Planned{gpu, twin}
}
