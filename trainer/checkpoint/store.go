package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/internal/fault"
)

// Names of the files in a Store's folder.
const (
	Last = "last.safetensors" // the newest state: where resuming goes on
	Best = "best.safetensors" // of the chosen epoch: best on validation, without it the last
)

func epochFile(n int) string { return fmt.Sprintf("epoch-%04d.safetensors", n) }

// Store is the checkpoints of one run, in one folder.
type Store struct {
	fs   atomicfile.FS
	dir  string
	keep int
	has  map[string]bool
}

// OpenStore makes dir if it is not there, and removes what a killed process left half written. keep is how many
// checkpoints of epochs stay. f nil is the machine's file system.
func OpenStore(f atomicfile.FS, dir string, keep int) (*Store, error) {
	if f == nil {
		f = atomicfile.OS{}
	}
	const hint = "choose a folder that can be written with --run or run.root"
	if err := f.MkdirAll(dir); err != nil {
		return nil, fault.Failuref(hint, "%w", err)
	}
	if err := atomicfile.Sweep(f, dir); err != nil {
		return nil, fault.Failuref(hint, "%w", err)
	}
	names, err := f.ReadDir(dir)
	if err != nil {
		return nil, fault.Failuref(hint, "%w", err)
	}
	s := &Store{fs: f, dir: dir, keep: keep, has: map[string]bool{}}
	for _, n := range names {
		s.has[n] = true
	}
	return s, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// LastPath is the newest checkpoint's, empty if there is none.
func (s *Store) LastPath() string {
	if !s.has[Last] {
		return ""
	}
	return s.path(Last)
}

// BestPath is the chosen epoch's, empty if there is none.
func (s *Store) BestPath() string {
	if !s.has[Best] {
		return ""
	}
	return s.path(Best)
}

// Save writes c as the last checkpoint; with best also as the best; with epoch above 0, and if epochs are kept, under
// the epoch's number. The last is written last, so that what it says of the others holds.
func (s *Store) Save(c *Checkpoint, best bool, epoch int) error {
	b, err := c.Encode()
	if err != nil {
		return err
	}
	var names []string
	if epoch > 0 && s.keep > 0 {
		names = append(names, epochFile(epoch))
	}
	if best {
		names = append(names, Best)
	}
	for _, n := range append(names, Last) {
		if err := write(s.fs, s.path(n), b); err != nil {
			return err
		}
		s.has[n] = true
	}
	return s.thin()
}

// thin removes the oldest epochs' checkpoints beyond those to keep.
func (s *Store) thin() error {
	var epochs []int
	for n := range s.has {
		if num, ok := strings.CutPrefix(n, "epoch-"); ok {
			if num, ok = strings.CutSuffix(num, ".safetensors"); ok {
				if e, err := strconv.Atoi(num); err == nil && s.keep > 0 {
					epochs = append(epochs, e)
				}
			}
		}
	}
	slices.Sort(epochs)
	for len(epochs) > s.keep {
		n := epochFile(epochs[0])
		if err := s.fs.Remove(s.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Failuref("see whether the folder can be written", "%w", err)
		}
		delete(s.has, n)
		epochs = epochs[1:]
	}
	return nil
}

// LoadLast reads the newest checkpoint; nil without an error if there is none.
func (s *Store) LoadLast() (*Checkpoint, error) { return s.load(Last) }

// LoadBest reads the chosen epoch's; nil without an error if there is none.
func (s *Store) LoadBest() (*Checkpoint, error) { return s.load(Best) }

func (s *Store) load(name string) (*Checkpoint, error) {
	if !s.has[name] {
		return nil, nil
	}
	return load(s.fs, s.path(name), true)
}
