package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// marks are events behind the last few launches of graphs. With them an upload knows what it must wait for.
type marks struct {
	ring [8]struct {
		event *driver.Event
		seq   uint64
	}
	next int
}

// add marks the end of what is queued now.
func (m *marks) add(d *Device) error {
	k := &m.ring[m.next%len(m.ring)]
	if k.event == nil {
		var err error
		if k.event, err = d.ctx.NewEvent(false); err != nil {
			return err
		}
	}
	k.seq = d.seq
	m.next++
	return k.event.Record(d.stream)
}

// after is the earliest mark behind the work seq, nil if there is none.
func (m *marks) after(seq uint64) *driver.Event {
	var best *driver.Event
	var at uint64
	for _, k := range m.ring {
		if k.event != nil && k.seq >= seq && (best == nil || k.seq < at) {
			best, at = k.event, k.seq
		}
	}
	return best
}

func (m *marks) close() error {
	var errs []error
	for i := range m.ring {
		if e := m.ring[i].event; e != nil {
			errs = append(errs, e.Close())
			m.ring[i].event = nil
		}
	}
	return errors.Join(errs...)
}

// staging is pinned memory by way of which transfers go, in pieces, and a stream of their own for uploads, which so run
// beside the work that is queued where that does not touch their destination.
type staging struct {
	stream *driver.Stream
	ready  *driver.Event // recorded behind each upload on stream
	buf    []byte
	free   [pieces]*driver.Event // recorded behind the last use of a piece
	next   int
}

const (
	pieces     = 8
	pieceBytes = 512 << 10
)

func newStaging(d *Device) (*staging, error) {
	s := &staging{}
	var err error
	if s.stream, err = d.ctx.NewStream(); err != nil {
		return s, err
	}
	if s.ready, err = d.ctx.NewEvent(false); err != nil {
		return s, err
	}
	if s.buf, err = d.ctx.Pinned(pieces * pieceBytes); err != nil {
		return s, err
	}
	for i := range s.free {
		if s.free[i], err = d.ctx.NewEvent(false); err != nil {
			return s, err
		}
	}
	return s, nil
}

// piece is the next part of the pinned memory, once it is free.
func (s *staging) piece() ([]byte, *driver.Event, error) {
	i := s.next % pieces
	s.next++
	return s.buf[i*pieceBytes : (i+1)*pieceBytes], s.free[i], s.free[i].Sync()
}

// up queues the copy of src to dst on stream. src may be changed on return.
func (s *staging) up(stream *driver.Stream, dst driver.Ptr, src []byte) error {
	for len(src) > 0 {
		b, free, err := s.piece()
		if err != nil {
			return err
		}
		n := copy(b, src)
		if err := stream.Upload(dst, unsafe.Pointer(&b[0]), n); err != nil {
			return err
		}
		if err := free.Record(stream); err != nil {
			return err
		}
		src, dst = src[n:], dst+driver.Ptr(n)
	}
	return nil
}

// down copies from src to dst, and waits for that and all that was queued before.
func (s *staging) down(stream *driver.Stream, dst []byte, src driver.Ptr) error {
	type part struct {
		dst, b []byte
		free   *driver.Event
	}
	var flying []part
	land := func() error {
		p := flying[0]
		flying = flying[1:]
		if err := p.free.Sync(); err != nil {
			return err
		}
		copy(p.dst, p.b)
		return nil
	}
	for len(dst) > 0 || len(flying) > 0 {
		if len(dst) == 0 || len(flying) == pieces-1 {
			if err := land(); err != nil {
				return err
			}
			continue
		}
		b, free, err := s.piece()
		if err != nil {
			return err
		}
		n := min(len(b), len(dst))
		if err := stream.Download(unsafe.Pointer(&b[0]), src, n); err != nil {
			return err
		}
		if err := free.Record(stream); err != nil {
			return err
		}
		flying = append(flying, part{dst[:n], b[:n], free})
		dst, src = dst[n:], src+driver.Ptr(n)
	}
	return nil
}

func (s *staging) close(d *Device) error {
	var errs []error
	if s.stream != nil {
		errs = append(errs, s.stream.Sync(), s.stream.Close())
	}
	for _, e := range append(s.free[:], s.ready) {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	if s.buf != nil {
		errs = append(errs, d.ctx.FreePinned(s.buf))
	}
	return errors.Join(errs...)
}

// transferable checks the arguments of a transfer, which are the caller's fault if they do not fit.
func (d *Device) transferable(name string, v device.View, host int) error {
	if d.rec != nil {
		return d.notWhileCapturing(name)
	}
	if host != v.Bytes() {
		panic(fmt.Sprintf("cuda.%s: %d bytes for %s", name, host, v))
	}
	if !v.Contiguous() {
		panic(fmt.Sprintf("cuda.%s: %s is not contiguous", name, v))
	}
	return d.failed()
}

// Upload copies src to dst, which is ordered with the queued work that uses dst's memory, and with no other.
func (d *Device) Upload(dst device.View, src []byte) {
	if d.transferable("Upload", dst, len(src)) != nil {
		return
	}
	c := device.Call{Kernel: "Upload", Writes: []device.View{dst}}
	if d.gate.Watched() {
		if !d.before(c) {
			return
		}
		defer d.gate.After(c)
	}
	if len(src) == 0 || d.plan != nil {
		return
	}
	if err := d.upload(dst, src); err != nil {
		d.fail(fmt.Errorf("Upload: %w", err))
	}
}

func (d *Device) upload(dst device.View, src []byte) error {
	to, m := driver.Ptr(address(dst)), dst.Mem.(*memory)
	if m.used > d.done {
		mark := d.marks.after(m.used)
		if mark == nil || m.d != d {
			d.touch([]device.View{dst}) // behind all marks: the next upload must not pass this one
			return d.staging.up(d.stream, to, src)
		}
		if err := d.staging.stream.Wait(mark); err != nil {
			return err
		}
	}
	s := d.staging
	if err := s.up(s.stream, to, src); err != nil {
		return err
	}
	if err := s.ready.Record(s.stream); err != nil {
		return err
	}
	return d.stream.Wait(s.ready)
}

// Download waits for what is queued and copies src to dst.
func (d *Device) Download(dst []byte, src device.View) error {
	if err := d.transferable("Download", src, len(dst)); err != nil {
		return err
	}
	c := device.Call{Kernel: "Download", Reads: []device.View{src}}
	if d.gate.Watched() {
		if !d.before(c) {
			return d.failed()
		}
		defer d.gate.After(c)
	}
	if d.plan != nil {
		clear(dst)
		return nil
	}
	seq := d.seq
	err := d.faults.fetch(d, d.faults.host)
	if err == nil && len(dst) > 0 {
		err = d.staging.down(d.stream, dst, driver.Ptr(address(src)))
	}
	if err == nil && len(dst) == 0 {
		err = d.stream.Sync()
	}
	if err == nil {
		d.done = seq
		err = d.faults.decode(d.faults.host)
	}
	if err != nil {
		d.fail(err)
	}
	return err
}
