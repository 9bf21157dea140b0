package trainer

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/metric"
	"github.com/acumen-ml/acumen/trainer/optim"
)

// Philox streams of the trainer; a Tape's own count up from 1.
const (
	streamOrder   = 1 << 17
	streamAugment = 1<<17 + 1
)

// Scalars that outlive a launch, in one view of the accumulation type.
const (
	scalStepLoss    = iota // mean loss of the step so far, micro-batches added
	scalStepCorrect        // right answers of the step so far
	scalLoss               // of the last step
	scalAccuracy
	scalEpochLoss // sums over the epoch, weighted by examples
	scalEpochCorrect
	scalEpochCount
	scalNorm    // gradient norm of the last step, if clipping by norm
	scalLR      // learning rate of the last step
	scalPlateau // factor on the learning rate that the host sets between epochs
	scalAlive   // 1 until a loss or gradient is not finite; then nothing is written any more
	scalOK      // alive, and this step finite
	scalOne     // always 1
	// Checkpoints of before loss scaling end here.
	scalLossScale // what gradients are multiplied with
	scalGrowth    // finite steps since a dynamic loss scale last changed
	scalSkipped   // steps that a dynamic loss scale has skipped
	scalLen
)

// Counters, in one I32 view: the first four are the Philox state.
const (
	countSeedLo = iota
	countSeedHi
	countStep
	countMicro
	countCursor // first example of this step, in the epoch's order
	countEval   // first example of the next evaluation batch
	countLen
)

// Engine is a network in training on a device: weights, optimiser state, data and step forms. One goroutine uses it.
//
// A step is recorded once per form and replayed: every number that changes from launch to launch (learning rate, step,
// position in the data) lies on the device. A step whose loss or gradient is not finite writes nothing, and neither
// does any later one, so that the host may look whenever it likes and still finds the state before the fault. Only a
// dynamic loss scale goes on after a gradient that is not finite.
type Engine struct {
	dev   device.Device
	net   *model.Network
	opt   Options
	math  arithmetic
	store *model.Storage
	tape  *ops.Tape
	mems  []device.Memory

	states          [][]device.View // per group, per state
	flats           []device.View   // per state, all groups
	groups          []optim.Group
	scal, count     device.View
	hyper, table    device.View
	order           device.View
	train           *feed
	accs            *metric.Accumulator
	forms           map[form]device.Graph
	arena           device.Memory
	plan            epochPlan
	total           int // updates in the whole run
	step            int // updates launched, as the host counts them
	perGraph        int // steps that one graph holds where nothing comes between
	trainAug, plain device.Augment
	evals           map[data.Set]*feed
	begun           bool // the order of the present epoch is drawn
	planned         bool // the device is not there: nothing has values
	pending         []pendingMetrics
	scalBytes       []byte
}

type formKind uint8

const (
	formSteps formKind = iota
	formMicro
	formUpdate
	formEpoch
	formEval
	formEvalReset
)

// form is a piece of a step that is captured by itself; equal forms are the same graph.
type form struct {
	kind   formKind
	n      int     // examples; of steps, those of each
	steps  int     // steps: how many
	weight float64 // micro-batch: its share of the step
	total  int     // update: examples of the step
	slot   int     // staging buffer, -1 if the data is resident
	feed   *feed
}

func scalar(v device.View, i int) device.View { return device.Make(v.Mem, v.Type, v.Off+i) }

func (e *Engine) alloc(t device.DType, dims ...int) (device.View, error) {
	n := t.Size()
	for _, d := range dims {
		n *= d
	}
	m, err := e.dev.Alloc(max(n, 1))
	if err != nil {
		return device.View{}, err
	}
	e.mems = append(e.mems, m)
	return device.Make(m, t, 0, dims...), nil
}

// accType is the type of losses and scalars.
func (e *Engine) accType() device.DType {
	if e.opt.Precision == device.F64 {
		return device.F64
	}
	return device.F32
}

