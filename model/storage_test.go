package model_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/model/modeltest"
	"github.com/acumen-ml/acumen/ops"
)

func lenet(t *testing.T) *model.Network {
	t.Helper()
	net, err := model.New("lenet5", digits, 10)
	require.NoError(t, err)
	return net
}

func smallNet(t *testing.T) *model.Network {
	t.Helper()
	net, err := model.New("cnn-small", objects, 10)
	require.NoError(t, err)
	modeltest.Fill(net)
	return net
}

func values(t *testing.T, x *tensor.Dense) []float64 {
	t.Helper()
	switch v := x.Data().(type) {
	case []float64:
		return v
	case []float32:
		out := make([]float64, len(v))
		for i, f := range v {
			out[i] = float64(f)
		}
		return out
	}
	require.Fail(t, "type", x.Dtype())
	return nil
}

// Values go to the device and come back unchanged, those of half-precision networks too.
func TestStorageRoundTrip(t *testing.T) {
	for i, typ := range []device.DType{device.F32, device.F64, device.F16, device.BF16} {
		net := smallNet(t)
		dev := openOn(t, devices[i%2])
		s, err := model.NewStorage(dev, net, model.StorageOptions{Type: typ})
		require.NoError(t, err)
		require.NoError(t, s.Upload())
		before := map[string][]float64{}
		for _, p := range net.Params() {
			before[p.Path] = values(t, p.Value)
		}
		for _, b := range net.Buffers() {
			before[b.Path] = values(t, b.Value)
		}
		old := net.Params()[0].Value
		require.NoError(t, s.Download())
		assert.NotSame(t, old, net.Params()[0].Value)
		for _, p := range net.Params() {
			assert.Equal(t, before[p.Path], values(t, p.Value), "%s %s", typ, p.Path)
			assert.Equal(t, p.Shape, []int(p.Value.Shape()))
		}
		for _, b := range net.Buffers() {
			assert.Equal(t, before[b.Path], values(t, b.Value), "%s %s", typ, b.Path)
		}
		assert.False(t, s.G.Valid())
		assert.False(t, s.Next.Valid())
		bytes := s.W.Bytes() + s.Run.Bytes()
		if typ.Size() == 2 {
			bytes += s.Half.Bytes()
		} else {
			assert.False(t, s.Half.Valid())
		}
		assert.Equal(t, bytes, s.Bytes())
		s.Close()
	}
}

// Half-precision networks compute with a rounded copy of f32 weights; scales and shifts of batch norm stay f32.
func TestStorageHalf(t *testing.T) {
	for i, typ := range []device.DType{device.F16, device.BF16, device.F16, device.BF16} {
		net := smallNet(t)
		dev := openOn(t, devices[i/2])
		frozen := net.Params()[0].Path
		s, err := model.NewStorage(dev, net, model.StorageOptions{Type: typ, Train: true, Group: func(path string, _ *model.Param) int {
			if path == frozen {
				return -1
			}
			return 0
		}})
		require.NoError(t, err)
		defer s.Close()
		require.NoError(t, s.Upload())
		tape := ops.NewTape(dev, nil)
		s.Bind(tape)
		flat, err := s.Flat()
		require.NoError(t, err)
		for _, v := range []device.View{s.W, s.G, s.Run, s.Next, flat} {
			assert.Equal(t, device.F32, v.Type)
		}
		rounded := func(when string, factor func(path string) float64) {
			full, want := 0, 0
			for _, p := range net.Params() {
				v := tape.Bound(p.Param).Value()
				numbers, k := values(t, p.Value), factor(p.Path)
				if strings.HasSuffix(p.Path, ".gamma") || strings.HasSuffix(p.Path, ".beta") {
					want++
				}
				if p.Full {
					full++
					assert.Equal(t, device.F32, v.Type, p.Path)
					continue
				}
				assert.Equal(t, typ, v.Type, p.Path)
				b := make([]byte, v.Bytes())
				require.NoError(t, dev.Download(b, v))
				for j, w := range numbers {
					h := binary.LittleEndian.Uint16(b[2*j:])
					if typ == device.F16 {
						require.Equal(t, device.F32ToF16(float32(w*k)), h, "%s: %s[%d]", when, p.Path, j)
					} else {
						require.Equal(t, device.F32ToBF16(float32(w*k)), h, "%s: %s[%d]", when, p.Path, j)
					}
				}
			}
			assert.Positive(t, full)
			assert.Equal(t, want, full, "gamma and beta")
		}
		rounded("uploaded", func(string) float64 { return 1 })
		n := s.G.Len()
		dev.Unary(device.Affine, s.W.Slice(0, 0, n, 1), s.W.Slice(0, 0, n, 1), 2, 0)
		rounded("before", func(string) float64 { return 1 })
		s.Refresh(tape)
		rounded("refreshed", func(path string) float64 {
			if path == frozen {
				return 1
			}
			return 2
		})
		last := net.Params()[len(net.Params())-2] // a weight
		x := modeltest.Values("new", last.Shape, 1, 0)
		require.NoError(t, s.Set(s.W, last.Path, x))
		b := make([]byte, 2)
		require.NoError(t, dev.Download(b, device.Make(s.Half.Mem, typ, tape.Bound(last.Param).Value().Off)))
		first := values(t, x)[0]
		want := device.F32ToF16(float32(first))
		if typ == device.BF16 {
			want = device.F32ToBF16(float32(first))
		}
		assert.Equal(t, want, binary.LittleEndian.Uint16(b), "set")
		require.NoError(t, dev.Sync())
	}
}

