package safetensors

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/fault"
)

func sample() *File {
	return &File{
		Tensors: map[string]Tensor{
			"b":     {F32, []int{2, 3}, bytes.Repeat([]byte{1, 2, 3, 4}, 6)},
			"a":     {F32, []int{1}, []byte{0, 0, 128, 63}},
			"bytes": {U8, []int{3}, []byte{7, 8, 9}},
			"half":  {F16, []int{2}, []byte{0, 60, 0, 192}},
			"brain": {BF16, []int{2}, []byte{128, 63, 0, 192}},
			"big":   {F64, []int{}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(2.5))},
			"none":  {I32, []int{0, 4}, nil},
			"int":   {I32, []int{1}, []byte{255, 255, 255, 255}},
			"long":  {I64, []int{1}, []byte{254, 255, 255, 255, 255, 255, 255, 255}},
		},
		Metadata: map[string]string{"format": "x", "läbel <1>": "a\"b\n"},
	}
}

func write(t testing.TB, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, f))
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	f := sample()
	b := write(t, f)
	assert.Equal(t, b, write(t, sample()), "map order does not show")
	assert.Zero(t, (8+binary.LittleEndian.Uint64(b))%8, "the data is aligned")
	g, err := Read(bytes.NewReader(b))
	require.NoError(t, err)
	assert.Equal(t, f.Metadata, g.Metadata)
	require.Len(t, g.Tensors, len(f.Tensors))
	for name, want := range f.Tensors {
		got := g.Tensors[name]
		assert.Equal(t, want.DType, got.DType, name)
		assert.Equal(t, want.Shape, got.Shape, name)
		assert.True(t, bytes.Equal(want.Data, got.Data), name)
	}
	assert.Equal(t, b, write(t, g))
}

// A file as the format's documentation describes it, byte by byte.
func TestBytes(t *testing.T) {
	b := write(t, &File{Tensors: map[string]Tensor{"w": {F32, []int{2}, []byte{1, 2, 3, 4, 5, 6, 7, 8}}}})
	head := `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} `
	head += strings.Repeat(" ", (8-len(head)%8)%8)
	assert.Equal(t, string(binary.LittleEndian.AppendUint64(nil, uint64(len(head))))+head+"\x01\x02\x03\x04\x05\x06\x07\x08", string(b))
}

func TestDense(t *testing.T) {
	f := sample()
	for name, want := range map[string]any{"a": []float32{1}, "half": []float32{1, -2}, "brain": []float32{1, -2}, "bytes": []uint8{7, 8, 9},
		"big": 2.5, "int": []int32{-1}, "long": []int64{-2}} {
		d, err := f.Tensors[name].Dense()
		require.NoError(t, err, name)
		assert.Equal(t, want, d.Data(), name)
		back, err := FromDense(d)
		require.NoError(t, err, name)
		if typ := f.Tensors[name].DType; typ != F16 && typ != BF16 {
			assert.Equal(t, f.Tensors[name], back, name)
		}
	}
	_, err := f.Tensors["none"].Dense()
	assert.ErrorContains(t, err, "no elements")
	_, err = FromDense(tensor.New(tensor.WithShape(1), tensor.WithBacking([]string{"x"})))
	assert.ErrorContains(t, err, "string")

	b := []byte{9, 0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 0}
	for at := range 4 { // one of them is aligned
		copy(b[at:], []byte{0, 0, 128, 63, 0, 0, 0, 64})
		d, err := Tensor{F32, []int{2}, b[at : at+8]}.Dense()
		require.NoError(t, err)
		assert.Equal(t, []float32{1, 2}, d.Data(), "at byte %d", at)
		aligned := uintptr(unsafe.Pointer(&b[at]))%4 == 0
		b[at+2] = 0
		assert.Equal(t, aligned, d.Data().([]float32)[0] != 1, "memory is shared where it can be")
	}

	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))
	require.NoError(t, d.T())
	turned, err := FromDense(d)
	require.NoError(t, err)
	back, err := turned.Dense()
	require.NoError(t, err)
	assert.Equal(t, []int{3, 2}, turned.Shape)
	assert.Equal(t, []float64{1, 4, 2, 5, 3, 6}, back.Data())
}

// file is a file with a header and n bytes of data.
func file(head string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(b, head...), make([]byte, n)...)
}

