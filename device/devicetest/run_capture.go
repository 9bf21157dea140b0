package devicetest

import (
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func testCapture(r *rig) {
	x := r.put(r.place(plain, device.F32, 3), []float64{1, 2, 3})
	y := r.put(r.place(plain, device.F32, 3), []float64{0, 0, 0})
	step := r.put(r.place(plain, device.F32), []float64{10})
	runs := 0
	g, err := r.d.Capture(func() {
		runs++
		r.d.Binary(device.Add, x, x, step)
		r.d.Copy(y, x)
		r.d.Unary(device.Affine, y, y, 2, 0)
	})
	require.NoError(r.t, err)
	assert.Equal(r.t, 1, runs)
	require.NoError(r.t, r.d.Sync())
	assert.Equal(r.t, []float64{1, 2, 3}, r.get(x), "nothing runs before Launch")
	assert.Equal(r.t, []float64{0, 0, 0}, r.get(y))
	g.Launch()
	assert.Equal(r.t, []float64{11, 12, 13}, r.get(x))
	assert.Equal(r.t, []float64{22, 24, 26}, r.get(y))
	r.put(step, []float64{100}) // a number that changes between launches is a device scalar
	g.Launch()
	g.Launch()
	r.d.Fill(step, -1) // ordered after the launches
	assert.Equal(r.t, []float64{211, 212, 213}, r.get(x))
	g.Launch()
	g.Close()
	assert.Equal(r.t, []float64{210, 211, 212}, r.get(x), "a queued Launch completes after Close")
	assert.Equal(r.t, 1, runs, "the host's code runs once")

	none, err := r.d.Capture(func() {})
	require.NoError(r.t, err)
	none.Launch()
	none.Close()

	// every kernel gives the same bits captured as not
	calls, outs := r.oneOfEach()
	for _, c := range calls {
		c()
	}
	var want [][]float64
	for _, o := range outs {
		want = append(want, r.get(o))
		r.d.Fill(o, 0)
	}
	g, err = r.d.Capture(func() {
		for _, c := range calls {
			c()
		}
	})
	require.NoError(r.t, err)
	g.Launch()
	for i, o := range outs {
		assert.Equal(r.t, want[i], r.get(o), "call %d", i)
	}
	g.Close()
}

// oneOfEach is a call of every kernel, each with its output, which it does not read.
func (r *rig) oneOfEach() (calls []func(), outs []device.View) {
	a, _ := r.normal(plain, device.F32, 4, 6)
	b, _ := r.normal(strided, device.F32, 6, 4)
	idx, _ := r.indices(plain, device.I32, 4, 3)
	state := r.state([4]uint32{1, 2, 3, 4})
	d := r.d
	for _, c := range []struct {
		dims []int
		call func(y device.View)
	}{
		{[]int{4, 6}, func(y device.View) { d.Fill(y, 2) }},
		{[]int{4, 6}, func(y device.View) { d.Iota(y, 1, 0, 1) }},
		{[]int{4, 6}, func(y device.View) { d.Copy(y, b.T()) }},
		{[]int{4, 6}, func(y device.View) { d.Unary(device.Gelu, y, a, 0, 0) }},
		{[]int{4, 6}, func(y device.View) { d.UnaryGrad(device.Gelu, y, a, b.T(), device.View{}, 0, 0) }},
		{[]int{4, 6}, func(y device.View) { d.Binary(device.Mul, y, a, b.T()) }},
		{[]int{4, 6}, func(y device.View) { d.Where(y, a, b.T(), a) }},
		{[]int{1, 6}, func(y device.View) { d.Reduce(device.Sum, y, a) }},
		{[]int{4, 4}, func(y device.View) { d.MatMul(y, a, b, 1, 0) }},
		{[]int{3, 6}, func(y device.View) { d.Gather(y, a, idx) }},
		{[]int{4, 4}, func(y device.View) { d.Fill(y, 1); d.ScatterAdd(y, b.Slice(0, 0, 3, 1), idx) }},
		{[]int{4, 6}, func(y device.View) { d.Random(y, device.Normal, state, 5) }},
	} {
		y := r.place(permuted, device.F32, c.dims...)
		outs = append(outs, y)
		calls = append(calls, func() { c.call(y) })
	}
	return calls, outs
}

func testCaptureIllegal(r *rig) {
	x := r.put(r.place(plain, device.F32, 1), []float64{1})
	other, err := r.d.Capture(func() { r.d.Fill(x, 9) })
	require.NoError(r.t, err)
	var b [4]byte
	encode(device.F32, b[:], 5)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"Alloc", func() { _, err := r.d.Alloc(8); assert.Error(r.t, err) }},
		{"Upload", func() { r.d.Upload(x, b[:]) }},
		{"Download", func() { assert.Error(r.t, r.d.Download(make([]byte, 4), x)) }},
		{"Fetch", func() { assert.NotNil(r.t, r.d.Fetch(x)) }},
		{"Sync", func() { assert.Error(r.t, r.d.Sync()) }},
		{"Launch", other.Launch},
		{"Capture", func() { _, err := r.d.Capture(func() {}); assert.Error(r.t, err) }},
	} {
		g, err := r.d.Capture(func() {
			r.d.Fill(x, 2)
			c.call()
			_ = r.d.Sync() // not the first, so that it is not named
			r.d.Fill(x, 3)
		})
		require.Error(r.t, err, c.name)
		assert.Nil(r.t, g)
		assert.Contains(r.t, err.Error(), c.name)
		require.NoError(r.t, r.d.Sync(), "%s: Capture reported it", c.name)
		assert.Equal(r.t, []float64{1}, r.get(x), "%s: nothing ran", c.name)
	}
	m, err := r.d.Alloc(16)
	require.NoError(r.t, err)
	_, err = r.d.Capture(m.Free)
	later := r.d.Sync()
	assert.True(r.t, err != nil || later != nil, "Free while capturing is an error")
	m.Free()
	require.NoError(r.t, r.d.Sync(), "it was not freed before")
	other.Launch()
	assert.Equal(r.t, []float64{9}, r.get(x))
	other.Close()
}

