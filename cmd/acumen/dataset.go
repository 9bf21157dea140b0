package main

import (
	"os"
	"runtime/debug"

	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/trainer/data"
)

// dataOptions are how the pictures of a folder are read.
func dataOptions(c *config.Config) data.Options {
	o := data.Options{Channels: c.Data.Channels}
	copy(o.Size[:], c.Data.Size)
	return o
}

// keepHeapSmall gives back what reading took, and lets the heap grow by a quarter only between collections, unless GOGC
// says how much. What lies in it then is pictures, which have no pointers to follow: collecting more often costs nothing.
func keepHeapSmall() {
	debug.FreeOSMemory()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

// loadData reads the data set of a configuration; test is nil if it has none.
func loadData(c *config.Config) (train, test data.Set, err error) {
	defer keepHeapSmall()
	return data.Load(c.Data.Name, c.Data.Dir, dataOptions(c))
}
