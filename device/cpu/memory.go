package cpu

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"github.com/acumen-ml/acumen/device"
)

// line is the alignment of allocations and scratch, a cache line.
const line = 64

// memory is one allocation.
type memory struct {
	d        *Device
	data     []byte
	size     int
	area     *area // of data; nil: it is the collector's
	enlarged bool
	uses     int  // by calls, of those that were not recorded
	freed    bool // Free was called
	gone     bool // by Free or by Close
	borrowed bool // data is another's, and not counted
}

// aligned is n bytes of zeros on a cache line.
func aligned(n int) []byte {
	raw := make([]uint64, (n+line)/8+1)
	all := unsafe.Slice((*byte)(unsafe.Pointer(&raw[0])), 8*len(raw))
	off := misaligned(all, line)
	return all[off : off+n : off+n]
}

// misaligned is how many bytes b lacks to a multiple of a power of two.
func misaligned(b []byte, to int) int { return int(-uintptr(unsafe.Pointer(&b[0])) % uintptr(to)) }

// Alloc gives bytes bytes on a cache line.
func (d *Device) Alloc(bytes int) (device.Memory, error) {
	if d.rec != nil {
		return nil, d.notWhileCapturing("Alloc")
	}
	if bytes < 0 {
		panic(fmt.Sprintf("cpu.Alloc: %d bytes", bytes))
	}
	if d.plan != nil {
		return d.plan.alloc(d, bytes)
	}
	if bytes > 64<<20 { // small ones are not worth a look at the system
		if free, ok := available(); ok && bytes > free {
			return nil, &device.OutOfMemory{Device: "cpu", Asked: bytes, Held: d.live, Free: free}
		}
	}
	m := &memory{d: d, size: bytes}
	if bytes < offHeap {
		m.data = aligned(bytes)
	} else {
		var err error
		if m.data, m.area, err = pages(bytes); err != nil {
			free, _ := available()
			return nil, &device.OutOfMemory{Device: "cpu", Asked: bytes, Held: d.live, Free: free}
		}
	}
	d.live += bytes
	d.mems[m] = struct{}{}
	return m, nil
}

// Borrow makes bytes of the host's memory, aligned for what they hold, a Memory of this device, which reads and writes
// them where they lie: they must be there, and are the device's, until its Free. They are not counted.
func (d *Device) Borrow(host []byte) device.Memory {
	if d.plan != nil {
		return &imaginary{d: d, size: len(host), borrowed: true}
	}
	m := &memory{d: d, data: host, size: len(host), borrowed: true}
	d.mems[m] = struct{}{}
	return m
}

// available is how much memory the system says can be had, where it says so.
func available() (int, bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) >= 2 && f[0] == "MemAvailable:" {
			kb, err := strconv.Atoi(f[1])
			return kb << 10, err == nil
		}
	}
	return 0, false
}

// Bytes is the size.
func (m *memory) Bytes() int { return m.size }

// Free gives the memory back.
func (m *memory) Free() {
	switch {
	case m.d.rec != nil:
		_ = m.d.notWhileCapturing("Free")
	case m.freed:
		m.d.fail(errors.New("cpu: memory freed twice"))
	default:
		m.freed = true
		if !m.borrowed {
			m.d.live -= m.size
		}
		m.drop()
	}
}

// drop gives the bytes back.
func (m *memory) drop() {
	if m.area != nil && !m.gone {
		m.area.free()
	}
	m.gone, m.data = true, nil
	delete(m.d.mems, m)
}

// often is after how many calls that read or write it memory is brought onto large pages; what a graph uses is when that is
// launched again. At first it lies on small ones: where a virtual machine's host takes back what is free, large ones can cost
// more than the step that first needs them. See docs/adr/0016-large-pages.md.
const often = 256

// used counts a call that uses the memory of views.
func used(views []device.View) {
	for _, v := range views {
		if m, ok := v.Mem.(*memory); ok {
			if m.uses++; m.uses == often {
				m.enlarge()
			}
		}
	}
}

// enlarge brings the memory onto large pages.
func (m *memory) enlarge() {
	if m.area != nil && !m.enlarged {
		m.enlarged = true
		m.area.enlarge()
	}
}

// check panics if the memory is no longer there.
func (m *memory) check() {
	if m.gone {
		panic("cpu: use of freed memory")
	}
}

func sizeOf[T any]() int {
	var z T
	return int(unsafe.Sizeof(z))
}

