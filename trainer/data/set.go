// Package data reads, downloads, checks, splits and prefetches labelled pictures. A Set gives bytes in (H,W,C) order and
// class numbers; normalisation and augmentation are package augment's, on the device.
package data

import (
	"fmt"
	"slices"
	"sync"

	"github.com/acumen-ml/acumen/internal/fault"
	"gorgonia.org/tensor"
)

// Set is a list of labelled pictures, all of one size. Any number of goroutines may read a Set.
type Set interface {
	// Name is the data set's name: mnist, cifar10, folder ...
	Name() string
	// Len is the number of pictures, at least 1.
	Len() int
	// Shape is height, width and channels of every picture.
	Shape() [3]int
	// Classes is the names of the classes in the order of their numbers. It must not be changed.
	Classes() []string
	// Labels is the class number of each picture. It must not be changed.
	Labels() []int32
	// Images copies the pictures that indices name to dst, H*W*C bytes each in (H,W,C) order; dst holds exactly those.
	// A set that lies on disk reads and decodes them, and its errors name the file.
	Images(dst []byte, indices []int32) error
}

// New is the Set of images (uint8, (N,H,W,C)) with labels (int32, (N)) that number classes. It keeps the memory of both,
// unless they are slices or transposed views that do not lie in row-major order: then it keeps a copy.
func New(name string, classes []string, images, labels *tensor.Dense) (Set, error) {
	s := images.Shape()
	px, ok := backing[uint8](images)
	if !ok || len(s) != 4 {
		return nil, fault.Usagef("give images as uint8 of shape (N,H,W,C), in row-major order", "data set %s: images are %v of shape %v", name, images.Dtype(), s)
	}
	ls, ok := backing[int32](labels)
	if !ok || len(labels.Shape()) != 1 {
		return nil, fault.Usagef("give labels as int32 of shape (N)", "data set %s: labels are %v of shape %v", name, labels.Dtype(), labels.Shape())
	}
	return newMemory(name, [3]int{s[1], s[2], s[3]}, classes, px, ls)
}

// backing is the elements of x in row-major order; false if they are of another type or lie column by column.
func backing[T uint8 | int32](x *tensor.Dense) ([]T, bool) {
	if x.RequiresIterator() { // a view: Data would be the elements as they lie below it
		x = x.Materialize().(*tensor.Dense)
	}
	v, ok := x.Data().([]T)
	return v, ok && !x.DataOrder().IsColMajor()
}

// memory is a Set whose pictures lie one after the other in memory.
type memory struct {
	name    string
	shape   [3]int
	classes []string
	images  []byte
	labels  []int32
}

func newMemory(name string, shape [3]int, classes []string, images []byte, labels []int32) (*memory, error) {
	size := shape[0] * shape[1] * shape[2]
	if size <= 0 || len(labels) == 0 || len(images) != size*len(labels) {
		return nil, fault.Usagef("every picture needs a label", "data set %s: %d labels and %d bytes of pictures of %v", name, len(labels), len(images), shape)
	}
	if i := slices.IndexFunc(labels, func(l int32) bool { return l < 0 || int(l) >= len(classes) }); i >= 0 {
		return nil, fault.Usagef(labelHint, "data set %s: record %d: label %d is not in 0..%d", name, i, labels[i], len(classes)-1)
	}
	return &memory{name, shape, classes, images, labels}, nil
}

const labelHint = "the file is damaged or belongs to another data set"

func (m *memory) Name() string      { return m.name }
func (m *memory) Len() int          { return len(m.labels) }
func (m *memory) Shape() [3]int     { return m.shape }
func (m *memory) Classes() []string { return m.classes }
func (m *memory) Labels() []int32   { return m.labels }

func (m *memory) Images(dst []byte, indices []int32) error {
	size := pictureBytes(m)
	checkImages(m, dst, indices)
	for i, k := range indices {
		copy(dst[i*size:(i+1)*size], m.images[int(k)*size:])
	}
	return nil
}

func pictureBytes(s Set) int {
	sh := s.Shape()
	return sh[0] * sh[1] * sh[2]
}

// checkImages panics where a call of Images does not fit.
func checkImages(s Set, dst []byte, indices []int32) {
	if len(dst) != len(indices)*pictureBytes(s) {
		panic(fmt.Sprintf("data.Set.Images: %s: %d bytes for %d pictures of %v", s.Name(), len(dst), len(indices), s.Shape()))
	}
	for _, k := range indices {
		if k < 0 || int(k) >= s.Len() {
			panic(fmt.Sprintf("data.Set.Images: %s: index %d of %d pictures", s.Name(), k, s.Len()))
		}
	}
}

