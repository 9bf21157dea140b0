package main

import (
	"slices"

	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/trainer/data"
)

// imagined is a data set of which only the size is known.
type imagined struct {
	name    string
	shape   [3]int
	classes []string
	labels  []int32
}

func (s *imagined) Name() string                 { return s.name }
func (s *imagined) Len() int                     { return len(s.labels) }
func (s *imagined) Shape() [3]int                { return s.shape }
func (s *imagined) Classes() []string            { return s.classes }
func (s *imagined) Labels() []int32              { return s.labels }
func (s *imagined) Images([]byte, []int32) error { return nil }

// imagine is the data set of a configuration, as it was published where it is not there. A folder of pictures must be.
func imagine(cfg *config.Config) (train, test data.Set, err error) {
	train, test, err = loadData(cfg)
	if err == nil {
		return train, test, nil
	}
	i := slices.IndexFunc(data.List(), func(i data.Info) bool { return i.Name == cfg.Data.Name && i.Train > 0 })
	if i < 0 {
		return nil, nil, err
	}
	known := data.List()[i]
	of := func(n int) data.Set {
		return &imagined{known.Name, known.Shape, make([]string, known.Classes), make([]int32, n)}
	}
	return of(known.Train), of(known.Test), nil
}