// What lies between parameters is 0, whatever memory was: sums over a whole array are those of the parameters.
func TestStorageGaps(t *testing.T) {
	for _, name := range devices {
		for _, o := range []model.StorageOptions{{Type: device.F32}, {Type: device.F16, Train: true}, {Type: device.F64, Train: true}} {
			net, dev := smallNet(t), openOn(t, name)
			s, err := model.NewStorage(dev, net, o)
			require.NoError(t, err)
			defer s.Close()
			require.NoError(t, s.Upload())
			tape := ops.NewTape(dev, nil)
			s.Bind(tape)
			params, buffers := make([]bool, s.W.Len()), make([]bool, s.Run.Len())
			mark := func(used []bool, x *ops.Tensor) {
				for i := range x.Value().Len() {
					used[x.Value().Off+i] = true
				}
			}
			for _, p := range net.Params() {
				mark(params, tape.Bound(p.Param))
			}
			for _, b := range net.Buffers() {
				mark(buffers, tape.Bound(b.Buffer))
			}
			for what, a := range map[string]struct {
				v    device.View
				used []bool
			}{"weights": {s.W, params}, "half": {s.Half, params}, "statistics": {s.Run, buffers}, "next": {s.Next, buffers}, "gradients": {s.G, make([]bool, len(params))}} {
				if !a.v.Valid() {
					continue
				}
				b := make([]byte, a.v.Bytes())
				require.NoError(t, dev.Download(b, a.v))
				gaps, size := 0, a.v.Type.Size()
				for i := range a.v.Len() {
					if !a.used[i] {
						gaps++
						require.Equal(t, make([]byte, size), b[i*size:(i+1)*size], "%s, %s, %s: element %d", name, o.Type, what, i)
					}
				}
				require.Positive(t, gaps, what)
			}
		}
	}
}

func TestStorageLayout(t *testing.T) {
	net := lenet(t)
	net.Init(1)
	group := func(path string, p *model.Param) int {
		switch {
		case path == "linear_1.weight":
			return -1
		case len(p.Shape) == 1:
			return 1
		}
		return 0
	}
	dev := open(t)
	s, err := model.NewStorage(dev, net, model.StorageOptions{Type: device.F32, Train: true, Groups: 3, Group: group})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Upload())

	tape := ops.NewTape(dev, nil)
	s.Bind(tape)
	end := 0
	for g, want := range []func(path string, p *model.Param) bool{
		func(path string, p *model.Param) bool { return group(path, p) == 0 },
		func(path string, p *model.Param) bool { return group(path, p) == 1 },
		func(string, *model.Param) bool { return false },
	} {
		lo, hi := s.Range(g)
		assert.Equal(t, end, lo, "groups follow each other")
		for _, p := range net.Params() {
			x := tape.Bound(p.Param)
			assert.Zero(t, x.Value().Off*4%device.Align)
			if want(p.Path, p.Param) {
				assert.GreaterOrEqual(t, x.Value().Off, lo)
				assert.LessOrEqual(t, x.Value().Off+x.Value().Len(), hi)
				assert.Equal(t, x.Value().Off, x.Grad().Off)
				assert.True(t, x.NeedsGrad())
			}
		}
		end = hi
	}
	assert.Equal(t, end, s.G.Len(), "gradients end where the trained parameters do")
	frozen := tape.Bound(net.Param("linear_1.weight"))
	assert.False(t, frozen.NeedsGrad())
	assert.GreaterOrEqual(t, frozen.Value().Off, end)
	_, ok := s.Grad("linear_1.weight")
	assert.False(t, ok)
	g, ok := s.Grad("linear_1.bias")
	assert.True(t, ok)
	assert.Equal(t, []int{120}, g.Shape())

}

