package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// ticket is a read under way: pinned memory for the bytes and a copy of the cell of faults, and the event behind them.
type ticket struct {
	d    *Device
	buf  []byte
	n    int
	done *driver.Event
	err  error
}

// Tickets that are there from the start suffice for a trainer that looks at its numbers: taking pinned memory may make
// the host wait for the GPU.
const (
	firstTickets = 4
	firstBytes   = 512
)

func (d *Device) readyTickets() error {
	for range firstTickets {
		t := d.newTicket()
		d.idle = append(d.idle, t)
		if err := t.prepare(firstBytes); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) newTicket() *ticket {
	t := &ticket{d: d}
	d.tickets = append(d.tickets, t)
	return t
}

// Fetch queues a read of src.
func (d *Device) Fetch(src device.View) device.Ticket {
	var t *ticket
	if n := len(d.idle); n > 0 {
		t = d.idle[n-1]
		d.idle = d.idle[:n-1]
	} else {
		t = d.newTicket()
	}
	t.n = src.Bytes()
	if t.err = d.transferable("Fetch", src, t.n); t.err != nil {
		return t
	}
	c := device.Call{Kernel: "Fetch", Reads: []device.View{src}}
	if d.gate.Watched() {
		if !d.before(c) {
			t.err = d.failed()
			return t
		}
		defer d.gate.After(c)
	}
	if d.plan != nil {
		return t
	}
	d.touch(c.Reads) // an upload must not pass the read
	if t.err = t.start(src); t.err != nil {
		d.fail(fmt.Errorf("Fetch: %w", t.err))
	}
	return t
}

// place is where the bytes are in the pinned memory; the cell of faults comes first.
func (t *ticket) place() []byte { return t.buf[faultBytes : faultBytes+t.n] }

// prepare makes what a read of n bytes needs, where it is not there yet.
func (t *ticket) prepare(n int) (err error) {
	d := t.d
	if t.done == nil {
		if t.done, err = d.ctx.NewEvent(false); err != nil {
			return err
		}
	}
	if len(t.buf) >= faultBytes+n {
		return nil
	}
	if t.buf != nil {
		if err := d.ctx.FreePinned(t.buf); err != nil {
			return err
		}
		t.buf = nil
	}
	t.buf, err = d.ctx.Pinned(faultBytes + n)
	return err
}

func (t *ticket) start(src device.View) error {
	d := t.d
	if err := t.prepare(t.n); err != nil {
		return err
	}
	if t.n > 0 {
		if err := d.stream.Download(unsafe.Pointer(&t.place()[0]), driver.Ptr(address(src)), t.n); err != nil {
			return err
		}
	}
	if err := d.faults.fetch(d, t.buf); err != nil {
		return err
	}
	return t.done.Record(d.stream)
}

// Poll copies the bytes into dst if they are there. It waits for nothing.
func (t *ticket) Poll(dst []byte) (bool, error) {
	t.fits(dst)
	if t.err == nil && t.d.plan == nil {
		if done, err := t.done.Query(); err != nil {
			t.lost(err)
		} else if !done {
			return false, nil
		}
	}
	return true, t.take(dst)
}

// Wait waits for the bytes and copies them into dst.
func (t *ticket) Wait(dst []byte) error {
	t.fits(dst)
	if t.err == nil && t.d.plan == nil {
		if err := t.done.Sync(); err != nil {
			t.lost(err)
		}
	}
	return t.take(dst)
}

func (t *ticket) fits(dst []byte) {
	if len(dst) != t.n {
		panic(fmt.Sprintf("cuda: a ticket of %d bytes read into %d", t.n, len(dst)))
	}
}

func (t *ticket) lost(err error) {
	t.err = err
	t.d.fail(err)
}

// take copies the bytes that are there, and lets the ticket be used again.
func (t *ticket) take(dst []byte) error {
	d, err := t.d, t.err
	d.idle = append(d.idle, t)
	switch {
	case err != nil:
		return err
	case d.plan != nil:
		clear(dst)
		return nil
	}
	if err := d.faults.decode(t.buf); err != nil {
		return err
	}
	copy(dst, t.place())
	return nil
}

func (t *ticket) free() error {
	var errs []error
	if t.done != nil {
		errs = append(errs, t.done.Close())
	}
	if t.buf != nil {
		errs = append(errs, t.d.ctx.FreePinned(t.buf))
	}
	return errors.Join(errs...)
}
