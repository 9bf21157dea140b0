package devicetest

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// wholeBytes is the bytes of a contiguous view.
func wholeBytes(v device.View) []byte {
	lo := v.Off * v.Type.Size()
	return v.Mem.(*memory).bytes[lo : lo+v.Bytes()]
}

func checkCopy(call string, v device.View, host int) {
	if !v.Contiguous() {
		panic(fmt.Sprintf("deferred.%s: %s is not contiguous", call, v))
	}
	if host < v.Bytes() {
		panic(fmt.Sprintf("deferred.%s: %s has %d bytes, the host's slice %d", call, v, v.Bytes(), host))
	}
}

// Upload takes a copy of src at once, and queues its way into dst.
func (d *Deferred) Upload(dst device.View, src []byte) {
	checkCopy("Upload", dst, len(src))
	if d.illegal("Upload") != nil {
		return
	}
	staged := append([]byte(nil), src[:dst.Bytes()]...)
	d.enqueue(device.Call{Kernel: "Upload", Writes: []device.View{dst}}, func() error {
		copy(wholeBytes(dst), staged)
		return nil
	})
}

// Download runs all that is queued and copies src into dst.
func (d *Deferred) Download(dst []byte, src device.View) error {
	checkCopy("Download", src, len(dst))
	if err := d.illegal("Download"); err != nil {
		return err
	}
	d.enqueue(device.Call{Kernel: "Download", Reads: []device.View{src}}, func() error {
		copy(dst, wholeBytes(src))
		return nil
	})
	d.drain()
	return d.err
}

// ticket is a queued read. Unlike those of devices made for speed it is not used again, so that late use shows.
type ticket struct {
	d       *Deferred
	bytes   []byte
	skipped bool // by a hook: there is nothing to copy
	done    bool
	used    bool
	err     error
}

// Fetch queues a read of src.
func (d *Deferred) Fetch(src device.View) device.Ticket {
	checkCopy("Fetch", src, src.Bytes())
	t := &ticket{d: d}
	if err := d.illegal("Fetch"); err != nil {
		t.done, t.err = true, err
		return t
	}
	before := len(d.queue)
	passed := d.enqueue(device.Call{Kernel: "Fetch", Reads: []device.View{src}}, func() error {
		t.done, t.err = true, d.err
		if d.err == nil {
			t.bytes = append(t.bytes, wholeBytes(src)...)
		}
		return nil
	})
	if !passed {
		t.skipped = true
		if len(d.queue) == before { // skipped without an error
			t.done = true
		} else {
			d.queue = append(d.queue, command{name: "Fetch", always: true, run: func() error {
				t.done, t.err = true, d.err
				return nil
			}})
		}
	}
	return t
}

// Poll gives what is there, and true, or runs one queued call and gives false.
func (t *ticket) Poll(dst []byte) (bool, error) {
	if t.used {
		panic("deferred.Ticket: Poll after the bytes were taken")
	}
	if !t.done {
		if t.d.rec == nil && len(t.d.queue) > 0 {
			t.d.step()
		}
		return false, nil
	}
	return true, t.take(dst)
}

// Wait runs all that is queued.
func (t *ticket) Wait(dst []byte) error {
	if t.used {
		panic("deferred.Ticket: Wait after the bytes were taken")
	}
	if err := t.d.illegal("Wait"); err != nil {
		return err
	}
	t.d.drain()
	return t.take(dst)
}

func (t *ticket) take(dst []byte) error {
	t.used = true
	if t.err != nil || t.skipped {
		return t.err
	}
	if len(dst) < len(t.bytes) {
		panic(fmt.Sprintf("deferred.Ticket: %d bytes were fetched, the host's slice has %d", len(t.bytes), len(dst)))
	}
	copy(dst, t.bytes)
	return nil
}
