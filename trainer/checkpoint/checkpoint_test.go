package checkpoint_test

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/internal/atomicfile/faultfs"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

func vector(x ...float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))
}

// small is a checkpoint with all that one can have. mark is its first weight and stands in Progress.
func small(mark int) *checkpoint.Checkpoint {
	return &checkpoint.Checkpoint{
		Meta: checkpoint.Meta{Version: checkpoint.Version, Model: "mlp", ModelName: "mlp", Input: [3]int{28, 28, 1}, Color: "gray", ClassNames: []string{"zero", "één", "<2>"},
			Mean: []float64{0.1307}, Std: []float64{0.3081}, Data: "mnist", Loss: "cross_entropy", Precision: "f32", Optimizer: "sgd", States: []string{"momentum"}, Seed: math.MaxUint64, Config: "seed: 1\n"},
		Weights: map[string]*tensor.Dense{"fc.weight": tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{float32(mark), 2, 3, 4, 5, 6})), "fc.bias": vector(7, 8),
			"norm.mean": tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{math.Pi, math.Inf(-1)}))},
		Optim:    map[string]map[string]*tensor.Dense{"momentum": {"fc.weight": tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(make([]float32, 6))), "fc.bias": vector(1, -1)}},
		Split:    &checkpoint.Split{Seed: 3, Digest: "abc", Indices: []int32{1, 5, 9}},
		Progress: json.RawMessage(`{"step":` + string(rune('0'+mark%10)) + `,"loss":"NaN"}`),
	}
}

func encode(t testing.TB, c *checkpoint.Checkpoint) []byte {
	b, err := c.Encode()
	require.NoError(t, err)
	return b
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	for name, c := range map[string]*checkpoint.Checkpoint{
		"all":           small(1),
		"one held back": func() *checkpoint.Checkpoint { c := small(1); c.Split.Indices = []int32{4}; return c }(),
		"no split":      func() *checkpoint.Checkpoint { c := small(2); c.Split = nil; return c }(),
		"plain descent": func() *checkpoint.Checkpoint {
			c := small(3)
			c.Optim, c.Meta.States, c.Progress = map[string]map[string]*tensor.Dense{}, nil, nil
			return c
		}(),
	} {
		require.NoError(t, checkpoint.Save(atomicfile.OS{}, path, c))
		got, err := checkpoint.Load(path)
		require.NoError(t, err, name)
		assert.Equal(t, c.Meta, got.Meta, name)
		assert.Equal(t, c.Split, got.Split, name)
		assert.Equal(t, string(c.Progress), string(got.Progress), name)
		assert.Equal(t, encode(t, c), encode(t, got), name)
		require.Len(t, got.Weights, len(c.Weights))
		for path, w := range c.Weights {
			assert.Equal(t, w.Data(), got.Weights[path].Data(), path)
			assert.Equal(t, w.Shape(), got.Weights[path].Shape(), path)
		}
		require.Len(t, got.Optim, len(c.Optim))
		for state, by := range c.Optim {
			require.Len(t, got.Optim[state], len(by))
			for path, w := range by {
				assert.Equal(t, w.Data(), got.Optim[state][path].Data(), state, path)
			}
		}
	}
	require.NoError(t, checkpoint.Save(atomicfile.OS{}, path, small(1)))
	weights, err := checkpoint.LoadWeights(path)
	require.NoError(t, err)
	all, err := checkpoint.Load(path)
	require.NoError(t, err)
	assert.Equal(t, all.Weights, weights.Weights)
	assert.Equal(t, map[string]map[string]*tensor.Dense{"momentum": {}}, weights.Optim)

	bad := small(1)
	bad.Weights["optim.momentum.fc.bias"] = vector(1)
	_, err = bad.Encode()
	assert.ErrorContains(t, err, "two tensors are called optim.momentum.fc.bias")
}

// Nobody's memory is another's: the file's bytes, the checkpoint's tensors, and those of a network that Apply filled.
func TestMemoryIsNotShared(t *testing.T) {
	n := network(t, "lenet5", 1)
	c := of(n)
	b := encode(t, c)
	was := bytes.Clone(b)
	weight := func(c *checkpoint.Checkpoint) []float32 { return c.Weights[n.Params()[0].Path].Data().([]float32) }
	weight(c)[0]++
	assert.Equal(t, was, b, "what was encoded")
	got, err := checkpoint.Decode(b)
	require.NoError(t, err)
	weight(got)[0]++
	assert.Equal(t, was, b, "what is decoded")
	m := network(t, "lenet5", 2)
	require.NoError(t, got.Apply(m))
	m.Params()[0].Value.Data().([]float32)[0]++
	assert.NotEqual(t, weight(got)[0], m.Params()[0].Value.Data().([]float32)[0], "what is applied")
}

// State that is kept, but of no parameter, is not forgotten.
func TestEmptyState(t *testing.T) {
	c := small(1)
	c.Optim = map[string]map[string]*tensor.Dense{"momentum": {}}
	b := encode(t, c)
	got, err := checkpoint.Decode(b)
	require.NoError(t, err)
	assert.Equal(t, b, encode(t, got))
}

func network(t *testing.T, name string, seed uint64) *model.Network {
	n, err := model.New(name, [3]int{28, 28, 1}, 10)
	require.NoError(t, err)
	n.Init(seed)
	return n
}

