package cuda

import (
	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// graph is a captured step: one launch queues all of it.
type graph struct {
	d    *Device
	g    *driver.Graph
	uses []*memory // what it reads and writes
}

// Capture records the calls of step as a CUDA graph. All functions are loaded, all handles made and all scratch taken
// beforehand (Open, and the dry run of the step), so that nothing is called while capturing but launches.
func (d *Device) Capture(step func()) (device.Graph, error) {
	if d.rec != nil {
		return nil, d.notWhileCapturing("Capture")
	}
	if err := d.failed(); err != nil {
		return nil, err
	}
	if err := d.scratch.fit(d); err != nil {
		return nil, err
	}
	if d.plan == nil {
		if err := d.stream.BeginCapture(); err != nil {
			d.fail(err)
			return nil, err
		}
	}
	g := &graph{d: d}
	d.rec, d.illegal = g, nil
	done := false
	defer func() {
		d.rec = nil
		if !done && d.plan == nil { // step panics: the recording ends, and is dropped
			if c, err := d.stream.EndCapture(); err == nil {
				_ = c.Close()
			}
		}
	}()
	step()
	done = true
	if d.plan != nil {
		return g, d.illegal
	}
	c, err := d.stream.EndCapture()
	if d.illegal != nil {
		if err == nil {
			_ = c.Close()
		}
		return nil, d.illegal
	}
	if err != nil {
		return nil, err
	}
	g.g = c
	return g, nil
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
	hooked := len(d.hooks) > 0
	if hooked && !d.before(device.Call{Kernel: "Launch"}) {
		return
	}
	if d.plan == nil {
		g.queue()
	}
	if hooked {
		d.after(device.Call{Kernel: "Launch"})
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
