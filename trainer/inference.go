package trainer

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/metric"
)

// InferenceOptions say how a network runs that is no longer trained.
type InferenceOptions struct {
	Batch     int          // pictures of one pass; default 64
	Mean, Std []float64    // of pixel/255 per channel, as in training
	Loss      Loss         // of training: it says what the outputs mean
	Precision device.DType // of activations: device.F32 (default), F64, F16 or BF16
	TF32      bool         // products of f32 numbers may be TF32; an error on a device without it
}

// Inference is a network on a device with its weights only, in evaluation mode. One goroutine uses it.
type Inference struct {
	dev   device.Device
	net   *model.Network
	opt   InferenceOptions
	math  arithmetic
	store *model.Storage
	tape  *ops.Tape
	in    device.View // U8 (batch,H,W,C)
	label device.View // I32 (batch)
	aug   device.Augment
	accs  *metric.Accumulator
	mems  []device.Memory
	arena device.Memory
	sized map[pass]bool // passes whose need of memory is known
}

// pass is what the memory that a pass needs depends on.
type pass struct {
	n        int
	evaluate bool
}

// NewInference puts the weights of net, which must have values, on dev. The CPU reads f32 weights where they are: until
// Close nobody may change the values of net's parameters.
func NewInference(dev device.Device, net *model.Network, o InferenceOptions) (*Inference, error) {
	orDefault(&o.Batch, 64)
	orDefault(&o.Loss.Name, "cross_entropy")
	if err := CheckPrecision(dev, o.Precision, o.TF32); err != nil {
		return nil, err
	}
	if err := (augment.Spec{}).Check(net.Input, o.Mean, o.Std); err != nil {
		return nil, err
	}
	i := &Inference{dev: dev, net: net, opt: o, math: arithmeticOf(dev, o.Precision, o.TF32), tape: ops.NewTape(dev, nil), aug: augment.Spec{}.Device(o.Mean, o.Std), sized: map[pass]bool{}}
	if err := i.setup(); err != nil {
		i.Close()
		return nil, i.tooLarge(err, o.Batch)
	}
	return i, nil
}

func (i *Inference) setup() (err error) {
	if i.store, err = model.NewStorage(i.dev, i.net, model.StorageOptions{Type: i.math.typ, Borrow: true}); err != nil {
		return err
	}
	if err = i.store.Upload(); err != nil {
		return err
	}
	i.store.Bind(i.tape)
	s := i.net.Input
	if i.in, err = i.alloc(device.U8, i.opt.Batch, s[0], s[1], s[2]); err != nil {
		return device.WantedFor(ofData, err)
	}
	if i.label, err = i.alloc(device.I32, i.opt.Batch); err != nil {
		return device.WantedFor(ofData, err)
	}
	i.accs, err = metric.NewAccumulator(i.dev, i.net.Classes)
	return err
}

func (i *Inference) alloc(t device.DType, dims ...int) (device.View, error) {
	n := t.Size()
	for _, d := range dims {
		n *= d
	}
	m, err := i.dev.Alloc(max(n, 1))
	if err != nil {
		return device.View{}, err
	}
	i.mems = append(i.mems, m)
	return device.Make(m, t, 0, dims...), nil
}

// forward runs p.n uploaded pictures and hands the outputs (n, classes) to use.
func (i *Inference) forward(p pass, use func(y *ops.Tensor)) error {
	n := p.n
	run := func() {
		i.math.choose(i.dev)
		i.tape.Train = false
		defer i.tape.NoGrad()()
		index := i.tape.Arena.Get(device.I32, n)
		i.dev.Iota(index, 0, 0, 1)
		x := augment.Batch(i.tape, i.in.Slice(0, 0, n, 1), index, i.aug, i.math.typ)
		i.tape.Arena.Put(index)
		y := i.net.Forward(i.tape, x)
		i.tape.Release(x)
		use(y)
		i.tape.Release(y)
		i.tape.Reset()
	}
	if !i.sized[p] {
		phantom := device.Phantom()
		i.tape.Arena = phantom
		device.DryRun(i.dev, run)
		if err := i.grow(phantom.High()); err != nil {
			return err
		}
		i.sized[p] = true
	}
	run()
	return nil
}

// grow makes the arena at least so large.
func (i *Inference) grow(bytes int) error {
	if i.arena == nil || i.arena.Bytes() < bytes {
		if err := i.dev.Sync(); err != nil {
			return err
		}
		if i.arena != nil {
			i.arena.Free()
			i.arena = nil
		}
		m, err := i.dev.Alloc(max(bytes, device.Align))
		if err != nil {
			return device.WantedFor(ofPasses, err)
		}
		i.arena = m
	}
	i.tape.Arena = device.NewArena(i.arena)
	return nil
}

