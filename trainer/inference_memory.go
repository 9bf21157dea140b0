package trainer

import (
	"errors"
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
)

// need is the memory that evaluating takes on a device of dev's kind in batches of this size, kind by kind; nil if that is
// more than room.
func (i *Inference) need(batch, room int) (*Need, error) {
	twin, err := device.Twin(i.dev)
	if twin == nil || err != nil {
		return nil, err
	}
	defer twin.Close()
	twin.Limit(room)
	o := i.opt
	o.Batch = batch
	j, err := NewInference(twin, i.net, o)
	if err == nil {
		defer j.Close()
		err = j.forward(pass{batch, true}, func(y *ops.Tensor) { j.count(y, j.label) })
	}
	if err == nil {
		err = twin.Sync()
	}
	if _, full := errors.AsType[*device.OutOfMemory](err); full {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	input := j.in.Bytes() + j.label.Bytes()
	n := &Need{Batch: batch, EvalBatch: batch, Memory: []MemoryUse{{ofWeights, j.store.Bytes()}, {ofPasses, j.arena.Bytes()}, {ofData, input + j.accs.Bytes()}, {ofDevice, twin.Own()}}}
	for _, m := range n.Memory {
		n.Bytes += m.Bytes
	}
	return n, nil
}

// tooLarge gives an error of a device whose memory is full what evaluating takes of it in batches of this
// size, and which would fit.
func (i *Inference) tooLarge(err error, batch int) error {
	full, ok := errors.AsType[*device.OutOfMemory](err)
	if _, planned := device.As[device.Planned](i.dev); !ok || planned {
		return err
	}
	all, nerr := i.need(batch, math.MaxInt)
	if all == nil || nerr != nil {
		return err
	}
	hint := "not even one picture at a time fits: take f16 as precision, or another device"
	for b := half(batch); b < batch; b = half(b) {
		n, nerr := i.need(b, Usable(full.Room()))
		if nerr != nil {
			return err
		}
		if n != nil {
			hint = fmt.Sprintf("batches of %d fit (--batch %d)", b, b)
			break
		}
		if b == 1 {
			break
		}
	}
	return fault.Usagef(hint, "%w. Evaluating %s in %s with batches of %d takes %s: %s", err, i.net.Name, precisionName(i.opt.Precision, i.opt.TF32), batch, device.Size(all.Bytes), all.list())
}
