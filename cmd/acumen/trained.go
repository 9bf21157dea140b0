package main

import (
	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

// addBatch gives a command the flag for how many pictures run at a time.
func addBatch(c *cobra.Command) {
	c.Flags().Int("batch", 128, "`N`: pictures to run at a time; fewer take less memory")
}

// batchOf reads that flag.
func batchOf(c *cobra.Command) (int, error) {
	n, err := c.Flags().GetInt("batch")
	if err == nil && n < 1 {
		err = fault.Usagef("write --batch 128", "--batch %d: at least one picture runs at a time", n)
	}
	return n, err
}

// trained is the network of a checkpoint on a device, ready to be asked.
type trained struct {
	path      string
	meta      checkpoint.Meta
	cfg       *config.Config // of its training, with what the environment and flags change
	dev       device.Device
	net       *model.Network
	inference *trainer.Inference
}

// openTrained reads a checkpoint and puts its network on the device that its configuration, the environment and flags
// name, for batches of so many pictures.
func openTrained(path string, sets []config.Setting, batch int) (t *trained, err error) {
	ck, err := checkpoint.LoadWeights(path)
	if err != nil {
		return nil, err
	}
	t = &trained{path: path, meta: ck.Meta}
	if t.cfg, err = config.Load(&config.File{Name: path + " (configuration)", Text: []byte(ck.Meta.Config)}, sets); err != nil {
		return nil, err
	}
	if t.net, err = ck.Network(); err != nil {
		return nil, fault.New(fault.KindOf(err), fault.HintOf(err), "%s: %w", path, err)
	}
	if t.dev, err = openDevice(t.cfg); err != nil {
		return nil, err
	}
	o := trainer.InferenceOptions{Batch: batch, Mean: ck.Meta.Mean, Std: ck.Meta.Std, Loss: trainer.Loss{Name: ck.Meta.Loss}}
	o.Precision, o.TF32, _ = trainer.Precision(t.cfg.Precision)
	if o.TF32 && ck.Meta.Precision == t.cfg.Precision && !trainer.HasTF32(t.dev) {
		o.TF32 = false // it was trained so on another device; f32 is all that and more
	}
	if t.inference, err = trainer.NewInference(t.dev, t.net, o); err != nil {
		t.dev.Close()
		return nil, err
	}
	return t, nil
}

// close gives the device back, and adds to err what went wrong with that.
func (t *trained) close(err *error) {
	t.inference.Close()
	closeDevice(t.dev, err)
}

// openDevice opens the device that a configuration names.
func openDevice(c *config.Config) (device.Device, error) {
	return device.Open(c.Device, device.Options{Threads: c.Threads})
}
