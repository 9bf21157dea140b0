package model

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
)

// StorageOptions say what memory a network gets.
type StorageOptions struct {
	// Type is the type of activations and of the weights that they are computed with: f32, f64, f16 or bf16. Masters of
	// f16 and bf16 weights, gradients, optimiser state and running statistics are f32; in f64 networks all is f64.
	Type device.DType
	// Train gives the network gradients. Without it there are weights and running statistics only, all in group 0.
	Train bool
	// Groups is the number of parameter groups, at least 1; 0 means 1.
	Groups int
	// Borrow leaves the weights where the host has them, if Train is false, the type is f32 and the device computes in the
	// host's memory; else it says nothing. W is the zero View then. From Upload to Close the values must not change.
	Borrow bool
	// Group is the group of each parameter; under 0 it is frozen, as is one whose Frozen is set. Nil: all in group 0.
	Group func(path string, p *Param) int
}

// Storage is a network's numbers on a device. Each kind lies in one flat array, ordered by group, frozen parameters
// last; a parameter starts on 256 bytes and what lies between two is 0, so that sums and largest values over a whole
// array are right.
type Storage struct {
	// W is all parameters, rank 1, f64 in f64 networks, else f32; the zero View if they are borrowed.
	W device.View
	// Half is W rounded to f16 or bf16, which is what forward and backward read; the zero View in f32 and f64 networks.
	// Params that are Full are read from W all the same.
	Half device.View
	// G is the gradients of the parameters that are not frozen, where those lie in W; the zero View if Train is false.
	G device.View
	// Run is the running statistics, which evaluation reads. Next is what training writes until Commit; the zero View if
	// Train is false. Both are zero Views in a network without buffers.
	Run, Next device.View

	dev     device.Device
	net     *Network
	acc     device.DType // of W, G, Run and Next
	groups  []span       // in elements of W
	params  []span       // by index in net.Params()
	frozen  []bool
	index   map[string]int // of a parameter by path
	buffers []span
	mems    []device.Memory

	lender   lender          // nil: the weights are in W
	borrowed []device.Memory // by index in net.Params(), from Upload on
}

type span struct{ lo, hi int }

func (s span) of(flat device.View, shape []int) device.View {
	return device.Make(flat.Mem, flat.Type, flat.Off+s.lo, shape...)
}

// NewStorage allocates a network's memory on dev, gradients filled with zeros. The rest is what Upload, which comes next,
// makes of it. An error is the device's being out of memory, or a group that does not exist.
func NewStorage(dev device.Device, net *Network, o StorageOptions) (*Storage, error) {
	if o.Type.IsInt() {
		return nil, fault.Usagef("use f32", "model %s: weights of type %s", net.Name, o.Type)
	}
	s := &Storage{dev: dev, net: net, groups: make([]span, max(o.Groups, 1)), params: make([]span, len(net.params)),
		frozen: make([]bool, len(net.params)), index: map[string]int{}}
	half := o.Type.Size() == 2
	if s.acc = device.F32; o.Type == device.F64 {
		s.acc = device.F64
	}
	total, trained, err := s.layOut(o)
	if err != nil {
		return nil, err
	}
	align := device.Align / s.acc.Size()
	stats := 0
	for _, b := range net.buffers {
		n := elements(b.Shape)
		s.buffers = append(s.buffers, span{stats, stats + n})
		stats = up(stats+n, align)
	}
	type array struct {
		v    *device.View
		t    device.DType
		n    int
		what string
	}
	var arrays []array
	if o.Borrow && !o.Train && o.Type == device.F32 {
		s.lender, _ = device.As[lender](dev)
	}
	if s.lender == nil {
		arrays = append(arrays, array{&s.W, s.acc, total, "weights"})
	}
	if half {
		arrays = append(arrays, array{&s.Half, o.Type, total, "weights in " + o.Type.String()})
	}
	if o.Train {
		arrays = append(arrays, array{&s.G, s.acc, trained, "gradients"})
	}
	if stats > 0 {
		arrays = append(arrays, array{&s.Run, s.acc, stats, "running statistics"})
		if o.Train {
			arrays = append(arrays, array{&s.Next, s.acc, stats, "running statistics"})
		}
	}
	for _, a := range arrays {
		if *a.v, err = s.alloc(a.t, a.n); err != nil {
			s.Close()
			return nil, fmt.Errorf("model %s: %w", net.Name, device.WantedFor(a.what, err))
		}
	}
	if o.Train {
		dev.Fill(s.G, 0)
	}
	s.clearGaps(s.W, s.params)
	s.clearGaps(s.Run, s.buffers)
	return s, nil
}

