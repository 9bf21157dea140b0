// Package faultfs is a file system in memory for tests: it can be full, or crash before any operation, and then has only
// what was synced.
package faultfs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/acumen-ml/acumen/internal/atomicfile"
)

// ErrCut is what every operation gives after the cut.
var ErrCut = errors.New("faultfs: power cut")

// ErrFull is a full disk.
var ErrFull = errors.New("faultfs: no space left on device")

// Disk is the file system. Names in directories and contents of files are each kept twice: as a process sees them, and
// as they were last synced.
type Disk struct {
	mu      sync.Mutex
	now     map[string]*inode // by path
	durable map[string]*inode
	ops     int
	cutAt   int // the operation before which power fails; 0: never
	space   int // bytes that may still be written; negative: any number
}

type inode struct{ now, durable []byte }

// New is an empty disk.
func New() *Disk {
	return &Disk{now: map[string]*inode{}, durable: map[string]*inode{}, space: -1}
}

// CutAt makes power fail before the n-th operation from now, counted from 1. Half of a cut write gets through, unsynced.
func (d *Disk) CutAt(n int) { d.ops, d.cutAt = 0, n }

// Space lets only so many bytes more be written.
func (d *Disk) Space(n int) { d.space = n }

// Ops is the number of operations since CutAt or New.
func (d *Disk) Ops() int { return d.ops }

// Loss is what a crash takes with it.
type Loss int

// A crash of the process loses nothing that it did; one of the machine loses what was not synced, in files only, which
// a file system may do that writes names before contents, or in files and directories.
const (
	LoseNothing Loss = iota
	LoseData
	LoseDataAndNames
)

// Restart is the disk after a crash.
func (d *Disk) Restart(l Loss) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.now
	if l == LoseDataAndNames {
		names = d.durable
	}
	e := New()
	for path, i := range names {
		left := i.durable
		if l == LoseNothing {
			left = i.now
		}
		c := &inode{slices.Clone(left), slices.Clone(left)}
		e.now[path], e.durable[path] = c, c
	}
	return e
}

// Names are all paths as a process sees them.
func (d *Disk) Names() []string {
	var names []string
	for n := range d.now {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (d *Disk) step() error {
	d.ops++
	if d.cutAt > 0 && d.ops >= d.cutAt {
		return ErrCut
	}
	return nil
}

type file struct {
	d *Disk
	i *inode
}

// Create makes a fresh file.
func (d *Disk) Create(name string) (atomicfile.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	if d.now[name] != nil {
		return nil, fs.ErrExist
	}
	i := &inode{}
	d.now[name] = i
	return &file{d, i}, nil
}

func (f *file) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step(); err != nil {
		f.i.now = append(f.i.now, b[:len(b)/2]...)
		return len(b) / 2, err
	}
	if f.d.space >= 0 && len(b) > f.d.space {
		n := f.d.space
		f.i.now = append(f.i.now, b[:n]...)
		f.d.space = 0
		return n, ErrFull
	}
	if f.d.space >= 0 {
		f.d.space -= len(b)
	}
	f.i.now = append(f.i.now, b...)
	return len(b), nil
}

func (f *file) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step(); err != nil {
		return err
	}
	f.i.durable = slices.Clone(f.i.now)
	return nil
}

func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.step()
}

// Rename moves a name; it lasts after SyncDir.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if d.now[from] == nil {
		return fs.ErrNotExist
	}
	d.now[to] = d.now[from]
	delete(d.now, from)
	return nil
}

// Remove drops a name.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if d.now[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.now, name)
	return nil
}

// SyncDir makes the names in dir last.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	for path := range d.durable {
		if filepath.Dir(path) == dir && d.now[path] == nil {
			delete(d.durable, path)
		}
	}
	for path, i := range d.now {
		if filepath.Dir(path) == dir {
			d.durable[path] = i
		}
	}
	return nil
}

// Open opens a file as a process sees it at that moment.
func (d *Disk) Open(name string) (atomicfile.Reader, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	if d.now[name] == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return atomicfile.Bytes(slices.Clone(d.now[name].now)), nil
}

// ReadDir is the names in dir.
func (d *Disk) ReadDir(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	var names []string
	for path := range d.now {
		if filepath.Dir(path) == filepath.Clean(dir) {
			names = append(names, strings.TrimPrefix(path, filepath.Clean(dir)+string(filepath.Separator)))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll does nothing: directories are there and last.
func (d *Disk) MkdirAll(string) error { return nil }
