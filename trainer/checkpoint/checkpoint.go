// Package checkpoint keeps all of a training run that is needed to go on, or to predict, in one safetensors file: a
// tensor per parameter and running statistic under its path, optimiser state as optim.<state>.<path>, the rest as
// metadata, with a SHA-256 over the header and one over each MiB of the tensors' bytes.
package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/model/safetensors"
)

// Version is the format of the files that this package writes. It reads those before as well: in format 1 there was one
// SHA-256 over all tensors' bytes.
const Version = 2

// Checkpoint is the state of a run between two steps.
type Checkpoint struct {
	Meta    Meta
	Weights map[string]*tensor.Dense            // parameters and running statistics by path
	Optim   map[string]map[string]*tensor.Dense // optimiser state by its name and the parameter's path
	Split   *Split                              // nil: no validation set
	// Progress is the trainer's, as JSON: counters, metrics, what it decided.
	Progress json.RawMessage
}

// Meta is what it takes to use the weights.
type Meta struct {
	Version    int       `json:"version"`
	Model      string    `json:"model"` // as model.FromSpec takes it
	ModelName  string    `json:"model_name"`
	Input      [3]int    `json:"input"` // height, width, channels
	Color      string    `json:"color"` // gray or rgb, from the channels
	ClassNames []string  `json:"classes"`
	Mean       []float64 `json:"mean"` // of pixel/255, per channel
	Std        []float64 `json:"std"`
	Data       string    `json:"data"` // the data set's name
	Loss       string    `json:"loss"` // it says what the outputs mean
	Precision  string    `json:"precision"`
	Optimizer  string    `json:"optimizer"`
	States     []string  `json:"optimizer_states"`
	Seed       uint64    `json:"seed"`
	Config     string    `json:"config"` // the resolved configuration, YAML
}

// Split is which examples were held back for validation.
type Split struct {
	Seed    uint64  `json:"seed"`
	Digest  string  `json:"digest"` // data.Digest of Indices
	Indices []int32 `json:"-"`
}

const (
	keyMeta, keyProgress, keySplit = "acumen.meta", "acumen.progress", "acumen.split"
	splitTensor                    = "split.validation"
)

func optimName(state, path string) string { return "optim." + state + "." + path }

