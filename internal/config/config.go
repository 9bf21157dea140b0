// Package config is the configuration of a run: its keys with their defaults and their meaning, and how a file, the
// environment and flags are put together. What a person writes is checked key by key with its place; the resolved
// configuration prints as YAML that is a valid configuration again.
package config

import "time"

// Config is a resolved configuration. The tags of a field are the schema: yaml is the key, doc its sentence, min, max
// and above and below the bounds of a number, also a word beside numbers, one the words allowed, for the names that have the
// key, and def a default that depends on the name. Defaults are Default's.
type Config struct {
	Seed      uint64  `yaml:"seed" doc:"Initial weights, order, split, augmentation and dropout follow from it."`
	Device    string  `yaml:"device" doc:"Where to compute: auto (the first that works), cpu, cuda or cuda:N."`
	Threads   int     `yaml:"threads" min:"0" doc:"Threads of a CPU device; 0 takes all. Results do not depend on it."`
	Precision string  `yaml:"precision" one:"f32,tf32,bf16,f16,f64" doc:"Type of activations and of the weights they are computed with. tf32: f32, products of which a GPU may round to 10 bits. bf16 and f16: weights are updated and stored in f32, statistics and losses are f32. On a CPU bf16 is about the factors of products alone, all else is f32, and f16 is slow."`
	Data      Data    `yaml:"data"`
	Model     Model   `yaml:"model"`
	Trainer   Trainer `yaml:"trainer"`
	Run       Run     `yaml:"run"`
	Progress  string  `yaml:"progress" one:"auto,bar,plain,none" doc:"How progress is shown; auto is a bar on a terminal and plain lines elsewhere."`
}

// Data says what to train on.
type Data struct {
	Name       string    `yaml:"name" one:"mnist,cifar10,folder" doc:"The data set; folder is pictures in train/CLASS and test/CLASS under data.dir."`
	Dir        string    `yaml:"dir" doc:"The folder with the data; MNIST needs none, it is in the program."`
	Validation float64   `yaml:"validation" min:"0" doc:"Training examples (a number from 1) or the fraction of them (under 1) set aside, by class and seed, to choose the best epoch; 0: none."`
	Augment    Augment   `yaml:"augment" doc:"Random changes of training pictures, a list of: flip, {crop: {pad: 4, reflect: false}}, {cutout: {size: 8}}. They happen in the order crop, flip, cutout."`
	Mirrors    []string  `yaml:"mirrors" doc:"Addresses of folders to download from, tried before the official ones."`
	Size       []int     `yaml:"size" min:"1" doc:"Height and width to which pictures of a folder are brought; empty: all must have one size already."`
	Channels   int       `yaml:"channels" min:"0" max:"4" doc:"How many colours pictures of a folder get: 1 (grey), 3 (RGB) or 4 (RGB and alpha); 0: 3."`
	Mean       []float64 `yaml:"mean" doc:"Mean of pixel/255, one number per channel; empty: the data set's own."`
	Std        []float64 `yaml:"std" above:"0" doc:"Deviation of pixel/255, one number per channel; empty: the data set's own."`
	Resident   Bytes     `yaml:"resident" doc:"The most memory that a data set may take on the device; a larger one is read ahead batch by batch, with the same results. 0: always read ahead."`
}

// Model says which network.
type Model struct {
	Name   string `yaml:"name" doc:"A network of the zoo, or, beside model.layers, what to call those."`
	Layers Layers `yaml:"layers" doc:"The network as a list of layers, such as [flatten, {linear: 30}, sigmoid, {linear: 10}]; empty: model.name says which."`
}

// Trainer says how to train.
type Trainer struct {
	Epochs       int       `yaml:"epochs" min:"1" doc:"How many times the training set is passed."`
	MaxSteps     int       `yaml:"max_steps" min:"0" doc:"If not 0, training ends after so many updates; schedules still span all epochs."`
	Batch        int       `yaml:"batch" min:"1" also:"auto" doc:"Examples of one update. auto leaves their number as it is without this line, and sets micro_batches: auto."`
	MicroBatches Parts     `yaml:"micro_batches" min:"1" also:"auto" doc:"Parts of a batch whose gradients are added before the update; a divisor of trainer.batch. auto: as few as fit into the device's memory."`
	DropLast     bool      `yaml:"drop_last" doc:"Leave out the last, smaller batch of an epoch."`
	EvalBatch    int       `yaml:"eval_batch" min:"0" doc:"Examples of one evaluation batch; 0: as trainer.batch. Beside micro_batches: auto fewer, if so many do not fit."`
	Optimizer    Optimizer `yaml:"optimizer"`
	Groups       []Group   `yaml:"groups" doc:"Parameters picked by name that train differently, a list of {pattern: \"*.bias\", lr_scale: 1, weight_decay: 0, freeze: false}."`
	Schedule     Schedule  `yaml:"schedule"`
	Plateau      Plateau   `yaml:"plateau"`
	Loss         Loss      `yaml:"loss"`
	LossScale    LossScale `yaml:"loss_scale" doc:"Factor on the loss that keeps gradients in the range of f16: dynamic (from 65536; halved, and the step skipped, when a gradient overflows, doubled after 2000 finite steps), a number from 1 on, or auto: dynamic in f16, else 1."`
	ClipNorm     float64   `yaml:"clip_norm" min:"0" doc:"Bound of the gradient's L2 norm; 0: none."`
	ClipValue    float64   `yaml:"clip_value" min:"0" doc:"Bound of each number of the gradient; 0: none."`
	EarlyStop    int       `yaml:"early_stop" min:"0" doc:"End after so many epochs without a better validation metric; 0: never. Needs data.validation."`
	Monitor      string    `yaml:"monitor" one:"accuracy,loss" doc:"The validation metric that decides which epoch is the best."`
	SaveEvery    Duration  `yaml:"save_every" doc:"Time between checkpoints besides those at the ends of epochs, such as 10m; 0s: only those."`
	Keep         int       `yaml:"keep" min:"0" doc:"Checkpoints of epochs that stay beside best and last."`
	Capture      bool      `yaml:"capture" doc:"Record each form of a step once and replay it; false runs call by call, with the same results."`
	CaptureSteps int       `yaml:"capture_steps" min:"0" doc:"Steps that one recording holds where nothing is due between them, with the same results; 0: on a GPU as many as make a millisecond, at most 16, on a CPU 1."`
	LogEvery     int       `yaml:"log_every" min:"1" doc:"Steps between two rows of metrics."`
}