func of(n *model.Network) *checkpoint.Checkpoint {
	c := small(1)
	c.Meta.Model, c.Meta.ModelName, c.Weights = n.Spec, n.Name, map[string]*tensor.Dense{}
	for _, p := range n.Params() {
		c.Weights[p.Path] = p.Value
	}
	for _, b := range n.Buffers() {
		c.Weights[b.Path] = b.Value
	}
	return c
}

// The file is enough for the network; one of another model is refused and changes nothing.
func TestNetwork(t *testing.T) {
	n := network(t, "lenet5", 1)
	c, err := checkpoint.Decode(encode(t, of(n)))
	require.NoError(t, err)
	m, err := c.Network()
	require.NoError(t, err)
	for i, p := range m.Params() {
		assert.Equal(t, n.Params()[i].Path, p.Path)
		assert.Equal(t, n.Params()[i].Value.Data(), p.Value.Data(), p.Path)
	}
	other := network(t, "lenet5", 2)
	untouched := other.Params()[0].Value.Clone().(*tensor.Dense)
	first, last := n.Params()[0].Path, n.Params()[len(n.Params())-1].Path
	for say, spoil := range map[string]func(w map[string]*tensor.Dense){
		"it has no " + last:                    func(w map[string]*tensor.Dense) { delete(w, last) },
		"it has extra.weight":                  func(w map[string]*tensor.Dense) { w["extra.weight"] = vector(1) },
		last + " has shape [3] there":          func(w map[string]*tensor.Dense) { w[last] = vector(1, 2, 3) },
		last + " has shape [1] there":          func(w map[string]*tensor.Dense) { w[last] = vector(1) },
		last + " holds a NaN":                  func(w map[string]*tensor.Dense) { w[last] = vector(0, 0, 0, 0, 0, 0, 0, 0, 0, float32(math.NaN())) },
		"of another model: it has no " + first: func(w map[string]*tensor.Dense) { clear(w) },
	} {
		c := of(n)
		spoil(c.Weights)
		c, err := checkpoint.Decode(encode(t, c))
		require.NoError(t, err)
		err = c.Apply(other)
		assert.ErrorContains(t, err, say)
		assert.Equal(t, fault.Usage, fault.KindOf(err))
		assert.NotEmpty(t, fault.HintOf(err))
		assert.Equal(t, untouched.Data(), other.Params()[0].Value.Data())
	}
	c = of(n)
	c.Weights[last] = nil
	assert.ErrorContains(t, c.Apply(other), "it has no "+last)
	_, err = func() (*model.Network, error) { c := of(n); c.Meta.Model = "no such"; return c.Network() }()
	assert.Error(t, err)
}

func TestFullDisk(t *testing.T) {
	d := faultfs.New()
	s, err := checkpoint.OpenStore(d, "/run", 0)
	require.NoError(t, err)
	require.NoError(t, s.Save(small(1), true, 0))
	for _, room := range []int{0, 100, len(encode(t, small(2))) + 7} {
		d.Space(room)
		err := s.Save(small(2), true, 0)
		assert.ErrorIs(t, err, faultfs.ErrFull)
		assert.Equal(t, fault.Failure, fault.KindOf(err))
		assert.Contains(t, fault.HintOf(err), "make room")
		assert.Contains(t, err.Error(), "/run/")
		c, err := s.LoadLast()
		require.NoError(t, err)
		assert.Equal(t, float32(1), c.Weights["fc.weight"].Data().([]float32)[0])
		_, err = s.LoadBest()
		require.NoError(t, err)
	}
}

func FuzzLoad(f *testing.F) {
	b := encode(f, small(1))
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Add([]byte(`@       {"__metadata__":{"acumen.meta":"{}"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, b := range [][]byte{b, checkpoint.Sealed(b)} { // the second gets past the digests
			c, err := checkpoint.Decode(b)
			if err != nil {
				assert.NotEmpty(t, fault.HintOf(err), "%v", err)
				continue
			}
			again, err := c.Encode()
			require.NoError(t, err)
			if i == 0 {
				assert.Equal(t, b, again, "only Encode seals")
			}
			d, err := checkpoint.Decode(again)
			require.NoError(t, err)
			assert.Equal(t, again, encode(t, d))
			_ = c.Apply(&model.Network{Name: "empty"})
		}
	})
}

func TestFinite(t *testing.T) {
	finite := func(d *tensor.Dense) bool {
		ok, err := checkpoint.Finite(d)
		require.NoError(t, err)
		return ok
	}
	for n := 1; n < 20; n++ {
		for i := range n {
			for v, want := range map[float64]bool{0: true, -1: true, math.MaxFloat32: true, -math.MaxFloat32: true, math.SmallestNonzeroFloat32: true, math.Inf(1): false, math.Inf(-1): false, math.NaN(): false} {
				x, y := make([]float32, n), make([]float64, n)
				x[i], y[i] = float32(v), v
				assert.Equal(t, want, finite(vector(x...)), "%v at %d of %d", v, i, n)
				assert.Equal(t, want, finite(tensor.New(tensor.WithShape(n), tensor.WithBacking(y))), "float64 %v at %d of %d", v, i, n)
			}
		}
	}
	assert.True(t, finite(tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{math.MaxFloat64}))))
	assert.False(t, finite(tensor.New(tensor.FromScalar(float32(math.Inf(1))))))
	assert.True(t, finite(tensor.New(tensor.WithShape(4), tensor.WithBacking([]uint8{255, 255, 255, 255}))))
	_, err := checkpoint.Finite(tensor.New(tensor.WithShape(2, 2), tensor.AsFortran([]float32{1, 2, 3, 4})))
	assert.ErrorContains(t, err, "column by column")
}
