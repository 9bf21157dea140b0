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
	GradNorm       float64 // before clipping; 0 unless clipping by norm
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
	return StepMetrics{Step: p.step, Loss: at(scalLoss), Accuracy: at(scalAccuracy), LR: at(scalLR), GradNorm: at(scalNorm), Alive: at(scalAlive) != 0}, true, nil
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
