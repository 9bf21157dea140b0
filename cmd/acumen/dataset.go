package main

import (
	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/trainer/data"
)

// dataOptions are how the pictures of a folder are read.
func dataOptions(c *config.Config) data.Options {
	o := data.Options{Channels: c.Data.Channels}
	copy(o.Size[:], c.Data.Size)
	return o
}

// loadData reads the data set of a configuration; test is nil if it has none.
func loadData(c *config.Config) (train, test data.Set, err error) {
	return data.Load(c.Data.Name, c.Data.Dir, dataOptions(c))
}
