package devicetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// testShapes calls every kernel with shapes that do not fit.
func testShapes(r *rig) {
	f := func(dims ...int) device.View { return r.place(plain, device.F32, dims...) }
	i := func(dims ...int) device.View { return r.place(plain, device.I32, dims...) }
	d, y, x := r.d, f(2, 3), f(4, 3)
	a, b := []int{2, 3}, []int{4, 3}
	r.panics("Iota", func() { d.Iota(y, 2, 0, 1) }, a, 2)
	r.panics("Iota", func() { d.Iota(y, -3, 0, 1) }, a)
	r.panics("Copy", func() { d.Copy(y, x) }, a, b)
	r.panics("Copy", func() { d.Copy(f(3), y) }, []int{3}, a)
	r.panics("Copy", func() { d.Copy(f(1, 3), y) }, []int{1, 3}, a)
	r.panics("Unary", func() { d.Unary(device.Exp, y, x, 0, 0) }, a, b)
	r.panics("UnaryGrad", func() { d.UnaryGrad(device.Exp, y, x, device.View{}, y, 0, 0) }, a, b)
	r.panics("UnaryGrad", func() { d.UnaryGrad(device.Exp, y, y, device.View{}, x, 0, 0) }, a, b)
	r.panics("UnaryGrad", func() { d.UnaryGrad(device.Log, y, y, x, device.View{}, 0, 0) }, a, b)
	r.panics("Binary", func() { d.Binary(device.Add, y, x, y) }, a, b)
	r.panics("Binary", func() { d.Binary(device.Add, y, y, x) }, a, b)
	r.panics("Where", func() { d.Where(y, x, y, y) }, a, b)
	r.panics("Where", func() { d.Where(y, y, x, y) }, a, b)
	r.panics("Where", func() { d.Where(y, y, y, x) }, a, b)
	r.panics("Reduce", func() { d.Reduce(device.Sum, y, x) }, a, b)
	r.panics("Reduce", func() { d.Reduce(device.Sum, f(3), x) }, []int{3}, b)
	r.panics("Reduce", func() { d.Reduce(device.ArgMax, f(4, 1), x) }, []int{4, 1}, b)
	r.panics("MatMul", func() { d.MatMul(y, x, f(3, 3), 1, 0) }, a, b)
	r.panics("MatMul", func() { d.MatMul(f(4, 5), x, f(2, 5), 1, 0) }, []int{4, 5}, b, []int{2, 5})
	r.panics("MatMul", func() { d.MatMul(f(4, 5), x, f(3, 6), 1, 0) }, []int{4, 5}, b, []int{3, 6})
	r.panics("MatMul", func() { d.MatMul(f(2, 4, 5), f(3, 4, 3), f(3, 5), 1, 0) }, []int{2, 4, 5}, []int{3, 4, 3}, []int{3, 5})
	r.panics("MatMul", func() { d.MatMul(f(4, 5), f(1, 4, 3), f(3, 5), 1, 0) }, []int{4, 5}, []int{1, 4, 3})
	r.panics("MatMul", func() { d.MatMul(f(4), x, f(3), 1, 0) }, []int{4}, b)
	r.panics("Gather", func() { d.Gather(y, x, i(3)) }, a, b, []int{3})
	r.panics("Gather", func() { d.Gather(f(2, 4), x, i(2)) }, []int{2, 4}, b)
	r.panics("Gather", func() { d.Gather(y, f(), i(2)) }, a, []int{})
	r.panics("ScatterAdd", func() { d.ScatterAdd(x, y, i(3)) }, a, b, []int{3})
	r.panics("ScatterAdd", func() { d.ScatterAdd(x, f(2, 4), i(2)) }, []int{2, 4}, b)
	r.panics("Random", func() { d.Random(y, device.Uniform, i(3), 0) }, []int{3})
	r.panics("Random", func() { d.Random(y, device.Bits, i(4), 0) }, a)
	r.panics("Random", func() { d.Random(y, device.Permutation, i(4), 0) }, a)
	require.NoError(r.t, r.d.Sync(), "a panic leaves no error behind")
	r.d.Fill(y, 1)
	assert.Equal(r.t, []float64{1, 1, 1, 1, 1, 1}, r.get(y), "and the device works on")
}

