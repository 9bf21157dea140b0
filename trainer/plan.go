package trainer

import "slices"

// epochPlan cuts an epoch of n examples into steps, and steps into micro-batches.
type epochPlan struct {
	full  int // steps of batch examples
	batch int
	micro int // examples of a micro-batch
	tail  int // examples of the last, smaller step; 0: none
}

func planEpoch(n, batch, microBatches int, dropLast bool) epochPlan {
	p := epochPlan{full: n / batch, batch: batch, micro: batch / microBatches, tail: n % batch}
	if dropLast && p.full > 0 {
		p.tail = 0
	}
	return p
}

func (p epochPlan) steps() int {
	if p.tail > 0 {
		return p.full + 1
	}
	return p.full
}

// examples is the size of step i of an epoch.
func (p epochPlan) examples(i int) int {
	if i < p.full {
		return p.batch
	}
	return p.tail
}

// seen is the number of examples in the first step updates.
func (p epochPlan) seen(step int) int {
	k := p.steps()
	return step/k*(p.full*p.batch+p.tail) + step%k*p.batch
}

// parts gives the sizes of the micro-batches of a step of n examples: count of micro, then rest if not 0.
func (p epochPlan) parts(n int) (count, rest int) { return n / p.micro, n % p.micro }

// trainForms are all forms that a training step can take, for the dry run.
func (e *Engine) trainForms() []form {
	fs := []form{{kind: formEpoch}}
	if e.plan.full > 0 {
		fs = append(fs, e.distinct(e.plan.batch)...)
	}
	if e.plan.tail > 0 {
		fs = append(fs, e.distinct(e.plan.tail)...)
	}
	return fs
}

// distinct are the forms of the parts of a step of n examples.
func (e *Engine) distinct(n int) []form { return slices.Compact(e.parts(n, 0)) }

// parts are the forms of a step of n examples, in order: its micro-batches, whose pictures are in this slot unless they
// are resident, and the update.
func (e *Engine) parts(n, slot int) []form {
	var fs []form
	count, rest := e.plan.parts(n)
	for range count {
		fs = append(fs, e.microForm(e.plan.micro, n, slot))
	}
	if rest > 0 {
		fs = append(fs, e.microForm(rest, n, slot))
	}
	return append(fs, form{kind: formUpdate, total: n})
}

func (e *Engine) microForm(n, total, slot int) form {
	f := form{kind: formMicro, n: n, weight: float64(n) / float64(total), slot: slot, feed: e.train}
	if e.train.resident() {
		f.slot = -1
	}
	return f
}

// trainParts queues the micro-batches of the next step, one by one.
func (e *Engine) trainParts() error {
	i := e.step % e.plan.steps()
	if err := e.begin(i); err != nil {
		return err
	}
	n := e.plan.examples(i)
	count, rest := e.plan.parts(n)
	for range count {
		if err := e.trainPart(e.plan.micro, n); err != nil {
			return err
		}
	}
	if rest > 0 {
		return e.trainPart(rest, n)
	}
	return nil
}

func (e *Engine) trainPart(n, total int) error {
	slot, err := e.stageTrain()
	if err != nil {
		return err
	}
	return e.do(e.microForm(n, total, slot))
}

// stageTrain uploads the next pictures, if they are read ahead.
func (e *Engine) stageTrain() (slot int, err error) {
	if e.train.resident() {
		return 0, nil
	}
	return e.stage(e.train)
}

// begin begins the epoch if step i is the first of it that runs here.
func (e *Engine) begin(i int) error {
	if i == 0 || !e.begun {
		return e.beginEpoch(i)
	}
	return nil
}

// beginEpoch draws the order of the epoch, whose step i is next. In the middle of an epoch, after resuming, the draw is
// repeated as it was: it depends on the seed and on the step at which the epoch began.
func (e *Engine) beginEpoch(i int) error {
	var sums []float64
	if i > 0 {
		var err error
		if sums, err = e.scalars(); err != nil {
			return err
		}
		e.setCounters(e.step-i, 0, 0)
	}
	if err := e.do(form{kind: formEpoch}); err != nil {
		return err
	}
	if i > 0 {
		e.setCounters(e.step, i*e.plan.batch, 0)
		e.upload(e.scal, sums)
	}
	e.begun = true
	if e.train.resident() {
		return nil
	}
	e.readAhead(i)
	return nil
}
