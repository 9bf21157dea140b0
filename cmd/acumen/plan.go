package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
)

// What is reached of a peak, and the least time of a kernel in a graph, by which expected times are guessed.
const (
	reachedBandwidth = 0.8
	reachedFlops     = 0.6
	leastKernel      = 2 * time.Microsecond
)

func (a *app) planCommand() *cobra.Command {
	var gpu string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan [CONFIG]",
		Short: "Tell what training on a GPU would need, without one",
		Long: `plan goes through one training step of a configuration as a GPU of the given model would run it, computing nothing,
and tells the memory by kind, the largest batch that fits, and for each kernel the bytes that it touches, its operations,
and what bounds it. Memory is what the true device takes, to the byte. The bound is the time at the maker's peak rates;
the expected time supposes 80 % of the bandwidth, 60 % of the operations, and 2 us at least for a kernel.

GPU models: ` + strings.Join(device.Models(), ", "),
		Args: arguments(0, 1, "at most one configuration is expected"),
		RunE: func(c *cobra.Command, args []string) error {
			sets, err := settings(c)
			if err != nil {
				return err
			}
			cfg, err := resolve(strings.Join(args, ""), sets)
			if err != nil {
				return err
			}
			p, err := newPlan(cfg, gpu)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				return e.Encode(p)
			}
			return p.write(a.out)
		},
	}
	c.Flags().StringVar(&gpu, "gpu", "h100", "`MODEL`: the GPU to plan for")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addSettings(c)
	return c
}

// plan is what training would need.
type plan struct {
	GPU          string              `json:"gpu"`
	Model        string              `json:"model"`
	Precision    string              `json:"precision"`
	Batch        int                 `json:"batch"`
	Parameters   int                 `json:"parameters"`
	Memory       []trainer.MemoryUse `json:"memory"`
	Bytes        int                 `json:"bytes"` // all of Memory
	Available    int                 `json:"available"`
	LargestBatch int                 `json:"largest_batch"` // 0: not even a batch of 1
	Kernels      []planned           `json:"kernels"`
	Total        planned             `json:"total"`
}

// planned is a kernel of a step, all its calls together.
type planned struct {
	Kernel   string        `json:"kernel"`
	Calls    int           `json:"calls"`
	Bytes    float64       `json:"bytes"`
	Flops    float64       `json:"flops"`
	Bound    time.Duration `json:"bound"`    // at the peaks
	Expected time.Duration `json:"expected"` // a guess
	By       string        `json:"by"`       // memory, operations or launches: what most of the expected time goes to

	spent [3]time.Duration // on launches, memory and operations
}

// imagined is a data set of which only the size is known.
type imagined struct {
	name    string
	shape   [3]int
	classes []string
	labels  []int32
}

func (s imagined) Name() string                 { return s.name }
func (s imagined) Len() int                     { return len(s.labels) }
func (s imagined) Shape() [3]int                { return s.shape }
func (s imagined) Classes() []string            { return s.classes }
func (s imagined) Labels() []int32              { return s.labels }
func (s imagined) Images([]byte, []int32) error { return nil }

// imagine is the training set of a configuration; a folder of pictures is looked through.
func imagine(cfg *config.Config) (data.Set, error) {
	shape, classes, ok := pictures(cfg)
	if !ok {
		train, _, err := loadData(cfg)
		return train, err
	}
	n := map[string]int{"mnist": 60000, "cifar10": 50000}[cfg.Data.Name]
	return imagined{cfg.Data.Name, shape, make([]string, classes), make([]int32, n)}, nil
}

func newPlan(cfg *config.Config, gpu string) (*plan, error) {
	o, err := options(cfg)
	if err != nil {
		return nil, err
	}
	train, err := imagine(cfg)
	if err != nil {
		return nil, err
	}
	net, err := buildModel(cfg, train.Shape(), len(train.Classes()))
	if err != nil {
		return nil, err
	}
	o.NoCapture = true
	p := &plan{GPU: gpu, Model: net.Name, Precision: cfg.Precision, Batch: o.Batch}
	for _, w := range net.Params() {
		n := 1
		for _, d := range w.Shape {
			n *= d
		}
		p.Parameters += n
	}
	if err := p.step(gpu, net, train, o); err != nil {
		return nil, err
	}
	p.LargestBatch, err = largestBatch(gpu, net, train, o)
	return p, err
}

