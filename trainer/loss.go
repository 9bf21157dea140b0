package trainer

import (
	"math"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/ops"
)

// Loss names what is minimised over a batch; its value is the mean.
type Loss struct {
	// Name is cross_entropy (default), mse, l1 or bce. All but the first compare the outputs with one-hot rows: mse and
	// l1 as they are (mean over examples and classes), bce through a sigmoid.
	Name string
	// LabelSmoothing, of cross_entropy, takes this share of the target from the class and spreads it over all; 0 to 1.
	LabelSmoothing float64
}

// LossNames are the losses that Loss.Name may ask for.
func LossNames() []string { return []string{"cross_entropy", "mse", "l1", "bce"} }

func (l Loss) validate() error {
	if !slices.Contains(LossNames(), l.Name) {
		return fault.Usagef("one of "+strings.Join(LossNames(), ", "), "trainer.loss.name: %q is not known", l.Name)
	}
	if math.IsNaN(l.LabelSmoothing) || l.LabelSmoothing < 0 || l.LabelSmoothing > 1 {
		return fault.Usagef("a number from 0 to 1", "trainer.loss.label_smoothing: %v", l.LabelSmoothing)
	}
	if l.LabelSmoothing != 0 && l.Name != "cross_entropy" {
		return fault.Usagef("remove it, or use cross_entropy", "trainer.loss.label_smoothing: %s has none", l.Name)
	}
	return nil
}

// apply is the mean loss of outputs y (N, K) against class indices labels (N). done gives back what the loss reads in
// backward.
func (l Loss) apply(t *ops.Tape, y *ops.Tensor, labels device.View) (loss *ops.Tensor, done func()) {
	if l.Name == "cross_entropy" {
		return ops.CrossEntropy(t, y, ops.Leaf(labels), ops.CrossEntropyOptions{Smoothing: l.LabelSmoothing, Reduction: ops.ReduceMean}), func() {}
	}
	n, k := y.Dim(0), y.Dim(1)
	class, hot := t.Arena.Get(device.I32, k), t.Arena.Get(y.Type(), n, k)
	t.Dev.Iota(class, 0, 0, 1)
	t.Dev.Binary(device.Eq, hot, labels.Reshape(n, 1), class)
	t.Arena.Put(class)
	target := ops.Leaf(hot)
	switch l.Name {
	case "mse":
		loss = ops.MSELoss(t, y, target, ops.ReduceMean)
	case "l1":
		loss = ops.L1Loss(t, y, target, ops.ReduceMean)
	case "bce":
		loss = ops.BCEWithLogits(t, y, target, ops.ReduceMean)
	}
	return loss, func() { t.Arena.Put(hot) }
}
