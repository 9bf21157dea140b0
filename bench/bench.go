package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/bench/peak"
	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/bench/setup"
	"github.com/acumen-ml/acumen/bench/subject"
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// bench is one run.
type bench struct {
	o       options
	place   setup.Place
	log     io.Writer
	out     io.Writer
	text    bytes.Buffer // all that went to out
	pace    pace
	machine machine
	rates   peak.Rates
	ref     *reference
	ours    *subject.Subject
	peers   map[string]*peer.Peer
	python  *setup.Python
	missing map[string]error // peers that could not be started
	void    []string         // why the run does not count
	failed  []string         // what could not be measured
	floors  []floor

	pythonErr error // why there is no Python
	compared  int   // cases of PyTorch whose speed is known
}

func newBench(o options, place setup.Place, out, log io.Writer) *bench {
	b := &bench{o: o, place: place, out: out, log: log, machine: thisMachine(), ours: subject.New("cpu"), peers: map[string]*peer.Peer{}, missing: map[string]error{}}
	b.ref = referenceFor(b.machine)
	b.pace = pace{rounds: o.rounds, visit: 300 * time.Millisecond, rest: 100 * time.Millisecond, budget: time.Minute}
	if o.quick {
		b.pace.visit, b.pace.budget = 60*time.Millisecond, 2*time.Second
	}
	return b
}

// Write adds to the text and to the output.
func (b *bench) Write(p []byte) (int, error) {
	b.text.Write(p)
	return b.out.Write(p)
}

func (b *bench) close() {
	b.ours.Drop()
	for _, p := range b.peers {
		p.Close()
	}
}

func tableNames() []string {
	names := []string{}
	for _, t := range tables(options{}) {
		names = append(names, t.name)
	}
	for _, t := range processTables {
		names = append(names, t.name)
	}
	return append(names, "step-profile", quietTable)
}

// tables are those of cases.
func tables(o options) []*table {
	peers := func(names ...string) []string {
		if o.quick {
			return nil
		}
		return names
	}
	all := []*table{
		{name: "matmul", title: "Matrix products, f32", unit: "GFLOP/s", scale: 1e9, entries: matmulEntries(), kernel: true, peers: peers(tuned, openBLAS, gonum, gomlx), better: peers(tuned, openBLAS)},
		{name: "linear", title: "Linear layers, f32", unit: "GFLOP/s", scale: 1e9, entries: linearEntries(linearLayers...), peers: peers(tuned)},
		{name: "conv2d", title: "Convolutions 3x3, batch 256, f32", unit: "GFLOP/s", scale: 1e9, entries: conv2DEntries(), peers: peers(tuned)},
		{name: "passes", title: "Single passes, f32", unit: "G elements/s", scale: 1e9, entries: passEntries(), peers: peers(tuned)},
		{name: "steps", title: "Training steps, f32", unit: "pictures/s", scale: 1, entries: stepEntries(), peers: peers(tuned, stock)},
		{name: "bf16", title: "Training steps, bf16", unit: "pictures/s", scale: 1, entries: bf16Entries(), peers: peers(tuned), peak: peak.BF16},
		{name: "gomlx", title: "What gomlx can do, f32", unit: "calls/s", scale: 1, entries: gomlxEntries(), peers: peers(gomlx)},
		{name: "infer", title: "Inference, f32", unit: "pictures/s", scale: 1, entries: inferEntries(), peers: peers(tuned)},
	}
	if !o.quick {
		return all
	}
	for _, t := range all {
		switch t.name {
		case "linear":
			t.entries = linearEntries([3]int{128, 1024, 4096})
		case "passes":
			for i := range t.entries {
				e := &t.entries[i]
				if e.c.Size > 0 {
					e.c.Batch, e.work = e.c.Batch/8, e.work/8
				}
			}
		case "steps":
			t.entries = []entry{netEntry("step", "cifar94", 128, "f32"), netEntry("step", "resnet18", 32, "f32"), netEntry("step", "resnet20", 128, "f32"), netEntry("step", "lenet5-wide", 64, "f32"), netEntry("step", "mlp", 128, "f32")}
		case "bf16":
			t.entries = []entry{netEntry("step", "cifar94", 128, "bf16")}
		}
	}
	return all
}

