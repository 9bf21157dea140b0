package cpu

import (
	"fmt"
	"slices"

	"github.com/acumen-ml/acumen/device"
)

// graph is the recorded phases of a step.
type graph struct {
	d      *Device
	phases []phase
	mems   []*memory // what the phases read and write

	launched bool
}

func (g *graph) uses(views []device.View) {
	for _, v := range views {
		if m, ok := v.Mem.(*memory); ok && !slices.Contains(g.mems, m) {
			g.mems = append(g.mems, m)
		}
	}
}

// Capture records the calls of step.
func (d *Device) Capture(step func()) (device.Graph, error) {
	if d.rec != nil {
		return nil, d.notWhileCapturing("Capture")
	}
	if err := d.failed(); err != nil {
		return nil, err
	}
	g := &graph{d: d}
	d.rec, d.illegal = g, nil
	defer func() { d.rec = nil }() // also if step panics
	step()
	if d.illegal != nil {
		return nil, d.illegal
	}
	return g, nil
}

func (d *Device) refuse(err error) {
	if d.illegal == nil {
		d.illegal = err
	}
}

// notWhileCapturing is the error of a call that cannot be recorded; Capture returns the first.
func (d *Device) notWhileCapturing(name string) error {
	err := fmt.Errorf("cpu: %s is not legal while capturing", name)
	d.refuse(err)
	return err
}

// Launch runs the calls again.
func (g *graph) Launch() {
	d := g.d
	if d.rec != nil {
		_ = d.notWhileCapturing("Launch")
		return
	}
	if d.failed() != nil {
		return
	}
	hooked := d.gate.Watched()
	if hooked && !d.before(device.Call{Kernel: "Launch"}) {
		return
	}
	for _, m := range g.mems {
		m.check()
		if g.launched {
			m.enlarge()
		}
	}
	g.launched = true
	for i := range g.phases {
		if d.failed() != nil { // a call of this launch: those after it do nothing
			break
		}
		d.pool.run(&g.phases[i])
	}
	if hooked {
		d.gate.After(device.Call{Kernel: "Launch"})
	}
}

// Close drops the recording.
func (g *graph) Close() { g.phases, g.mems = nil, nil }