func TestStorageFlat(t *testing.T) {
	for _, name := range devices {
		t.Run(name, func(t *testing.T) { flat(t, openOn(t, name)) })
	}
}

func flat(t *testing.T, dev device.Device) {
	net := lenet(t)
	net.Init(1)
	r := modeltest.NewRig(t, dev, net, device.F32)
	s := r.Store
	before := s.Bytes()
	m, err := s.Flat()
	require.NoError(t, err)
	assert.Equal(t, before+m.Bytes(), s.Bytes())
	assert.Equal(t, s.G.Len(), m.Len())

	x, err := s.Get(m, "conv2d_2.weight")
	require.NoError(t, err)
	assert.Equal(t, []int{16, 5, 5, 6}, []int(x.Shape()))
	for _, f := range x.Data().([]float32) {
		require.Zero(t, f)
	}
	want := modeltest.Values("state", x.Shape(), 1, 0)
	require.NoError(t, s.Set(m, "conv2d_2.weight", want))
	x, err = s.Get(m, "conv2d_2.weight")
	require.NoError(t, err)
	assert.Equal(t, values(t, want), values(t, x))
	x, err = s.Get(s.W, "conv2d_2.weight")
	require.NoError(t, err)
	assert.Equal(t, net.Param("conv2d_2.weight").Value.Data(), x.Data())

	for _, c := range []struct {
		path, want string
		x          *tensor.Dense
	}{
		{"conv2d_9.weight", "no parameter conv2d_9.weight", want},
		{"conv2d_1.weight", "parameter conv2d_1.weight: shape [16 5 5 6], want [6 5 5 1]", want},
		{"conv2d_1.bias", "no values", nil},
		{"conv2d_1.bias", "elements of type int", tensor.New(tensor.WithShape(6), tensor.WithBacking(make([]int, 6)))},
	} {
		err := s.Set(m, c.path, c.x)
		assert.ErrorContains(t, err, c.want)
		assert.NotEmpty(t, fault.HintOf(err))
	}
}

func TestStorageRefuses(t *testing.T) {
	net := lenet(t)
	dev := open(t)
	_, err := model.NewStorage(dev, net, model.StorageOptions{Type: device.I32})
	assert.ErrorContains(t, err, "weights of type i32")
	_, err = model.NewStorage(dev, net, model.StorageOptions{Type: device.F32, Train: true, Groups: 1, Group: func(string, *model.Param) int { return 1 }})
	assert.ErrorContains(t, err, "parameter conv2d_1.weight: group 1 of 1")

	s, err := model.NewStorage(dev, net, model.StorageOptions{Type: device.F32})
	require.NoError(t, err)
	defer s.Close()
	assert.ErrorContains(t, s.Upload(), "model lenet5: parameter conv2d_1.weight: it has no values")
	assert.Panics(t, func() { _, _ = s.Flat() })
}

// Statistics move where the step counts, and are forgotten where it does not.
func TestCommit(t *testing.T) {
	for _, name := range devices {
		t.Run(name, func(t *testing.T) { commits(t, openOn(t, name)) })
	}
}

func commits(t *testing.T, dev device.Device) {
	net := smallNet(t)
	r := modeltest.NewRig(t, dev, net, device.F32)
	x, labels := modeltest.Batch("commit", 4, objects)
	start := r.Read(r.Store.Run)
	r.Step(x, labels)
	assert.Equal(t, start, r.Read(r.Store.Run), "a step leaves the running statistics alone")
	assert.NotEqual(t, start, r.Read(r.Store.Next))

	no := r.Upload(device.F32, nil, make([]byte, 4))
	r.Store.Commit(r.Tape, no)
	assert.Equal(t, start, r.Read(r.Store.Run))
	assert.Equal(t, start, r.Read(r.Store.Next))

	r.Step(x, labels)
	next := r.Read(r.Store.Next)
	r.Commit()
	assert.Equal(t, next, r.Read(r.Store.Run))
	assert.Equal(t, next, r.Read(r.Store.Next))
}
