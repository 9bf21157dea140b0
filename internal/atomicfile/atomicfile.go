// Package atomicfile replaces files so that a crash at any moment leaves the old file or the new one, whole.
package atomicfile

import (
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
	// ReadFile is a file's contents. On the way more, if not nil, is called with ever longer beginnings of them.
	ReadFile(name string, more func(b []byte)) ([]byte, error)
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

// ReadFile reads a file, some at a time.
func (OS) ReadFile(name string, more func(b []byte)) ([]byte, error) {
	if more == nil {
		return os.ReadFile(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read only
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, info.Size()+1) // one more, so that the end is seen without growing
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := f.Read(b[len(b):min(len(b)+readPiece, cap(b))])
		if b = b[:len(b)+n]; n > 0 {
			more(b)
		}
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		}
	}
}

const readPiece = 1 << 20 // bytes: what is done with them meanwhile finds them in a cache

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
