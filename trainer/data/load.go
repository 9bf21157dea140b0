package data

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// Options say how pictures of a folder are read; other sets ignore them.
type Options struct {
	// Size is height and width to which pictures are brought; zero: all must have one size already.
	Size [2]int
	// Channels is 1 for grey, 3 for red, green and blue, 4 with alpha; default 3.
	Channels int
}

// Info describes a data set that Load knows.
type Info struct {
	Name        string // what Load takes
	About       string // what it shows, in a line
	Shape       [3]int // height, width, channels; zero where it depends on the files
	Classes     int
	Train, Test int    // pictures
	Bytes       int64  // to download; 0: nothing
	Licence     string // or how it may be used
	Source      string // address of its home page
}

// Part is one part of a data set that was found right.
type Part struct {
	Name    string // of a file, or of a set of records
	Path    string // where it was found
	Records int
	Digest  string // SHA-256 in hexadecimal; empty where there is nothing to compare with
}

// known is a row of the table of data sets.
type known struct {
	Info
	load   func(dir string, o Options) (train, test Set, err error)
	verify func(dir string, o Options) ([]Part, error)
	get    func(ctx context.Context, dir string, g *getter) error // nil: there is nothing to download
}

// sets is the table of data sets: one row each.
func sets() []known {
	return []known{
		{
			Info: Info{Name: "mnist", About: "handwritten digits; travels in the program", Shape: [3]int{28, 28, 1}, Classes: 10, Train: 60000, Test: 10000,
				Bytes: 11594722, Licence: "CC BY-SA 3.0, Yann LeCun and Corinna Cortes", Source: "http://yann.lecun.com/exdb/mnist/"},
			load: func(dir string, _ Options) (Set, Set, error) {
				if _, ok := findMNIST(dir); !ok {
					return EmbeddedMNIST()
				}
				return MNIST(dir)
			},
			verify: verifyMNIST,
			get:    getMNIST,
		},
		{
			Info: Info{Name: "cifar10", About: "small photographs of animals and vehicles", Shape: [3]int{32, 32, 3}, Classes: 10, Train: 50000, Test: 10000,
				Bytes: 170052171, Licence: "cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009", Source: "https://www.cs.toronto.edu/~kriz/cifar.html"},
			load:   func(dir string, _ Options) (Set, Set, error) { return CIFAR10(dir) },
			verify: verifyCIFAR10,
			get:    getCIFAR10,
		},
		{
			Info:   Info{Name: "folder", About: "your own PNG and JPEG pictures, in train/CLASS and test/CLASS"},
			load:   Folder,
			verify: verifyFolder,
		},
	}
}

func find(name string) (known, error) {
	all := sets()
	if i := slices.IndexFunc(all, func(k known) bool { return k.Name == name }); i >= 0 {
		return all[i], nil
	}
	hint := "the data sets are " + strings.Join(Names(), ", ")
	if near := nearest.Name(name, Names()); near != "" {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	return known{}, fault.Usagef(hint, "data.name: there is no data set %q", name)
}

// List describes the data sets that Load knows.
func List() []Info {
	var all []Info
	for _, k := range sets() {
		all = append(all, k.Info)
	}
	return all
}

// Names are the names that Load takes.
func Names() []string {
	var all []string
	for _, k := range sets() {
		all = append(all, k.Name)
	}
	return all
}

// Load reads the data set called name from dir: mnist (from the program if dir has none), cifar10 or folder. test is nil
// if a folder has none.
func Load(name, dir string, o Options) (train, test Set, err error) {
	k, err := find(name)
	if err != nil {
		return nil, nil, err
	}
	return k.load(dir, o)
}

// Verify checks that dir holds all of the data set called name, unchanged: MNIST by the SHA-256 of its files' unpacked
// content, CIFAR-10 by digests that depend on neither the order of records nor their packing, a folder by decoding every
// picture. It tells what it found.
func Verify(name, dir string, o Options) ([]Part, error) {
	k, err := find(name)
	if err != nil {
		return nil, err
	}
	return k.verify(dir, o)
}
