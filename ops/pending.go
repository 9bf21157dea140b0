package ops

import "github.com/acumen-ml/acumen/device"

// Bodies of these follow one family at a time; the signatures stay.

// BatchNormState is where a batch norm keeps its running statistics; zero Views: it keeps none.
type BatchNormState struct {
	Mean, Var         device.View // read in evaluation
	NextMean, NextVar device.View // read and written in training
	Momentum, Eps     float64
}

func pending() *Tensor { panic("ops: not written yet") }

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
