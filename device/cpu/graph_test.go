package cpu

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// opaque hides what a device is, so that no call on it can be resolved while compiling.
//
//go:noinline
func opaque(d device.Device) device.Device { return d }

// mallocs is how many allocations n calls of f make, on all threads. The runtime itself allocates now and then, so the
// best of a few tries counts.
func mallocs(n int, f func()) uint64 {
	f() // tickets and what else is made once
	best := ^uint64(0)
	for range 5 {
		if best == 0 {
			break
		}
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		for range n {
			f()
		}
		runtime.ReadMemStats(&b)
		best = min(best, b.Mallocs-a.Mallocs)
	}
	return best
}

// A step of all core kernels, on types that must be converted and sizes that several threads share.
func TestReplayAllocatesNothing(t *testing.T) {
	r := newRig(t, 3)
	d := opaque(r.d)
	x, h, y := r.normal(device.F32, 150, 130), r.normal(device.F16, 150, 130), r.zeros(device.F32, 150, 130)
	b, row, col := r.normal(device.BF16, 130), r.zeros(device.F32, 1, 130), r.zeros(device.F64, 150, 1)
	arg, ids, big := r.zeros(device.I32, 150, 1), r.with(device.I32, func(i int) float64 { return float64(i * 7 % 150) }, 200), r.zeros(device.F32, 200, 130)
	bits, state, out := r.zeros(device.I32, 20, 1000), r.normal(device.I32, 4), r.zeros(device.F32, 130, 130)
	g, err := d.Capture(func() {
		d.Fill(h, 0.5)
		d.Iota(y, 0, 1, 0.25)
		d.Copy(h.T(), y.T())
		d.Copy(y, x.Flip(0))
		for op := range device.UnOp(device.UnOps()) {
			d.Unary(op, y, x, 1, 2)
			d.UnaryGrad(op, y, h, x, x, 1, 2)
		}
		for op := range device.BinOp(device.BinOps()) {
			d.Binary(op, y, x, b)
		}
		d.Where(y, h, x, b)
		for op := range device.RedOp(device.RedOps()) {
			if op == device.ArgMax {
				d.Reduce(op, arg, x)
				continue
			}
			d.Reduce(op, row, x)
			d.Reduce(op, col, h)
		}
		d.MatMul(out, x.T(), y, 1, 0)
		d.Gather(big, x, ids)
		d.ScatterAdd(y, big, ids)
		d.Random(y, device.Normal, state, 1)
		d.Random(h, device.Uniform, state, 2)
		d.Random(bits, device.Bits, state, 3)
		d.Random(bits, device.Permutation, state, 4)
	})
	require.NoError(t, err)
	defer g.Close()
	host, large := make([]byte, row.Bytes()), r.zeros(device.U8, 1<<20)
	many := make([]byte, large.Bytes()) // which all threads copy
	assert.Zero(t, mallocs(2, func() {
		g.Launch()
		ticket := d.Fetch(row)
		require.NoError(t, ticket.Wait(host))
		d.Upload(large, many)
		ticket = d.Fetch(large)
		require.NoError(t, ticket.Wait(many))
	}))
	require.NoError(t, d.Sync())
}

// A dry run costs no memory, however large the views are.
func TestDryRunTakesNoMemory(t *testing.T) {
	r := newRig(t, 2)
	a := device.Phantom()
	x, y, row := a.Get(device.F32, 1<<14, 1<<14), a.Get(device.F32, 1<<14, 1<<14), a.Get(device.F32, 1, 1<<14)
	d := opaque(r.d)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	device.DryRun(d, func() {
		for range 10 {
			d.Unary(device.Relu, y, x, 0, 0)
			d.Binary(device.Add, y, x.T(), y)
			d.Copy(y, x.Flip(1))
			d.Reduce(device.MaxAbs, row, y)
		}
	})
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20)) // closures, and 64 rows of the reduction's sums in f64; one view is 1 GiB
	require.NoError(t, d.Sync())
}

// What a hook sees Before and After a transfer is what the memory holds then.
func TestHooksAroundTransfers(t *testing.T) {
	r := newRig(t, 1)
	x := r.zeros(device.U8, 1)
	var seen []byte
	defer r.d.Hook(func(c device.Call) error {
		assert.Equal(t, "Upload", c.Kernel)
		seen = append(seen, slice[byte](c.Writes[0])[0])
		return nil
	})()
	r.d.Upload(x, []byte{9})
	assert.Equal(t, []byte{0, 9}, seen)
}

