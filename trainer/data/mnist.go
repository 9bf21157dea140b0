package data

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/acumen-ml/acumen/internal/fault"
)

// embedded is the MNIST database by Yann LeCun and Corinna Cortes, CC BY-SA 3.0: see mnist/LICENSE.md.
//
//go:embed mnist/*.gz mnist/LICENSE.md
var embedded embed.FS

var digits = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// mnistFiles are the files of MNIST with the SHA-256 of their unpacked content.
var mnistFiles = []struct {
	name, sum     string
	rank, records int
}{
	{"train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 3, 60000},
	{"train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 1, 60000},
	{"t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 3, 10000},
	{"t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 1, 10000},
}

// EmbeddedMNIST is the MNIST database of handwritten digits (LeCun, Cortes, Burges) that travels in the program: 60,000
// training and 10,000 test pictures of 28x28x1 in 10 classes.
func EmbeddedMNIST() (train, test Set, err error) {
	sub, err := fs.Sub(embedded, "mnist")
	if err != nil {
		return nil, nil, err
	}
	return readMNIST(sub, "mnist")
}

// MNIST reads a data set in MNIST's four IDX files, plain or gzipped, from dir, dir/mnist or dir/MNIST/raw. Pictures are
// of 28x28x1 in 10 classes; there may be any number of them.
func MNIST(dir string) (train, test Set, err error) {
	place, ok := findMNIST(dir)
	if !ok {
		return nil, nil, missing("mnist", dir, mnistFiles[0].name+".gz")
	}
	return readMNIST(os.DirFS(place), place)
}

// findMNIST is the first folder in and under dir that has one of MNIST's files.
func findMNIST(dir string) (place string, ok bool) {
	for _, p := range []string{dir, filepath.Join(dir, "mnist"), filepath.Join(dir, "MNIST", "raw")} {
		for _, f := range mnistFiles {
			for _, ext := range []string{".gz", ""} {
				if s, err := os.Stat(filepath.Join(p, f.name+ext)); err == nil && s.Mode().IsRegular() {
					return p, true
				}
			}
		}
	}
	return "", false
}

// openMNIST opens the file called name, or name.gz, of fsys. shown is its path for messages.
func openMNIST(fsys fs.FS, dir, name string) (f io.ReadCloser, shown string, err error) {
	for _, ext := range []string{".gz", ""} {
		f, err := fsys.Open(name + ext)
		shown = filepath.Join(dir, name+ext)
		if err == nil {
			return f, shown, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", damaged("mnist", shown, err)
		}
	}
	return nil, "", missing("mnist", dir, name+".gz")
}

func readMNIST(fsys fs.FS, dir string) (train, test Set, err error) {
	var sets [2]Set
	for i := range sets {
		var dims [2][]int
		var content [2][]byte
		var shown [2]string
		for j := range 2 {
			f := mnistFiles[2*i+j]
			if dims[j], content[j], shown[j], err = readIDX(fsys, dir, f.name, f.rank); err != nil {
				return nil, nil, err
			}
		}
		if d := dims[0]; d[1] != 28 || d[2] != 28 {
			return nil, nil, fault.Usagef(again("mnist"), "%s: pictures of %dx%d, MNIST's are 28x28", shown[0], d[1], d[2])
		}
		if n, m := dims[0][0], dims[1][0]; n != m {
			return nil, nil, fault.Usagef("take both files from one place", "%s: %d labels for the %d pictures of %s", shown[1], m, n, path.Base(filepath.ToSlash(shown[0])))
		}
		labels := make([]int32, len(content[1]))
		for k, l := range content[1] {
			if labels[k] = int32(l); int(l) >= len(digits) {
				return nil, nil, fault.Usagef(labelHint, "%s: record %d: label %d is not in 0..%d", shown[1], k, l, len(digits)-1)
			}
		}
		if sets[i], err = newMemory("mnist", [3]int{28, 28, 1}, slices.Clone(digits), content[0], labels); err != nil {
			return nil, nil, err
		}
	}
	return sets[0], sets[1], nil
}

func readIDX(fsys fs.FS, dir, name string, rank int) (dims []int, content []byte, shown string, err error) {
	f, shown, err := openMNIST(fsys, dir, name)
	if err != nil {
		return nil, nil, "", err
	}
	defer f.Close()
	r, err := unpacked(f, "mnist", shown)
	if err != nil {
		return nil, nil, "", err
	}
	dims, content, err = parseIDX(r, rank)
	if err != nil {
		return nil, nil, "", damaged("mnist", shown, err)
	}
	return dims, content, shown, nil
}

// parseIDX reads an IDX file of bytes: two zero bytes, the type 8, the rank, each extent as a big-endian 32-bit number,
// and the elements in row-major order.
func parseIDX(r io.Reader, rank int) (dims []int, content []byte, err error) {
	head := make([]byte, 4*(1+rank))
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return nil, nil, err
	}
	if m, want := binary.BigEndian.Uint32(head), uint32(8<<8|rank); m != want {
		return nil, nil, fmt.Errorf("wrong magic number 0x%08x, an IDX file of bytes of rank %d begins with 0x%08x", m, rank, want)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return nil, nil, err
	}
	total := uint64(1)
	for i := range rank {
		d := binary.BigEndian.Uint32(head[4+4*i:])
		if total *= uint64(d); total == 0 || total > math.MaxInt32 { // each factor is under 2^32: no overflow before the check
			return nil, nil, fmt.Errorf("the extents in its header are not possible: % x", head[4:])
		}
		dims = append(dims, int(d))
	}
	content, err = readExactly(r, int(total))
	return dims, content, err
}

// verifyMNIST compares the unpacked content of each file with the official one's SHA-256.
func verifyMNIST(dir string, _ Options) ([]Part, error) {
	place, ok := findMNIST(dir)
	if !ok {
		return nil, missing("mnist", dir, mnistFiles[0].name+".gz")
	}
	var parts []Part
	for _, f := range mnistFiles {
		r, shown, err := openMNIST(os.DirFS(place), place, f.name)
		if err != nil {
			return nil, err
		}
		err = sumIs(r, "mnist", shown, f.sum)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{Name: f.name, Path: shown, Records: f.records, Digest: f.sum})
	}
	return parts, nil
}

// sumIs checks the SHA-256 of what r holds unpacked.
func sumIs(r io.Reader, set, shown, want string) error {
	u, err := unpacked(r, set, shown)
	if err != nil {
		return err
	}
	h := sha256.New()
	const most = 1 << 30 // far more than any file has: a bound for what gzip can blow up to
	if n, err := io.Copy(h, io.LimitReader(u, most)); err != nil {
		return damaged(set, shown, err)
	} else if n == most {
		return fault.Usagef(again(set), "%s: more than %d bytes unpacked", shown, most)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fault.Usagef(again(set), "%s: the SHA-256 of its unpacked content is %s, not %s", shown, got, want)
	}
	return nil
}
