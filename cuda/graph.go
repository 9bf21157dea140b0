package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// graph is a captured step: one launch queues all of it.
type graph struct {
	d     *Device
	g     *driver.Graph
	uses  []*memory // what it reads and writes
	calls []recorded
}

// recorded is a call that a step made; run queues its launches and may be called any number of times.
type recorded struct {
	kernel string
	run    func() error
}

// pass is what becomes of launches.
type pass uint8

const (
	queueing  pass = iota // they go to the stream
	priming               // nothing is launched: what launches will need is made ready
	capturing             // they go to the stream, which captures them
)

// Capture records the calls of step as a CUDA graph, in three passes. In the first step runs, on the host alone. The
// second walks over its calls and makes ready what their launches need: scratch memory, and cuBLAS for each product. The
// third queues them while the stream captures, so that then nothing is called but launches. All functions were loaded,
// and all handles made, when the device was opened.
func (d *Device) Capture(step func()) (device.Graph, error) {
	if d.rec != nil {
		return nil, d.notWhileCapturing("Capture")
	}
	if err := d.failed(); err != nil {
		return nil, err
	}
	g := &graph{d: d}
	if err := g.record(step); err != nil {
		return nil, err
	}
	if err := d.scratch.fit(d); err != nil {
		return nil, err
	}
	if d.plan == nil {
		if err := g.capture(); err != nil {
			d.lose(err)
			return nil, err
		}
	}
	g.calls = nil
	return g, nil
}

// record runs step, whose calls come to the gate and stay there.
func (g *graph) record(step func()) error {
	d := g.d
	d.rec, d.illegal = g, nil
	defer func() { d.rec = nil }() // also if step panics
	step()
	return d.illegal
}

// capture makes a graph of what was recorded.
func (g *graph) capture() error {
	d := g.d
	if err := g.walk(priming); err != nil {
		return err
	}
	if err := d.stream.BeginCapture(); err != nil {
		return err
	}
	wrong := g.walk(capturing)
	c, err := d.stream.EndCapture()
	if wrong != nil { // which may be why the end is an error too
		if err == nil {
			_ = c.Close()
		}
		return wrong
	}
	if err != nil {
		return device.WantedFor("a graph", d.full(err, 0))
	}
	g.g = c
	return nil
}

// walk makes the launches of all calls.
func (g *graph) walk(p pass) error {
	d := g.d
	d.pass = p
	defer func() { d.pass = queueing }()
	for _, c := range g.calls {
		if err := c.run(); err != nil {
			return fmt.Errorf("%s: %w", c.kernel, err)
		}
	}
	return nil
}

// Launch queues the calls again.
func (g *graph) Launch() {
	d := g.d
	if d.rec != nil {
		_ = d.notWhileCapturing("Launch")
		return
	}
	if d.failed() != nil || g.g == nil && d.plan == nil {
		return
	}
	hooked := d.gate.Watched()
	if hooked && !d.before(device.Call{Kernel: "Launch"}) {
		return
	}
	if d.plan == nil {
		g.queue()
	}
	if hooked {
		d.gate.After(device.Call{Kernel: "Launch"})
	}
}

func (g *graph) queue() {
	d := g.d
	if err := g.g.Launch(d.stream); err != nil {
		d.fail(err)
	}
	d.seq++
	for _, m := range g.uses {
		m.used = d.seq
	}
	if err := d.marks.add(d); err != nil {
		d.fail(err)
	}
}

// Close releases the recording; the driver keeps what a queued Launch still needs.
func (g *graph) Close() {
	if g.g == nil {
		return
	}
	if err := g.g.Close(); err != nil {
		g.d.fail(err)
	}
	g.g = nil
}
