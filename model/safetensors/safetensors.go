// Package safetensors reads and writes the safetensors format of Hugging Face
// (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header, the header, and the tensors'
// bytes, little-endian and row by row, without gaps.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/acumen-ml/acumen/internal/fault"
)

// DType is an element type by its name in the header.
type DType string

// The element types that this package knows.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	U8   DType = "U8"
)

// Size is the number of bytes of an element, 0 for an unknown type.
func (t DType) Size() int {
	switch t {
	case F64, I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16:
		return 2
	case U8:
		return 1
	}
	return 0
}

// Tensor is one tensor: its elements little-endian and row by row in Data.
type Tensor struct {
	DType DType
	Shape []int
	Data  []byte
}

// File is what a safetensors file holds.
type File struct {
	Tensors  map[string]Tensor
	Metadata map[string]string
}

// maxHeader is the largest header that is read, as in the format's reference implementation.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// entry is a tensor's entry in the header.
type entry struct {
	DType   DType    `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Write writes f to w. Equal files give equal bytes: tensors lie by falling element size, which keeps them aligned, and
// then by name. A tensor whose data has not the length of its shape, and a name or metadata that is not UTF-8 or is
// reserved, are errors.
func Write(w io.Writer, f *File) error {
	names := make([]string, 0, len(f.Tensors))
	for name := range f.Tensors {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := f.Tensors[b].DType.Size() - f.Tensors[a].DType.Size(); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var head bytes.Buffer
	head.WriteByte('{')
	if len(f.Metadata) > 0 {
		for k, v := range f.Metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return fault.Usagef("store text only", "safetensors: metadata %q is not UTF-8", k)
			}
		}
		if err := member(&head, metadataKey, f.Metadata); err != nil {
			return err
		}
	}
	var off int64
	for _, name := range names {
		t := f.Tensors[name]
		n, ok := byteLen(t.DType, t.Shape)
		switch {
		case t.DType.Size() == 0:
			return fault.Usagef("use one of F64 F32 F16 BF16 I64 I32 U8", "safetensors: tensor %q: type %q is not known", name, t.DType)
		case !ok || n != int64(len(t.Data)):
			return fault.Usagef("the data must have the length of the shape", "safetensors: tensor %q: %d bytes for %s%v", name, len(t.Data), t.DType, t.Shape)
		case name == metadataKey || !utf8.ValidString(name):
			return fault.Usagef("choose another name", "safetensors: tensor %q: the name is reserved or not UTF-8", name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		if err := member(&head, name, entry{t.DType, shape, [2]int64{off, off + n}}); err != nil {
			return err
		}
		off += n
	}
	head.WriteByte('}')
	for head.Len()%8 != 0 {
		head.WriteByte(' ')
	}
	if head.Len() > maxHeader {
		return fault.Usagef("store fewer names", "safetensors: a header of %d bytes is over %d", head.Len(), maxHeader)
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(head.Len()))); err != nil {
		return err
	}
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := w.Write(f.Tensors[name].Data); err != nil {
			return err
		}
	}
	return nil
}

// member writes a member of the header's object.
func member(b *bytes.Buffer, key string, value any) error {
	if b.Len() > 1 {
		b.WriteByte(',')
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i, v := range []any{key, value} {
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("safetensors: %w", err)
		}
		b.Truncate(b.Len() - 1) // the line end that Encode puts
		if i == 0 {
			b.WriteByte(':')
		}
	}
	return nil
}

// byteLen is the length of a tensor's data, false if a dimension is negative or the length does not fit.
func byteLen(t DType, shape []int) (int64, bool) {
	n := int64(t.Size())
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}

const damaged = "the file is damaged or no safetensors file: use another copy"

// Read reads a whole file and checks all of it: the header's length and syntax, types, shapes, that names occur once,
// and that the tensors cover the data exactly, without overlap. Each Tensor's Data is a part of one block of memory.
func Read(r io.Reader) (*File, error) {
	x, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, x.Size)) // grows with what is there, whatever the header claims
	if err != nil {
		return nil, fmt.Errorf("safetensors: reading the data: %w", err)
	}
	var one [1]byte
	k, err := io.ReadFull(r, one[:])
	if k == 0 && err != io.EOF {
		return nil, fmt.Errorf("safetensors: reading the data: %w", err)
	}
	if err := x.checkSize(int64(len(data) + k)); err != nil {
		return nil, err
	}
	f := &File{Tensors: make(map[string]Tensor, len(x.entries)), Metadata: x.Metadata}
	for name, e := range x.entries {
		f.Tensors[name] = x.Tensor(name, data[e.Offsets[0]:e.Offsets[1]:e.Offsets[1]])
	}
	return f, nil
}

// checkLayout checks each entry, and that together they cover bytes 0 to total-1 once.
func checkLayout(entries map[string]entry) (total int64, err error) {
	names := make([]string, 0, len(entries))
	for name, e := range entries {
		if e.DType.Size() == 0 {
			return 0, fault.Usagef("convert it to one of F64 F32 F16 BF16 I64 I32 U8", "safetensors: tensor %q: type %q is not known", name, e.DType)
		}
		n, ok := byteLen(e.DType, e.Shape)
		if lo, hi := e.Offsets[0], e.Offsets[1]; !ok || lo < 0 || hi < lo || hi-lo != n {
			return 0, fault.Usagef(damaged, "safetensors: tensor %q: bytes %d to %d for %s%v", name, lo, hi, e.DType, e.Shape)
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		for i := range x {
			if x[i] != y[i] {
				if x[i] < y[i] {
					return -1
				}
				return 1
			}
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if lo := entries[name].Offsets[0]; lo != total {
			return 0, fault.Usagef(damaged, "safetensors: tensor %q starts at byte %d, the one before it ends at %d", name, lo, total)
		}
		total = entries[name].Offsets[1]
	}
	return total, nil
}
