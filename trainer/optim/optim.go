// Package optim updates weights from gradients. An optimiser works on flat arrays, one per group of parameters, by
// kernel calls alone; what changes from step to step it reads from device scalars.
package optim

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Optimizer turns a gradient into an update.
type Optimizer interface {
	// Name is its name in configurations: sgd, adam, adamw.
	Name() string
	// LearningRate is the base rate, which schedules multiply.
	LearningRate() float64
	// States are the names of the arrays, each as large as the weights, that it keeps from step to step.
	States() []string
	// Update changes s.W, and s.States. It writes nothing if the scalar device.HyperOK is 0.
	Update(t *ops.Tape, s Slots)
}

// Slots is one group of parameters. All arrays are flat, contiguous and of one length.
type Slots struct {
	W, G   device.View
	States []device.View // in the order of Optimizer.States
	Hyper  device.View   // device.HyperLen scalars: learning rate, factor on gradients, number of the update, whether to write
	Group  Group
}

// SGD is stochastic gradient descent with momentum (Sutskever and others, ICML 2013, in PyTorch's form: the first buffer
// is the first gradient, and the rate multiplies the buffer). Nesterov without momentum is plain descent.
type SGD struct {
	LR, Momentum, Dampening float64
	Nesterov                bool
	WeightDecay             float64
	Decoupled               bool // w -= LR WeightDecay w instead of g += WeightDecay w
}

// Adam is Kingma and Ba's (arXiv 1412.6980), in PyTorch's form, decay added to the gradient unless Decoupled.
type Adam struct {
	LR                float64
	Beta1, Beta2, Eps float64 // 0: 0.9, 0.999, 1e-8
	WeightDecay       float64
	Decoupled         bool
	AMSGrad           bool // Reddi, Kale, Kumar, arXiv 1904.09237
}

// AdamW is Adam with decoupled decay (Loshchilov and Hutter, arXiv 1711.05101).
type AdamW struct {
	LR                float64
	Beta1, Beta2, Eps float64 // 0: 0.9, 0.999, 1e-8
	WeightDecay       float64
	AMSGrad           bool
}

// Name is "sgd".
func (o SGD) Name() string { return "sgd" }

// LearningRate is LR.
func (o SGD) LearningRate() float64 { return o.LR }

// States is the momentum buffer, if there is momentum.
func (o SGD) States() []string {
	if o.Momentum == 0 {
		return nil
	}
	return []string{"momentum"}
}

// Name is "adam".
func (o Adam) Name() string { return "adam" }

// LearningRate is LR.
func (o Adam) LearningRate() float64 { return o.LR }

// States are the moments.
func (o Adam) States() []string {
	if o.AMSGrad {
		return []string{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
	}
	return []string{"exp_avg", "exp_avg_sq"}
}

// Name is "adamw".
func (o AdamW) Name() string { return "adamw" }

// LearningRate is LR.
func (o AdamW) LearningRate() float64 { return o.LR }

func (o AdamW) adam() Adam {
	return Adam{LR: o.LR, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, WeightDecay: o.WeightDecay, Decoupled: true, AMSGrad: o.AMSGrad}
}

// States are the moments.
func (o AdamW) States() []string { return o.adam().States() }

// Update is one step of AdamW.
func (o AdamW) Update(t *ops.Tape, s Slots) { o.adam().Update(t, s) }

// scaled gives the hyper view with the group's factor on the learning rate; done gives it back.
func scaled(t *ops.Tape, s Slots) (hyper device.View, done func()) {
	if s.Group.LRScale == 0 || s.Group.LRScale == 1 {
		return s.Hyper, func() {}
	}
	h := t.Arena.Get(s.Hyper.Type, device.HyperLen)
	t.Dev.Copy(h, s.Hyper)
	lr := at(h, device.HyperLR)
	t.Dev.Unary(device.Affine, lr, lr, s.Group.LRScale, 0)
	return h, func() { t.Arena.Put(h) }
}

func at(v device.View, i int) device.View { return device.Make(v.Mem, v.Type, v.Off+i) }

// decay is the group's weight decay, or def.
func (g Group) decay(def float64) float64 {
	if g.WeightDecay != nil {
		return *g.WeightDecay
	}
	return def
}

// kernels is a short hand for composing: temporaries that are given back together.
type kernels struct {
	device.Device
	t    *ops.Tape
	temp []device.View
}

func (k *kernels) get(like device.View) device.View {
	v := k.t.Arena.Get(like.Type, like.Shape()...)
	k.temp = append(k.temp, v)
	return v
}

func (k *kernels) done() {
	for _, v := range k.temp {
		k.t.Arena.Put(v)
	}
}

// axpy is y = a x + b y, through scratch.
func (k *kernels) axpy(y device.View, a float64, x device.View, b float64, scratch device.View) {
	k.Unary(device.Affine, scratch, x, a, 0)
	if b != 1 {
		k.Unary(device.Affine, y, y, b, 0)
	}
	k.Binary(device.Add, y, y, scratch)
}
