package data

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Bounds of what is unpacked from an archive: far above those of any data set here.
const (
	tarBytes   = 1 << 30
	tarEntries = 1000
)

const distrust = "do not trust this archive; get the data from its official address"

// notUnpacked is the error for an entry that could not be made: its name is taken or not possible, or the disk is full.
func notUnpacked(shown string, err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENAMETOOLONG) {
		return fault.Usagef(distrust, "%s: %w", shown, err)
	}
	return fault.Failuref("make room, or choose a folder that you may write to with --data-dir", "%s: %w", shown, err)
}

// extract unpacks the archive at name, which may be gzipped, into the folder dir. set is the data set for messages.
func extract(set, name, dir string) error {
	f, err := os.Open(name)
	if err != nil {
		return notWritten(err)
	}
	defer f.Close()
	u, err := unpacked(f, set, name)
	if err != nil {
		return err
	}
	return extractTar(u, set, name, dir, tarBytes)
}

// extractTar writes the files and folders of a tar archive into dir, most bytes in all. An archive with any other kind of
// entry, or a name that leads out of dir, is refused; os.Root would not follow it there either. set and shown, its path,
// are for messages.
func extractTar(r io.Reader, set, shown, dir string, most int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return notWritten(err)
	}
	defer root.Close()
	refuse := func(format string, args ...any) error {
		return fault.Usagef(distrust, "%s: %s", shown, fmt.Sprintf(format, args...))
	}
	t := tar.NewReader(r)
	for entries := 0; ; entries++ {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return damaged(set, shown, err)
		}
		if entries == tarEntries {
			return refuse("more than %d entries", tarEntries)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name := filepath.FromSlash(path.Clean(h.Name))
		if !filepath.IsLocal(filepath.FromSlash(h.Name)) || !filepath.IsLocal(name) {
			return refuse("entry %q leads out of the folder", h.Name)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if err := root.MkdirAll(name, 0o755); err != nil {
				return notUnpacked(shown, err)
			}
		case tar.TypeReg:
			if most -= h.Size; most < 0 {
				return refuse("entry %q of %d bytes: too many bytes", h.Name, h.Size)
			}
			if err := extractFile(root, name, t, set, shown); err != nil {
				return err
			}
		default:
			return refuse("entry %q is neither a file nor a folder", h.Name)
		}
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(r, most)); err != nil { // to the end, where gzip checks its sum
		return damaged(set, shown, err)
	}
	return nil
}

// extractFile writes a new file; one name may stand in an archive only once.
func extractFile(root *os.Root, name string, r io.Reader, set, shown string) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return notUnpacked(shown, err)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return notUnpacked(shown, err)
	}
	w := &writer{to: f}
	_, err = io.Copy(w, r)
	if cerr := f.Close(); err == nil && cerr != nil {
		return notWritten(cerr)
	}
	switch {
	case w.err != nil:
		return notWritten(w.err)
	case err != nil:
		return damaged(set, shown, err)
	}
	return nil
}

// writer tells a failure to write from one to read.
type writer struct {
	to  io.Writer
	err error
}

func (w *writer) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	if err != nil {
		w.err = err
	}
	return n, err
}
