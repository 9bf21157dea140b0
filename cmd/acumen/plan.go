package main

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
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
and tells the memory by kind, whether that fits and which batch would, and for each kernel the bytes that it touches, its
operations, and what bounds it. Memory is what the true device takes, to the byte; what may be used is what an idle GPU has
for a program, less a sixteenth, as for trainer.batch: auto. The bound is the time at the maker's peak rates; the expected
time supposes 80 % of the bandwidth, 60 % of the operations, and 2 us at least for a kernel. A data set that is not there
counts with its published size.

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
	addSettings(c, "data-dir")
	return c
}

// plan is what training would need.
type plan struct {
	GPU          string              `json:"gpu"`
	Device       string              `json:"device"` // the GPU's full name
	Model        string              `json:"model"`
	Precision    string              `json:"precision"`
	Parameters   int                 `json:"parameters"`
	Data         []int               `json:"data"` // pictures of the sets: training, validation, test, as far as there are
	Batch        int                 `json:"batch"`
	MicroBatches int                 `json:"micro_batches"`
	EvalBatch    int                 `json:"eval_batch"`
	Memory       []trainer.MemoryUse `json:"memory"`
	Bytes        int                 `json:"bytes"` // all of Memory
	Available    int                 `json:"available"`
	Usable       int                 `json:"usable"` // of Available, by training
	Fits         bool                `json:"fits"`
	Fitting      *fitting            `json:"fitting,omitempty"` // what would, if that does not; nil: nothing
	LargestBatch int                 `json:"largest_batch"`     // in one piece; 0: not even a batch of 1
	Kernels      []planned           `json:"kernels"`
	Total        planned             `json:"total"`

	auto bool
	name string // of the data set
}

// fitting is how batches are to be cut, so that they fit.
type fitting struct {
	MicroBatches int `json:"micro_batches"`
	EvalBatch    int `json:"eval_batch"`
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

// planner is what a plan is made of.
type planner struct {
	gpu   string
	net   *model.Network
	train data.Set
	evals []data.Set
	o     trainer.Options
}

func newPlan(cfg *config.Config, gpu string) (*plan, error) {
	w := planner{gpu: gpu}
	var err error
	if w.o, err = options(cfg); err != nil {
		return nil, err
	}
	var test data.Set
	if w.train, test, err = imagine(cfg); err != nil {
		return nil, err
	}
	if w.net, err = buildModel(cfg, w.train.Shape(), len(w.train.Classes())); err != nil {
		return nil, err
	}
	if w.o.Validation != 0 {
		var held data.Set
		if w.train, held, err = data.Split(w.train, w.o.Validation, w.o.Seed); err != nil {
			return nil, err
		}
		w.evals = append(w.evals, held)
	}
	if test != nil {
		w.evals = append(w.evals, test)
	}
	p := &plan{GPU: gpu, Model: w.net.Name, Precision: cfg.Precision, Batch: w.o.Batch, Parameters: w.net.NumParams(), name: w.train.Name(), auto: w.o.MicroBatches == trainer.Auto}
	for _, s := range append([]data.Set{w.train}, w.evals...) {
		p.Data = append(p.Data, s.Len())
	}
	dev, err := w.open(math.MaxInt)
	if err != nil {
		return nil, err
	}
	p.Device, p.Available = device.Describe(dev), dev.Peaks().Memory
	if err := p.fit(&w); err != nil {
		return nil, err
	}
	if err := p.step(dev, &w); err != nil {
		return nil, err
	}
	p.LargestBatch, err = w.largestBatch(p.Usable)
	return p, err
}

// open gives the GPU with so much memory; 0 means what an idle one has, of which a part is left free.
func (w *planner) open(limit int) (device.Planned, error) {
	dev, err := device.Plan(w.gpu)
	if err != nil {
		return nil, err
	}
	if w.o.TF32 && !trainer.HasTF32(dev) {
		return nil, fault.Usagef("use precision f32 or f16", "precision tf32: %s has none", w.gpu)
	}
	if limit > 0 {
		dev.Limit(limit)
	}
	return dev, nil
}

// need is the memory that training takes with o; nil if it is more than limit.
func (w *planner) need(o trainer.Options, limit int) (*trainer.Need, error) {
	dev, err := w.open(limit)
	if err != nil {
		return nil, err
	}
	n, err := trainer.DryRun(dev, w.net, w.train, w.evals, o)
	if _, full := errors.AsType[*device.OutOfMemory](err); full {
		return nil, nil
	}
	return n, err
}

// fit finds what memory training takes, and how batches are to be cut if it is too much.
func (p *plan) fit(w *planner) error {
	idle, err := w.open(0)
	if err != nil {
		return err
	}
	room, _, err := device.Room(idle)
	if err != nil {
		return err
	}
	p.Usable = trainer.Usable(room)
	auto := w.o
	auto.MicroBatches = trainer.Auto
	can, err := w.need(auto, 0)
	if err != nil {
		return err
	}
	if p.auto {
		w.o.MicroBatches, w.o.EvalBatch = w.o.Batch, 1 // the least that there is
		if can != nil {
			w.o.MicroBatches, w.o.EvalBatch = can.MicroBatches, can.EvalBatch
		}
	}
	n, err := w.need(w.o, math.MaxInt)
	if err != nil {
		return err
	}
	p.MicroBatches, p.EvalBatch, p.Memory, p.Bytes = n.MicroBatches, n.EvalBatch, n.Memory, n.Bytes
	p.Fits = p.Bytes <= p.Usable
	if !p.Fits && can != nil {
		p.Fitting = &fitting{can.MicroBatches, can.EvalBatch}
	}
	return nil
}

// step goes through a step of training.
func (p *plan) step(dev device.Planned, w *planner) error {
	o := w.o
	o.NoCapture = true
	e, err := trainer.NewEngine(dev, w.net, w.train, o)
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
	rows := map[string]*planned{}
	undo := device.Hook(dev, func(c device.Call) error {
		if c.Phase == device.After {
			r := rows[c.Kernel]
			if r == nil {
				r = &planned{Kernel: c.Kernel}
				rows[c.Kernel] = r
			}
			rate := peaks.F32
			if product > 0 && isProduct(c.Kernel) {
				rate = product
			}
			r.add(c, peaks.Bandwidth, rate)
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
	return nil
}

// isProduct reports whether a kernel's operations are those of matrix units, where there are any.
func isProduct(kernel string) bool {
	return strings.HasPrefix(kernel, "Conv") || kernel == "MatMul"
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

// largestBatch is the largest batch in one piece whose step fits into so much memory, within a 64th.
func (w *planner) largestBatch(limit int) (int, error) {
	o := w.o
	o.MicroBatches, o.EvalBatch = 1, 1
	fits := func(batch int) (bool, error) {
		o.Batch = batch
		n, err := w.need(o, limit)
		return n != nil, err
	}
	most := min(w.train.Len(), math.MaxInt32/w.net.Largest()) // arrays have at most 2^31-1 elements
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