// all measures what is asked for.
func (b *bench) all(ctx context.Context) error {
	if err := b.header(); err != nil {
		return err
	}
	for _, t := range tables(b.o) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !b.o.wants(t.name) || b.o.quick && needsPeers(t.name):
			continue
		case t.name == "bf16" && len(b.o.only) == 0 && !b.fastBF16():
			fmt.Fprintf(b, "\n## %s\n\nThis processor has no bf16 dot instruction that is faster than f32: not measured.\n", t.title)
			continue
		}
		if err := b.table(ctx, t); err != nil {
			return err
		}
	}
	if !b.o.quick {
		if err := b.processes(ctx); err != nil {
			return err
		}
	}
	if b.o.wants(quietTable) && (!b.o.quick || len(b.o.only) > 0) {
		if err := b.quietMoments(ctx); err != nil {
			return err
		}
	}
	if b.o.wants("step-profile") {
		if err := b.stepProfile(); err != nil {
			return err
		}
	}
	return b.save()
}

// fastBF16 reports whether the processor has bf16 dot products that are worth having.
func (b *bench) fastBF16() bool {
	n := b.o.threads[0]
	dot := b.rates.Of(b.rates.HalfKind(n), n)
	return dot > 0 && dot > 1.1*b.rates.F32(n)
}

// header says what is measured, with what and where, and measures the peaks.
func (b *bench) header() error {
	m := b.machine
	fmt.Fprintf(b, "# Speed, %s\n\n", time.Now().Format(time.DateOnly))
	fmt.Fprintf(b, "* processor: %s, family %d, model %d, %s", m.model, m.family, m.index, plural(m.cpus, "CPU"))
	if b.ref != nil {
		fmt.Fprintf(b, " (%s)", b.ref.kind)
	}
	fmt.Fprintf(b, "\n* load when it began: %.2f\n", m.load)
	if m.load > 0.5 {
		fmt.Fprintf(b.log, "bench: the machine is busy (load %.2f): what is measured now says little\n", m.load)
	}
	d, err := device.Open("cpu")
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "* acumen %s, %s %s/%s, device %s\n", b.version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, device.Describe(d))
	if err := d.Close(); err != nil {
		return err
	}
	fmt.Fprintf(b, "* command: `%s`\n", strings.TrimSpace(b.o.command))
	fmt.Fprintf(b, "* medians of %d visits (3 at most for memory), acumen and its peers in turn; a star marks fewer; ratio = acumen's speed / the peer's; in brackets the share of the peak, which is measured in turn with them\n", b.o.rounds)
	b.say("peaks")
	rounds := 9
	if b.o.quick {
		rounds = 5
	}
	b.rates = peak.Measure(b.o.threads, rounds)
	rows := [][]string{{"peak", "threads", "median", "highest", "unit"}}
	for _, r := range b.rates {
		rows = append(rows, []string{string(r.Kind), fmt.Sprint(r.Threads), number(r.Median), number(r.Best), r.Kind.Unit()})
	}
	fmt.Fprint(b, "\n## Peaks of the machine\n\n")
	if len(b.rates) == 0 {
		_, err := fmt.Fprintln(b, "There is no assembly for this processor: not measured.")
		return err
	}
	return markdown(b, rows)
}