func TestMemory(t *testing.T) {
	d := Open(device.Options{Threads: 1})
	var all []device.Memory
	for _, n := range []int{0, 1, 63, 64, 65, 100000, 3 << 20} {
		m, err := d.Alloc(n)
		require.NoError(t, err)
		assert.Equal(t, n, m.Bytes())
		if n > 0 {
			assert.Zero(t, address(m)%line, "%d bytes", n)
		}
		all = append(all, m)
	}
	last := device.Make(all[6], device.F32, 0, 1<<18)
	d.Fill(last, 3)
	g, err := d.Capture(func() { d.Copy(last, last) })
	require.NoError(t, err)
	assert.ErrorContains(t, d.Close(), "3245921 bytes")
	for _, m := range all {
		m.Free()
	}
	assert.NoError(t, d.Close())
	const want = "cpu: use of freed memory"
	assert.PanicsWithValue(t, want, func() { d.Fill(device.Make(all[5], device.F32, 0, 1), 0) })
	assert.PanicsWithValue(t, want, func() { d.Fill(last, 0) })
	assert.PanicsWithValue(t, want, g.Launch)
}

func TestOpenSaysThreads(t *testing.T) {
	assert.Contains(t, openTest(t, 3).Describe(), "3 threads")
	assert.Len(t, openTest(t, 0).perWorker, runtime.GOMAXPROCS(0))
}

// Borrowed memory may begin anywhere between two elements; what is computed from it is the same. It is not counted.
func TestBorrow(t *testing.T) {
	r := newRig(t, 2)
	const n, k, o = 5, 67, 33
	numbers := func(i int) float64 { return float64(i*7919%1013)/512 - 1 }
	x, own := r.with(device.F32, numbers, n, k), r.with(device.F32, numbers, o, k)
	picture, want, got := r.with(device.F32, numbers, 2, 8, 8, 32), r.zeros(device.F32, n, o), r.zeros(device.F32, n, o)
	kernel := r.with(device.F32, numbers, 48, 3, 3, 32)
	want2, got2 := r.zeros(device.F32, 2, 8, 8, 48), r.zeros(device.F32, 2, 8, 8, 48)
	conv := device.Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilH: 1, DilW: 1, Groups: 1}
	live := r.d.live
	for skew := 4; skew < 64; skew += 12 {
		borrow := func(v device.View) device.View {
			b := aligned(v.Bytes() + skew)[skew:]
			copy(b, span(v))
			m := r.d.Borrow(b)
			t.Cleanup(m.Free)
			assert.Equal(t, v.Bytes(), m.Bytes())
			return device.Make(m, v.Type, 0, v.Shape()...)
		}
		r.d.MatMul(want, x, own.T(), 1, 0)
		r.d.MatMul(got, x, borrow(own).T(), 1, 0)
		assert.Equal(t, span(want), span(got), "%d bytes", skew)
		require.True(t, r.d.Conv2D(want2, picture, kernel, device.View{}, conv, device.Identity))
		require.True(t, r.d.Conv2D(got2, picture, borrow(kernel), device.View{}, conv, device.Identity))
		assert.Equal(t, span(want2), span(got2), "%d bytes", skew)
	}
	assert.Equal(t, live, r.d.live)

	host := append(aligned(4)[:0], 0, 0, 128, 63) // 1 as f32
	m := r.d.Borrow(host)
	v := device.Make(m, device.F32, 0, 1)
	r.d.Fill(v, 2)
	assert.Equal(t, []byte{0, 0, 0, 64}, host)
	m.Free()
	assert.PanicsWithValue(t, "cpu: use of freed memory", func() { r.d.Fill(v, 0) })
	m.Free()
	assert.ErrorContains(t, r.d.Sync(), "freed twice")
	assert.Equal(t, live, r.d.live)

	twin, err := r.d.Twin()
	require.NoError(t, err)
	twin.Limit(0)
	twin.(plannedDevice).Borrow(host).Free()
	require.NoError(t, twin.Close())
}
