package data

import (
	"errors"
	"io"
	"sync"

	"github.com/acumen-ml/acumen/device"
)

// Order writes the order of an epoch, counted from 0, to dst: a permutation of 0 .. len(dst)-1.
type Order func(epoch int, dst []int32)

// InOrder is the Order 0, 1, 2 ... of every epoch.
func InOrder(_ int, dst []int32) {
	for i := range dst {
		dst[i] = int32(i)
	}
}

// Permutation writes to dst what the kernel Random(Permutation, state, stream) writes on a device: the same order on
// both sides, whether a set lies on the device or is read ahead.
func Permutation(dst []int32, state [4]uint32, stream uint32) {
	for i := range dst {
		dst[i] = int32(device.PermutationAt(uint32(i), uint32(len(dst)), state, stream))
	}
}

// PrefetchOptions say what a Prefetcher reads.
type PrefetchOptions struct {
	Batch    int   // pictures in a batch
	DropLast bool  // leave out an epoch's last batch if it is smaller
	Order    Order // default InOrder
	Epoch    int   // where to start: this epoch ...
	Step     int   // ... and this batch in it
	Epochs   int   // the epoch before which to end, with io.EOF; 0: go on for ever
	Depth    int   // batches read ahead; default 3
}

// Batch is some pictures of one epoch. Its slices are used again after Done.
type Batch struct {
	Epoch, Step int
	N           int     // pictures: PrefetchOptions.Batch, or fewer at an epoch's end
	Indices     []int32 // which pictures of the set
	Images      []byte  // (N,H,W,C)
	Labels      []int32
	LabelBytes  []byte // Labels as an I32 view takes them in Upload
	err         error
	room        []byte
	labelRoom   []byte
}

// Prefetcher reads the batches of a Set ahead of their use, in a goroutine, into a few buffers that go round. Which
// pictures a batch holds depends on the options alone, so that a run may begin in the middle.
type Prefetcher struct {
	set         Set
	o           PrefetchOptions
	free, ready chan *Batch
	quit        chan struct{}
	stop        sync.Once
	ended       chan struct{}
}

// ErrClosed is what Next gives after Close.
var ErrClosed = errors.New("data: the prefetcher is closed")

// NewPrefetcher starts to read s. Close ends it.
func NewPrefetcher(s Set, o PrefetchOptions) *Prefetcher {
	if o.Batch < 1 || o.DropLast && o.Batch > s.Len() {
		panic("data.NewPrefetcher: no batch of that size")
	}
	if o.Order == nil {
		o.Order = InOrder
	}
	if o.Depth < 1 {
		o.Depth = 3
	}
	p := &Prefetcher{set: s, o: o, quit: make(chan struct{}), ended: make(chan struct{})}
	p.free, p.ready = make(chan *Batch, o.Depth), make(chan *Batch, o.Depth)
	n, size := min(o.Batch, s.Len()), pictureBytes(s)
	for range o.Depth {
		p.free <- &Batch{room: make([]byte, n*size), Labels: make([]int32, 0, n), labelRoom: make([]byte, 4*n)}
	}
	go p.read()
	return p
}

// Next waits for the next batch. After the last it gives io.EOF. An error of the set ends the reading; it is given
// again by every later call.
func (p *Prefetcher) Next() (*Batch, error) {
	select {
	case <-p.quit:
		return nil, ErrClosed
	default:
	}
	select {
	case b := <-p.ready:
		if b.err != nil {
			p.ready <- b // there is room: nothing is read after an error
			return nil, b.err
		}
		return b, nil
	case <-p.quit:
		return nil, ErrClosed
	}
}

// Done gives a batch's buffers back. A batch that is never given back makes Next wait once all buffers are out.
func (p *Prefetcher) Done(b *Batch) { p.free <- b }

// Close stops reading and waits until it has stopped. It may be called twice.
func (p *Prefetcher) Close() {
	p.stop.Do(func() { close(p.quit) })
	<-p.ended
}

func (p *Prefetcher) read() {
	defer close(p.ended)
	n, order := p.set.Len(), make([]int32, p.set.Len())
	steps := (n + p.o.Batch - 1) / p.o.Batch
	if p.o.DropLast {
		steps = n / p.o.Batch
	}
	for epoch, step := p.o.Epoch+p.o.Step/steps, p.o.Step%steps; ; epoch, step = epoch+1, 0 {
		last := p.o.Epochs > 0 && epoch >= p.o.Epochs
		if !last {
			p.o.Order(epoch, order)
		}
		for ; step < steps; step++ {
			var b *Batch
			select {
			case b = <-p.free:
			case <-p.quit:
				return
			}
			if b.err = io.EOF; !last {
				lo := step * p.o.Batch
				b.fill(p.set, epoch, step, order[lo:min(lo+p.o.Batch, n)])
			}
			failed := b.err != nil // b is the consumer's once it is sent
			p.ready <- b
			if failed {
				return
			}
		}
	}
}

func (b *Batch) fill(s Set, epoch, step int, indices []int32) {
	b.Epoch, b.Step, b.N = epoch, step, len(indices)
	b.Indices = append(b.Indices[:0], indices...)
	b.Images = b.room[:len(indices)*pictureBytes(s)]
	b.Labels = b.Labels[:0]
	for _, k := range indices {
		b.Labels = append(b.Labels, s.Labels()[k])
	}
	b.LabelBytes = appendInt32(b.labelRoom[:0], b.Labels)
	b.err = s.Images(b.Images, b.Indices)
}