// Predict gives for each picture of images, H*W*C bytes each in (H,W,C) order, a number per class between 0 and 1: the
// softmax of the outputs of a network trained with cross entropy, the sigmoid of each after bce, and after mse and l1,
// whose targets were 0 and 1, the outputs themselves, cut off there.
func (i *Inference) Predict(images []byte) ([][]float64, error) {
	all, err := i.predict(images)
	return all, i.tooLarge(err, i.opt.Batch)
}

func (i *Inference) predict(images []byte) ([][]float64, error) {
	s := i.net.Input
	size := s[0] * s[1] * s[2]
	if len(images)%size != 0 {
		panic("trainer.Inference.Predict: not a whole number of pictures")
	}
	typ := device.F32
	if i.opt.Precision == device.F64 {
		typ = device.F64
	}
	out, err := i.alloc(typ, i.opt.Batch, i.net.Classes)
	if err != nil {
		return nil, err
	}
	defer func() {
		i.mems[len(i.mems)-1].Free()
		i.mems = i.mems[:len(i.mems)-1]
	}()
	var all [][]float64
	for total := len(images) / size; len(all) < total; {
		n := min(i.opt.Batch, total-len(all))
		i.dev.Upload(i.in.Slice(0, 0, n, 1), images[len(all)*size:(len(all)+n)*size])
		rows := out.Slice(0, 0, n, 1)
		if err := i.forward(pass{n, false}, func(y *ops.Tensor) { i.dev.Copy(rows, y.Value()) }); err != nil {
			return nil, err
		}
		b := make([]byte, rows.Bytes())
		if err := i.dev.Download(b, rows); err != nil {
			return nil, err
		}
		for range n {
			row := make([]float64, i.net.Classes)
			for k := range row {
				if typ == device.F64 {
					row[k], b = math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
				} else {
					row[k], b = float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), b[4:]
				}
			}
			i.opt.Loss.probabilities(row)
			all = append(all, row)
		}
	}
	return all, nil
}

// probabilities turns a network's outputs for one picture into numbers between 0 and 1, in place.
func (l Loss) probabilities(row []float64) {
	switch l.Name {
	case "bce":
		for k, v := range row {
			row[k] = 1 / (1 + math.Exp(-v))
		}
	case "mse", "l1":
		for k, v := range row {
			row[k] = min(max(v, 0), 1)
		}
	default:
		top, sum := math.Inf(-1), 0.0
		for _, v := range row {
			top = max(top, v)
		}
		for k, v := range row {
			row[k] = math.Exp(v - top)
			sum += row[k]
		}
		for k := range row {
			row[k] /= sum
		}
	}
}

// Evaluate runs the network over all of set. When ctx ends it returns context.Cause(ctx).
func (i *Inference) Evaluate(ctx context.Context, set data.Set) (*metric.Result, error) {
	r, err := i.evaluate(ctx, set)
	return r, i.tooLarge(err, min(i.opt.Batch, set.Len()))
}

func (i *Inference) evaluate(ctx context.Context, set data.Set) (*metric.Result, error) {
	if err := fits(i.net, set); err != nil {
		return nil, err
	}
	i.tape.Arena = device.Phantom()
	device.DryRun(i.dev, func() { i.accs.Reset(i.tape) })
	if err := i.grow(i.tape.Arena.High()); err != nil {
		return nil, err
	}
	i.accs.Reset(i.tape)
	p := data.NewPrefetcher(set, data.PrefetchOptions{Batch: min(i.opt.Batch, set.Len()), Epochs: 1})
	defer p.Close()
	for done := 0; done < set.Len(); {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b, err := p.Next()
		if err != nil {
			return nil, err
		}
		n := b.N // b is the reader's again after Done
		i.dev.Upload(i.in.Slice(0, 0, n, 1), b.Images)
		labels := i.label.Slice(0, 0, n, 1)
		i.dev.Upload(labels, b.LabelBytes)
		done += n
		p.Done(b)
		err = i.forward(pass{n, true}, func(y *ops.Tensor) {
			i.count(y, labels)
		})
		if err != nil {
			return nil, err
		}
	}
	r, err := i.accs.Read()
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// count adds a batch to the evaluation.
func (i *Inference) count(y *ops.Tensor, labels device.View) {
	loss, release := i.opt.Loss.apply(i.tape, y, labels)
	i.accs.Add(i.tape, y.Value(), labels, loss.Value())
	i.tape.Release(loss)
	release()
}

// Close frees all that it has on the device.
func (i *Inference) Close() error {
	err := i.dev.Sync()
	arithmetic{}.choose(i.dev)
	for _, m := range i.mems {
		m.Free()
	}
	if i.arena != nil {
		i.arena.Free()
	}
	if i.accs != nil {
		i.accs.Close()
	}
	if i.store != nil {
		i.store.Close()
	}
	return err
}