func testFetch(r *rig) {
	x := r.put(r.place(plain, device.F32, 2), []float64{1, 1})
	read := func(b []byte) float64 { return decode(device.F32, b[4:]) }
	var b [8]byte
	first := r.d.Fetch(x)
	r.d.Fill(x, 2)
	second := r.d.Fetch(x)
	r.d.Fill(x, 3)
	require.NoError(r.t, second.Wait(b[:]))
	assert.Equal(r.t, 2.0, read(b[:]), "what stood there when it was queued")
	require.NoError(r.t, first.Wait(b[:]))
	assert.Equal(r.t, 1.0, read(b[:]), "whatever is waited for first")

	// Uploads keep their place among reads, launches and each other: large ones, so that a device that stages them must
	// begin before all of it is queued.
	const n = 6 << 20 / 4
	big, host := r.place(plain, device.F32, n), make([]byte, 4*n)
	all := func(v float64) []byte {
		for i := range n {
			encode(device.F32, host[4*i:], v)
		}
		return host
	}
	g, err := r.d.Capture(func() { r.d.Unary(device.Affine, big, big, 1, 1) })
	require.NoError(r.t, err)
	ends := func(t device.Ticket) (first, last float64) {
		b := make([]byte, 4*n)
		require.NoError(r.t, t.Wait(b))
		return decode(device.F32, b), decode(device.F32, b[4*n-4:])
	}
	for i := range 3 {
		r.d.Upload(big, all(float64(100*i)))
		g.Launch()
		before := r.d.Fetch(big)
		r.d.Upload(big, all(-1))
		r.d.Upload(big, all(-2))
		after := r.d.Fetch(big)
		first, last := ends(before)
		require.Equal(r.t, [2]float64{float64(100*i + 1), float64(100*i + 1)}, [2]float64{first, last})
		first, last = ends(after)
		require.Equal(r.t, [2]float64{-2, -2}, [2]float64{first, last})
	}
	g.Close()

	var flying []device.Ticket
	for i := range 100 {
		r.d.Fill(x, float64(i))
		flying = append(flying, r.d.Fetch(x))
	}
	for i, t := range flying {
		for {
			done, err := t.Poll(b[:])
			require.NoError(r.t, err)
			if done {
				break
			}
		}
		require.Equal(r.t, float64(i), read(b[:]))
	}
	require.NoError(r.t, r.d.Sync())
	late := r.d.Fetch(x)
	require.NoError(r.t, r.d.Sync())
	require.NoError(r.t, late.Wait(b[:]), "a Sync between does not matter")
	assert.Equal(r.t, 99.0, read(b[:]))
}

// fault queues a call that fails.
func (r *rig) fault() {
	x, y := r.place(plain, device.F32, 2, 1), r.place(plain, device.F32, 1, 1)
	idx := r.put(r.place(plain, device.I32, 1), []float64{2})
	r.d.Gather(y, x, idx)
}

func testSticky(r *rig) {
	x := r.put(r.place(plain, device.F32, 1), []float64{1})
	one, two := r.d.Fetch(x), r.d.Fetch(x)
	var b [4]byte
	require.NoError(r.t, one.Wait(b[:]))
	r.fault()
	r.d.Fill(x, 2)
	late := r.d.Fetch(x)
	require.Error(r.t, r.d.Download(b[:], x))
	require.Error(r.t, r.d.Download(b[:], x), "Download leaves it")
	require.Error(r.t, late.Wait(b[:]))
	require.NoError(r.t, two.Wait(b[:]), "a read from before the fault")
	assert.Equal(r.t, 1.0, decode(device.F32, b[:]))
	r.d.Fill(x, 3)
	err := r.d.Sync()
	require.Error(r.t, err)
	assert.Contains(r.t, err.Error(), "Gather", "it names the kernel")
	require.NoError(r.t, r.d.Sync(), "Sync clears it")
	assert.Equal(r.t, []float64{1}, r.get(x), "calls between fault and Sync did nothing")
	r.d.Fill(x, 4)
	assert.Equal(r.t, []float64{4}, r.get(x))
}

func testLeak(t *testing.T, open func() device.Device) {
	d := open()
	m, err := d.Alloc(1000)
	require.NoError(t, err)
	n, err := d.Alloc(234)
	require.NoError(t, err)
	n.Free()
	_ = m
	err = d.Close()
	require.Error(t, err)
	assert.Contains(t, err.Error(), "1000", "it says how much")

	d = open()
	m, err = d.Alloc(10)
	require.NoError(t, err)
	m.Free()
	require.NoError(t, d.Sync())
	m.Free()
	require.Error(t, d.Sync(), "a second Free")
	require.NoError(t, d.Sync())
	require.NoError(t, d.Close())
}

// testHandles runs two handles in two goroutines, and compares with each alone.
func testHandles(t *testing.T, open func() device.Device) {
	work := func(seed uint32) ([]byte, error) {
		d := open()
		var err error
		alloc := func(typ device.DType, dims ...int) device.View {
			m, e := d.Alloc(device.Make(nil, typ, 0, dims...).Bytes())
			err = errors.Join(err, e)
			return device.Make(m, typ, 0, dims...)
		}
		state, x, w, h := alloc(device.I32, 4), alloc(device.F32, 20, 30), alloc(device.F32, 30, 30), alloc(device.F32, 20, 30)
		if err != nil {
			return nil, err
		}
		d.Fill(state, float64(seed))
		d.Random(w, device.Normal, state, 1)
		d.Fill(x, 1)
		g, err := d.Capture(func() {
			d.MatMul(h, x, w, 0.2, 0)
			d.Unary(device.Tanh, x, h, 0, 0)
			d.Binary(device.Add, state, state, state.Slice(0, 2, 1, 1).Broadcast(4))
		})
		if err != nil {
			return nil, err
		}
		for range 20 {
			g.Launch()
		}
		g.Close()
		out := make([]byte, x.Bytes())
		err = d.Download(out, x)
		for _, v := range []device.View{state, x, w, h} {
			v.Mem.Free()
		}
		return out, errors.Join(err, d.Sync(), d.Close())
	}
	var solo, both [2][]byte
	for i := range solo {
		var err error
		solo[i], err = work(uint32(i + 1))
		require.NoError(t, err)
	}
	require.NotEqual(t, solo[0], solo[1])
	errs := make(chan error)
	for i := range both {
		go func() {
			var err error
			both[i], err = work(uint32(i + 1))
			errs <- err
		}()
	}
	require.NoError(t, errors.Join(<-errs, <-errs))
	assert.Equal(t, solo, both)
}