// NewEngine binds net to dev for training on the set train. Options that concern files, events and epochs' ends are
// Fit's. The engine owns its memory on dev until Close, not dev itself.
func NewEngine(dev device.Device, net *model.Network, train data.Set, o Options) (*Engine, error) {
	return newEngine(dev, net, train, nil, o)
}

// newEngine is NewEngine with the sets that will be evaluated: they are brought to the device, too.
func newEngine(dev device.Device, net *model.Network, train data.Set, evals []data.Set, o Options) (*Engine, error) {
	o, err := o.complete(net, train)
	if err != nil {
		return nil, err
	}
	if err := CheckPrecision(dev, o.Precision, o.TF32); err != nil {
		return nil, err
	}
	if o, _, err = o.cut(dev, net, train, evals); err != nil {
		return nil, err
	}
	e := &Engine{dev: dev, net: net, opt: o, math: arithmeticOf(dev, o.Precision, o.TF32), forms: map[form]device.Graph{}, evals: map[data.Set]*feed{}}
	_, e.planned = device.As[device.Planned](dev)
	err = e.setup(train)
	for _, s := range evals {
		if err == nil {
			_, err = e.evalFeed(s)
		}
	}
	if err != nil {
		e.Close()
		return nil, tooLarge(err, dev, net, train, evals, o)
	}
	return e, nil
}

func (e *Engine) setup(train data.Set) error {
	o := e.opt
	e.plan = planEpoch(train.Len(), o.Batch, o.MicroBatches, o.DropLast)
	e.total = e.plan.steps() * o.Epochs
	paths := []string{}
	for _, p := range e.net.Params() {
		paths = append(paths, p.Path)
	}
	assigned, err := optim.Assign(paths, o.Groups)
	if err != nil {
		return err
	}
	groupOf := map[string]int{}
	for i, p := range paths {
		groupOf[p] = assigned[i]
	}
	e.groups = append([]optim.Group{{LRScale: 1}}, o.Groups...)
	e.store, err = model.NewStorage(e.dev, e.net, model.StorageOptions{Type: e.math.typ, Train: true, Groups: len(e.groups),
		Group: func(path string, p *model.Param) int {
			if g := groupOf[path]; !e.groups[g].Freeze {
				return g
			}
			return -1
		}})
	if err != nil {
		return err
	}
	for range o.Optimizer.States() {
		flat, err := e.store.Flat()
		if err != nil {
			return device.WantedFor(ofStates, err)
		}
		e.flats = append(e.flats, flat)
	}
	for g := range e.groups {
		lo, hi := e.store.Range(g)
		var vs []device.View
		for _, f := range e.flats {
			vs = append(vs, f.Slice(0, lo, hi-lo, 1))
		}
		e.states = append(e.states, vs)
	}
	acc := e.accType()
	for _, a := range []struct {
		v    *device.View
		t    device.DType
		dims []int
	}{
		{&e.scal, acc, []int{scalLen}}, {&e.count, device.I32, []int{countLen}}, {&e.hyper, acc, []int{device.HyperLen}},
		{&e.table, acc, []int{e.total}}, {&e.order, device.I32, []int{train.Len()}},
	} {
		if *a.v, err = e.alloc(a.t, a.dims...); err != nil {
			return device.WantedFor(ofCounters, err)
		}
	}
	e.scalBytes = make([]byte, e.scal.Bytes())
	if e.accs, err = metric.NewAccumulator(e.dev, e.net.Classes); err != nil {
		return device.WantedFor(ofCounters, err)
	}
	if e.train, err = e.newFeed(train, min(o.Batch/o.MicroBatches, train.Len())); err != nil {
		return err
	}
	e.tape = ops.NewTape(e.dev, nil)
	e.tape.RNG = e.count.Slice(0, 0, 4, 1)
	e.store.Bind(e.tape)
	e.trainAug = o.Augment.Device(o.Mean, o.Std)
	e.trainAug.Stream = streamAugment
	e.plain = augment.Spec{}.Device(o.Mean, o.Std)
	factors, err := o.Schedule.Table(e.total)
	if err != nil {
		return err
	}
	for i := range factors {
		factors[i] *= o.Optimizer.LearningRate()
	}
	e.upload(e.table, factors)
	if !e.planned {
		if !e.net.Initialised() {
			e.net.Init(o.Seed)
		}
		if err := e.store.Upload(); err != nil {
			return err
		}
	}
	e.dev.Fill(e.store.G, 0)
	e.setScalars(nil)
	e.setCounters(0, 0, 0)
	e.step = 0
	if err := e.dev.Sync(); err != nil {
		return err
	}
	if err := e.sizeArena(); err != nil {
		return err
	}
	e.perGraph = e.chooseSteps()
	return nil
}

