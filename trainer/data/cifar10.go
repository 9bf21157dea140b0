package data

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/acumen-ml/acumen/internal/fault"
)

const (
	cifarPlane   = 32 * 32
	cifarRecord  = 1 + 3*cifarPlane // a label, then the red, the green and the blue plane
	cifar100     = 1 + cifarRecord  // CIFAR-100 has two labels
	cifarMost    = 1 << 28          // bytes of one file; the official ones have 30,730,000
	cifarFolder  = "cifar-10-batches-bin"
	cifarArchive = "cifar-10-binary.tar.gz"
)

var (
	cifarClasses = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
	cifarFiles   = []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}
	// cifarDigests are those of training and test records: see digestRecords.
	cifarDigests = [2]string{"55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260", "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f"}
)

// CIFAR10 reads CIFAR-10 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009) in its binary
// version: pictures of 32x32x3 in 10 classes, 50,000 for training and 10,000 for the test. dir is the folder with the
// files, or one that has cifar-10-batches-bin or cifar-10-binary.tar.gz in it, or that archive itself. Files with fewer
// records are read too; order is that of the files' names and within them that of the file.
func CIFAR10(dir string) (train, test Set, err error) {
	raw, _, err := cifarFrom(dir)
	if err != nil {
		return nil, nil, err
	}
	last := len(cifarFiles) - 1
	var sets [2]Set
	for i, part := range [][2]int{{0, last}, {last, last + 1}} {
		var labels []int32
		var images []byte
		for k := part[0]; k < part[1]; k++ {
			b, shown, err := raw(k)
			if err != nil {
				return nil, nil, err
			}
			if k == part[0] {
				images = make([]byte, 0, (part[1]-part[0])*len(b)/cifarRecord*3*cifarPlane) // exact where files are equally long
			}
			if images, labels, err = appendCIFAR(images, labels, b, shown); err != nil {
				return nil, nil, err
			}
		}
		if sets[i], err = newMemory("cifar10", [3]int{32, 32, 3}, slices.Clone(cifarClasses), images, labels); err != nil {
			return nil, nil, err
		}
	}
	return sets[0], sets[1], nil
}

// cifarFrom finds the files. raw gives the content of file k of cifarFiles and its path for messages; it is called once
// for each.
func cifarFrom(dir string) (raw func(k int) (b []byte, shown string, err error), place string, err error) {
	if s, err := os.Stat(dir); err == nil && s.Mode().IsRegular() {
		return cifarFromArchive(dir)
	}
	for _, p := range []string{dir, filepath.Join(dir, cifarFolder), filepath.Join(dir, "cifar10"), filepath.Join(dir, "cifar10", cifarFolder)} {
		if anyFile(p, cifarFiles...) {
			return func(k int) ([]byte, string, error) {
				shown := filepath.Join(p, cifarFiles[k])
				b, err := readCIFARFile(shown)
				if errors.Is(err, fs.ErrNotExist) {
					return nil, "", missing("cifar10", p, cifarFiles[k])
				}
				return b, shown, err
			}, p, nil
		}
	}
	if p := filepath.Join(dir, cifarArchive); anyFile(dir, cifarArchive) {
		return cifarFromArchive(p)
	}
	for _, p := range []string{dir, filepath.Join(dir, "cifar-10-batches-py")} {
		if anyFile(p, "data_batch_1", "test_batch") {
			return nil, "", fault.Usagef("get the binary version with `acumen data get cifar10`", "data set cifar10: %s has its Python version, which is not read", p)
		}
	}
	for _, p := range []string{dir, filepath.Join(dir, "cifar-100-binary")} {
		if anyFile(p, "fine_label_names.txt", "train.bin") {
			return nil, "", fault.Usagef("get CIFAR-10 with `acumen data get cifar10`", "data set cifar10: %s has CIFAR-100", p)
		}
	}
	return nil, "", missing("cifar10", dir, cifarFolder)
}

// anyFile reports whether dir has a regular file of one of the names.
func anyFile(dir string, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		s, err := os.Stat(filepath.Join(dir, n))
		return err == nil && s.Mode().IsRegular()
	})
}

func readCIFARFile(shown string) ([]byte, error) {
	f, err := os.Open(shown)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, damaged("cifar10", shown, err)
	}
	defer f.Close()
	s, err := f.Stat()
	if err != nil {
		return nil, damaged("cifar10", shown, err)
	}
	return readCIFAR(f, s.Size(), s.Size(), shown)
}

// readCIFAR reads a file of size bytes, with room for that many at first: what an archive says is not to be trusted.
func readCIFAR(r io.Reader, size, room int64, shown string) ([]byte, error) {
	if size > cifarMost {
		return nil, fault.Usagef(again("cifar10"), "%s: %d bytes are too many for a file of CIFAR-10", shown, size)
	}
	var b bytes.Buffer
	b.Grow(int(min(room, cifarMost)) + bytes.MinRead)
	if _, err := io.CopyN(&b, r, size); err != nil {
		return nil, damaged("cifar10", shown, err)
	}
	return b.Bytes(), nil
}

