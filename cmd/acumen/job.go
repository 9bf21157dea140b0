package main

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/data"
)

// job is all that a run of training needs, before anything is written.
type job struct {
	cfg         *config.Config
	options     trainer.Options
	dev         device.Device
	train, test data.Set
	net         *model.Network
}

// prepare does what can fail because of a person: it reads options, device, data and model.
func prepare(cfg *config.Config) (j *job, err error) {
	j = &job{cfg: cfg}
	if j.options, err = options(cfg); err != nil {
		return nil, err
	}
	if j.dev, err = openDevice(cfg); err != nil {
		return nil, err
	}
	if err = trainer.CheckPrecision(j.dev, j.options.Precision, j.options.TF32); err == nil {
		j.train, j.test, err = loadData(cfg)
	}
	if err == nil {
		j.net, err = buildModel(cfg, j.train.Shape(), len(j.train.Classes()))
	}
	if err != nil {
		j.close(&err)
		return nil, err
	}
	return j, nil
}

// close gives the device back, and adds to err what went wrong with that.
func (j *job) close(err *error) { closeDevice(j.dev, err) }

func closeDevice(d device.Device, err *error) {
	if cerr := d.Close(); *err == nil && cerr != nil {
		*err = fault.Failuref("the results are whole; see whether the device is sound", "device %s: %w", d.Name(), cerr)
	}
}

// buildModel makes the network that a configuration describes. A layer that does not fit is named with its file and line.
func buildModel(cfg *config.Config, input [3]int, classes int) (*model.Network, error) {
	layers := cfg.Model.Layers
	if layers.IsZero() {
		return model.New(cfg.Model.Name, input, classes)
	}
	net, err := model.FromLayers(layers.Node(), input, classes)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), fault.HintOf(err), "%s: %w", layers.Origin(), err)
	}
	net.Name = cfg.Model.Name
	return net, nil
}

// networkOf is the network of a configuration for the pictures of its data set, which is not read.
func networkOf(cfg *config.Config) (*model.Network, error) {
	input, classes, ok := pictures(cfg)
	if !ok {
		return nil, fault.Usagef("train it; then inspect the checkpoint", "data.name: how large the pictures of data set %s are is known only once they are read", cfg.Data.Name)
	}
	net, err := buildModel(cfg, input, classes)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return net, nil
}

// pictures is the shape of a data set's pictures and its number of classes, as far as the configuration tells.
func pictures(cfg *config.Config) (input [3]int, classes int, ok bool) {
	switch cfg.Data.Name {
	case "mnist":
		return [3]int{28, 28, 1}, 10, true
	case "cifar10":
		return [3]int{32, 32, 3}, 10, true
	}
	return input, 0, false
}
