package trainer

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/data"
)

// Need is the memory that training takes on a device, all of it by kind, and how it cuts its batches.
type Need struct {
	Batch, MicroBatches, EvalBatch int

	Memory []MemoryUse // the device's own comes last
	Bytes  int         // the sum
}

// DryRun goes through all that training takes memory for on a device that is not there, computing nothing: every form of
// a step, and a pass over each of the sets that are evaluated. It looks at the sizes of the sets alone.
func DryRun(dev device.Planned, net *model.Network, train data.Set, evals []data.Set, o Options) (n *Need, err error) {
	e, err := newEngine(dev, net, train, evals, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	if err := e.rehearse(); err != nil {
		return nil, err
	}
	n = &Need{Batch: e.opt.Batch, MicroBatches: e.opt.MicroBatches, EvalBatch: e.opt.EvalBatch, Memory: e.Memory()}
	n.Memory = append(n.Memory, MemoryUse{ofDevice, dev.Own()})
	for _, m := range n.Memory {
		n.Bytes += m.Bytes
	}
	return n, nil
}

// rehearse launches every form of training, and of evaluating the sets that are there, once.
func (e *Engine) rehearse() error {
	forms := e.trainForms()
	for _, f := range e.evals {
		forms = append(forms, e.evalForms(f, min(e.opt.EvalBatch, f.n))...)
	}
	for _, f := range forms {
		if err := e.do(f); err != nil {
			return err
		}
	}
	return e.dev.Sync()
}

// list is the kinds by size, for a line.
func (n *Need) list() string {
	all := slices.Clone(n.Memory)
	slices.SortStableFunc(all, func(a, b MemoryUse) int { return b.Bytes - a.Bytes })
	var parts []string
	for _, m := range all {
		if m.Bytes > 0 {
			parts = append(parts, device.Size(m.Bytes)+" "+m.What)
		}
	}
	return strings.Join(parts, ", ")
}

// fit finds the fewest micro-batches, from least on, with which training takes no more than room bytes on dev, and the
// largest evaluation batch beside them, of o's, half of it, and so on. It is nil if there is none, or if dev has no twin.
func fit(dev device.Device, net *model.Network, train data.Set, evals []data.Set, o Options, least, room int) (*Need, error) {
	try := func(micro, eval int) (*Need, error) {
		twin, err := device.Twin(dev)
		if twin == nil || err != nil {
			return nil, err
		}
		twin.Limit(room)
		o.MicroBatches, o.EvalBatch = micro, eval
		n, err := DryRun(twin, net, train, evals, o)
		if _, full := errors.AsType[*device.OutOfMemory](err); full {
			n, err = nil, nil
		}
		return n, errors.Join(err, twin.Close())
	}
	most := math.MaxInt32 / net.Largest() // pictures at a time
	evalBatch := o.EvalBatch
	for min(evalBatch, train.Len()) > most {
		evalBatch = half(evalBatch)
	}
	for k := least; k <= o.Batch; k++ {
		if o.Batch%k != 0 || min(o.Batch/k, train.Len()) > most {
			continue
		}
		if n, err := try(k, 1); n == nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		for b := evalBatch; ; b = half(b) {
			if n, err := try(k, b); n != nil || err != nil || b == 1 {
				return n, err
			}
		}
	}
	return nil, nil
}

func half(n int) int { return (n + 1) / 2 }
