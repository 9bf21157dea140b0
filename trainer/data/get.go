package data

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/internal/fault"
)

// The official addresses.
var (
	mnistAddresses = []string{"https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"}
	cifarAddresses = []string{"https://www.cs.toronto.edu/~kriz"}
)

// GetOptions say how Get downloads.
type GetOptions struct {
	// Mirrors are addresses of folders with the files under their official names, tried before the official addresses.
	Mirrors []string
	// Progress, if set, is called as bytes of a file arrive: how many there are, and of how many, -1 if unknown. done may
	// begin above 0, where an earlier call stopped, and may fall back to 0.
	Progress func(file string, done, total int64)
	// Client sends the requests; default one that gives up on a server that is silent for 30 s.
	Client *http.Client
}

// Get brings the data set called name into dir, unless dir already holds it as Verify wants, and tells what it found in
// the end. MNIST goes to dir/mnist and CIFAR-10 to dir/cifar-10-batches-bin, or to where files of theirs lie already.
// What a broken download has left in *.part is gone on with, here or in a later call. A file takes its place only once
// its content is right.
func Get(ctx context.Context, name, dir string, o GetOptions) ([]Part, error) {
	g := &getter{GetOptions: o, tries: 4, pause: time.Second, stall: time.Minute}
	if g.Client == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = 30 * time.Second
		g.Client = &http.Client{Transport: t}
		defer t.CloseIdleConnections()
	}
	return g.set(ctx, name, dir)
}

func (g *getter) set(ctx context.Context, name, dir string) ([]Part, error) {
	k, err := find(name)
	if err != nil {
		return nil, err
	}
	if k.get == nil {
		return nil, fault.Usagef("put your pictures into train/CLASS and test/CLASS there, and set data.dir", "data set %s is not downloaded: it is made of your own files", name)
	}
	if parts, err := k.verify(dir, Options{}); err == nil {
		return parts, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, notWritten(err)
	}
	if err := k.get(ctx, dir, g); err != nil {
		return nil, err
	}
	return k.verify(dir, Options{})
}

func notWritten(err error) error {
	return fault.Failuref("make room, or choose a folder that you may write to with --data-dir", "%w", err)
}

// getMNIST downloads those of the four files that are not there or not right.
func getMNIST(ctx context.Context, dir string, g *getter) error {
	place, ok := findMNIST(dir)
	if !ok {
		place = filepath.Join(dir, "mnist")
	}
	if err := os.MkdirAll(place, 0o755); err != nil {
		return notWritten(err)
	}
	for _, f := range mnistFiles {
		if r, shown, err := openMNIST(os.DirFS(place), place, f.name); err == nil {
			err = sumIs(r, "mnist", shown, f.sum)
			if cerr := r.Close(); err == nil && cerr == nil {
				continue
			}
		}
		path := filepath.Join(place, f.name+".gz")
		err := g.file(ctx, mnistAddresses, path, 1<<25, func(part string) error {
			r, err := os.Open(part)
			if err != nil {
				return err
			}
			defer r.Close()
			return sumIs(r, "mnist", part, f.sum)
		})
		if err != nil {
			return err
		}
		if err := putInPlace(path+".part", path); err != nil {
			return err
		}
	}
	return nil
}

// getCIFAR10 downloads the archive, unpacks it beside its place, and moves the files there: to where files of the set are
// found already, so that they do not hide the right ones, else to dir/cifar-10-batches-bin.
func getCIFAR10(ctx context.Context, dir string, g *getter) (err error) {
	archive, pattern := filepath.Join(dir, cifarArchive), "."+cifarFolder+".tmp-"
	sweep := func() error { // of this call, or of one that was killed
		old, err := filepath.Glob(filepath.Join(dir, pattern+"*"))
		for _, p := range old {
			err = errors.Join(err, os.RemoveAll(p))
		}
		return err
	}
	defer func() {
		if serr := sweep(); err == nil && serr != nil {
			err = notWritten(serr)
		}
	}()
	var temp string
	err = g.file(ctx, cifarAddresses, archive, 1<<28, func(part string) error {
		err := sweep()
		if err == nil {
			temp, err = os.MkdirTemp(dir, pattern)
		}
		if err != nil {
			return notWritten(err)
		}
		if err := extract("cifar10", part, temp); err != nil {
			return err
		}
		_, err = verifyCIFAR10(temp, Options{})
		return err
	})
	if err != nil {
		return err
	}
	from, to := filepath.Join(temp, cifarFolder), filepath.Join(dir, cifarFolder)
	if _, place, err := cifarFrom(dir); err == nil && isDir(place) {
		to = place
	}
	if !isDir(from) {
		from = temp // an archive without the folder
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return notWritten(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return notWritten(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := putInPlace(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(archive + ".part"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return notWritten(err)
	}
	return nil
}

// putInPlace renames a file once its bytes are on the disk.
func putInPlace(from, to string) error {
	f, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return notWritten(err)
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(from, to)); err != nil {
		return notWritten(err)
	}
	if err := (atomicfile.OS{}).SyncDir(filepath.Dir(to)); err != nil {
		return notWritten(err)
	}
	return nil
}
