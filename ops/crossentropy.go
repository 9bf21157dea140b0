package ops

import "github.com/acumen-ml/acumen/device"

type softmaxCrossEntropier interface {
	SoftmaxCrossEntropy(loss, dx, x, target device.View, smooth float64) bool
}

// CrossEntropyOptions are the choices of CrossEntropy and CrossEntropySoft; the zero value is the plain mean.
type CrossEntropyOptions struct {
	Smoothing    float64 // label smoothing eps, 0 to 1: target' = (1-eps) target + eps/K
	Reduction    Reduction
	ClassWeights *Tensor // (K), nil: all 1; no gradient goes to it
	IgnoreIndex  *int    // class indices only: rows of this class count nothing
}

// CrossEntropy is -sum over classes of weight target' ln softmax(logits), for logits (..., K) and classes target (...),
// whole numbers; folded over rows as PyTorch's cross_entropy does: the mean divides by the sum of the weights of the
// rows' classes, rows of IgnoreIndex left out, and is NaN if that leaves none. A class outside 0..K-1 is an error at
// the next Sync.
func CrossEntropy(t *Tape, logits, target *Tensor, o CrossEntropyOptions) *Tensor {
	const op = "CrossEntropy"
	k, n := o.check(op, logits)
	if !target.v.Type.IsInt() || !device.Make(nil, device.I32, 0, logits.Shape()[:logits.Rank()-1]...).SameShape(target.v) {
		fail(op, "logits %v, target %s: want classes, whole numbers, for each row", logits.Shape(), target.v)
	}
	acc := accType(logits.v.Type)
	class, copied := t.dense(target.v, device.I32)
	class = class.Reshape(n)
	var weight, ignored device.View // of each row; ignored: 1 or 0
	if o.IgnoreIndex != nil {
		if !copied {
			from := class
			class, copied = t.get(device.I32, n), true
			t.Dev.Copy(class, from)
		}
		ignored = t.get(device.U8, n)
		s := t.scalar(device.I32, float64(*o.IgnoreIndex))
		t.Dev.Binary(device.Eq, ignored, class, s)
		t.Dev.Fill(s, 0)
		t.Dev.Where(class, ignored, s, class) // a class that there is
		t.put(s)
	}
	if o.ClassWeights != nil || o.IgnoreIndex != nil {
		weight = t.get(acc, n)
		if o.ClassWeights != nil {
			t.Dev.Gather(weight, o.ClassWeights.v, class)
		} else {
			t.Dev.Fill(weight, 1)
		}
		t.clearRows(weight, ignored)
	}
	c := t.lossRows(logits, target.Shape(), o)
	if o.ClassWeights != nil && o.Smoothing > 0 { // the spread share has the weights of all classes
		aim := t.get(acc, n, k)
		t.oneHot(aim, class)
		t.weigh(aim, aim, o)
		t.crossEntropyRows(c.rows, valueOf(c.d), c.x, aim, 0)
		t.put(aim)
	} else {
		t.crossEntropyRows(c.rows, valueOf(c.d), c.x, class, o.Smoothing)
		if o.ClassWeights != nil {
			t.Dev.Binary(device.Mul, c.rows, c.rows, weight)
			if c.d != nil {
				t.Dev.Binary(device.Mul, c.d.v, c.d.v, weight.Reshape(n, 1))
			}
		}
	}
	t.clearRows(c.rows, ignored)
	if c.d != nil {
		t.clearRows(c.d.v, ignored)
	}
	y := c.fold(weight)
	t.putIf(weight.Valid(), weight)
	t.putIf(ignored.Valid(), ignored)
	t.putIf(copied, class)
	return c.record(y, []*Tensor{logits}, func(dy device.View) {
		s := c.upstream(dy)
		c.back(s)
		t.put(s)
	})
}