// Encode is the file's bytes. Equal checkpoints give equal bytes.
func (c *Checkpoint) Encode() ([]byte, error) {
	f := &safetensors.File{Tensors: map[string]safetensors.Tensor{}, Metadata: map[string]string{}}
	put := func(name string, d *tensor.Dense) error {
		t, err := safetensors.FromDense(d)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, twice := f.Tensors[name]; twice {
			return fmt.Errorf("two tensors are called %s", name)
		}
		f.Tensors[name] = t
		return nil
	}
	for path, d := range c.Weights {
		if err := put(path, d); err != nil {
			return nil, err
		}
	}
	meta := c.Meta
	meta.Version, meta.States = Version, slices.Sorted(maps.Keys(c.Optim))
	for state, by := range c.Optim {
		for path, d := range by {
			if err := put(optimName(state, path), d); err != nil {
				return nil, err
			}
		}
	}
	if c.Split != nil {
		b, err := json.Marshal(c.Split)
		if err != nil {
			return nil, err
		}
		f.Metadata[keySplit] = string(b)
		if err := put(splitTensor, tensor.New(tensor.WithShape(len(c.Split.Indices)), tensor.WithBacking(slices.Clone(c.Split.Indices)))); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	f.Metadata[keyMeta] = string(b)
	if len(c.Progress) > 0 {
		f.Metadata[keyProgress] = string(c.Progress)
	}
	return sealed(f)
}

const damaged = "the file is damaged; use another checkpoint, such as best.safetensors or last.safetensors beside it"

// Decode reads what Encode wrote. A file of which a single byte is not as it was written is an error.
func Decode(b []byte) (*Checkpoint, error) { return decode(atomicfile.Bytes(b), true) }

// decode leaves out the optimiser's state if optim is false. Tensors that lie together in the file share memory.
func decode(r atomicfile.Reader, optim bool) (*Checkpoint, error) {
	x, err := safetensors.ReadIndex(r, r.Size())
	if err != nil && fault.HintOf(err) == "" {
		return nil, unreadable(0, err)
	}
	if err != nil {
		return nil, fault.Usagef(damaged, "not a sound checkpoint: %w", err)
	}
	if x.Metadata[keyMeta] == "" {
		return nil, fault.Usagef("give a file that acumen train wrote", "a safetensors file, but not a checkpoint of acumen")
	}
	if err := checkHeader(x); err != nil {
		return nil, err
	}
	c := &Checkpoint{Weights: map[string]*tensor.Dense{}, Optim: map[string]map[string]*tensor.Dense{}, Progress: json.RawMessage(x.Metadata[keyProgress])}
	if err := json.Unmarshal([]byte(x.Metadata[keyMeta]), &c.Meta); err != nil {
		return nil, fault.Usagef(damaged, "metadata: %w", err)
	}
	if v := c.Meta.Version; v < 1 || v > Version {
		return nil, fault.Usagef("use the release of acumen that wrote it", "format version %d, this program reads up to %d", v, Version)
	}
	for _, s := range c.Meta.States {
		c.Optim[s] = map[string]*tensor.Dense{}
	}
	spans := x.Spans()
	for name := range spans {
		if state, _ := c.stateOf(name); state != "" && !optim {
			delete(spans, name)
		}
	}
	data, err := readData(r, x, c.Meta.Version, slices.Collect(maps.Values(spans)))
	if err != nil {
		return nil, err
	}
	for name, span := range spans {
		d, err := x.Tensor(name, data.of(span)).Dense()
		if err != nil {
			return nil, fault.Usagef(damaged, "tensor %s: %w", name, err)
		}
		if name == splitTensor {
			err = c.readSplit(x.Metadata, d)
		} else if state, path := c.stateOf(name); state != "" {
			c.Optim[state][path] = d
		} else {
			c.Weights[name] = d
		}
		if err != nil {
			return nil, err
		}
	}
	if _, ok := x.Metadata[keySplit]; ok && c.Split == nil {
		return nil, fault.Usagef(damaged, "the validation split is missing")
	}
	return c, nil
}

// stateOf is which of the optimiser's states a tensor is, and of which parameter; "" if it is none.
func (c *Checkpoint) stateOf(name string) (state, path string) {
	for _, s := range c.Meta.States {
		if path, ok := strings.CutPrefix(name, optimName(s, "")); ok {
			return s, path
		}
	}
	return "", ""
}

// readSplit takes the split of the metadata and the tensor of its indices. Without the former the latter says nothing.
func (c *Checkpoint) readSplit(metadata map[string]string, d *tensor.Dense) error {
	text, ok := metadata[keySplit]
	if !ok {
		return nil
	}
	c.Split = &Split{}
	if err := json.Unmarshal([]byte(text), c.Split); err != nil {
		return fault.Usagef(damaged, "metadata: %w", err)
	}
	indices, ok := d.Data().([]int32)
	if one, scalar := d.Data().(int32); scalar {
		indices, ok = []int32{one}, true
	}
	if !ok {
		return fault.Usagef(damaged, "tensor %s: elements of type %s", splitTensor, d.Dtype())
	}
	c.Split.Indices = indices
	return nil
}

// Save writes c to path, whole or not at all.
func Save(f atomicfile.FS, path string, c *Checkpoint) error {
	b, err := c.Encode()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return write(f, path, b)
}

func write(f atomicfile.FS, path string, b []byte) error {
	err := atomicfile.Write(f, path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return fault.Failuref("make room or choose another folder (--run); what was saved before is whole", "%s: the checkpoint could not be written: %w", path, err)
	}
	return nil
}

// Load reads a checkpoint. The error of a file that is none, or is damaged, names it.
func Load(path string) (*Checkpoint, error) { return load(atomicfile.OS{}, path, true) }

// LoadWeights is Load without the optimiser's state, for those who do not train. What holds nothing but that state is not read, and so not checked.
func LoadWeights(path string) (*Checkpoint, error) { return load(atomicfile.OS{}, path, false) }

func load(f atomicfile.FS, path string, optim bool) (*Checkpoint, error) {
	r, err := f.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Usagef("give the path of a file that acumen train wrote, such as runs/lenet5-001/best.safetensors", "%s: there is no such file", path)
	case errors.Is(err, syscall.EISDIR):
		return nil, fault.Usagef("give a file in it, such as "+filepath.Join(path, "best.safetensors"), "%s: it is a folder", path)
	case err != nil:
		return nil, fault.Usagef("see whether it can be read", "%w", err)
	}
	c, err := decode(r, optim)
	_ = r.Close() // it was read only
	if err != nil {
		return nil, fault.New(fault.Usage, fault.HintOf(err), "%s: %w", path, err)
	}
	return c, nil
}