func testCapturePanic(r *rig) {
	x := r.put(r.place(plain, device.F32, 1), []float64{1})
	func() {
		defer func() { assert.Equal(r.t, "boom", fmt.Sprint(recover()), "the panic goes on") }()
		_, _ = r.d.Capture(func() {
			r.d.Fill(x, 2)
			panic("boom")
		})
	}()
	require.NoError(r.t, r.d.Sync())
	assert.Equal(r.t, []float64{1}, r.get(x), "recording has ended, and nothing ran")
	r.d.Fill(x, 3)
	assert.Equal(r.t, []float64{3}, r.get(x))
	g, err := r.d.Capture(func() { r.d.Fill(x, 4) })
	require.NoError(r.t, err)
	g.Launch()
	assert.Equal(r.t, []float64{4}, r.get(x))
	g.Close()
}

// testCaptureError replays a call that fails.
func testCaptureError(r *rig) {
	x, _ := r.normal(plain, device.F32, 3, 2)
	y := r.put(r.place(plain, device.F32, 1, 2), []float64{0, 0})
	z := r.put(r.place(plain, device.F32, 1), []float64{1})
	idx := r.put(r.place(plain, device.I32, 1), []float64{3})
	g, err := r.d.Capture(func() {
		r.d.Gather(y, x, idx)
		r.d.Fill(z, 2)
	})
	require.NoError(r.t, err, "indices are looked at when the call runs")
	g.Launch()
	err = r.d.Sync()
	require.Error(r.t, err)
	assert.Contains(r.t, err.Error(), "Gather")
	assert.Equal(r.t, []float64{1}, r.get(z), "calls after it in the graph do nothing")
	r.put(idx, []float64{2})
	g.Launch()
	assert.Equal(r.t, []float64{2}, r.get(z), "the graph is as good as before")
	g.Close()
}
