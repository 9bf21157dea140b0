package devicetest

import (
	"errors"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func testHookOrder(r *rig) {
	x := r.put(r.place(plain, device.F32, 1), []float64{1})
	var log []string
	note := func(name string) func(device.Call) error {
		return func(c device.Call) error {
			log = append(log, name+map[device.Phase]string{device.Before: " before ", device.After: " after "}[c.Phase]+c.Kernel)
			return nil
		}
	}
	undoA := device.Hook(r.d, note("a"))
	undoB := device.Hook(r.d, note("b"))
	r.d.Fill(x, 2)
	assert.Equal(r.t, []string{"a before Fill", "b before Fill", "a after Fill", "b after Fill"}, log)
	log = nil
	undoA()
	undoA() // a second time does nothing
	r.d.Fill(x, 3)
	assert.Equal(r.t, []string{"b before Fill", "b after Fill"}, log)
	log = nil
	undoSkip := device.Hook(r.d, func(c device.Call) error {
		if c.Phase == device.Before {
			return device.ErrSkip
		}
		return errors.New("errors after a call are ignored")
	})
	r.d.Fill(x, 4)
	assert.Equal(r.t, []string{"b before Fill"}, log, "a dropped call has no After")
	undoSkip()
	undoB()
	require.NoError(r.t, r.d.Sync(), "a skipped call is no error")
	assert.Equal(r.t, []float64{3}, r.get(x))
	undo := device.Hook(r.d, func(c device.Call) error {
		if c.Phase == device.After {
			return errors.New("errors after a call are ignored")
		}
		return nil
	})
	r.d.Fill(x, 5)
	undo()
	require.NoError(r.t, r.d.Sync())
	assert.Equal(r.t, []float64{5}, r.get(x))
}

func testHookFault(r *rig) {
	x := r.put(r.place(plain, device.F32, 1), []float64{1})
	boom := errors.New("boom")
	f := NewFaulty(r.d, 3, boom)
	r.d.Fill(x, 2)
	r.d.Fill(x, 3)
	r.d.Unary(device.Exp, x, x, 0, 0)
	r.d.Fill(x, 4)
	err := r.d.Sync()
	f.Stop()
	require.ErrorIs(r.t, err, boom)
	assert.Contains(r.t, err.Error(), "Unary.exp", "it names the kernel")
	require.NoError(r.t, r.d.Sync())
	assert.Equal(r.t, []float64{3}, r.get(x), "what came before ran, what came after did not")

	f = NewFaulty(r.d, 2, boom)
	_, err = r.d.Capture(func() {
		r.d.Fill(x, 5)
		r.d.Copy(x, x)
		r.d.Fill(x, 6)
	})
	f.Stop()
	require.ErrorIs(r.t, err, boom, "while capturing it is Capture's")
	assert.Contains(r.t, err.Error(), "Copy")
	require.NoError(r.t, r.d.Sync())
	assert.Equal(r.t, []float64{3}, r.get(x))

	var b [4]byte
	for _, c := range []struct {
		name string
		call func()
	}{
		{"Upload", func() { r.d.Upload(x, b[:]) }},
		{"Download", func() { assert.ErrorIs(r.t, r.d.Download(b[:], x), boom) }},
		{"Fetch", func() { assert.ErrorIs(r.t, r.d.Fetch(x).Wait(b[:]), boom) }},
	} {
		f = NewFaulty(r.d, 1, boom)
		c.call()
		f.Stop()
		err = r.d.Sync()
		require.ErrorIs(r.t, err, boom, c.name)
		assert.Contains(r.t, err.Error(), c.name)
	}
	g, err := r.d.Capture(func() { r.d.Fill(x, 7) })
	require.NoError(r.t, err)
	f = NewFaulty(r.d, 1, boom)
	g.Launch()
	f.Stop()
	err = r.d.Sync()
	require.ErrorIs(r.t, err, boom)
	assert.Contains(r.t, err.Error(), "Launch")
	assert.Equal(r.t, []float64{3}, r.get(x))
	g.Close()
}

// testHookCalls looks at what a hook is told.
func testHookCalls(r *rig) {
	calls, outs := r.oneOfEach()
	rec := NewRecorder(r.d)
	for _, c := range calls {
		c()
	}
	var b [4]byte
	x := r.place(plain, device.F32, 1) // an Upload
	require.NoError(r.t, r.d.Download(b[:], x))
	require.NoError(r.t, r.d.Fetch(x).Wait(b[:]))
	g, err := r.d.Capture(func() {
		for _, c := range calls[:2] {
			c()
		}
	})
	require.NoError(r.t, err)
	g.Launch()
	g.Launch()
	rec.Stop()
	r.d.Fill(x, 0)
	assert.Equal(r.t, []string{"Fill", "Iota", "Copy", "Unary.gelu", "UnaryGrad.gelu", "Binary.mul", "Where", "Reduce.sum", "MatMul", "Gather", "Fill", "ScatterAdd",
		"Random.normal", "Upload", "Download", "Fetch", "Fill", "Iota", "Launch", "Launch"}, rec.Kernels())
	reads := map[string]int{"Copy": 1, "Unary.gelu": 1, "UnaryGrad.gelu": 2, "Binary.mul": 2, "Where": 3, "Reduce.sum": 1, "MatMul": 2, "Gather": 2,
		"Random.normal": 1, "Download": 1, "Fetch": 1}
	for i, c := range rec.Calls {
		assert.Equal(r.t, device.Phase(i%2), c.Phase, "Before and After take turns")
		switch c.Kernel {
		case "Download", "Fetch", "Launch":
			assert.Empty(r.t, c.Writes, c.Kernel)
		default:
			require.Len(r.t, c.Writes, 1, c.Kernel)
			assert.Equal(r.t, c.Writes[0].Mem, rec.Calls[i/2*2].Writes[0].Mem)
		}
		if c.Kernel != "ScatterAdd" { // it may count the destination among its sources
			assert.Len(r.t, c.Reads, reads[c.Kernel], c.Kernel)
		}
		if c.Kernel == "MatMul" {
			assert.Equal(r.t, outs[8], c.Writes[0])
			assert.Equal(r.t, 2.0*4*6*4, c.Flops)
		}
	}
	g.Close()
}

// testDryRun drops every call, on memory that does not exist.
func testDryRun(r *rig) {
	arena := device.Phantom()
	get := func(typ device.DType, dims ...int) device.View { return arena.Get(typ, dims...) }
	x := r.put(r.place(plain, device.F32, 1), []float64{1})
	device.DryRun(r.d, func() {
		a, b, c := get(device.F32, 2, 3), get(device.F32, 3, 2), get(device.F32, 2, 2)
		idx, state := get(device.I32, 2), get(device.I32, 4)
		d := r.d
		d.Fill(a, 1)
		d.Iota(a, 1, 0, 1)
		d.Copy(a, b.T())
		d.Unary(device.Exp, a, a, 0, 0)
		d.UnaryGrad(device.Exp, a, a, device.View{}, a, 0, 0)
		d.Binary(device.Add, a, a, b.T())
		d.Where(a, a, a, a)
		d.Reduce(device.Sum, a.Slice(0, 0, 1, 1), a)
		d.MatMul(c, a, b, 1, 0)
		d.Gather(a, a, idx)
		d.ScatterAdd(a, a, idx)
		d.Random(a, device.Uniform, state, 0)
		d.Upload(a, make([]byte, a.Bytes()))
		d.Fill(x, 2)
		r.panics("MatMul", func() { d.MatMul(c, b, a, 1, 0) }, []int{2, 2}, []int{3, 2}, []int{2, 3})
	})
	require.NoError(r.t, r.d.Sync())
	assert.Equal(r.t, []float64{1}, r.get(x), "nothing ran")
	assert.Equal(r.t, 5*device.Align, arena.High())
}