func TestReadRefuses(t *testing.T) {
	one := `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for want, b := range map[string][]byte{
		"before its header":     {1, 2, 3},
		"a header of":           binary.LittleEndian.AppendUint64(nil, 1<<40),
		"after 2 of 9":          append(binary.LittleEndian.AppendUint64(nil, 9), '{', '}'),
		"no JSON object":        file(" {}", 0),
		"EOF":                   file(`{"a":`, 0),
		"something follows":     file(`{}x`, 0),
		`"a" is given twice`:    file(`{`+one+`,`+one+`}`, 4),
		`"shape" is given`:      file(`{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, 4),
		`"q" is no member`:      file(`{"a":{"dtype":"F32","q":[1],"data_offsets":[0,4]}}`, 4),
		"want dtype":            file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4),
		"want an object":        file(`{"a":3}`, 0),
		`type "F9"`:             file(`{"a":{"dtype":"F9","shape":[1],"data_offsets":[0,4]}}`, 4),
		"bytes 0 to 8 for F32":  file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8),
		"bytes 4 to 0":          file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,0]}}`, 8),
		"for F32[-1]":           file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4),
		"for F64[4294967296":    file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
		"1.5":                   file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4),
		`"b" starts at byte 8`:  file(`{`+one+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12),
		`"b" starts at byte 2`:  file(`{`+one+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6),
		"truncated: 3 of 4":     file(`{`+one+`}`, 3),
		"goes on after its 4":   file(`{`+one+`}`, 5),
		`metadata "k" is no`:    file(`{"__metadata__":{"k":1}}`, 0),
		`metadata "k" is given`: file(`{"__metadata__":{"k":"1","k":"2"}}`, 0),
		"__metadata__ is given": file(`{"__metadata__":{},"__metadata__":{}}`, 0),
		"UTF-8":                 file("{\"\xff\":1}", 0),
	} {
		_, err := Read(bytes.NewReader(b))
		if assert.ErrorContains(t, err, want) {
			assert.NotEmpty(t, fault.HintOf(err), want)
			assert.Equal(t, fault.Usage, fault.KindOf(err), want)
		}
	}
}

func TestEveryTruncation(t *testing.T) {
	b := write(t, sample())
	for n := range b {
		_, err := Read(bytes.NewReader(b[:n]))
		require.Error(t, err, n)
	}
}

type broken struct{ after int }

func (w *broken) Write(p []byte) (int, error) {
	if w.after--; w.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestWriteRefuses(t *testing.T) {
	for want, f := range map[string]*File{
		"5 bytes for F32": {Tensors: map[string]Tensor{"a": {F32, []int{1}, make([]byte, 5)}}},
		"not known":       {Tensors: map[string]Tensor{"a": {"F8", []int{1}, make([]byte, 1)}}},
		"reserved":        {Tensors: map[string]Tensor{"__metadata__": {U8, []int{1}, make([]byte, 1)}}},
		"not UTF-8":       {Metadata: map[string]string{"a": "\xff"}},
	} {
		assert.ErrorContains(t, Write(io.Discard, f), want)
	}
	for n := range 3 {
		assert.ErrorIs(t, Write(&broken{n}, sample()), io.ErrShortWrite)
	}
}

// FuzzRead: whatever Read accepts, Write gives back with the same content, and Dense does not fail on.
func FuzzRead(f *testing.F) {
	b := write(f, sample())
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add(file(`{}`, 0))
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		for name, x := range g.Tensors {
			if d, err := x.Dense(); err != nil {
				require.Empty(t, x.Data, name)
			} else {
				require.Equal(t, x.Shape, append([]int{}, d.Shape()...), name)
			}
		}
		again, err := Read(bytes.NewReader(write(t, g)))
		require.NoError(t, err)
		require.Equal(t, len(g.Tensors), len(again.Tensors))
		for name, x := range g.Tensors {
			require.Equal(t, x.Shape, again.Tensors[name].Shape)
			require.True(t, bytes.Equal(x.Data, again.Tensors[name].Data))
		}
	})
}

// ReadIndex finds what Read gives, in sound files, and refuses what that refuses: all shorter and longer ones.
func TestIndexIsRead(t *testing.T) {
	f := &File{Tensors: map[string]Tensor{"a": {F32, []int{2}, []byte{0, 0, 128, 63, 0, 0, 0, 64}}, "b": {U8, []int{3}, []byte{1, 2, 3}}}, Metadata: map[string]string{"k": "v"}}
	var out bytes.Buffer
	require.NoError(t, Write(&out, f))
	whole := append(out.Bytes(), 0)
	for n := range len(whole) + 1 {
		want, err := Read(bytes.NewReader(whole[:n]))
		x, err2 := ReadIndex(bytes.NewReader(whole), int64(n))
		require.Equal(t, err == nil, err2 == nil, "%d bytes", n)
		if err != nil {
			require.Equal(t, err.Error(), err2.Error(), "%d bytes", n)
			continue
		}
		require.Equal(t, map[string][2]int64{"a": {0, 8}, "b": {8, 11}}, x.Spans())
		require.Equal(t, whole[:x.Start], x.Header)
		require.Equal(t, want.Metadata, x.Metadata)
		for name, s := range x.Spans() {
			require.Equal(t, want.Tensors[name], x.Tensor(name, whole[x.Start+s[0]:x.Start+s[1]]))
		}
		require.Panics(t, func() { x.Tensor("a", nil) })
		require.Panics(t, func() { x.Tensor("c", nil) })
	}
}
