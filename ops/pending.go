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
func MSELoss(t *Tape, x, target *Tensor, r Reduction) *Tensor                     { return pending() }
func L1Loss(t *Tape, x, target *Tensor, r Reduction) *Tensor                      { return pending() }
func BCEWithLogits(t *Tape, logits, target *Tensor, r Reduction) *Tensor          { return pending() }
func CrossEntropy(t *Tape, logits, target *Tensor, o CrossEntropyOptions) *Tensor { return pending() } // logits (..., K), target I32 (...)
func CrossEntropySoft(t *Tape, logits, target *Tensor, o CrossEntropyOptions) *Tensor {
	return pending()
} // target (..., K)