// clearGaps writes zeros to what of flat lies outside spans. All of it would be written twice, once here and once by Upload:
// of a large network that takes as long as running it.
func (s *Storage) clearGaps(flat device.View, spans []span) {
	if !flat.Valid() {
		return
	}
	spans = append(slices.Clone(spans), span{flat.Len(), flat.Len()})
	slices.SortFunc(spans, func(a, b span) int { return a.lo - b.lo })
	end := 0
	for _, p := range spans {
		if p.lo > end {
			s.dev.Fill(flat.Slice(0, end, p.lo-end, 1), 0)
		}
		end = p.hi
	}
}

func up(n, align int) int { return (n + align - 1) / align * align }

// layOut gives each parameter its place. Offsets count elements, and suit the alignment of the smallest type.
func (s *Storage) layOut(o StorageOptions) (total, trained int, err error) {
	align := device.Align / o.Type.Size()
	group := make([]int, len(s.params))
	for i, p := range s.net.params {
		s.index[p.Path] = i
		if !o.Train {
			continue
		}
		if o.Group != nil {
			group[i] = o.Group(p.Path, p.Param)
		}
		if s.frozen[i] = p.Frozen || group[i] < 0; s.frozen[i] {
			group[i] = -1
		} else if group[i] >= len(s.groups) {
			return 0, 0, fault.Usagef("name a group that exists", "parameter %s: group %d of %d", p.Path, group[i], len(s.groups))
		}
	}
	place := func(g int) {
		for i, p := range s.net.params {
			if group[i] == g {
				n := elements(p.Shape)
				s.params[i] = span{total, total + n}
				total = up(total+n, align)
			}
		}
	}
	for g := range s.groups {
		lo := total
		place(g)
		s.groups[g] = span{lo, total}
	}
	trained = total
	place(-1)
	return total, trained, nil
}

// alloc makes a flat array of n elements.
func (s *Storage) alloc(t device.DType, n int) (device.View, error) {
	m, err := s.dev.Alloc(max(n*t.Size(), 1))
	if err != nil {
		return device.View{}, err
	}
	s.mems = append(s.mems, m)
	return device.Make(m, t, 0, n), nil
}

// Range is where the parameters of group g lie in W, G and every Flat array: elements lo to hi-1, padding included.
func (s *Storage) Range(g int) (lo, hi int) { return s.groups[g].lo, s.groups[g].hi }

// Flat is another array laid out like G, of zeros, for an optimiser's state. The Storage owns it.
func (s *Storage) Flat() (device.View, error) {
	if !s.G.Valid() {
		panic("model.Storage.Flat: this storage is not for training")
	}
	v, err := s.alloc(s.G.Type, s.G.Len())
	if err == nil {
		s.dev.Fill(v, 0)
	}
	return v, err
}

// Grad is the gradient of the parameter at path, of its shape; false if it is frozen or there is none.
func (s *Storage) Grad(path string) (device.View, bool) {
	v, err := s.at(s.G, path)
	return v, err == nil
}

// at is the part of a flat array that belongs to the parameter at path.
func (s *Storage) at(flat device.View, path string) (device.View, error) {
	i, ok := s.index[path]
	if !ok {
		return device.View{}, fault.Usagef("the values belong to another model", "model %s has no parameter %s", s.net.Name, path)
	}
	if !flat.Valid() || s.params[i].hi > flat.Len() || s.frozen[i] && flat.Mem != s.W.Mem {
		return device.View{}, fault.Usagef("only trained parameters have gradients and optimiser state", "parameter %s is frozen", path)
	}
	return s.params[i].of(flat, s.net.params[i].Shape), nil
}

// Get reads what belongs to the parameter at path from W, G or a Flat array. It waits for the device.
func (s *Storage) Get(flat device.View, path string) (*tensor.Dense, error) {
	v, err := s.at(flat, path)
	if err != nil {
		return nil, err
	}
	b := make([]byte, v.Bytes())
	if err := s.dev.Download(b, v); err != nil {
		return nil, err
	}
	return hostDense(b, v.Shape(), v.Type), nil
}

// Set writes x, float32 or float64 and of the parameter's shape, to where Get reads.
func (s *Storage) Set(flat device.View, path string, x *tensor.Dense) error {
	v, err := s.at(flat, path)
	if err != nil {
		return err
	}
	b, err := hostBytes(x, v.Shape(), v.Type)
	if err != nil {
		return fmt.Errorf("parameter %s: %w", path, err)
	}
	s.dev.Upload(v, b)
	if s.Half.Valid() && flat.Mem == s.W.Mem {
		s.dev.Copy(s.params[s.index[path]].of(s.Half, v.Shape()), v)
	}
	return nil
}