// Network makes the model with its weights, which are c's own: training changes them. A checkpoint whose tensors are not the
// model's is an error.
func (c *Checkpoint) Network() (*model.Network, error) {
	n, err := model.FromSpec(c.Meta.Model)
	if err != nil {
		return nil, err
	}
	return n, c.apply(n, func(d *tensor.Dense) *tensor.Dense { return d })
}

// Apply gives n copies of the checkpoint's weights. n is left as it was if they are another model's.
func (c *Checkpoint) Apply(n *model.Network) error {
	return c.apply(n, func(d *tensor.Dense) *tensor.Dense { return d.Clone().(*tensor.Dense) })
}

func (c *Checkpoint) apply(n *model.Network, take func(*tensor.Dense) *tensor.Dense) error {
	const hint = "give the checkpoint of a run of the same model, or start a new run"
	seen, sound := 0, c.finiteWeights()
	check := func(path string, shape []int) error {
		d := c.Weights[path]
		if d == nil {
			return fault.Usagef(hint, "the checkpoint is of another model: it has no %s, which %s has", path, n.Name)
		}
		if !slices.Equal([]int(d.Shape()), shape) && !(single(shape) && d.Shape().TotalSize() == 1) {
			return fault.Usagef(hint, "the checkpoint is of another model: %s has shape %v there, %v in %s", path, []int(d.Shape()), shape, n.Name)
		}
		if f := sound[path]; f.err != nil {
			return fmt.Errorf("%s: %w", path, f.err)
		} else if !f.ok {
			return fault.Usagef(damaged, "%s holds a NaN or an infinite number", path)
		}
		seen++
		return nil
	}
	for _, p := range n.Params() {
		if err := check(p.Path, p.Shape); err != nil {
			return err
		}
	}
	for _, b := range n.Buffers() {
		if err := check(b.Path, b.Shape); err != nil {
			return err
		}
	}
	if seen != len(c.Weights) {
		for path := range c.Weights {
			if n.Param(path) == nil && !slices.ContainsFunc(n.Buffers(), func(b model.NamedBuffer) bool { return b.Path == path }) {
				return fault.Usagef(hint, "the checkpoint is of another model: it has %s, which %s has not", path, n.Name)
			}
		}
	}
	for _, p := range n.Params() {
		p.Value = take(c.Weights[p.Path])
	}
	for _, b := range n.Buffers() {
		b.Value = take(c.Weights[b.Path])
	}
	return nil
}

// single reports whether a shape is of one element: package tensor does not tell a scalar from a vector of one.
func single(shape []int) bool { return !slices.ContainsFunc(shape, func(n int) bool { return n != 1 }) }

// finiteness is whether all numbers of a tensor are finite, or why that cannot be told.
type finiteness struct {
	ok  bool
	err error
}

// finiteWeights looks at all weights that are there, on all threads.
func (c *Checkpoint) finiteWeights() map[string]finiteness {
	paths := slices.DeleteFunc(slices.Collect(maps.Keys(c.Weights)), func(path string) bool { return c.Weights[path] == nil })
	each := make([]finiteness, len(paths))
	_ = eachPiece(len(paths), func(i int) error {
		each[i].ok, each[i].err = finite(c.Weights[paths[i]])
		return nil
	})
	sound := make(map[string]finiteness, len(paths))
	for i, p := range paths {
		sound[p] = each[i]
	}
	return sound
}

// finite looks at the exponents, of two float32 at a time: those of a NaN and of infinity are all ones, and the next
// number up carries into the sign's place.
func finite(d *tensor.Dense) (bool, error) {
	t, err := safetensors.FromDense(d)
	if err != nil {
		return false, err
	}
	var exponent uint64
	switch t.DType {
	case safetensors.F32:
		exponent = 0xff<<23 | 0xff<<55
	case safetensors.F64:
		exponent = 0x7ff << 52
	default:
		return true, nil
	}
	carry := exponent &^ (exponent << 1)
	seen, b, le := uint64(0), t.Data, binary.LittleEndian
	for ; len(b) >= 32; b = b[32:] {
		seen |= (le.Uint64(b)&exponent + carry) | (le.Uint64(b[8:])&exponent + carry) |
			(le.Uint64(b[16:])&exponent + carry) | (le.Uint64(b[24:])&exponent + carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		seen |= le.Uint64(b)&exponent + carry
	}
	if len(b) > 0 {
		seen |= uint64(le.Uint32(b))&exponent + carry
	}
	return seen&(exponent<<1&^exponent) == 0, nil
}
