package device

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Profiler adds up, for each kernel of one device, calls, time, bytes and operations. It is a hook: a replayed Graph is
// one call, "Launch", to it, so what is to be seen kernel by kernel must run uncaptured. The time of a call goes from
// Before to After. A device that only queues its calls has a method Drain(), which waits for all of them and leaves the
// sticky error alone; the profiler calls it after each, so that a profiled step is slower than its usual form.
type Profiler struct {
	// Shapes tells calls of one kernel apart by the shape of what they write first and of what they read first.
	Shapes bool

	rows  map[string]*ProfileRow
	begun time.Time
	drain func()
	undo  func()
}

// ProfileRow is what a Profiler knows of one kernel.
type ProfileRow struct {
	Kernel string        // as in Call, and shapes if they are asked for
	Calls  int           // that went through
	Time   time.Duration // of all calls
	Bytes  float64       // written and read: each element that a call may touch counts once, a broadcast one too
	Flops  float64       // as the device reported them; 0 where it does not count them
}

// drainer is a device whose calls are queued.
type drainer interface{ Drain() }

// NewProfiler begins to profile d, until Stop.
func NewProfiler(d Device) *Profiler {
	p := &Profiler{rows: map[string]*ProfileRow{}, drain: func() {}}
	if q, ok := As[drainer](d); ok {
		p.drain = q.Drain
	}
	p.drain()
	p.undo = Hook(d, p.see)
	return p
}

// Stop ends profiling; a second call does nothing.
func (p *Profiler) Stop() {
	if p.undo != nil {
		p.undo()
		p.undo = nil
	}
}

func (p *Profiler) see(c Call) error {
	if c.Phase == Before {
		p.begun = time.Now()
		return nil
	}
	p.drain()
	took := time.Since(p.begun)
	name := c.Kernel
	if p.Shapes {
		name = shaped(c)
	}
	r := p.rows[name]
	if r == nil {
		r = &ProfileRow{Kernel: name}
		p.rows[name] = r
	}
	r.Calls++
	r.Time += took
	r.Flops += c.Flops
	r.Bytes += Traffic(c)
	return nil
}

// shaped is a call's kernel with the shapes of the first views that it writes and reads.
func shaped(c Call) string {
	name := c.Kernel
	for _, v := range [...]struct {
		word  string
		views []View
	}{{"", c.Writes}, {"of ", c.Reads}} {
		if len(v.views) > 0 && v.views[0].Valid() {
			name += fmt.Sprintf(" %s%v", v.word, v.views[0].Shape())
		}
	}
	return name
}

// Traffic is the bytes that a call touches. Of a table that is read or written by index it is those of the rows.
func Traffic(c Call) float64 {
	limit := func(View) float64 { return 1 << 62 }
	switch {
	case (c.Kernel == "Gather" || c.Kernel == "Augment") && len(c.Writes) == 1:
		limit = func(v View) float64 { return float64(c.Writes[0].Len() * v.Type.Size()) }
	case c.Kernel == "ScatterAdd" && len(c.Reads) > 0:
		limit = func(v View) float64 { return float64(c.Reads[0].Len() * v.Type.Size()) }
	}
	var n float64
	for _, vs := range [...][]View{c.Writes, c.Reads} {
		for _, v := range vs {
			n += min(touched(v), limit(v))
		}
	}
	return n
}

// touched is the number of bytes in which a view's elements lie: broadcast axes and overlapping windows count once.
func touched(v View) float64 {
	if !v.Valid() || v.Len() == 0 {
		return 0
	}
	elements, reach := 1, 1
	for i := range int(v.Rank) {
		if s := int(v.Str[i]); s != 0 {
			elements *= int(v.Dim[i])
			reach += (int(v.Dim[i]) - 1) * max(s, -s)
		}
	}
	return float64(min(elements, reach) * v.Type.Size())
}

// Rows is what was seen, the longest time first.
func (p *Profiler) Rows() []ProfileRow {
	var rows []ProfileRow
	for _, name := range slices.Sorted(maps.Keys(p.rows)) {
		rows = append(rows, *p.rows[name])
	}
	slices.SortStableFunc(rows, func(a, b ProfileRow) int { return cmp.Compare(b.Time, a.Time) })
	return rows
}

// Table writes Rows for people, each with its share of the time, gigabytes per second and billions of operations per
// second, and a line of totals.
func (p *Profiler) Table(w io.Writer) error {
	rows := p.Rows()
	total := ProfileRow{Kernel: "total"}
	for _, r := range rows {
		total.Calls += r.Calls
		total.Time += r.Time
		total.Bytes += r.Bytes
		total.Flops += r.Flops
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "time\tshare\tcalls\tGB/s\tGFLOP/s\t kernel")
	for _, r := range append(rows, total) {
		rate := func(x float64) string {
			if x == 0 || r.Time == 0 {
				return "-"
			}
			return fmt.Sprintf("%.2f", x/1e9/r.Time.Seconds())
		}
		share := 0.0
		if total.Time > 0 {
			share = 100 * r.Time.Seconds() / total.Time.Seconds()
		}
		fmt.Fprintf(t, "%.3f ms\t%.1f %%\t%d\t%s\t%s\t %s\n", r.Time.Seconds()*1e3, share, r.Calls, rate(r.Bytes), rate(r.Flops), r.Kernel)
	}
	return t.Flush()
}
