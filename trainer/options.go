// Package trainer trains a network of package model on a device: data on the device, captured steps, validation,
// checkpoints, resuming. Fit does it all; Engine is the device side of it, for those who write their own loop.
package trainer

import (
	"time"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/metric"
	"github.com/acumen-ml/acumen/trainer/optim"
	"github.com/acumen-ml/acumen/trainer/schedule"
)

// Options say how to train. The zero value of a field means the default that its comment names.
type Options struct {
	// Epochs is how many times the training set is passed; default 1.
	Epochs int
	// MaxSteps, if not 0, ends training after so many updates even inside an epoch; schedules still span Epochs.
	MaxSteps int
	// Batch is the number of examples of one update; default 64.
	Batch int
	// MicroBatches cuts each batch into so many parts whose gradients are added before the update; default 1.
	// It must divide Batch. Auto: as few as the device's free memory allows; evaluation batches are then cut, too.
	MicroBatches int
	// DropLast leaves out the last, smaller batch of an epoch.
	DropLast bool
	// EvalBatch is the number of examples of one evaluation batch; default Batch.
	EvalBatch int

	// Optimizer updates the weights; default optim.SGD{LR: 0.1, Momentum: 0.9}.
	Optimizer optim.Optimizer
	// Groups give parameters, picked by name pattern, their own learning rate or decay, or freeze them.
	Groups []optim.Group
	// Schedule is the course of the learning rate over all steps; default constant.
	Schedule schedule.Config
	// Plateau lowers the learning rate when the validation metric stops improving; nil: not.
	Plateau *schedule.Plateau
	// Loss is what is minimised; default cross entropy.
	Loss Loss
	// ClipNorm and ClipValue bound the gradient; 0: not.
	ClipNorm, ClipValue float64

	// Augment changes training pictures; Mean and Std of pixel/255 per channel normalise all pictures.
	Augment   augment.Spec
	Mean, Std []float64
	// Validation is how many training examples (at least 1) or which fraction of them (under 1) are set aside, by class
	// and seed, to choose the best epoch; 0: none.
	Validation float64
	// EarlyStop ends training after so many epochs without a better validation metric; 0: never. It needs Validation.
	EarlyStop int
	// Monitor is the validation metric that decides: "accuracy" (default) or "loss".
	Monitor string

	// Seed decides initial weights, order, augmentation and dropout.
	Seed uint64
	// Precision is the type of activations, and of the weights that forward and backward read: device.F32 (default), F64,
	// F16 or BF16. Beside the last two, the weights that are updated and stored, gradients of weights, the optimiser's
	// state, statistics and losses are f32. On a device with products of f32 numbers rounded to BF16, as the CPU, BF16 is
	// about the factors of products, and all else is f32.
	Precision device.DType
	// TF32 lets products of f32 numbers round their factors to TF32, on devices that have it.
	TF32 bool
	// LossScale is the factor on the loss; default dynamic in f16, else 1.
	LossScale LossScale
	// NoCapture runs steps call by call instead of as captured graphs. The numbers are the same.
	NoCapture bool
	// CaptureSteps is how many steps one captured graph holds where nothing comes between them: no step that is logged,
	// no end of an epoch. The numbers are the same. 0, the default, leaves it to the device: on a GPU so many that
	// beginning a graph costs little beside it, at most 16, on a CPU 1.
	CaptureSteps int
	// ResidentBytes is the most memory that a data set may take on the device; a larger one is read ahead batch by
	// batch. The numbers are the same. Default 2 GiB; negative: always read ahead.
	ResidentBytes int

	// Dir is the folder for checkpoints; empty: none are written.
	Dir string
	// SaveEvery is the time between checkpoints besides those at the ends of epochs; 0: only those.
	SaveEvery time.Duration
	// Keep is how many epoch checkpoints stay beside best and last; default 0.
	Keep int
	// Resume continues from Dir's last checkpoint if there is one; starting afresh otherwise.
	Resume bool
	// Config is stored in checkpoints verbatim: the resolved configuration of whoever calls.
	Config string
	// FS is the file system that checkpoints go to; default the real one. Tests put faults in.
	FS atomicfile.FS

	// LogEvery is the number of steps between Step events; default 50.
	LogEvery int
	// Observe, if set, is told what happens, in the goroutine of Fit. It must not keep the Event's pointers.
	Observe func(Event)
	// ProfileSteps, if not 0, runs so many steps uncaptured before training ends and reports each kernel's time.
	ProfileSteps int
}

// EventKind tells what an Event is about.
type EventKind int

// The events, in the order in which a run sends them.
const (
	EventStart      EventKind = iota // set up: Steps, StepsPerEpoch, Params, ArenaBytes, StateBytes, Batch, MicroBatches are known
	EventStep                        // every LogEvery steps: Loss, Accuracy, LR of that step
	EventEpoch                       // the end of an epoch: Train and, with validation, Validation
	EventCheckpoint                  // a checkpoint was written: Path
	EventNote                        // something that a person should know: Text
	EventFinish                      // the end: Result
)

// Event is one thing that happened in a run.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Epoch int // epochs done, from 0; at EventEpoch the one that has just ended counts
	Step  int // updates done
	Steps int // updates in the whole run

	StepsPerEpoch, Examples int     // examples: trained on so far, in this run of the program
	ExamplesPerSecond       float64 // since the last event of the kind
	Loss, Accuracy, LR      float64 // of one step; Accuracy in 0..1
	GradNorm                float64 // L2 norm of the gradient before clipping; 0 unless clipping by norm
	LossScale               float64 // of a step and at an epoch's end; 0 where losses are not scaled
	SkippedSteps            int     // that a dynamic loss scale has skipped since training began

	TrainLoss, TrainAccuracy float64        // means over the epoch, in training mode
	Validation               *metric.Result // nil without validation
	Best                     bool           // this epoch's validation metric is the best so far
	Path, Text               string

	Params, ArenaBytes, StateBytes int
	Batch, MicroBatches            int // examples of an update, and into how many parts it is cut
	Result                         *Result
}

// Result is what a run gave.
type Result struct {
	Epochs, Steps int
	TrainLoss     float64 // of the last epoch
	TrainAccuracy float64
	Validation    *metric.Result   // of the chosen epoch; nil without validation
	BestEpoch     int              // the chosen epoch, counted from 1: the best on validation, without it the last
	Test          *metric.Result   // evaluated once, with the chosen weights; nil without a test set
	Stopped       string           // "", or why training ended before Epochs: "early stop", "max steps"
	Profile       *device.Profiler `json:"-"`
	Seconds       float64          // spent training in this run of the program
}
