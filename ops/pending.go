package ops

import "github.com/acumen-ml/acumen/device"

// Bodies of these follow one family at a time; the signatures stay.

// Reduction says how a loss is folded over its elements or rows.
type Reduction uint8

// The reductions of losses.
const (
	ReduceMean Reduction = iota
	ReduceSum
	ReduceNone
)

// CrossEntropyOptions are the choices of CrossEntropy and CrossEntropySoft; the zero value is the plain mean.
type CrossEntropyOptions struct {
	Smoothing    float64 // label smoothing, 0 to 1
	Reduction    Reduction
	ClassWeights *Tensor // (K), nil: all 1
	IgnoreIndex  *int    // class indices only: rows of this class count nothing
}

// BatchNormState is where a batch norm keeps its running statistics; zero Views: it keeps none.
type BatchNormState struct {
	Mean, Var         device.View // read in evaluation
	NextMean, NextVar device.View // read and written in training
	Momentum, Eps     float64
}

func pending() *Tensor { panic("ops: not written yet") }

func Add(t *Tape, a, b *Tensor) *Tensor                           { return pending() }
func Sub(t *Tape, a, b *Tensor) *Tensor                           { return pending() }
func Mul(t *Tape, a, b *Tensor) *Tensor                           { return pending() }
func Div(t *Tape, a, b *Tensor) *Tensor                           { return pending() }
func Pow(t *Tape, a, b *Tensor) *Tensor                           { return pending() }
func Neg(t *Tape, x *Tensor) *Tensor                              { return pending() }
func Exp(t *Tape, x *Tensor) *Tensor                              { return pending() }
func Log(t *Tape, x *Tensor) *Tensor                              { return pending() }
func Sqrt(t *Tape, x *Tensor) *Tensor                             { return pending() }
func Clamp(t *Tape, x *Tensor, min, max float64) *Tensor          { return pending() }
func Scale(t *Tape, x *Tensor, s float64) *Tensor                 { return pending() }
func Sigmoid(t *Tape, x *Tensor) *Tensor                          { return pending() }
func Tanh(t *Tape, x *Tensor) *Tensor                             { return pending() }
func Relu(t *Tape, x *Tensor) *Tensor                             { return pending() }
func LeakyRelu(t *Tape, x *Tensor, slope float64) *Tensor         { return pending() }
func Gelu(t *Tape, x *Tensor) *Tensor                             { return pending() }
func GeluTanh(t *Tape, x *Tensor) *Tensor                         { return pending() }
func Silu(t *Tape, x *Tensor) *Tensor                             { return pending() }
func Sum(t *Tape, x *Tensor, keepDims bool, axes ...int) *Tensor  { return pending() }
func Mean(t *Tape, x *Tensor, keepDims bool, axes ...int) *Tensor { return pending() }
func Max(t *Tape, x *Tensor, keepDims bool, axes ...int) *Tensor  { return pending() } // torch.amax: ties share evenly
func MatMul(t *Tape, a, b *Tensor) *Tensor                        { return pending() }
func Linear(t *Tape, x, w, b *Tensor) *Tensor                     { return pending() } // b may be nil
func Reshape(t *Tape, x *Tensor, dims ...int) *Tensor             { return pending() }
func Transpose(t *Tape, x *Tensor, perm ...int) *Tensor           { return pending() }

// Slice: numpy's start:stop:step for each leading axis; step nil: all 1; math.MinInt as stop of a negative step: to the front.
func Slice(t *Tape, x *Tensor, start, stop, step []int) *Tensor                    { return pending() }
func Pad(t *Tape, x *Tensor, pairs [][2]int, value float64) *Tensor                { return pending() } // negative: crops
func Concat(t *Tape, axis int, xs ...*Tensor) *Tensor                              { return pending() }
func Gather(t *Tape, x, index *Tensor, axis int) *Tensor                           { return pending() } // torch.gather
func Take(t *Tape, x, index *Tensor, axis int) *Tensor                             { return pending() } // numpy.take
func Softmax(t *Tape, x *Tensor, axis int) *Tensor                                 { return pending() }
func LogSoftmax(t *Tape, x *Tensor, axis int) *Tensor                              { return pending() }
func Conv2D(t *Tape, x, w, b *Tensor, p device.Conv2D) *Tensor                     { return pending() } // b may be nil
func Conv2DAct(t *Tape, x, w, b *Tensor, p device.Conv2D, act device.UnOp) *Tensor { return pending() } // act without parameters
func MaxPool2D(t *Tape, x *Tensor, p device.Pool2D) *Tensor                        { return pending() }
func MaxPool2DWithIndices(t *Tape, x *Tensor, p device.Pool2D) (y, idx *Tensor) {
	return pending(), nil
}                                                                          // idx I32, flat in H*W
func AvgPool2D(t *Tape, x *Tensor, p device.Pool2D, countPad bool) *Tensor { return pending() }
func AdaptiveAvgPool2D(t *Tape, x *Tensor, oh, ow int) *Tensor             { return pending() }
func AdaptiveMaxPool2D(t *Tape, x *Tensor, oh, ow int) *Tensor             { return pending() }
func GlobalAvgPool2D(t *Tape, x *Tensor) *Tensor                           { return pending() } // (N,1,1,C)
func GlobalMaxPool2D(t *Tape, x *Tensor) *Tensor                           { return pending() } // (N,1,1,C)
func BatchNorm(t *Tape, x, gamma, beta *Tensor, s BatchNormState) *Tensor  { return pending() } // gamma, beta may be nil
func BatchNormAct(t *Tape, x, gamma, beta *Tensor, s BatchNormState, act device.UnOp) *Tensor {
	return pending()
}
func Dropout(t *Tape, x *Tensor, p float64) *Tensor                               { return pending() }
func Detach(t *Tape, x *Tensor) *Tensor                                           { return pending() }
func MSELoss(t *Tape, x, target *Tensor, r Reduction) *Tensor                     { return pending() }
func L1Loss(t *Tape, x, target *Tensor, r Reduction) *Tensor                      { return pending() }
func BCEWithLogits(t *Tape, logits, target *Tensor, r Reduction) *Tensor          { return pending() }
func CrossEntropy(t *Tape, logits, target *Tensor, o CrossEntropyOptions) *Tensor { return pending() } // logits (..., K), target I32 (...)
func CrossEntropySoft(t *Tape, logits, target *Tensor, o CrossEntropyOptions) *Tensor {
	return pending()
} // target (..., K)