// step goes through a step of training.
func (p *plan) step(gpu string, net *model.Network, train data.Set, o trainer.Options) error {
	dev, e, err := dryEngine(gpu, net, train, o)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.TrainStep(); err != nil { // begins the epoch, too
		return err
	}
	peaks := dev.Peaks()
	product := peaks.F32
	switch {
	case o.Precision.Size() == 2:
		product = peaks.F16
	case o.TF32:
		product = peaks.TF32
	}
	if product == 0 {
		product = peaks.F32
	}
	rows := map[string]*planned{}
	undo := device.Hook(dev, func(c device.Call) error {
		if c.Phase == device.After {
			r := rows[c.Kernel]
			if r == nil {
				r = &planned{Kernel: c.Kernel}
				rows[c.Kernel] = r
			}
			r.add(c, peaks.Bandwidth, product)
		}
		return nil
	})
	err = e.TrainStep()
	undo()
	if err != nil {
		return err
	}
	for _, r := range rows {
		p.Kernels = append(p.Kernels, *r)
		p.Total.Calls += r.Calls
		p.Total.Bytes += r.Bytes
		p.Total.Flops += r.Flops
		p.Total.Bound += r.Bound
		p.Total.Expected += r.Expected
	}
	p.Total.Kernel = "all"
	slices.SortFunc(p.Kernels, func(a, b planned) int {
		if a.Expected != b.Expected {
			return int(b.Expected - a.Expected)
		}
		return strings.Compare(a.Kernel, b.Kernel)
	})
	p.Memory = append(e.Memory(), trainer.MemoryUse{What: "the device's own: scratch, cuBLAS's workspace", Bytes: dev.Own()})
	for _, m := range p.Memory {
		p.Bytes += m.Bytes
	}
	p.Available = peaks.Memory
	return nil
}

func (r *planned) add(c device.Call, bandwidth, flops float64) {
	b, f := device.Traffic(c), c.Flops
	seconds := func(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }
	memory, operations := b/bandwidth, f/flops
	r.Calls++
	r.Bytes += b
	r.Flops += f
	r.Bound += seconds(max(memory, operations))
	expected := max(seconds(max(memory/reachedBandwidth, operations/reachedFlops)), leastKernel)
	r.Expected += expected
	switch {
	case expected == leastKernel:
		r.spent[0] += expected
	case memory/reachedBandwidth > operations/reachedFlops:
		r.spent[1] += expected
	default:
		r.spent[2] += expected
	}
	r.By = [...]string{"launches", "memory", "operations"}[slices.Index(r.spent[:], slices.Max(r.spent[:]))]
}

// dryEngine is an engine on a device that is not there.
func dryEngine(gpu string, net *model.Network, train data.Set, o trainer.Options) (device.Planned, *trainer.Engine, error) {
	dev, err := device.Plan(gpu)
	if err != nil {
		return nil, nil, err
	}
	if o.TF32 && !trainer.HasTF32(dev) {
		return nil, nil, fault.Usagef("use precision f32 or f16", "precision tf32: %s has none", gpu)
	}
	e, err := trainer.NewEngine(dev, net, train, o)
	return dev, e, err
}

// largestBatch is the largest batch in one piece whose step fits.
func largestBatch(gpu string, net *model.Network, train data.Set, o trainer.Options) (int, error) {
	o.MicroBatches, o.EvalBatch = 1, 1
	fits := func(batch int) (bool, error) {
		o.Batch = batch
		_, e, err := dryEngine(gpu, net, train, o)
		if err == nil {
			return true, e.Close()
		}
		if _, full := errors.AsType[interface {
			error
			OutOfMemory() bool
		}](err); full {
			return false, nil
		}
		return false, err
	}
	most := min(train.Len(), math.MaxInt32/net.Largest()) // arrays have at most 2^31-1 elements
	lo, hi := 0, 1
	for ; hi <= most; hi *= 2 {
		ok, err := fits(hi)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		lo = hi
	}
	hi = min(hi, most+1)
	for hi-lo > max(1, lo/64) {
		mid := (lo + hi) / 2
		ok, err := fits(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

func (p *plan) write(w io.Writer) error {
	fmt.Fprintf(w, "%s, %s, batch %d on %s: %d parameters\n\n", p.Model, p.Precision, p.Batch, p.GPU, p.Parameters)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, m := range append(slices.Clone(p.Memory), trainer.MemoryUse{What: "all", Bytes: p.Bytes}) {
		fmt.Fprintf(t, "%d\t%.1f MiB\t %s\n", m.Bytes, float64(m.Bytes)/(1<<20), m.What)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "of %.1f GiB; the largest batch that fits in one piece is about %d\n\n", float64(p.Available)/(1<<30), p.LargestBatch)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "calls\tMB\tGFLOP\tbound, us\texpected, us\t kernel\t by")
	for _, r := range append(slices.Clone(p.Kernels), p.Total) {
		fmt.Fprintf(t, "%d\t%.2f\t%.2f\t%.1f\t%.1f\t %s\t %s\n", r.Calls, r.Bytes/1e6, r.Flops/1e9, r.Bound.Seconds()*1e6, r.Expected.Seconds()*1e6, r.Kernel, r.By)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "about %.0f pictures a second; a guess until it is measured\n", float64(p.Batch)/p.Total.Expected.Seconds())
	return err
}
