package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// Who wants the weights reads them, whatever has become of the optimiser's state; whoever wants all does not.
func TestLoadWeightsOfALargeFile(t *testing.T) {
	const n = 1<<20 + 77 // numbers: some pieces of each tensor
	of := func(v float32) *tensor.Dense {
		x := make([]float32, n)
		for i := range x {
			x[i] = v + float32(i%1000)
		}
		return vector(x...)
	}
	c := small(1)
	c.Weights = map[string]*tensor.Dense{"a": of(1), "z": of(2)} // one before the state, one after
	c.Optim = map[string]map[string]*tensor.Dense{"momentum": {"a": of(3), "z": of(4)}}
	b := encode(t, c)
	path := filepath.Join(t.TempDir(), "x.safetensors")
	data := 8 + int(binary.LittleEndian.Uint64(b))
	for name, at := range map[string]int{"sound": -1, "a": 5, "last of a": 4*n - 1, "state": 4*n + 2<<20, "more state": 8*n + 2<<20, "z": 12 * n, "split": 16 * n} {
		bad := bytes.Clone(b)
		if at >= 0 {
			bad[data+at] ^= 4
		}
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		all, err := checkpoint.Load(path)
		if at < 0 {
			require.NoError(t, err)
			assert.Equal(t, b, encode(t, all))
		} else {
			piece := data + at>>20<<20
			assert.ErrorContains(t, err, fmt.Sprintf("bytes %d to %d of the file) does not match its SHA-256", piece, min(piece+1<<20, len(b))-1), name)
		}
		weights, err := checkpoint.LoadWeights(path)
		if at >= 0 && !strings.Contains(name, "state") {
			assert.ErrorContains(t, err, "does not match its SHA-256", name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.Weights["a"].Data(), weights.Weights["a"].Data(), name)
		assert.Equal(t, c.Weights["z"].Data(), weights.Weights["z"].Data(), name)
		assert.Equal(t, c.Split, weights.Split, name)
		assert.Equal(t, map[string]map[string]*tensor.Dense{"momentum": {}}, weights.Optim, name)
	}
}

// No byte can be changed, lost or added unseen.
func TestEveryByteIsGuarded(t *testing.T) {
	b := encode(t, small(1))
	refused := func(bad []byte, what string, at int) {
		_, err := checkpoint.Decode(bad)
		if assert.Error(t, err, "%s %d of %d", what, at, len(b)) {
			assert.Equal(t, fault.Usage, fault.KindOf(err))
			assert.NotEmpty(t, fault.HintOf(err))
		}
	}
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, 0x20, 0xff} {
			bad := bytes.Clone(b)
			bad[i] ^= flip
			refused(bad, "byte", i)
		}
		refused(b[:i], "cut at", i)
	}
	refused(append(bytes.Clone(b), 0), "one more than", len(b))
	_, err := checkpoint.Decode(b)
	require.NoError(t, err)
}

// The message names the file and the region.
func TestDamageIsNamed(t *testing.T) {
	b := encode(t, small(1))
	head := 8 + int(binary.LittleEndian.Uint64(b))
	find := func(s string) int {
		i := bytes.Index(b, []byte(s))
		require.Positive(t, i, s)
		return i
	}
	change := func(i int, to byte) []byte {
		bad := bytes.Clone(b)
		require.NotEqual(t, to, bad[i])
		bad[i] = to
		return bad
	}
	path := filepath.Join(t.TempDir(), "last.safetensors")
	for name, c := range map[string]struct {
		bytes     []byte
		say, hint string
	}{
		"length":         {change(6, 9), "a header of", "best.safetensors or last.safetensors"},
		"syntax":         {change(8, '['), "header", "damaged"},
		"metadata":       {change(find("mnist"), 'M'), "its header (metadata and table of tensors) does not match", "damaged"},
		"table":          {change(find("fc.bias")+1, 'C'), "its header (metadata and table of tensors) does not match", "damaged"},
		"padding":        {change(head-1, '\n'), "header", "damaged"},
		"its own digest": {change(find(`sha256.header":"`)+20, '!'), "its header", "damaged"},
		"data's digest":  {change(find(`sha256.data":"`)+20, '!'), "its header", "damaged"},
		"first data":     {change(head, 1), "its data (the tensors, bytes " + strconv.Itoa(head) + " to ", "damaged"},
		"last data":      {change(len(b)-1, 1), "its data (the tensors, bytes " + strconv.Itoa(head) + " to ", "damaged"},
		"half":           {b[:len(b)-5], "truncated", "damaged"},
		"empty":          {nil, "ends before its header", "damaged"},
		"something else": {[]byte("<html>not found</html>"), "a header of", "damaged"},
		"other tensors":  {[]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), "not a checkpoint of acumen", "acumen train wrote"},
	} {
		require.NoError(t, os.WriteFile(path, c.bytes, 0o600))
		_, err := checkpoint.Load(path)
		if assert.Error(t, err, name) {
			assert.True(t, strings.HasPrefix(err.Error(), path+": "), "%s: %v", name, err)
			assert.Contains(t, err.Error(), c.say, name)
			assert.Contains(t, fault.HintOf(err), c.hint, name)
			assert.Equal(t, fault.Usage, fault.KindOf(err), name)
		}
	}
	_, err := checkpoint.Load(path + ".gone")
	assert.EqualError(t, err, path+".gone: there is no such file")
	assert.Contains(t, fault.HintOf(err), "runs/lenet5-001/best.safetensors")
	_, err = checkpoint.Load(t.TempDir())
	assert.Equal(t, fault.Usage, fault.KindOf(err), "a folder")
}

// A sound file of another format is told from a damaged one.
func TestOtherVersion(t *testing.T) {
	b := encode(t, small(1))
	at := bytes.Index(b, []byte(`\"version\":2,`))
	require.Positive(t, at)
	b[at+len(`\"version\":`)] = '7'
	b = checkpoint.Sealed(b)
	path := filepath.Join(t.TempDir(), "last.safetensors")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	_, err := checkpoint.Load(path)
	assert.EqualError(t, err, path+": format version 7, this program reads 2")
	assert.Equal(t, fault.Usage, fault.KindOf(err))
	assert.Contains(t, fault.HintOf(err), "release")
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
	for n := 1; n < 10; n++ {
		for i := range n {
			for v, want := range map[float64]bool{0: true, -1: true, math.MaxFloat32: true, -math.MaxFloat32: true, math.SmallestNonzeroFloat32: true, math.Inf(1): false, math.Inf(-1): false, math.NaN(): false} {
				x, y := make([]float32, n), make([]float64, n)
				x[i], y[i] = float32(v), v
				assert.Equal(t, want, checkpoint.Finite(vector(x...)), "%v at %d of %d", v, i, n)
				assert.Equal(t, want, checkpoint.Finite(tensor.New(tensor.WithShape(n), tensor.WithBacking(y))), "float64 %v at %d of %d", v, i, n)
			}
		}
	}
	assert.True(t, checkpoint.Finite(tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{math.MaxFloat64}))))
	assert.False(t, checkpoint.Finite(tensor.New(tensor.FromScalar(float32(math.Inf(1))))))
	assert.True(t, checkpoint.Finite(tensor.New(tensor.WithShape(4), tensor.WithBacking([]uint8{255, 255, 255, 255}))))
}
