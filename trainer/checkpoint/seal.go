package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model/safetensors"
)

// The digests, in the metadata: of the pieces of the tensors' bytes, one after the other, and of the header with those
// but without its own.
const keyDataDigest, keyHeaderDigest = "acumen.sha256.data", "acumen.sha256.header"

// piece is the bytes under one digest, so that threads share the work and whoever wants the weights reads no more.
const piece = 1 << 20

const digestLen = 2 * sha256.Size // of one digest in the metadata

// headerOnly keeps the header, its length included, of a safetensors file that is written to it.
type headerOnly struct{ b []byte }

func (h *headerOnly) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		end := 8
		if len(h.b) >= 8 {
			end += int(binary.LittleEndian.Uint64(h.b))
		}
		k := min(end-len(h.b), len(b))
		if k == 0 {
			break
		}
		h.b, b = append(h.b, b[:k]...), b[k:]
	}
	return n, nil
}

func header(f *safetensors.File) ([]byte, error) {
	var h headerOnly
	err := safetensors.Write(&h, f)
	return h.b, err
}

// headerDigest takes the digest of the header out of f's metadata, and gives what it ought to be.
func headerDigest(f *safetensors.File) (string, error) {
	delete(f.Metadata, keyHeaderDigest)
	h, err := header(f)
	return digest(h), err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// eachPiece calls f with the bounds of every piece of so many bytes, on all threads. The error is that of the first
// piece that has one.
func eachPiece(size int64, f func(i int, lo, hi int64) error) error {
	n := int((size + piece - 1) / piece)
	errs := make([]error, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i, int64(i)*piece, min(int64(i+1)*piece, size))
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

// sealed is f's bytes, with its digests, which it also gets in its metadata.
func sealed(f *safetensors.File) ([]byte, error) {
	var size int64
	for _, t := range f.Tensors {
		size += int64(len(t.Data))
	}
	n := int((size + piece - 1) / piece)
	f.Metadata[keyDataDigest], f.Metadata[keyHeaderDigest] = strings.Repeat("0", n*digestLen), strings.Repeat("0", digestLen)
	var out bytes.Buffer
	out.Grow(int(size) + n*digestLen + 1<<16) // for the names
	if err := safetensors.Write(&out, f); err != nil {
		return nil, err
	}
	b := out.Bytes()
	data := b[int64(len(b))-size:]
	digests := make([]string, n)
	err := eachPiece(size, func(i int, lo, hi int64) error {
		digests[i] = digest(data[lo:hi])
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.Metadata[keyDataDigest] = strings.Join(digests, "")
	if f.Metadata[keyHeaderDigest], err = headerDigest(f); err != nil {
		return nil, err
	}
	h, err := header(f)
	copy(b, h) // as long as what it replaces
	return b, err
}

// checkHeader checks that f's header is what sealed left, and that r begins with it as Write gives it.
func checkHeader(f *safetensors.File, r io.ReaderAt, length int64) error {
	unsound := func(err error) error { return fault.Usagef(damaged, "not a sound checkpoint: %w", err) }
	was := f.Metadata[keyHeaderDigest]
	now, err := headerDigest(f)
	if err != nil {
		return unsound(err)
	}
	f.Metadata[keyHeaderDigest] = was
	h, err := header(f)
	if err != nil {
		return unsound(err)
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return unsound(err)
	}
	if now != was || !bytes.Equal(b, h) {
		return fault.Usagef(damaged, "not a sound checkpoint: its header (metadata and table of tensors) does not match its SHA-256")
	}
	return nil
}

// readData reads the data of a file, from byte start of r on, and checks it against its digests. Pieces in which nothing
// is wanted stay as they are, and need not be sound.
func readData(r io.ReaderAt, start int64, data []byte, digests string, wanted func(lo, hi int64) bool) error {
	size := int64(len(data))
	if int64(len(digests)) != (size+piece-1)/piece*digestLen {
		return fault.Usagef(damaged, "not a sound checkpoint: %d SHA-256 for %d bytes of data", len(digests)/digestLen, size)
	}
	return eachPiece(size, func(i int, lo, hi int64) error {
		if !wanted(lo, hi) {
			return nil
		}
		if n, err := r.ReadAt(data[lo:hi], start+lo); int64(n) < hi-lo {
			return fault.Usagef("see whether it can be read", "byte %d: %w", start+lo+int64(n), err)
		}
		if digest(data[lo:hi]) != digests[i*digestLen:][:digestLen] {
			return fault.Usagef(damaged, "not a sound checkpoint: its data (the tensors, bytes %d to %d of the file) does not match its SHA-256", start+lo, start+hi-1)
		}
		return nil
	})
}