// version is that of the working tree.
func (b *bench) version() string {
	cmd := exec.Command("git", "describe", "--tags", "--always", "--dirty")
	cmd.Dir = b.place.Root
	out, err := cmd.Output()
	if err != nil {
		return "of unknown version"
	}
	return strings.TrimSpace(string(out))
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// table measures and writes one.
func (b *bench) table(ctx context.Context, t *table) error {
	sides := []side{{acumen, b.ours}}
	for _, name := range t.peers {
		if p := b.peer(ctx, name); p != nil {
			sides = append(sides, side{name, p})
		}
	}
	var results []result
	for _, e := range t.entries {
		for _, n := range b.o.threads {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			b.say("%s: %s, %s", t.name, e.label, plural(n, "thread"))
			r := result{entry: e, threads: n, times: map[string]timing{}}
			visited := sides
			if kind := t.kind(n, b.rates); e.flops > 0 && b.rates.Of(kind, n) > 0 {
				visited = slices.Insert(slices.Clone(sides), 1, side{thePeak, ceiling{kind}})
			}
			if t.kernel {
				visited = slices.Insert(slices.Clone(visited), len(visited)-len(sides)+1, side{alone, kernelAlone{e.flops}})
			}
			for i, x := range b.pace.compare(e.c, n, visited) {
				r.times[visited[i].name] = x
				var lacks *peer.LacksError
				if x.err != nil && !errors.As(x.err, &lacks) {
					b.failed = append(b.failed, fmt.Sprintf("%s, %s: %v", t.name, e.label, x.err))
				}
			}
			results = append(results, r)
			sides = b.alive(sides, r)
		}
		for _, s := range sides {
			if err := s.Drop(); err != nil {
				b.failed = append(b.failed, fmt.Sprintf("%s, %s: %v", t.name, e.label, err))
			}
		}
	}
	slow, compared := b.ref.slow(t, results)
	b.void = append(b.void, slow...)
	b.compared += compared
	b.floors = append(b.floors, t.floors(results, b.kind(), b.rates)...)
	if err := t.write(b, results, b.rates, b.o.rounds); err != nil {
		return err
	}
	return b.save()
}

// alive leaves out peers that ended in a case: the next table starts them again.
func (b *bench) alive(sides []side, r result) []side {
	return slices.DeleteFunc(slices.Clone(sides), func(s side) bool {
		var ended *peer.EndedError
		if !errors.As(r.times[s.name].err, &ended) {
			return false
		}
		_ = b.peers[s.name].Close() // what it said is in the error
		delete(b.peers, s.name)
		return true
	})
}

// peer is a running peer, nil if it cannot be had.
func (b *bench) peer(ctx context.Context, name string) *peer.Peer {
	if p, ok := b.peers[name]; ok {
		return p
	}
	if _, ok := b.missing[name]; ok || ctx.Err() != nil {
		return nil
	}
	cmd, err := b.peerCommand(ctx, name)
	var p *peer.Peer
	if err == nil {
		p, err = peer.Start(name, cmd)
	}
	if ctx.Err() != nil {
		return nil // interrupted: nothing is said of it
	}
	if err != nil {
		b.missing[name] = err
		b.failed = append(b.failed, fmt.Sprintf("%s: %v", name, err))
		fmt.Fprintf(b.log, "bench: %s is left out: %v\n", name, err)
		if h := fault.HintOf(err); h != "" {
			fmt.Fprintf(b.log, "hint: %s\n", h)
		}
		return nil
	}
	b.peers[name] = p
	fmt.Fprintf(b, "\n%s: %s\n", name, p.About)
	return p
}

func (b *bench) peerCommand(ctx context.Context, name string) (*exec.Cmd, error) {
	if name == gonum || name == gomlx {
		path, err := b.place.Peer(name)
		if err != nil {
			return nil, err
		}
		return exec.Command(path), nil
	}
	if err := b.setUpPython(ctx); err != nil {
		return nil, err
	}
	switch name {
	case openBLAS:
		return b.python.Command(setup.Stock, "numpy_peer.py"), nil
	case stock:
		return b.python.Command(setup.Stock, "torch_peer.py"), nil
	}
	return b.python.Command(setup.Tuned, "torch_peer.py"), nil
}

// setUpPython is tried once: what fails takes minutes, and fails again.
func (b *bench) setUpPython(ctx context.Context) error {
	if b.python == nil && b.pythonErr == nil && ctx.Err() == nil {
		b.python, b.pythonErr = b.place.Python()
	}
	return cmp.Or(ctx.Err(), b.pythonErr)
}

// save writes what there is to the file, if one is named.
func (b *bench) save() error {
	if b.o.file == "" {
		return nil
	}
	return os.WriteFile(b.o.file, b.text.Bytes(), 0o666)
}

// kind is the machine's, if it is one of those that are known.
func (b *bench) kind() string {
	if b.ref == nil {
		return ""
	}
	return b.ref.kind
}

// verdict ends the text and says whether the run counts.
func (b *bench) verdict(took time.Duration) error {
	if len(b.floors) > 0 && !b.o.quick {
		if err := writeFloors(b, b.floors); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "\nIt took %s.\n", took.Round(time.Second))
	measured := slices.Contains(b.started(), tuned)
	switch {
	case len(b.void) > 0:
		fmt.Fprintf(b, "\n**This run is void**: tuned PyTorch was slower than %.0f %% of what it does on a quiet machine of this kind:\n\n", 100*leastOfReference)
		for _, v := range b.void {
			fmt.Fprintln(b, "* "+v)
		}
	case measured && b.ref == nil:
		fmt.Fprint(b, "\nFor this kind of machine no speeds of PyTorch are known: whether it was quiet was not checked.\n")
	case measured && b.compared == 0:
		fmt.Fprint(b, "\nFor these rows no speeds of PyTorch are known: whether the machine was quiet was not checked.\n")
	case measured:
		fmt.Fprintf(b, "\nThe run counts: where its speed is known, in %s, tuned PyTorch reached at least %.0f %% of it.\n", plural(b.compared, "case"), 100*leastOfReference)
	}
	if err := b.save(); err != nil {
		return err
	}
	if len(b.failed) > 0 {
		return fault.Failuref("the tables have the rest", "not measured:\n%s", strings.Join(b.failed, "\n"))
	}
	if len(b.void) > 0 {
		return fault.Failuref("run it again when nothing else does", "the run is void")
	}
	return nil
}

func (b *bench) started() []string {
	var names []string
	for name := range b.peers {
		names = append(names, name)
	}
	return names
}
