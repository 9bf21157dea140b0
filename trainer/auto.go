package trainer

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/data"
)

// Auto, as Options.MicroBatches, lets the device's memory decide.
const Auto = -1

// Usable is how much of the memory that a device has for a program Auto takes: a sixteenth stays free, for what the driver
// and cuBLAS take beside what is asked of them, graphs and the code of kernels, and since allocations are rounded up.
func Usable(room int) int { return room - room/16 }

// cut decides what Auto left open: it gives o with the fewest micro-batches with which training fits on dev, and the largest
// evaluation batch beside them, and a line about that. It depends on o, the sizes of the network and of the sets, the kind of
// device, and on how much of its memory is free.
func (o Options) cut(dev device.Device, net *model.Network, train data.Set, evals []data.Set) (Options, string, error) {
	if o.MicroBatches != Auto {
		return o, "", nil
	}
	room, limited, err := device.Room(dev)
	if err != nil {
		return o, "", err
	}
	if !limited {
		o.MicroBatches = 1
		for o.Batch%o.MicroBatches != 0 || min(o.Batch/o.MicroBatches, train.Len()) > math.MaxInt32/net.Largest() {
			o.MicroBatches++
		}
		return o, fmt.Sprintf("micro_batches auto: %s, since %s has no memory of its own that could be too small", o.parts(), dev.Name()), nil
	}
	n, err := fit(dev, net, train, evals, o, 1, Usable(room))
	if err != nil {
		return o, "", err
	}
	if n == nil {
		return o, "", o.tooSmall(dev, net, train, evals, room)
	}
	o.MicroBatches, o.EvalBatch = n.MicroBatches, n.EvalBatch
	line := fmt.Sprintf("micro_batches auto: %s, evaluation of %d; they take %s of %s, which are the %s that are free less a sixteenth", o.parts(), o.EvalBatch, device.Size(n.Bytes), device.Size(Usable(room)), device.Size(room))
	if len(net.Buffers()) > 0 && o.MicroBatches > 1 {
		line += fmt.Sprintf("; batch norm sees %d pictures at a time, which is other training than with %d", o.Batch/o.MicroBatches, o.Batch)
	}
	return o, line, nil
}

// parts tells how batches are cut.
func (o Options) parts() string {
	if o.MicroBatches == 1 {
		return fmt.Sprintf("batches of %d in one piece", o.Batch)
	}
	return fmt.Sprintf("batches of %d in %d micro-batches of %d", o.Batch, o.MicroBatches, o.Batch/o.MicroBatches)
}
