package trainer

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/data"
)

// tooLarge gives an error of a device whose memory is full what training takes of it, kind by kind, and what would fit. It
// leaves others alone.
func tooLarge(err error, dev device.Device, net *model.Network, train data.Set, evals []data.Set, o Options) error {
	full, ok := errors.AsType[*device.OutOfMemory](err)
	if !ok {
		return err
	}
	twin, terr := device.Twin(dev)
	if _, planned := device.As[device.Planned](dev); planned || twin == nil || terr != nil {
		return err
	}
	defer twin.Close()
	need, nerr := DryRun(twin, net, train, evals, o)
	if nerr != nil {
		return err // it tells more than nerr
	}
	hint, herr := o.wayOut(dev, net, train, evals, Usable(full.Room()))
	if herr != nil {
		return err
	}
	if full.Advice != "" && full.Others() > full.Total/8 {
		hint += "; or " + full.Advice
	}
	return fault.Usagef(hint, "%w. %s in %s with %s takes %s: %s", err, net.Name, precisionName(o.Precision, o.TF32), o.parts(), device.Size(need.Bytes), need.list())
}

// tooLarge is tooLarge of this engine, which may evaluate set too.
func (e *Engine) tooLarge(err error, set data.Set) error {
	if err == nil {
		return nil
	}
	sets := slices.Collect(maps.Keys(e.evals))
	if set != nil && e.evals[set] == nil {
		sets = append(sets, set)
	}
	return tooLarge(err, e.dev, e.net, e.train.set, sets, e.opt)
}

// wayOut is the hint where training with o does not fit: how batches must be cut to take no more than room bytes.
func (o Options) wayOut(dev device.Device, net *model.Network, train data.Set, evals []data.Set, room int) (string, error) {
	can, err := fit(dev, net, train, evals, o, o.MicroBatches, room)
	if can != nil && can.MicroBatches == o.MicroBatches && can.EvalBatch == o.EvalBatch {
		can, err = fit(dev, net, train, evals, o, o.MicroBatches+1, room) // it should have gone, and did not
	}
	if err != nil {
		return "", err
	}
	if can == nil {
		o.ResidentBytes = -1
		if can, err = fit(dev, net, train, evals, o, 1, room); err != nil {
			return "", err
		}
		if can == nil {
			return "not even one picture at a time fits: take a smaller network, or f16 as precision, or another device", nil
		}
		o.MicroBatches = can.MicroBatches
		return fmt.Sprintf("%s fit if the data is read ahead: set data.resident: 0 and trainer.batch: auto", o.parts()), nil
	}
	if can.MicroBatches == o.MicroBatches {
		return fmt.Sprintf("evaluation in batches of %d fits: set trainer.eval_batch: %d, or trainer.batch: auto, which finds that", can.EvalBatch, can.EvalBatch), nil
	}
	o.MicroBatches = can.MicroBatches
	hint := fmt.Sprintf("%s fit: set trainer.micro_batches: %d", o.parts(), can.MicroBatches)
	if can.EvalBatch < o.EvalBatch {
		hint += fmt.Sprintf(" and trainer.eval_batch: %d", can.EvalBatch)
	}
	hint += ", or trainer.batch: auto, which finds that"
	if len(net.Buffers()) > 0 {
		hint += fmt.Sprintf("; batch norm then sees %d pictures at a time", can.Batch/can.MicroBatches)
	}
	return hint, nil
}

// Fits is the error with which Fit would end before its first step, since the memory of dev is too small, found by a dry
// run. It is nil for a device without memory of its own.
func Fits(dev device.Device, net *model.Network, train, test data.Set, o Options) error {
	o, err := o.complete(net, train)
	if err != nil {
		return err
	}
	var evals []data.Set
	if o.Validation != 0 {
		var held data.Set
		if train, held, err = data.Split(train, o.Validation, o.Seed); err != nil {
			return err
		}
		evals = append(evals, held)
	}
	if test != nil {
		evals = append(evals, test)
	}
	room, limited, err := device.Room(dev)
	if err != nil || !limited {
		return err
	}
	if o.MicroBatches == Auto {
		_, _, err = o.cut(dev, net, train, evals)
		return err
	}
	twin, err := device.Twin(dev)
	if err != nil {
		return err
	}
	defer twin.Close()
	twin.Limit(room)
	_, err = DryRun(twin, net, train, evals, o)
	return tooLarge(err, dev, net, train, evals, o)
}

// tooSmall is the error of a device on which not even one picture at a time fits.
func (o Options) tooSmall(dev device.Device, net *model.Network, train data.Set, evals []data.Set, room int) error {
	twin, err := device.Twin(dev)
	if err != nil {
		return err
	}
	defer twin.Close()
	o.MicroBatches, o.EvalBatch = o.Batch, 1
	need, err := DryRun(twin, net, train, evals, o)
	if err != nil {
		return err
	}
	hint, err := o.wayOut(dev, net, train, evals, Usable(room))
	if err != nil {
		return err
	}
	return fault.Usagef(hint, "%s: out of memory: %s in %s takes %s with one picture at a time: %s; %s are free, of which a sixteenth stays so", dev.Name(), net.Name, precisionName(o.Precision, o.TF32), device.Size(need.Bytes), need.list(), device.Size(room))
}