// do launches a form, capturing it when it is first asked for.
func (e *Engine) do(f form) error {
	if e.opt.NoCapture { // which findFault and the profiler set in the middle of a run
		e.run(f)
		return nil
	}
	g, ok := e.forms[f]
	if !ok {
		var err error
		if g, err = e.dev.Capture(func() { e.run(f) }); err != nil {
			return err
		}
		e.forms[f] = g
	}
	g.Launch()
	return nil
}

// run makes the kernel calls of a form.
func (e *Engine) run(f form) {
	e.math.choose(e.dev)
	switch f.kind {
	case formSteps:
		for range f.steps {
			for _, p := range e.parts(f.n, f.slot) {
				e.run(p)
			}
		}
	case formMicro:
		e.micro(f)
	case formUpdate:
		e.update(f)
	case formEpoch:
		e.startEpoch()
	case formEval:
		e.evalBatch(f)
	case formEvalReset:
		e.accs.Reset(e.tape)
		e.dev.Fill(scalar(e.count, countEval), 0)
	}
	e.tape.Reset()
	if n := e.tape.Arena.Live(); n != 0 {
		panic(fmt.Sprintf("trainer: %d bytes of the step arena are still in use after form %d", n, f.kind))
	}
}

// Close frees all that the engine has on the device.
func (e *Engine) Close() error {
	err := e.dev.Sync()
	arithmetic{}.choose(e.dev)
	for _, g := range e.forms {
		g.Close()
	}
	e.train.stop()
	for _, f := range e.evals {
		f.stop()
	}
	for _, m := range e.mems {
		m.Free()
	}
	if e.arena != nil {
		e.arena.Free()
	}
	if e.accs != nil {
		e.accs.Close()
	}
	if e.store != nil {
		e.store.Close()
	}
	e.mems, e.arena, e.store, e.accs, e.forms, e.evals = nil, nil, nil, nil, nil, nil
	return err
}

// StateBytes and ArenaBytes are the device memory that lives for the whole run, and that a step's temporaries need.
func (e *Engine) StateBytes() int {
	n := e.store.Bytes() + e.accs.Bytes()
	for _, m := range e.mems {
		n += m.Bytes()
	}
	return n
}

// ArenaBytes is the size of the step arena.
func (e *Engine) ArenaBytes() int { return e.arena.Bytes() }

// Step is the number of updates so far; Steps the number in the whole run; StepsPerEpoch in one epoch.
func (e *Engine) Step() int { return e.step }

// Steps is the number of updates in the whole run.
func (e *Engine) Steps() int { return e.total }

// StepsPerEpoch is the number of updates in an epoch.
func (e *Engine) StepsPerEpoch() int { return e.plan.steps() }

// limit is the update at which training ends, however the schedule goes on.
func (e *Engine) limit() int {
	if e.opt.MaxSteps > 0 {
		return min(e.opt.MaxSteps, e.total)
	}
	return e.total
}

// seen is the number of examples trained on, repeats counted.
func (e *Engine) seen() int { return e.plan.seen(e.step) }

// Download waits for the device and gives the network's parameters and buffers new host values.
func (e *Engine) Download() error { return e.store.Download() }