// Optimizer is the update rule. Nil fields are not of its name.
type Optimizer struct {
	Name        string   `yaml:"name" one:"sgd,adam,adamw" doc:"The update rule."`
	LR          *float64 `yaml:"lr" min:"0" for:"sgd,adam,adamw" def:"sgd=0.1,adam=0.001,adamw=0.001" doc:"Learning rate; a schedule multiplies it."`
	Momentum    *float64 `yaml:"momentum" min:"0" below:"1" for:"sgd" def:"sgd=0.9" doc:"Share of the last update that is kept."`
	Dampening   *float64 `yaml:"dampening" min:"0" for:"sgd" def:"sgd=0" doc:"Share of the gradient that does not go into the momentum."`
	Nesterov    *bool    `yaml:"nesterov" for:"sgd" def:"sgd=false" doc:"Nesterov's form of momentum."`
	Beta1       *float64 `yaml:"beta1" above:"0" below:"1" for:"adam,adamw" def:"adam=0.9,adamw=0.9" doc:"Decay of the mean of gradients."`
	Beta2       *float64 `yaml:"beta2" above:"0" below:"1" for:"adam,adamw" def:"adam=0.999,adamw=0.999" doc:"Decay of the mean of squared gradients."`
	Eps         *float64 `yaml:"eps" above:"0" for:"adam,adamw" def:"adam=1e-8,adamw=1e-8" doc:"Added to the denominator."`
	AMSGrad     *bool    `yaml:"amsgrad" for:"adam,adamw" def:"adam=false,adamw=false" doc:"Divide by the largest mean of squares so far."`
	WeightDecay *float64 `yaml:"weight_decay" min:"0" for:"sgd,adam,adamw" def:"sgd=0,adam=0,adamw=0.01" doc:"Pull of weights to zero, added to the gradient; adamw takes it off the weights."`
	Decoupled   *bool    `yaml:"decoupled" for:"sgd,adam" def:"sgd=false,adam=false" doc:"Take weight decay off the weights, as adamw does."`
}

// Group is parameters that train differently.
type Group struct {
	Pattern     string   `yaml:"pattern" doc:"Pattern of parameter names."`
	LRScale     *float64 `yaml:"lr_scale" above:"0" doc:"Factor on the learning rate."`
	WeightDecay *float64 `yaml:"weight_decay" min:"0" doc:"Instead of the optimiser's."`
	Freeze      bool     `yaml:"freeze" doc:"Do not train these."`
}

// Plateau lowers the learning rate when validation no longer improves.
type Plateau struct {
	Factor    float64 `yaml:"factor" min:"0" below:"1" doc:"By what the learning rate is multiplied when validation no longer improves, such as 0.1; 0: never. Needs data.validation."`
	Patience  int     `yaml:"patience" min:"0" doc:"Epochs without a better validation metric that are borne."`
	MinFactor float64 `yaml:"min_factor" min:"0" max:"1" doc:"The least that all these factors together may be."`
	Threshold float64 `yaml:"threshold" min:"0" doc:"By which share of itself the metric must rise to count as better."`
}

// Loss is what is minimised.
type Loss struct {
	Name           string  `yaml:"name" one:"cross_entropy,mse,l1,bce" doc:"What is minimised. All but cross_entropy compare the outputs with one-hot rows."`
	LabelSmoothing float64 `yaml:"label_smoothing" min:"0" max:"1" doc:"Share of the target that is spread over all classes, of cross_entropy."`
}

// Run says where results go.
type Run struct {
	Root string `yaml:"root" doc:"The folder that run folders are made in."`
	Name string `yaml:"name" doc:"Run folders are called NAME-001, NAME-002 ...; empty: the name of the configuration's file."`
}

// Duration is a time.Duration that YAML writes as 10m or 1h30m.
type Duration time.Duration

// Bytes is an amount of memory that YAML writes as a number or as 512MiB, 2GiB.
type Bytes int64

// Default is the configuration where nothing is written: lenet5 on the MNIST that is in the program.
func Default() *Config {
	c := &Config{
		Seed: 1, Device: "auto", Precision: "f32", Progress: "auto",
		Data:  Data{Name: "mnist", Dir: "data", Resident: 2 << 30},
		Model: Model{Name: "lenet5"},
		Trainer: Trainer{
			Epochs: 5, Batch: 64, MicroBatches: 1,
			Optimizer: Optimizer{Name: "sgd"},
			Schedule:  Schedule{Name: "constant"},
			Plateau:   Plateau{Patience: 3},
			Loss:      Loss{Name: "cross_entropy"},
			LossScale: "auto",
			Monitor:   "accuracy", Capture: true, LogEvery: 50,
		},
		Run: Run{Root: "runs"},
	}
	return c
}
