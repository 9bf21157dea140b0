package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model/safetensors"
)

// The digests, in the metadata: of the tensors' bytes, and of the header with that digest but without its own.
const keyDataDigest, keyHeaderDigest = "acumen.sha256.data", "acumen.sha256.header"

// regions takes a safetensors file apart as it is written: it keeps the header, its length included, and hashes the rest.
type regions struct {
	header []byte
	data   hash.Hash
}

func (r *regions) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		end := 8
		if len(r.header) >= 8 {
			end += int(binary.LittleEndian.Uint64(r.header))
		}
		k := min(end-len(r.header), len(b))
		if k == 0 {
			break
		}
		r.header, b = append(r.header, b[:k]...), b[k:]
	}
	if r.data != nil {
		r.data.Write(b)
	}
	return n, nil
}

func dataDigest(f *safetensors.File) (string, error) {
	r := regions{data: sha256.New()}
	err := safetensors.Write(&r, f)
	return hex.EncodeToString(r.data.Sum(nil)), err
}

func header(f *safetensors.File) ([]byte, error) {
	var r regions
	err := safetensors.Write(&r, f)
	return r.header, err
}

func headerDigest(f *safetensors.File) (string, error) {
	delete(f.Metadata, keyHeaderDigest)
	h, err := header(f)
	sum := sha256.Sum256(h)
	return hex.EncodeToString(sum[:]), err
}

// seal puts the digests of f into its metadata.
func seal(f *safetensors.File) (err error) {
	if f.Metadata[keyDataDigest], err = dataDigest(f); err != nil {
		return err
	}
	f.Metadata[keyHeaderDigest], err = headerDigest(f)
	return err
}

// checkSeal checks that f, read from b, is what seal left, and that b is f's bytes as Write gives them; data is the digest
// of those after the header.
func checkSeal(f *safetensors.File, b []byte, data string) error {
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
	if now != was || !bytes.HasPrefix(b, h) {
		return fault.Usagef(damaged, "not a sound checkpoint: its header (metadata and table of tensors) does not match its SHA-256")
	}
	if data != f.Metadata[keyDataDigest] {
		return fault.Usagef(damaged, "not a sound checkpoint: its data (the tensors, from byte %d on) does not match its SHA-256", len(h))
	}
	return nil
}

// digester hashes what follows the header of a safetensors file while that is read.
type digester struct {
	read chan []byte // ever longer beginnings
	data hash.Hash
	done chan struct{}
}

func newDigester() *digester {
	d := &digester{read: make(chan []byte, 1), data: sha256.New(), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		at := uint64(0) // of what is to be hashed next
		for b := range d.read {
			if at == 0 && len(b) >= 8 {
				at = 8 + binary.LittleEndian.Uint64(b)
			}
			if at >= 8 && at < uint64(len(b)) {
				d.data.Write(b[at:])
				at = uint64(len(b))
			}
		}
	}()
	return d
}

// more takes what has been read so far.
func (d *digester) more(b []byte) { d.read <- b }

// sum is the digest, once all is read.
func (d *digester) sum() string {
	close(d.read)
	<-d.done
	return hex.EncodeToString(d.data.Sum(nil))
}