// Upload writes the host values of all parameters and buffers to W, Half, Run and Next, or borrows those of parameters. After
// an error all is as before.
func (s *Storage) Upload() error {
	params, buffers := make([][]byte, len(s.params)), make([][]byte, len(s.buffers))
	var err error
	for i, p := range s.net.params {
		if params[i], err = hostBytes(p.Value, p.Shape, s.acc); err != nil {
			return fmt.Errorf("model %s: parameter %s: %w", s.net.Name, p.Path, err)
		}
	}
	for i, b := range s.net.buffers {
		if buffers[i], err = hostBytes(b.Value, b.Shape, s.acc); err != nil {
			return fmt.Errorf("model %s: buffer %s: %w", s.net.Name, b.Path, err)
		}
	}
	if s.lender != nil {
		s.borrow(params)
	} else {
		for i, b := range params { // each by itself: one array of all would be another copy of the network
			s.dev.Upload(s.params[i].of(s.W, s.net.params[i].Shape), b)
		}
	}
	for i, b := range buffers {
		s.dev.Upload(s.buffers[i].of(s.Run, s.net.buffers[i].Shape), b)
	}
	if s.Half.Valid() {
		s.dev.Copy(s.Half, s.W)
	}
	if s.Next.Valid() {
		s.dev.Copy(s.Next, s.Run)
	}
	return nil
}

// Download waits for the device and gives all parameters and buffers new host values, float64 from f64, else float32.
// Tensors that were their values before stay as they are.
func (s *Storage) Download() error {
	all, err := s.download(s.W)
	if err != nil {
		return err
	}
	run, err := s.download(s.Run)
	if err != nil {
		return err
	}
	size := s.acc.Size()
	for i, p := range s.net.params {
		if s.W.Valid() { // else p has them
			p.Value = hostDense(all[size*s.params[i].lo:], p.Shape, s.acc)
		}
	}
	for i, b := range s.net.buffers {
		b.Value = hostDense(run[size*s.buffers[i].lo:], b.Shape, s.acc)
	}
	return nil
}

// download reads a flat array that there may be.
func (s *Storage) download(flat device.View) ([]byte, error) {
	if !flat.Valid() {
		return nil, nil
	}
	b := make([]byte, flat.Bytes())
	return b, s.dev.Download(b, flat)
}

// nextOf is the key under which a tape has the next value of a buffer, and keys of Params and Buffers are themselves.
type nextOf struct{ *Buffer }

// Bind makes the network's modules find this storage when they run on tape.
func (s *Storage) Bind(tape *ops.Tape) {
	for i, p := range s.net.params {
		w := s.weight(i)
		if s.frozen[i] || !s.G.Valid() {
			tape.Bind(p.Param, ops.Leaf(w))
		} else {
			tape.Bind(p.Param, ops.Param(w, s.params[i].of(s.G, p.Shape)))
		}
	}
	for i, b := range s.net.buffers {
		tape.Bind(b.Buffer, ops.Leaf(s.buffers[i].of(s.Run, b.Shape)))
		var next device.View
		if s.Next.Valid() {
			next = s.buffers[i].of(s.Next, b.Shape)
		}
		tape.Bind(nextOf{b.Buffer}, ops.Leaf(next))
	}
}

// weight is the parameter of index i in net.Params(), as forward reads it.
func (s *Storage) weight(i int) device.View {
	p := s.net.params[i]
	switch {
	case s.lender != nil:
		return device.Make(s.borrowed[i], s.acc, 0, p.Shape...)
	case s.Half.Valid() && !p.Full:
		return s.params[i].of(s.Half, p.Shape)
	}
	return s.params[i].of(s.W, p.Shape)
}

// Refresh rounds the trained parameters to half precision again, in one pass: whoever has changed W calls it. In f32 and
// f64 networks there is nothing to do.
func (s *Storage) Refresh(t *ops.Tape) {
	if n := s.G.Len(); s.Half.Valid() && s.G.Valid() && n > 0 {
		t.Dev.Copy(s.Half.Slice(0, 0, n, 1), s.W.Slice(0, 0, n, 1))
	}
}

// Commit ends a step: where the device scalar ok is not 0 the next statistics become the running ones, else they are
// forgotten.
func (s *Storage) Commit(t *ops.Tape, ok device.View) {
	if !s.Next.Valid() {
		return
	}
	t.Dev.Where(s.Run, ok, s.Next, s.Run)
	t.Dev.Copy(s.Next, s.Run)
}

// Bytes is the device memory in use, Flat arrays included, what is borrowed not.
func (s *Storage) Bytes() int {
	n := 0
	for _, m := range s.mems {
		n += m.Bytes()
	}
	return n
}

// Close frees the memory, and gives back what is borrowed.
func (s *Storage) Close() {
	for _, m := range s.mems {
		m.Free()
	}
	s.mems = nil
	s.giveBack()
}
