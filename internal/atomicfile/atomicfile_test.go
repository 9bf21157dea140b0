package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/internal/atomicfile/faultfs"
)

func text(parts ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, p := range parts {
			if _, err := io.WriteString(w, p); err != nil {
				return err
			}
		}
		return nil
	}
}

// read is a file's contents.
func read(f atomicfile.FS, path string) ([]byte, error) {
	r, err := f.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	return b, errors.Join(err, r.Close())
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var f atomicfile.OS
	require.NoError(t, f.MkdirAll(dir))
	require.NoError(t, f.MkdirAll(dir))
	path := filepath.Join(dir, "x.bin")
	for _, s := range []string{"one", "", "three"} {
		require.NoError(t, atomicfile.Write(f, path, text(s)))
		b, err := read(f, path)
		require.NoError(t, err)
		assert.Equal(t, s, string(b))
	}
	assert.ErrorIs(t, atomicfile.Write(f, path, func(w io.Writer) error {
		names, err := f.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, names, 2)
		assert.True(t, atomicfile.IsTemp(names[0]) != atomicfile.IsTemp(names[1]), "one of %v is being written", names)
		return errors.Join(text("half")(w), errBroken)
	}), errBroken)
	names, err := f.ReadDir(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"x.bin"}, names, "what failed leaves nothing")
	assert.ErrorIs(t, atomicfile.Write(f, filepath.Join(dir, "no", "y"), text("y")), os.ErrNotExist)
}

// broken is a disk of which one operation fails, and no other.
type broken struct {
	atomicfile.FS
	op string
}

var errBroken = errors.New("broken")

func (b broken) try(op string, f func() error) error {
	if op == b.op {
		return errBroken
	}
	return f()
}

func (b broken) Create(name string) (f atomicfile.File, err error) {
	err = b.try("create", func() error { f, err = b.FS.Create(name); return err })
	return brokenFile{f, b}, err
}

func (b broken) Rename(from, to string) error {
	return b.try("rename", func() error { return b.FS.Rename(from, to) })
}

func (b broken) SyncDir(dir string) error {
	return b.try("directory", func() error { return b.FS.SyncDir(dir) })
}

type brokenFile struct {
	atomicfile.File
	b broken
}

func (f brokenFile) Write(p []byte) (n int, err error) {
	err = f.b.try("write", func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f brokenFile) Sync() error { return f.b.try("sync", f.File.Sync) }

func (f brokenFile) Close() error {
	return errors.Join(f.File.Close(), f.b.try("close", func() error { return nil }))
}

// Whichever step fails, nothing is left beside the file, and it is the old one until it has been renamed.
func TestEachStepFails(t *testing.T) {
	for op, want := range map[string]string{"create": "old", "write": "old", "sync": "old", "close": "old", "rename": "old", "directory": "new", "": "new"} {
		d := faultfs.New()
		require.NoError(t, atomicfile.Write(d, "/d/x", text("old")))
		if err := atomicfile.Write(broken{d, op}, "/d/x", text("new")); op == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, errBroken, op)
		}
		assert.Equal(t, []string{"/d/x"}, d.Names(), op)
		b, err := read(d, "/d/x")
		require.NoError(t, err)
		assert.Equal(t, want, string(b), op)
	}
}

// What is no plain file can be read all the same, if it has an end.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	_, err := atomicfile.OS{}.Open(dir)
	assert.Error(t, err, "a folder")
	_, err = atomicfile.OS{}.Open(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, text("through ", "a pipe")(w))
	require.NoError(t, w.Close())
	path := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(path); err == nil { // not every system has them
		b, err := read(atomicfile.OS{}, path)
		require.NoError(t, err)
		assert.Equal(t, "through a pipe", string(b))
	}
	require.NoError(t, r.Close())
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{".x.bin.tmp-123", "x.bin", "x.tmp-1", ".profile"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte("old"), 0o600))
	}
	require.NoError(t, atomicfile.Sweep(atomicfile.OS{}, dir))
	names, err := atomicfile.OS{}.ReadDir(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{".profile", "x.bin", "x.tmp-1"}, names)
	assert.ErrorIs(t, atomicfile.Sweep(atomicfile.OS{}, filepath.Join(dir, "none")), os.ErrNotExist)
}

// Whenever the machine or the process stops, the old file or the new one is there, whole; once Write has returned, the
// new one.
func TestCrashAtEveryOperation(t *testing.T) {
	for _, loss := range []faultfs.Loss{faultfs.LoseNothing, faultfs.LoseData, faultfs.LoseDataAndNames} {
		seen := map[string]int{}
		for n := 1; ; n++ {
			d := faultfs.New()
			require.NoError(t, atomicfile.Write(d, "/d/x", text("old")))
			d.CutAt(n)
			err := atomicfile.Write(d, "/d/x", text("new", " and longer"))
			after := d.Restart(loss)
			b, rerr := read(after, "/d/x")
			require.NoError(t, rerr, "cut at %d", n)
			seen[string(b)]++
			if err == nil {
				assert.Equal(t, "new and longer", string(b))
				assert.Greater(t, n, 6, "remove, create, two writes, sync, close, rename, directory")
				break
			}
			assert.ErrorIs(t, err, faultfs.ErrCut)
			assert.Contains(t, []string{"old", "new and longer"}, string(b), "cut at %d", n)
			require.NoError(t, atomicfile.Sweep(after, "/d"))
			assert.Equal(t, []string{"/d/x"}, after.Names())
		}
		assert.Greater(t, seen["old"], 5)
	}
}

// The disk itself notices if a sync is left out: what looks written is gone.
func TestDiskForgetsWhatWasNotSynced(t *testing.T) {
	d := faultfs.New()
	f, err := d.Create("/d/x")
	require.NoError(t, err)
	require.NoError(t, text("words")(f))
	require.NoError(t, d.SyncDir("/d"))
	b, err := read(d.Restart(faultfs.LoseNothing), "/d/x")
	require.NoError(t, err)
	assert.Equal(t, "words", string(b))
	b, err = read(d.Restart(faultfs.LoseDataAndNames), "/d/x")
	require.NoError(t, err)
	assert.Empty(t, b, "the name was synced, the words were not")
	require.NoError(t, f.Sync())
	require.NoError(t, d.Rename("/d/x", "/d/y"))
	assert.Equal(t, []string{"/d/x"}, d.Restart(faultfs.LoseDataAndNames).Names(), "the new name was not synced")
	b, err = read(d.Restart(faultfs.LoseData), "/d/y")
	require.NoError(t, err)
	assert.Equal(t, "words", string(b))
}

func TestDiskFull(t *testing.T) {
	d := faultfs.New()
	require.NoError(t, atomicfile.Write(d, "/d/x", text("old")))
	for room := range 3 {
		d.Space(room)
		assert.ErrorIs(t, atomicfile.Write(d, "/d/x", text("new")), faultfs.ErrFull)
		assert.Equal(t, []string{"/d/x"}, d.Names())
		b, err := read(d, "/d/x")
		require.NoError(t, err)
		assert.Equal(t, "old", string(b))
	}
	d.Space(3)
	assert.NoError(t, atomicfile.Write(d, "/d/x", text("new")))
}