func cast[T any](b []byte) []T {
	n := len(b) / sizeOf[T]()
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// slice is the memory of v from its first element to the memory's end. A view of memory that does not exist, as dry
// runs have it, gives memory that nothing may touch.
func slice[T any](v device.View) []T {
	m, ok := v.Mem.(*memory)
	if !ok {
		return nowhere[T](v)
	}
	m.check()
	all := cast[T](m.data)
	if v.Off > len(all) {
		panic(fmt.Sprintf("cpu: view %s begins at element %d of %d", v, v.Off, len(all)))
	}
	return all[v.Off:]
}

// whole is all of v's memory; element 0 of v is at v.Off.
func whole[T any](v device.View) []T {
	w := v
	w.Off = 0
	return slice[T](w)
}

// nothing is what nowhere points at. It is not on the heap, so that the collector passes over pointers beyond its end.
var nothing [line]byte

// nowhere is a slice long enough for v that is never read or written: a dry run only does arithmetic with it. Memory
// that is never touched would not do: the runtime clears what it hands out a second time.
func nowhere[T any](v device.View) []T {
	n := 1
	for i := range int(v.Rank) {
		if s := int(v.Str[i]); s > 0 {
			n += s * int(v.Dim[i])
		}
	}
	header := struct {
		data     unsafe.Pointer
		len, cap int
	}{unsafe.Pointer(&nothing), n, n}
	return *(*[]T)(unsafe.Pointer(&header))
}

// scratch is memory between the parts of a kernel. What a second-level cache is to hold lies on a large page: of small ones,
// which lie anywhere, some meet in the same sets, more or fewer from run to run.
type scratch struct {
	data []byte
	area *area // nil: the collector gives it back
}

// grow makes sure that there are bytes of s, where kernels run at all. What was there is lost.
func (d *Device) grow(s *scratch, bytes int) {
	if len(s.data) >= bytes || d.plan != nil {
		return
	}
	s.drop()
	if bytes >= offHeap/4 {
		if data, a, err := pages(bytes); err == nil && a != nil {
			a.large()
			s.data, s.area = data, a
			return
		}
	}
	s.data = aligned(bytes)
}

func (s *scratch) drop() {
	if s.area != nil {
		s.area.free()
	}
	*s = scratch{}
}

// reserve makes sure that each worker has bytes of scratch. It belongs before enqueue, so that running allocates nothing.
func (d *Device) reserve(bytes int) {
	for i := range d.perWorker {
		d.grow(&d.perWorker[i], bytes)
	}
}

// scratchOf is n elements of worker's scratch.
func scratchOf[T any](d *Device, worker, n int) []T { return cast[T](d.perWorker[worker].data)[:n] }

// shared makes sure that there are bytes of scratch that all parts of a kernel see.
func (d *Device) shared(bytes int) { d.grow(&d.common, bytes) }

// sharedOf is n elements of the common scratch from byte off on.
func sharedOf[T any](d *Device, off, n int) []T { return cast[T](d.common.data[off:])[:n] }

// ticket is a read that has already happened.
type ticket struct {
	d    *Device
	data []byte
	err  error
}

// transfer copies between host and v, as a call that passes the gate; done is false if it did not.
func (d *Device) transfer(name string, v device.View, host []byte) (done bool, err error) {
	if d.rec != nil {
		return false, d.notWhileCapturing(name)
	}
	if len(host) != v.Bytes() {
		panic(fmt.Sprintf("cpu.%s: %d bytes for %s", name, len(host), v))
	}
	if !v.Contiguous() {
		panic(fmt.Sprintf("cpu.%s: %s is not contiguous", name, v))
	}
	if err := d.failed(); err != nil {
		return false, err
	}
	up := name == "Upload"
	if d.gate.Watched() {
		c := device.Call{Kernel: name}
		if up {
			c.Writes = []device.View{v}
		} else {
			c.Reads = []device.View{v}
		}
		if !d.before(c) {
			return false, d.failed()
		}
		defer d.gate.After(c)
	}
	switch {
	case d.plan != nil && !up:
		clear(host)
	case d.plan != nil:
	case up:
		d.copyBytes(span(v), host)
	default:
		d.copyBytes(host, span(v))
	}
	return true, nil
}

// byteCopy is a copy that threads share. A device has one, so that none allocates. Its phase has as many parts as there are
// threads, always: a worker that is late may still look at how many there were.
type byteCopy struct {
	dst, src []byte
	part     int // bytes of a part; the last ones may be empty
	phase    phase
}

// copyBytes copies src to dst, much of it on all threads: memory that is touched for the first time is made then, which
// takes longer than to copy. A part for each thread, so that few pages are touched by two.
func (d *Device) copyBytes(dst, src []byte) {
	const least = 256 << 10
	n := len(src)
	if d.pool.n == 1 || n < 2*least {
		copy(dst, src)
		return
	}
	c := &d.copying
	c.dst, c.src, c.part = dst, src, max(ceil(n, d.pool.n), least)
	d.pool.run(&c.phase)
	c.dst, c.src = nil, nil
}

func (c *byteCopy) run(part, _ int) {
	lo, hi := min(part*c.part, len(c.src)), min((part+1)*c.part, len(c.src))
	copy(c.dst[lo:hi], c.src[lo:hi])
}

// span is the bytes of a contiguous view.
func span(v device.View) []byte {
	n := v.Bytes()
	if n == 0 {
		return nil
	}
	b := v
	b.Off, b.Type = v.Off*v.Type.Size(), device.U8
	return slice[byte](b)[:n]
}

// Upload copies src to dst.
func (d *Device) Upload(dst device.View, src []byte) {
	_, _ = d.transfer("Upload", dst, src) // an error is kept for Sync
}

// Download copies src to dst.
func (d *Device) Download(dst []byte, src device.View) error {
	_, err := d.transfer("Download", src, dst)
	return err
}

// Fetch copies src at once; the ticket holds the bytes.
func (d *Device) Fetch(src device.View) device.Ticket {
	var t *ticket
	if n := len(d.tickets); n > 0 {
		t = d.tickets[n-1]
		d.tickets = d.tickets[:n-1]
	} else {
		t = &ticket{d: d}
	}
	n := src.Bytes()
	if cap(t.data) < n {
		t.data = make([]byte, n)
	}
	t.data = t.data[:n]
	done, err := d.transfer("Fetch", src, t.data)
	if t.err = err; !done {
		clear(t.data)
	}
	return t
}

// Poll gives the bytes; they are always there.
func (t *ticket) Poll(dst []byte) (bool, error) { return true, t.Wait(dst) }

// Wait gives the bytes.
func (t *ticket) Wait(dst []byte) error {
	if len(dst) != len(t.data) {
		panic(fmt.Sprintf("cpu: a ticket of %d bytes read into %d", len(t.data), len(dst)))
	}
	err := t.err
	if err == nil {
		copy(dst, t.data)
	}
	t.d.tickets = append(t.d.tickets, t)
	return err
}
