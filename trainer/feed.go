package trainer

import (
	"encoding/binary"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer/data"
)

// slots is how many staging buffers a set that is read ahead has: one is filled while the other is in use.
const slots = 2

// feed holds a data set on the device: the labels, and either all pictures or staging for one batch at a time.
type feed struct {
	set      data.Set
	n        int
	labels   device.View        // I32 (N)
	images   device.View        // U8 (N,H,W,C); the zero View if read ahead
	staging  [slots]device.View // U8 (batch,H,W,C) each, if read ahead
	prefetch *data.Prefetcher
	slot     int
}

func (f *feed) resident() bool { return f.images.Valid() }

// newFeed uploads what fits. batch is the largest number of pictures of one form.
func (e *Engine) newFeed(set data.Set, batch int) (*feed, error) {
	f := &feed{set: set, n: set.Len()}
	var err error
	if f.labels, err = e.alloc(device.I32, f.n); err != nil {
		return nil, device.WantedFor(ofData, err)
	}
	e.dev.Upload(f.labels, int32Bytes(set.Labels()))
	s := set.Shape()
	if f.n*s[0]*s[1]*s[2] > e.opt.ResidentBytes {
		for i := range f.staging {
			if f.staging[i], err = e.alloc(device.U8, batch, s[0], s[1], s[2]); err != nil {
				return nil, device.WantedFor(ofData, err)
			}
		}
		return f, nil
	}
	if f.images, err = e.alloc(device.U8, f.n, s[0], s[1], s[2]); err != nil || e.planned {
		return f, device.WantedFor(ofData, err)
	}
	const chunk = 512 // pictures read from disk at a time
	size := s[0] * s[1] * s[2]
	buf, index := make([]byte, min(chunk, f.n)*size), make([]int32, 0, chunk)
	for lo := 0; lo < f.n; lo += chunk {
		n := min(chunk, f.n-lo)
		index = index[:0]
		for i := range n {
			index = append(index, int32(lo+i))
		}
		if err := set.Images(buf[:n*size], index); err != nil {
			return nil, err
		}
		e.dev.Upload(f.images.Slice(0, lo, n, 1), buf[:n*size])
	}
	return f, nil
}

// stage uploads the next batch that was read ahead and gives the number of its buffer.
func (e *Engine) stage(f *feed) (slot int, err error) {
	b, err := f.prefetch.Next()
	if err != nil {
		return 0, err
	}
	slot = f.slot
	f.slot = (f.slot + 1) % slots
	e.dev.Upload(f.staging[slot].Slice(0, 0, b.N, 1), b.Images)
	f.prefetch.Done(b)
	return slot, nil
}

// readAhead starts to read the training pictures of the present epoch from its step i on, in the order that startEpoch
// draws on the device.
func (e *Engine) readAhead(i int) {
	f := e.train
	f.stop()
	start := uint32(e.step - i)
	o := data.PrefetchOptions{Batch: min(e.plan.micro, f.n), Step: i * (e.plan.batch / e.plan.micro), Epochs: 1}
	o.Order = func(_ int, dst []int32) {
		data.Permutation(dst, [4]uint32{uint32(e.opt.Seed), uint32(e.opt.Seed >> 32), start, 0}, streamOrder)
	}
	f.prefetch, f.slot = data.NewPrefetcher(f.set, o), 0
}

// stop ends reading ahead.
func (f *feed) stop() {
	if f != nil && f.prefetch != nil {
		f.prefetch.Close()
		f.prefetch = nil
	}
}

func int32Bytes(x []int32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}