// cifarFromArchive reads all files of interest out of the official archive.
func cifarFromArchive(p string) (raw func(k int) ([]byte, string, error), place string, err error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, "", damaged("cifar10", p, err)
	}
	defer f.Close()
	u, err := unpacked(f, "cifar10", p)
	if err != nil {
		return nil, "", err
	}
	var files [6][]byte
	t := tar.NewReader(u)
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, "", damaged("cifar10", p, err)
		}
		k := slices.Index(cifarFiles, path.Base(h.Name))
		if k < 0 || h.Typeflag != tar.TypeReg {
			if path.Base(h.Name) == "fine_label_names.txt" {
				return nil, "", fault.Usagef("get CIFAR-10 with `acumen data get cifar10`", "data set cifar10: %s is CIFAR-100", p)
			}
			continue
		}
		if files[k], err = readCIFAR(t, h.Size, 0, filepath.Join(p, path.Base(h.Name))); err != nil {
			return nil, "", err
		}
	}
	if _, err := io.Copy(io.Discard, u); err != nil { // to the end, where gzip checks its sum
		return nil, "", damaged("cifar10", p, err)
	}
	return func(k int) ([]byte, string, error) {
		b := files[k]
		if files[k] = nil; b == nil {
			return nil, "", missing("cifar10", p, cifarFiles[k])
		}
		return b, filepath.Join(p, cifarFiles[k]), nil
	}, p, nil
}

// checkCIFAR tells what is wrong with the length of a file.
func checkCIFAR(b []byte, shown string) error {
	n := len(b)
	switch {
	case isPage(b[:min(n, 512)]):
		return fault.Usagef(again("cifar10"), "%s: it is a web page, not data", shown)
	case n > 0 && n%cifarRecord == 0:
		return nil
	case n > 0 && n%cifar100 == 0:
		return fault.Usagef("get CIFAR-10 with `acumen data get cifar10`", "%s: its %d bytes are whole records of CIFAR-100 (%d), not of CIFAR-10 (%d)", shown, n, cifar100, cifarRecord)
	}
	return fault.Usagef(again("cifar10"), "%s: its %d bytes are no whole number of records of %d: it is cut off or no file of CIFAR-10", shown, n, cifarRecord)
}

// appendCIFAR adds the records of b, whose planes become (H,W,C).
func appendCIFAR(images []byte, labels []int32, b []byte, shown string) ([]byte, []int32, error) {
	if err := checkCIFAR(b, shown); err != nil {
		return nil, nil, err
	}
	images = slices.Grow(images, len(b)/cifarRecord*3*cifarPlane)
	for i := 0; len(b) > 0; i, b = i+1, b[cifarRecord:] {
		if int(b[0]) >= len(cifarClasses) {
			return nil, nil, fault.Usagef(labelHint, "%s: record %d: label %d is not in 0..%d", shown, i, b[0], len(cifarClasses)-1)
		}
		labels = append(labels, int32(b[0]))
		red, green, blue := b[1:][:cifarPlane], b[1+cifarPlane:][:cifarPlane], b[1+2*cifarPlane:][:cifarPlane]
		for j := range cifarPlane {
			images = append(images, red[j], green[j], blue[j])
		}
	}
	return images, labels, nil
}

// digestRecords is the SHA-256 of the sorted SHA-256 of all records: it does not depend on their order or on how they
// are spread over files.
func digestRecords(files ...[]byte) string {
	var sums [][sha256.Size]byte
	for _, b := range files {
		for r := range slices.Chunk(b, cifarRecord) {
			sums = append(sums, sha256.Sum256(r))
		}
	}
	slices.SortFunc(sums, func(x, y [sha256.Size]byte) int { return bytes.Compare(x[:], y[:]) })
	h := sha256.New()
	for _, s := range sums {
		h.Write(s[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// verifyCIFAR10 compares the digests of the training and of the test records with those of the official ones.
func verifyCIFAR10(dir string, _ Options) ([]Part, error) {
	raw, place, err := cifarFrom(dir)
	if err != nil {
		return nil, err
	}
	var files [6][]byte
	for k := range files {
		var shown string
		if files[k], shown, err = raw(k); err != nil {
			return nil, err
		}
		if err := checkCIFAR(files[k], shown); err != nil {
			return nil, err
		}
	}
	var parts []Part
	for i, f := range [][][]byte{files[:5], files[5:]} {
		p := Part{Name: []string{"training records", "test records"}[i], Path: place, Digest: digestRecords(f...)}
		for _, b := range f {
			p.Records += len(b) / cifarRecord
		}
		if p.Digest != cifarDigests[i] {
			return nil, fault.Usagef(again("cifar10"), "%s: the digest of its %d %s is %s, not %s", place, p.Records, p.Name, p.Digest, cifarDigests[i])
		}
		parts = append(parts, p)
	}
	return parts, nil
}
