package modeltest

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops"
)

// Rig is a network with storage on a device, and a tape.
type Rig struct {
	T     testing.TB
	Dev   device.Device
	Net   *model.Network
	Store *model.Storage
	Tape  *ops.Tape
}

// NewRig gives net storage for training on dev, in one group, and uploads its values, which must be set.
func NewRig(t testing.TB, dev device.Device, net *model.Network, typ device.DType) *Rig {
	t.Helper()
	r := &Rig{T: t, Dev: dev, Net: net}
	var err error
	r.Store, err = model.NewStorage(r.Dev, net, model.StorageOptions{Type: typ, Train: true})
	require.NoError(t, err)
	t.Cleanup(r.Store.Close)
	require.NoError(t, r.Store.Upload())
	r.Tape = ops.NewTape(r.Dev, nil)
	r.Store.Bind(r.Tape)
	r.Tape.RNG = r.Upload(device.I32, []int{4}, make([]byte, 16))
	return r
}

// Upload puts bytes into memory of its own, which is freed when the test ends.
func (r *Rig) Upload(typ device.DType, shape []int, b []byte) device.View {
	r.T.Helper()
	m, err := r.Dev.Alloc(len(b))
	require.NoError(r.T, err)
	r.T.Cleanup(m.Free)
	v := device.Make(m, typ, 0, shape...)
	r.Dev.Upload(v, b)
	return v
}

func (r *Rig) pictures(x *tensor.Dense) *ops.Tensor {
	typ, b := r.Store.W.Type, []byte(nil)
	for _, f := range x.Data().([]float64) {
		if typ == device.F64 {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
		}
	}
	return ops.Leaf(r.Upload(typ, x.Shape(), b))
}

// Run sizes an arena by a dry run of f, runs f, and checks that f has given all of the arena back.
func (r *Rig) Run(f func()) {
	r.T.Helper()
	r.Tape.Arena = device.Phantom()
	device.DryRun(r.Dev, f)
	m, err := r.Dev.Alloc(max(r.Tape.Arena.High(), device.Align))
	require.NoError(r.T, err)
	r.Tape.Reset()
	r.Tape.Arena = device.NewArena(m)
	f()
	require.Zero(r.T, r.Tape.Arena.Live(), "the module keeps handles")
	r.Tape.Reset()
	require.NoError(r.T, r.Dev.Sync())
	m.Free()
}

// Read is the elements of v as float64, a scalar as one of shape (1).
func (r *Rig) Read(v device.View) *tensor.Dense {
	r.T.Helper()
	b := make([]byte, v.Bytes())
	require.NoError(r.T, r.Dev.Download(b, v))
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

// Evaluate is the network's output in evaluation.
func (r *Rig) Evaluate(x *tensor.Dense) (y *tensor.Dense) {
	r.T.Helper()
	in := r.pictures(x)
	r.Run(func() {
		r.Tape.Train = false
		defer r.Tape.NoGrad()()
		out := r.Net.Forward(r.Tape, in)
		y = r.Read(out.Value())
		r.Tape.Release(out)
	})
	return y
}

// Step leaves the gradient of the mean cross entropy in Store.G, and gives output and loss.
func (r *Rig) Step(x *tensor.Dense, labels []int32) (y *tensor.Dense, loss float64) {
	r.T.Helper()
	in := r.pictures(x)
	var b []byte
	for _, l := range labels {
		b = binary.LittleEndian.AppendUint32(b, uint32(l))
	}
	target := ops.Leaf(r.Upload(device.I32, []int{len(labels)}, b))
	r.Run(func() {
		r.Dev.Fill(r.Store.G, 0)
		r.Tape.Train = true
		out := r.Net.Forward(r.Tape, in)
		l := ops.CrossEntropy(r.Tape, out, target, ops.CrossEntropyOptions{})
		y, loss = r.Read(out.Value()), r.Read(l.Value()).Data().([]float64)[0]
		r.Tape.Release(out)
		one := r.Tape.Arena.Get(l.Type())
		r.Dev.Fill(one, 1)
		r.Tape.Backward(l, one)
		r.Tape.Arena.Put(one)
	})
	return y, loss
}

// Commit makes the next running statistics the present ones.
func (r *Rig) Commit() {
	ok := r.Upload(device.F32, nil, []byte{0, 0, 128, 63})
	r.Store.Commit(r.Tape, ok)
}
