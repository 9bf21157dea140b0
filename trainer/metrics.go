package trainer

import (
	"encoding/binary"
	"math"

	"github.com/acumen-ml/acumen/device"
)

// StepMetrics are the numbers of one update.
type StepMetrics struct {
	Step           int     // updates launched when they were asked for
	Loss, Accuracy float64 // mean over the batch, in training mode
	LR             float64
	GradNorm       float64 // before clipping, the loss scale taken out; 0 unless clipping by norm
	LossScale      float64 // for the next step
	Skipped        int     // steps that a dynamic loss scale has skipped so far
	Alive          bool    // false: this or an earlier step was not finite, and nothing has been written since
}

// pendingMetrics is a read under way.
type pendingMetrics struct {
	step   int
	ticket device.Ticket
}

// RequestMetrics queues a read of the last step's numbers; it does not stop the step. Metrics gives them.
func (e *Engine) RequestMetrics() {
	e.pending = append(e.pending, pendingMetrics{e.step, e.dev.Fetch(e.scal)})
}

// Metrics gives the oldest numbers that RequestMetrics asked for and that have arrived, ok false if there are none. With
// wait it waits for them.
func (e *Engine) Metrics(wait bool) (m StepMetrics, ok bool, err error) {
	if len(e.pending) == 0 {
		return m, false, nil
	}
	p := e.pending[0]
	if wait {
		ok, err = true, p.ticket.Wait(e.scalBytes)
	} else {
		ok, err = p.ticket.Poll(e.scalBytes)
	}
	if !ok && err == nil {
		return m, false, nil
	}
	e.pending = e.pending[:copy(e.pending, e.pending[1:])]
	if err != nil {
		return m, false, err
	}
	at := func(i int) float64 { return e.number(e.scalBytes, i) }
	return StepMetrics{Step: p.step, Loss: at(scalLoss), Accuracy: at(scalAccuracy), LR: at(scalLR), GradNorm: at(scalNorm),
		LossScale: at(scalLossScale), Skipped: int(at(scalSkipped)), Alive: at(scalAlive) != 0}, true, nil
}

// number is scalar i of the bytes of a view of the accumulation type.
func (e *Engine) number(b []byte, i int) float64 {
	if e.accType() == device.F64 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
}

// scalars waits for the device and reads the scalars that outlive a launch.
func (e *Engine) scalars() ([]float64, error) {
	b := make([]byte, e.scal.Bytes())
	if err := e.dev.Download(b, e.scal); err != nil {
		return nil, err
	}
	s := make([]float64, scalLen)
	for i := range s {
		s[i] = e.number(b, i)
	}
	return s, nil
}

// position is the device's own count of updates: less than Step once a step was not finite.
func (e *Engine) position() (int, error) {
	b := make([]byte, e.count.Bytes())
	if err := e.dev.Download(b, e.count); err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint32(b[4*countStep:])), nil
}

// setScalars gives the scalars those of a checkpoint, which may be an older one's and fewer; the others get their first
// values.
func (e *Engine) setScalars(from []float64) {
	s := make([]float64, scalLen)
	s[scalPlateau], s[scalAlive], s[scalOK], s[scalOne], s[scalLossScale] = 1, 1, 1, 1, e.opt.LossScale.Scale
	copy(s, from)
	if !e.opt.LossScale.Dynamic {
		s[scalLossScale] = e.opt.LossScale.Scale
	}
	e.upload(e.scal, s)
}

// upload writes float64 numbers to a view of f32 or f64.
func (e *Engine) upload(v device.View, x []float64) {
	b := make([]byte, 0, v.Bytes())
	for _, f := range x {
		if v.Type == device.F64 {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
		}
	}
	e.dev.Upload(v, b)
}

func (e *Engine) setCounters(step, cursor, eval int) {
	e.dev.Upload(e.count, int32Bytes([]int32{int32(uint32(e.opt.Seed)), int32(uint32(e.opt.Seed >> 32)), int32(step), 0, int32(cursor), int32(eval)}))
}
