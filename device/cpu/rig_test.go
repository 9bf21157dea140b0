package cpu

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// rig makes filled views on one device for a test; the same seed gives the same numbers on every device.
type rig struct {
	t   testing.TB
	d   *Device
	rnd *rand.Rand
}

// newRig opens a device of the given number of threads, 0 for all.
func newRig(t testing.TB, threads int) *rig {
	return &rig{t, openTest(t, threads), rand.New(rand.NewPCG(1, 2))}
}

// openTest opens a device that the test closes.
func openTest(t testing.TB, threads int) *Device {
	d := Open(device.Options{Threads: threads})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// zeros is a view of any type and shape, filled with 0.
func (r *rig) zeros(typ device.DType, dims ...int) device.View {
	n := 1
	for _, x := range dims {
		n *= x
	}
	m, err := r.d.Alloc(max(n*typ.Size(), 1))
	require.NoError(r.t, err)
	r.t.Cleanup(m.Free)
	v := device.Make(m, typ, 0, dims...)
	clear(slice[uint8](device.Make(m, device.U8, 0, n*typ.Size()))[:n*typ.Size()])
	return v
}

// with is a view filled by f with numbers that the type can hold.
func (r *rig) with(typ device.DType, f func(i int) float64, dims ...int) device.View {
	v := r.zeros(typ, dims...)
	n := v.Len()
	if n == 0 {
		return v
	}
	switch typ {
	case device.F32:
		for i, s := 0, slice[float32](v)[:n]; i < n; i++ {
			s[i] = float32(f(i))
		}
	case device.F64:
		for i, s := 0, slice[float64](v)[:n]; i < n; i++ {
			s[i] = f(i)
		}
	case device.F16:
		for i, s := 0, slice[uint16](v)[:n]; i < n; i++ {
			s[i] = device.F32ToF16(float32(f(i)))
		}
	case device.BF16:
		for i, s := 0, slice[uint16](v)[:n]; i < n; i++ {
			s[i] = device.F32ToBF16(float32(f(i)))
		}
	case device.U8:
		for i, s := 0, slice[uint8](v)[:n]; i < n; i++ {
			s[i] = uint8(f(i))
		}
	case device.I32:
		for i, s := 0, slice[int32](v)[:n]; i < n; i++ {
			s[i] = int32(f(i))
		}
	}
	return v
}

// normal is a view of normal deviates; whole ones for integer types.
func (r *rig) normal(typ device.DType, dims ...int) device.View {
	return r.with(typ, func(int) float64 {
		if typ.IsInt() {
			return float64(r.rnd.IntN(7))
		}
		return r.rnd.NormFloat64()
	}, dims...)
}

// values is v in row-major order.
func values(v device.View) []float64 {
	n := v.Len()
	out := make([]float64, 0, n)
	if n == 0 {
		return out
	}
	base := v
	base.Off = 0
	var get func(i int) float64
	switch v.Type {
	case device.F32:
		s := slice[float32](base)
		get = func(i int) float64 { return float64(s[i]) }
	case device.F64:
		s := slice[float64](base)
		get = func(i int) float64 { return s[i] }
	case device.F16:
		s := slice[uint16](base)
		get = func(i int) float64 { return float64(device.F16ToF32(s[i])) }
	case device.BF16:
		s := slice[uint16](base)
		get = func(i int) float64 { return float64(device.BF16ToF32(s[i])) }
	case device.U8:
		s := slice[uint8](base)
		get = func(i int) float64 { return float64(s[i]) }
	case device.I32:
		s := slice[int32](base)
		get = func(i int) float64 { return float64(s[i]) }
	}
	for i := range n {
		at, rest := v.Off, i
		for x := int(v.Rank) - 1; x >= 0; x-- {
			at += rest % int(v.Dim[x]) * int(v.Str[x])
			rest /= int(v.Dim[x])
		}
		out = append(out, get(at))
	}
	return out
}

// eachLevel runs f with the instruction set in use and with each below it, which are tried for f32 alone: f64 is computed in
// plain Go on all of them.
func eachLevel(t *testing.T, f func(t *testing.T, types []device.DType)) {
	types := []device.DType{device.F32, device.F64}
	t.Run(simd.Active().String(), func(t *testing.T) { f(t, types) })
	for _, disable := range []func() func(){simd.DisableAVX512, simd.DisableAll} {
		before := simd.Active()
		restore := disable()
		if simd.Active() != before {
			t.Run(simd.Active().String(), func(t *testing.T) { f(t, types[:1]) })
		}
		restore()
	}
}

// everywhere runs a call on devices of 1, 2 and 5 threads and, on the last, as a captured step, once as if caches were far
// (near, where they are far); setup makes the operands and gives the call and its outputs. All must agree bit for bit, and a
// replay allocates nothing; the outputs come back.
func everywhere(t testing.TB, setup func(r *rig) (call func(), outs []device.View)) [][]float64 {
	t.Helper()
	var first [][]float64
	for i, threads := range []int{1, 2, 5, 5} {
		var replay device.Graph
		r := newRig(t, threads)
		d := r.d
		call, outs := setup(r)
		if i < 3 {
			restore := simd.SetFarCaches(simd.FarCaches() != (i == 1))
			call()
			restore()
		} else {
			g, err := d.Capture(call)
			require.NoError(t, err)
			defer g.Close()
			g.Launch()
			replay = g
		}
		require.NoError(t, d.Sync())
		var got [][]float64
		for _, v := range outs {
			got = append(got, values(v))
		}
		if replay != nil {
			require.Zero(t, allocations(replay.Launch), "allocations of a replay")
		}
		d.pool.close() // thousands of idle threads would allocate as they fall asleep
		if first == nil {
			first = got
			continue
		}
		for j := range got {
			for e := range got[j] {
				if math.Float64bits(got[j][e]) != math.Float64bits(first[j][e]) {
					require.Failf(t, "not the same bytes", "run %d, output %d, element %d: %v, not %v", i, j, e, got[j][e], first[j][e])
				}
			}
		}
	}
	return first
}

// near asks that got is want to within tol of the largest value of want, element by element.
func near(t testing.TB, want, got []float64, tol float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	top := 0.0
	for _, v := range want {
		if !math.IsInf(v, 0) {
			top = max(top, math.Abs(v))
		}
	}
	for i := range want {
		if want[i] == got[i] || math.IsNaN(want[i]) && math.IsNaN(got[i]) {
			continue
		}
		if !(math.Abs(want[i]-got[i]) <= tol*top) {
			require.Failf(t, "too far", "%s, element %d: want %v, got %v (largest %v)", what, i, want[i], got[i], top)
		}
	}
}

// tolerance is for sums of n products: n/8 roundings of the type, which worst cases of these tests stay under.
func tolerance(typ device.DType, n int) float64 {
	eps := 1.2e-7
	switch typ {
	case device.F64:
		eps = 2.3e-16
	case device.F16:
		return 1e-3 // one rounding to 11 bits
	case device.BF16:
		return 8e-3 // one rounding to 8 bits
	}
	return eps * (4 + float64(n)/8)
}

// allocations is what f allocates. The runtime allocates too, when it starts a thread, a timer or a collection; what f
// does is in every one of a few calls.
func allocations(f func()) uint64 {
	f()
	least := uint64(math.MaxUint64)
	for i := 0; i < 20 && least > 0; i++ {
		if i > 0 {
			time.Sleep(time.Millisecond) // what the runtime was at may be over then
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}

// traffic tells the time and the GB/s of the fastest of many calls that move bytes between memory and processor: what a
// call takes, whatever else the machine does.
func traffic(b *testing.B, d *Device, bytes float64, call func()) {
	g, err := d.Capture(call)
	require.NoError(b, err)
	defer g.Close()
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		g.Launch()
		best = min(best, time.Since(start))
	}
	require.NoError(b, d.Sync())
	b.ReportMetric(best.Seconds()*1e3, "ms")
	b.ReportMetric(bytes/best.Seconds()/1e9, "GB/s")
}
