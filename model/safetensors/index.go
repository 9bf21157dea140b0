package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Index is the header of a file: what the file holds, and where.
type Index struct {
	Metadata map[string]string
	// Header is the bytes before the data, with the length that they begin with.
	Header []byte
	// Start is where the data begins in the file, Size how long it is, in bytes.
	Start, Size int64
	entries     map[string]entry
}

// ReadIndex reads the header of a file of so many bytes, and checks all that Read does.
func ReadIndex(r io.ReaderAt, size int64) (*Index, error) {
	x, err := readHeader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	return x, x.checkSize(size - x.Start)
}

// Spans are the bytes of the data in which each tensor lies: from the first number up to, not including, the second.
func (x *Index) Spans() map[string][2]int64 {
	spans := make(map[string][2]int64, len(x.entries))
	for name, e := range x.entries {
		spans[name] = e.Offsets
	}
	return spans
}

// Tensor is a tensor of the file, whose data is that of its span.
func (x *Index) Tensor(name string, data []byte) Tensor {
	e, ok := x.entries[name]
	if !ok || int64(len(data)) != e.Offsets[1]-e.Offsets[0] {
		panic(fmt.Sprintf("safetensors.Index.Tensor: %d bytes for %q", len(data), name))
	}
	return Tensor{e.DType, e.Shape, data}
}

func (x *Index) checkSize(data int64) error {
	switch {
	case data < x.Size:
		return fault.Usagef(damaged, "safetensors: the file is truncated: %d of %d bytes of data", data, x.Size)
	case data > x.Size:
		return fault.Usagef(damaged, "safetensors: the file goes on after its %d bytes of data", x.Size)
	}
	return nil
}

func readHeader(r io.Reader) (*Index, error) {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("safetensors: reading the header: %w", err)
	} else if err != nil {
		return nil, fault.Usagef(damaged, "safetensors: the file ends before its header: %w", err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxHeader || n < 2 {
		return nil, fault.Usagef(damaged, "safetensors: a header of %d bytes, want 2 to %d", n, maxHeader)
	}
	head, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, fmt.Errorf("safetensors: reading the header: %w", err)
	}
	if uint64(len(head)) < n {
		return nil, fault.Usagef(damaged, "safetensors: the file ends in its header, after %d of %d bytes", len(head), n)
	}
	x := &Index{Header: append(size[:], head...), Start: int64(len(size)) + int64(n)}
	if x.entries, x.Metadata, err = parseHeader(head); err != nil {
		return nil, err
	}
	x.Size, err = checkLayout(x.entries)
	return x, err
}
