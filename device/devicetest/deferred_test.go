package devicetest_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/device/devicetest"
)

func TestDeferredConforms(t *testing.T) {
	devicetest.Run(t, func() device.Device { return devicetest.NewDeferred() })
}

func TestDeferredIsNeverChosen(t *testing.T) {
	d, err := device.Open("auto")
	require.NoError(t, err)
	assert.NotEqual(t, "deferred", d.Name())
	require.NoError(t, d.Close())
	d, err = device.Open("deferred")
	require.NoError(t, err)
	assert.Equal(t, "deferred", d.Name())
	require.NoError(t, d.Close())
	_, err = device.Open("deferred:1")
	require.Error(t, err)
}

func one(t *testing.T, d *devicetest.Deferred, n int) device.View {
	m, err := d.Alloc(4 * n)
	require.NoError(t, err)
	t.Cleanup(m.Free)
	return device.Make(m, device.F32, 0, n)
}

func TestDeferredIsLazy(t *testing.T) {
	d := devicetest.NewDeferred()
	x := one(t, d, 1)
	b := make([]byte, 4)
	require.NoError(t, d.Download(b, x))
	assert.Equal(t, []byte{0xff, 0xff, 0xff, 0xff}, b, "fresh memory is NaN")
	d.Fill(x, 1)
	g, err := d.Capture(func() { d.Fill(x, 2) })
	require.NoError(t, err)
	g.Launch()
	assert.Equal(t, 2, d.Pending(), "neither calls nor launches run by themselves")
	f := d.Fetch(x)
	for range 3 {
		done, err := f.Poll(b)
		require.NoError(t, err)
		assert.False(t, done, "a Poll runs one call")
	}
	assert.Zero(t, d.Pending())
	done, err := f.Poll(b)
	require.NoError(t, err)
	assert.True(t, done)
	assert.Equal(t, math.Float32bits(2), uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)
	assert.Panics(t, func() { _, _ = f.Poll(b) }, "a ticket is used once")
}

func TestDeferredIsStrict(t *testing.T) {
	d, other := devicetest.NewDeferred(), devicetest.NewDeferred()
	x, y := one(t, d, 4), one(t, other, 4)
	assert.PanicsWithValue(t, "deferred.Copy: f32[4] does not lie in this device's memory", func() { d.Copy(x, y) })
	assert.PanicsWithValue(t, "deferred.Fill: f32[5] reaches bytes 0 to 20 of 16", func() { d.Fill(device.Make(x.Mem, device.F32, 0, 5), 0) })
	assert.PanicsWithValue(t, "deferred.Fill: f32[4] reaches bytes -4 to 12 of 16", func() { d.Fill(device.Make(x.Mem, device.F32, -1, 4), 0) })
	assert.Panics(t, func() { d.Fill(x.Slice(0, 0, 1, 1).Broadcast(3), 0) }, "a destination whose elements overlap")
	m, err := d.Alloc(4)
	require.NoError(t, err)
	v := device.Make(m, device.F32, 0, 1)
	g, err := d.Capture(func() { d.Fill(v, 1) })
	require.NoError(t, err)
	g.Launch()
	m.Free() // after the launch
	require.NoError(t, d.Sync())
	g.Launch()
	assert.ErrorContains(t, d.Sync(), "freed")
	g.Close()
	assert.Panics(t, g.Launch)
}

func TestRecorderAndFaulty(t *testing.T) {
	d := devicetest.NewDeferred()
	x := one(t, d, 2)
	r := devicetest.NewRecorder(d)
	f := devicetest.NewFaulty(d, 2, assert.AnError)
	d.Fill(x, 1)
	d.Fill(x, 2)
	d.Copy(x, x)
	assert.Equal(t, []string{"Fill", "Copy"}, r.Kernels())
	assert.Equal(t, 1, r.Count("Fill"))
	assert.Len(t, r.Calls, 5, "the failed call came, and has no After")
	assert.Equal(t, 3, f.Seen)
	r.Stop()
	f.Stop()
	d.Fill(x, 3)
	assert.Len(t, r.Calls, 5)
	assert.ErrorIs(t, d.Sync(), assert.AnError)
	assert.Panics(t, func() { devicetest.NewFaulty(d, 0, assert.AnError) })
	assert.Panics(t, func() { devicetest.NewFaulty(d, 1, nil) })
}

func TestProfiler(t *testing.T) {
	for _, name := range []string{"cpu", "deferred"} {
		d, err := device.Open(name)
		require.NoError(t, err)
		m, err := d.Alloc(4 * 3 * 64 * 64)
		require.NoError(t, err)
		at := func(i int) device.View { return device.Make(m, device.F32, i*64*64, 64, 64) }
		d.Fill(device.Make(m, device.F32, 0, 3, 64, 64), 1)
		p := device.NewProfiler(device.Unfused(d))
		d.MatMul(at(0), at(1), at(2), 1, 0)
		d.MatMul(at(0), at(1), at(2), 1, 0)
		d.Binary(device.Add, at(0), at(1), at(2).Slice(0, 0, 1, 1))
		p.Stop()
		p.Stop()
		d.Fill(at(0), 1)
		rows := map[string]device.ProfileRow{}
		for i, r := range p.Rows() {
			rows[r.Kernel] = r
			assert.Positive(t, r.Time)
			if i > 0 {
				assert.LessOrEqual(t, r.Time, p.Rows()[i-1].Time)
			}
		}
		require.Len(t, rows, 2)
		assert.Equal(t, 2, rows["MatMul"].Calls)
		assert.Equal(t, 2*2*64.0*64*64, rows["MatMul"].Flops)
		assert.Equal(t, 2*3*64.0*64*4, rows["MatMul"].Bytes)
		assert.Equal(t, (2*64.0*64+64)*4, rows["Binary.add"].Bytes, "a broadcast row counts once")
		// 2 products of 64 x 64 take microseconds even on a fast machine: a call that is only queued would not
		assert.Greater(t, rows["MatMul"].Time.Microseconds(), int64(2), name)
		var b bytes.Buffer
		require.NoError(t, p.Table(&b))
		assert.Regexp(t, `(?s)time +share +calls +GB/s +GFLOP/s +kernel\n.* ms +[0-9.]+ % +2 +[0-9.]+ +[0-9.]+ +MatMul\n.* ms +100.0 % +3 .* total\n`, b.String())
		q := device.NewProfiler(d)
		q.Shapes = true
		d.Fill(at(0), 1)
		d.Fill(at(0).Slice(0, 0, 1, 1), 1)
		d.Binary(device.Add, at(0), at(1), at(2))
		q.Stop()
		var names []string
		for _, r := range q.Rows() {
			names = append(names, r.Kernel)
		}
		assert.ElementsMatch(t, []string{"Fill [64 64]", "Fill [1 64]", "Binary.add [64 64] of [64 64]"}, names)
		m.Free()
		require.NoError(t, d.Close())
	}
}