// Bytes is all pictures of s as one uint8 array (N,H,W,C), if they lie in memory. For a subset it is a fresh copy, else
// the set's own memory, which must not be changed.
func Bytes(s Set) (*tensor.Dense, bool) {
	var px []byte
	switch s := s.(type) {
	case *memory:
		px = s.images
	case *subset:
		if _, ok := s.base.(*memory); !ok {
			return nil, false
		}
		px = make([]byte, s.Len()*pictureBytes(s))
		if s.Images(px, iota32(s.Len())) != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	return dense(s, s.Len(), px), true
}

// LabelTensor is the labels of s as an int32 array (N). It must not be changed.
func LabelTensor(s Set) *tensor.Dense {
	return tensor.New(tensor.WithShape(s.Len()), tensor.WithBacking(s.Labels()))
}

// Read gives the pictures that indices name as a fresh uint8 array (len(indices),H,W,C) and their labels as int32.
func Read(s Set, indices []int32) (images, labels *tensor.Dense, err error) {
	px := make([]byte, len(indices)*pictureBytes(s))
	if err := s.Images(px, indices); err != nil {
		return nil, nil, err
	}
	ls := make([]int32, len(indices))
	for i, k := range indices {
		ls[i] = s.Labels()[k]
	}
	return dense(s, len(indices), px), tensor.New(tensor.WithShape(len(ls)), tensor.WithBacking(ls)), nil
}

func dense(s Set, n int, px []byte) *tensor.Dense {
	sh := s.Shape()
	return tensor.New(tensor.WithShape(n, sh[0], sh[1], sh[2]), tensor.WithBacking(px))
}

// iota32 is 0, 1, ... n-1.
func iota32(n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(i)
	}
	return x
}

// subset is some pictures of another set, which is never itself a subset.
type subset struct {
	base    Set
	indices []int32
	labels  []int32
	scratch sync.Pool // *[]int32: indices into base
}

// Subset is the pictures of s that indices name, in their order. Indices may come from a file: one that s does not have
// is an error, as is an empty list.
func Subset(s Set, indices []int32) (Set, error) {
	if len(indices) == 0 {
		return nil, fault.Usagef("a data set needs at least one picture", "data set %s: a subset of no pictures", s.Name())
	}
	out := &subset{base: s, indices: slices.Clone(indices), labels: make([]int32, len(indices))}
	for i, k := range indices {
		if k < 0 || int(k) >= s.Len() {
			return nil, fault.Usagef("the indices were stored for another data set", "data set %s: index %d of %d pictures", s.Name(), k, s.Len())
		}
		out.labels[i] = s.Labels()[k]
	}
	if b, ok := s.(*subset); ok {
		out.base = b.base
		for i, k := range out.indices {
			out.indices[i] = b.indices[k]
		}
	}
	return out, nil
}

// Indices tells which pictures of the original set a Subset holds; false if s is not one.
func Indices(s Set) ([]int32, bool) {
	if s, ok := s.(*subset); ok {
		return slices.Clone(s.indices), true
	}
	return nil, false
}

// Limit is the first n pictures of s, or s if it has no more.
func Limit(s Set, n int) (Set, error) {
	if n >= s.Len() {
		return s, nil
	}
	return Subset(s, iota32(max(n, 0)))
}

func (s *subset) Name() string      { return s.base.Name() }
func (s *subset) Len() int          { return len(s.indices) }
func (s *subset) Shape() [3]int     { return s.base.Shape() }
func (s *subset) Classes() []string { return s.base.Classes() }
func (s *subset) Labels() []int32   { return s.labels }

func (s *subset) Images(dst []byte, indices []int32) error {
	checkImages(s, dst, indices)
	p, ok := s.scratch.Get().(*[]int32)
	if !ok {
		p = new([]int32)
	}
	defer s.scratch.Put(p)
	at := (*p)[:0]
	for _, k := range indices {
		at = append(at, s.indices[k])
	}
	*p = at
	return s.base.Images(dst, at)
}

type relabelled struct {
	Set
	labels []int32
}

func (r *relabelled) Labels() []int32 { return r.labels }

// WithLabels is s under other labels, one for each picture: to see what depends on them.
func WithLabels(s Set, labels []int32) (Set, error) {
	if len(labels) != s.Len() {
		return nil, fault.Usagef("every picture needs a label", "data set %s: %d labels for %d pictures", s.Name(), len(labels), s.Len())
	}
	if i := slices.IndexFunc(labels, func(l int32) bool { return l < 0 || int(l) >= len(s.Classes()) }); i >= 0 {
		return nil, fault.Usagef(labelHint, "data set %s: record %d: label %d is not in 0..%d", s.Name(), i, labels[i], len(s.Classes())-1)
	}
	if m, ok := s.(*memory); ok {
		return &memory{m.name, m.shape, m.classes, m.images, slices.Clone(labels)}, nil
	}
	return &relabelled{s, slices.Clone(labels)}, nil
}