// CrossEntropySoft is CrossEntropy for target (..., K), a row of probabilities for each row of logits. The mean is over
// the number of rows, whatever the weights, as in PyTorch. Targets that need a gradient get theirs.
func CrossEntropySoft(t *Tape, logits, target *Tensor, o CrossEntropyOptions) *Tensor {
	const op = "CrossEntropySoft"
	k, n := o.check(op, logits)
	if !logits.v.SameShape(target.v) || o.IgnoreIndex != nil {
		fail(op, "logits %v, target %v: want equal shapes, and no IgnoreIndex", logits.Shape(), target.Shape())
	}
	c := t.lossRows(logits, logits.Shape()[:logits.Rank()-1], o)
	aim, copied := t.dense(target.v, c.x.Type)
	aim = aim.Reshape(n, k)
	smooth := o.Smoothing
	if o.ClassWeights != nil {
		from := aim
		if !copied {
			aim, copied = t.get(c.x.Type, n, k), true
		}
		t.weigh(aim, from, o)
		smooth = 0
	}
	t.crossEntropyRows(c.rows, valueOf(c.d), c.x, aim, smooth)
	t.putIf(copied, aim)
	y := c.fold(device.View{})
	return c.record(y, []*Tensor{logits, target}, func(dy device.View) {
		s := c.upstream(dy)
		t.into(target, func(d device.View) { // -(1-eps) weight ln softmax(logits)
			t.precisely(d, func(d device.View) {
				logSoftmax(t, d, logits.v)
				t.Dev.Unary(device.Affine, d, d, o.Smoothing-1, 0)
				if o.ClassWeights != nil {
					t.Dev.Binary(device.Mul, d, d, o.ClassWeights.v)
				}
				if s.Rank == 0 {
					t.Dev.Binary(device.Mul, d, d, s)
				} else {
					t.Dev.Binary(device.Mul, d, d, s.Reshape(append(d.Shape()[:d.Rank-1], 1)...))
				}
			})
		})
		c.back(s)
		t.put(s)
	}, when(target.need, logits), o.ClassWeights)
}

func (o CrossEntropyOptions) check(op string, logits *Tensor) (k, n int) {
	if logits.Rank() == 0 || logits.Dim(-1) == 0 {
		fail(op, "logits %v: no classes", logits.Shape())
	}
	k = logits.Dim(-1)
	if !(o.Smoothing >= 0 && o.Smoothing <= 1) {
		fail(op, "logits %v: smoothing %v is not in [0, 1]", logits.Shape(), o.Smoothing)
	}
	if w := o.ClassWeights; w != nil && (w.Rank() != 1 || w.Dim(0) != k || w.need) {
		fail(op, "logits %v, class weights %v: want one number for each class, without gradient", logits.Shape(), w.Shape())
	}
	return k, logits.v.Len() / k
}

// entropy is what the two cross entropies share: x, the logits as rows (n, k) of the type of losses; their losses rows
// (n); d, the gradient of each row's loss to its logits, nil if none is wanted.
type entropy struct {
	t       *Tape
	logits  *Tensor
	o       CrossEntropyOptions
	shape   []int // of the losses
	x, rows device.View
	copied  bool // x is scratch
	y, d    *Tensor
	sum     *Tensor // what the mean divides by, nil if it is the number of rows
}

func (t *Tape) lossRows(logits *Tensor, shape []int, o CrossEntropyOptions) *entropy {
	c := &entropy{t: t, logits: logits, o: o, shape: shape}
	acc, k := accType(logits.v.Type), logits.Dim(-1)
	n := logits.v.Len() / k
	if o.Reduction == ReduceNone {
		c.y = t.temp(acc, shape...)
		c.rows = c.y.v.Reshape(n)
	} else {
		c.y = t.temp(acc)
	}
	if t.wants(logits) {
		c.d = t.temp(acc, n, k)
	}
	c.x, c.copied = t.dense(logits.v, acc)
	c.x = c.x.Reshape(n, k)
	if o.Reduction != ReduceNone {
		c.rows = t.get(acc, n)
	}
	return c
}

// fold makes the loss of the rows; weight are those of the rows, if they have any.
func (c *entropy) fold(weight device.View) *Tensor {
	t, n := c.t, c.rows.Len()
	if c.o.Reduction != ReduceNone {
		t.Dev.Reduce(device.Sum, c.y.v.Reshape(1), c.rows)
		t.put(c.rows)
	}
	t.putIf(c.copied, c.x)
	if c.o.Reduction == ReduceMean {
		if weight.Valid() {
			c.sum = t.temp(weight.Type)
			t.Dev.Reduce(device.Sum, c.sum.v.Reshape(1), weight)
			t.Dev.Binary(device.Div, c.y.v, c.y.v, c.sum.v)
		} else {
			t.Dev.Unary(device.Affine, c.y.v, c.y.v, 1/float64(n), 0)
		}
	}
	return c.y
}

// record is Tape.record; what backward reads is then its alone.
func (c *entropy) record(y *Tensor, from []*Tensor, back func(dy device.View), keep ...*Tensor) *Tensor {
	c.t.record(y, from, back, append(keep, c.d, c.sum)...)
	for _, x := range []*Tensor{c.d, c.sum} {
		if x != nil {
			c.t.Release(x)
		}
	}
	return y
}

