package model_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops"
)

// rig is a network with storage on the CPU, and a tape.
type rig struct {
	t     *testing.T
	dev   device.Device
	net   *model.Network
	store *model.Storage
	tape  *ops.Tape
}

func open(t *testing.T) device.Device {
	t.Helper()
	dev, err := device.Open("cpu")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return dev
}

// newRig uploads net's values, which must be set.
func newRig(t *testing.T, net *model.Network, typ device.DType) *rig {
	t.Helper()
	r := &rig{t: t, dev: open(t), net: net}
	var err error
	r.store, err = model.NewStorage(r.dev, net, model.StorageOptions{Type: typ, Train: true})
	require.NoError(t, err)
	t.Cleanup(r.store.Close)
	require.NoError(t, r.store.Upload())
	r.tape = ops.NewTape(r.dev, nil)
	r.store.Bind(r.tape)
	r.tape.RNG = r.upload(device.I32, []int{4}, make([]byte, 16))
	return r
}

// upload puts bytes into memory of its own.
func (r *rig) upload(typ device.DType, shape []int, b []byte) device.View {
	r.t.Helper()
	m, err := r.dev.Alloc(len(b))
	require.NoError(r.t, err)
	r.t.Cleanup(m.Free)
	v := device.Make(m, typ, 0, shape...)
	r.dev.Upload(v, b)
	return v
}

func (r *rig) pictures(x *tensor.Dense) *ops.Tensor {
	typ, b := r.store.W.Type, []byte(nil)
	for _, f := range x.Data().([]float64) {
		if typ == device.F64 {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
		}
	}
	return ops.Leaf(r.upload(typ, x.Shape(), b))
}

// run sizes an arena by a dry run of f, runs f, and checks that f has given all of the arena back.
func (r *rig) run(f func()) {
	r.t.Helper()
	r.tape.Arena = device.Phantom()
	device.DryRun(r.dev, f)
	m, err := r.dev.Alloc(max(r.tape.Arena.High(), device.Align))
	require.NoError(r.t, err)
	r.tape.Reset()
	r.tape.Arena = device.NewArena(m)
	f()
	require.Zero(r.t, r.tape.Arena.Live(), "the module keeps handles")
	r.tape.Reset()
	require.NoError(r.t, r.dev.Sync())
	m.Free()
}

func (r *rig) read(v device.View) *tensor.Dense {
	r.t.Helper()
	b := make([]byte, v.Bytes())
	require.NoError(r.t, r.dev.Download(b, v))
	x := make([]float64, v.Len())
	for i := range x {
		if v.Type == device.F64 {
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		} else {
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	}
	if v.Rank == 0 {
		return tensor.New(tensor.WithShape(1), tensor.WithBacking(x))
	}
	return tensor.New(tensor.WithShape(v.Shape()...), tensor.WithBacking(x))
}

// evaluate is the network's output in evaluation.
func (r *rig) evaluate(x *tensor.Dense) (y *tensor.Dense) {
	r.t.Helper()
	in := r.pictures(x)
	r.run(func() {
		r.tape.Train = false
		defer r.tape.NoGrad()()
		out := r.net.Forward(r.tape, in)
		y = r.read(out.Value())
		r.tape.Release(out)
	})
	return y
}

// step leaves the gradient of the mean cross entropy in r.store.G.
func (r *rig) step(x *tensor.Dense, labels []int32) (y *tensor.Dense, loss float64) {
	r.t.Helper()
	in := r.pictures(x)
	var b []byte
	for _, l := range labels {
		b = binary.LittleEndian.AppendUint32(b, uint32(l))
	}
	target := ops.Leaf(r.upload(device.I32, []int{len(labels)}, b))
	r.run(func() {
		r.dev.Fill(r.store.G, 0)
		r.tape.Train = true
		out := r.net.Forward(r.tape, in)
		l := ops.CrossEntropy(r.tape, out, target, ops.CrossEntropyOptions{})
		y, loss = r.read(out.Value()), r.read(l.Value()).Data().([]float64)[0]
		r.tape.Release(out)
		one := r.tape.Arena.Get(l.Type())
		r.dev.Fill(one, 1)
		r.tape.Backward(l, one)
		r.tape.Arena.Put(one)
	})
	return y, loss
}

// commit makes the next running statistics the present ones.
func (r *rig) commit() {
	ok := r.upload(device.F32, nil, []byte{0, 0, 128, 63})
	r.store.Commit(r.tape, ok)
}
