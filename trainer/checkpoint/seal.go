package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model/safetensors"
)

// The digests, in the metadata: of the pieces of the tensors' bytes, one after the other, and of the header as it would be
// without its own.
const keyDataDigest, keyHeaderDigest = "acumen.sha256.data", "acumen.sha256.header"

// piece is the bytes of data under one digest, so that threads share the work and whoever wants the weights reads little
// else. In format 1 all data was one piece.
const piece = 1 << 20

const digestLen = 2 * sha256.Size // of one digest in the metadata

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// field is where the metadata's value of a key of ours stands in a header, from its quotes on; false if it does not.
// Quotes within texts are escaped, so that nothing else looks like it.
func field(header []byte, key string) (lo, hi int, ok bool) {
	name := `"` + key + `":`
	if lo = bytes.Index(header, []byte(name+`"`)); lo < 0 {
		return 0, 0, false
	}
	lo += len(name)
	n := bytes.IndexByte(header[lo+1:], '"')
	return lo, lo + n + 2, n >= 0
}

// headerDigest is the digest of a header, its length included, without that digest's place in it; false if it has none.
func headerDigest(header []byte) (string, bool) {
	lo, hi, ok := field(header, keyHeaderDigest)
	if lo -= len(keyHeaderDigest) + 3; !ok {
		return "", false
	}
	if header[hi] == ',' {
		hi++
	} else if header[lo-1] == ',' {
		lo--
	}
	h := append(bytes.Clone(header[:lo]), header[hi:]...)
	h = bytes.TrimRight(h, " ")
	h = append(h, strings.Repeat(" ", -len(h)&7)...)
	binary.LittleEndian.PutUint64(h, uint64(len(h)-8))
	return digest(h), true
}

// sealed is f's bytes, with their digests in the metadata.
func sealed(f *safetensors.File) ([]byte, error) {
	size, names := 0, 0
	for name, t := range f.Tensors {
		size, names = size+len(t.Data), names+2*len(name)+200
	}
	n := (size + piece - 1) / piece
	f.Metadata[keyDataDigest], f.Metadata[keyHeaderDigest] = strings.Repeat("0", n*digestLen), strings.Repeat("0", digestLen)
	for k, v := range f.Metadata {
		names += 2 * (len(k) + len(v))
	}
	var out bytes.Buffer
	out.Grow(size + names)
	if err := safetensors.Write(&out, f); err != nil {
		return nil, err
	}
	header, data := out.Bytes()[:out.Len()-size], out.Bytes()[out.Len()-size:]
	lo, _, _ := field(header, keyDataDigest)
	_ = eachPiece(n, func(i int) error {
		copy(header[lo+1+i*digestLen:], digest(data[i*piece:min((i+1)*piece, size)]))
		return nil
	})
	sum, _ := headerDigest(header)
	lo, _, _ = field(header, keyHeaderDigest)
	copy(header[lo+1:], sum)
	return out.Bytes(), nil
}

// checkHeader checks that a header is what sealed left.
func checkHeader(x *safetensors.Index) error {
	if sum, ok := headerDigest(x.Header); !ok || sum != x.Metadata[keyHeaderDigest] {
		return fault.Usagef(damaged, "not a sound checkpoint: its header (metadata and table of tensors) does not match its SHA-256")
	}
	return nil
}

// eachPiece calls f for pieces 0 to n-1, on all threads. The error is that of the first piece that has one.
func eachPiece(n int, f func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// blocks is the data of a file as far as it was read: each is the pieces that lie together, from byte lo on.
type blocks []block

type block struct {
	lo   int64
	data []byte
}

// of is the data in a span of bytes, all of which were read.
func (b blocks) of(span [2]int64) []byte {
	for _, x := range b {
		if lo, hi := span[0]-x.lo, span[1]-x.lo; lo >= 0 && hi <= int64(len(x.data)) {
			return x.data[lo:hi:hi]
		}
	}
	return nil // it is empty
}

// readData reads the pieces of data in which any of the spans lies and checks them against their digests.
func readData(r io.ReaderAt, x *safetensors.Index, version int, spans [][2]int64) (blocks, error) {
	length := int64(piece)
	if version == 1 {
		length = max(x.Size, 1)
	}
	n, digests := int((x.Size+length-1)/length), x.Metadata[keyDataDigest]
	if len(digests) != n*digestLen { // and memory is not asked for
		return nil, fault.Usagef(damaged, "not a sound checkpoint: %d SHA-256 for %d bytes of data", len(digests)/digestLen, x.Size)
	}
	wanted := make([]bool, n)
	for _, s := range spans {
		for lo := s[0] / length * length; lo < s[1]; lo += length {
			wanted[lo/length] = true
		}
	}
	var all blocks
	for i := 0; i < n; i++ {
		if !wanted[i] {
			continue
		}
		lo := int64(i) * length
		for i+1 < n && wanted[i+1] {
			i++
		}
		all = append(all, block{lo, make([]byte, min(int64(i+1)*length, x.Size)-lo)})
	}
	return all, eachPiece(n, func(i int) error {
		if !wanted[i] {
			return nil
		}
		lo, hi := int64(i)*length, min(int64(i+1)*length, x.Size)
		b := all.of([2]int64{lo, hi})
		populate(b)
		if k, err := r.ReadAt(b, x.Start+lo); k < len(b) {
			return unreadable(x.Start+lo+int64(k), err)
		}
		if digest(b) != digests[i*digestLen:][:digestLen] {
			return fault.Usagef(damaged, "not a sound checkpoint: its data (the tensors, bytes %d to %d of the file) does not match its SHA-256", x.Start+lo, x.Start+hi-1)
		}
		return nil
	})
}

// unreadable is an error of reading, at a byte of the file: that says nothing of what is in it.
func unreadable(at int64, err error) error {
	if errors.Is(err, io.EOF) {
		return fault.Usagef("try again once nothing writes to it", "the file became shorter while it was read: it ends at byte %d", at)
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err // whoever reads this names the path
	}
	return fault.Usagef("see whether it can be read", "at byte %d: %w", at, err)
}