// upstream is scratch: dy as it counts for each row, all or one.
func (c *entropy) upstream(dy device.View) device.View {
	t := c.t
	s := t.like(dy)
	switch {
	case c.o.Reduction != ReduceMean:
		t.Dev.Copy(s, dy)
	case c.sum != nil:
		t.Dev.Binary(device.Div, s, dy, c.sum.v)
	default:
		t.Dev.Unary(device.Affine, s, dy, 1/float64(c.rows.Len()), 0)
	}
	return s
}

// back hands s d on to the logits.
func (c *entropy) back(s device.View) {
	if c.d == nil {
		return
	}
	if s.Rank > 0 {
		s = s.Reshape(s.Len(), 1)
	}
	t := c.t
	if c.d.v.Type != c.logits.v.Type {
		t.into(c.logits, func(dx device.View) { t.Dev.Binary(device.Mul, dx.Reshape(c.d.Shape()...), c.d.v, s) })
		return
	}
	t.Dev.Binary(device.Mul, c.d.v, c.d.v, s)
	t.give(c.d, c.logits)
}

// clearRows sets v, or its rows, to 0 where ignored is set, even if they are NaN.
func (t *Tape) clearRows(v, ignored device.View) {
	if !ignored.Valid() {
		return
	}
	zero := t.scalar(v.Type, 0)
	for ignored.Rank < v.Rank {
		ignored = ignored.Unsqueeze(int(ignored.Rank))
	}
	t.Dev.Where(v, ignored, zero, v)
	t.put(zero)
}

// oneHot sets row i of y (n, k) to 1 at class[i], else 0. A class that is not there is an error at the next Sync.
func (t *Tape) oneHot(y, class device.View) {
	all, mine := t.get(device.I32, y.D(1)), t.get(device.I32, y.D(0))
	t.Dev.Iota(all, 0, 0, 1)
	t.Dev.Gather(mine, all, class) // finds a class that is not there
	t.Dev.Binary(device.Eq, y, mine.Reshape(y.D(0), 1), all)
	t.put(all, mine)
}

// weigh is y = class weights times smoothed targets.
func (t *Tape) weigh(y, target device.View, o CrossEntropyOptions) {
	t.Dev.Unary(device.Affine, y, target, 1-o.Smoothing, o.Smoothing/float64(y.D(1)))
	t.Dev.Binary(device.Mul, y, y, o.ClassWeights.v)
}

// crossEntropyRows is loss (n) = -sum aim ln softmax(x) for each row of x (n, k), and, if d is there, its gradient
// d = softmax(x) sum aim - aim; aim = (1-smooth) target + smooth/k, target classes (n) or rows (n, k). Where aim is 0,
// an infinite logit counts nothing.
func (t *Tape) crossEntropyRows(loss, d, x, target device.View, smooth float64) {
	if x.Len() == 0 {
		return
	}
	if k, ok := device.As[softmaxCrossEntropier](t.Dev); ok && k.SoftmaxCrossEntropy(loss, d, x, target, smooth) {
		return
	}
	n := x.D(0)
	aim, lp, p := t.like(x), t.like(x), t.like(x)
	if target.Rank == 1 {
		t.oneHot(aim, target)
	} else {
		t.Dev.Copy(aim, target)
	}
	if smooth > 0 {
		t.Dev.Unary(device.Affine, aim, aim, 1-smooth, smooth/float64(x.D(1)))
	}
	logSoftmax(t, lp, x)
	t.Dev.Binary(device.Mul, p, aim, lp)
	zero, none := t.scalar(x.Type, 0), t.get(device.U8, x.Shape()...)
	t.Dev.Binary(device.Eq, none, aim, zero)
	t.Dev.Where(p, none, zero, p)
	t.Dev.Reduce(device.Sum, loss.Reshape(n, 1), p)
	t.Dev.Unary(device.Affine, loss, loss, -1, 0)
	if d.Valid() {
		sum := t.get(x.Type, n, 1)
		t.Dev.Reduce(device.Sum, sum, aim)
		t.Dev.Unary(device.Exp, lp, lp, 0, 0)
		t.Dev.Binary(device.Mul, lp, lp, sum)
		t.Dev.Binary(device.Sub, d, lp, aim)
		t.put(sum)
	}
	t.put(zero, none, aim, lp, p)
}
