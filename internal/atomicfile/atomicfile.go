// Package atomicfile replaces files so that a crash at any moment leaves the old file or the new one, whole.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// FS is what of a file system is needed here. OS is the real one; package faultfs has one that breaks on purpose.
type FS interface {
	// Create makes a fresh file, for writing; it is an error if there is one already.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes what Create, Rename and Remove did in a directory last.
	SyncDir(dir string) error
	// Open opens a file for reading.
	Open(name string) (Reader, error)
	// ReadDir is the names in a directory.
	ReadDir(dir string) ([]string, error)
	// MkdirAll makes a directory and those above it, and makes them last.
	MkdirAll(dir string) error
}

// File is a file open for writing.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// Reader is a file open for reading, at several places at once.
type Reader interface {
	io.ReaderAt
	io.Closer
	// Size is the number of bytes that there were when it was opened.
	Size() int64
}

// OS is the file system of the machine.
type OS struct{}

// Create makes a fresh file with the permissions that the process's mask leaves.
func (OS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// Rename is os.Rename.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

// Open opens a file. One that is read in order only, as a pipe is, is read to its end first.
func (OS) Open(name string) (Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		return regular{f, info.Size()}, nil
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(f)
	}
	return Bytes(b), errors.Join(err, f.Close())
}

type regular struct {
	*os.File
	size int64
}

func (r regular) Size() int64 { return r.size }

// Bytes is a Reader of what is in memory.
func Bytes(b []byte) Reader { return memory{bytes.NewReader(b)} }

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// MkdirAll makes a directory and those above it, and syncs the directories in which it made one; that in which dir
// stands also if it made none, since whoever made dir may not have.
func (o OS) MkdirAll(dir string) error {
	above := []string{filepath.Dir(filepath.Clean(dir))}
	for d := above[0]; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above = append(above, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, d := range above {
		if err := o.SyncDir(d); err != nil && !errors.Is(err, fs.ErrPermission) { // one may use a folder without reading what it is in
			return err
		}
	}
	return nil
}

// ReadDir is the names in dir.
func (OS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// SyncDir is fsync of the directory. Windows has none, and needs none: a rename there is in the journal. Some network
// file systems have none either, and say so.
func (OS) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

const mark = ".tmp-"

// temp is the name of the file that becomes path. One process at a time writes a path, so one name is enough; what a
// killed process left under it is swept.
func temp(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+mark+fmt.Sprint(os.Getpid()))
}

// Write makes path hold what fill writes: into a file beside it, which is synced, renamed, and its directory synced. On
// an error path is as it was; only if the very last sync fails it is new, and perhaps not for long.
func Write(f FS, path string, fill func(io.Writer) error) (err error) {
	name := temp(path)
	if err := f.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Remove(name) // the error that matters is known
		}
	}()
	if err := fill(file); err != nil {
		_ = file.Close()
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.Rename(name, path); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(path))
}

// IsTemp reports whether name is that of a file that Write had not finished.
func IsTemp(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, ".") && strings.Contains(base, mark)
}

// Sweep removes what killed processes left in dir.
func Sweep(f FS, dir string) error {
	names, err := f.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if IsTemp(n) {
			if err := f.Remove(filepath.Join(dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
