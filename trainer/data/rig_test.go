package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/fault"
)

// write makes a file and the folders above it.
func write(t testing.TB, b []byte, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, b, 0o644))
	return p
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return z.Bytes()
}

func random(n int, seed uint64) []byte {
	rnd, b := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// idx is a file in MNIST's format.
func idx(magic uint32, content []byte, dims ...int) []byte {
	out := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, uint32(d))
	}
	return append(out, content...)
}

// cifar is n records whose labels go round.
func cifar(n int, seed uint64) []byte {
	b := random(n*cifarRecord, seed)
	for i := range n {
		b[i*cifarRecord] = byte(i % 10)
	}
	return b
}

type entry struct {
	name string
	kind byte
	link string
	body []byte
}

func tarred(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.body)), Mode: 0o644, Format: tar.FormatPAX}))
		_, err := w.Write(e.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// refused checks that err is a person's mistake with a way out, and what it says.
func refused(t testing.TB, err error, say ...string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, fault.Usage, fault.KindOf(err), err.Error())
	assert.NotEmpty(t, fault.HintOf(err), err.Error())
	assert.NotContains(t, err.Error(), "\n")
	for _, s := range say {
		assert.Contains(t, err.Error(), s)
	}
}

// numbered is n pictures of 2x3x1 in memory whose bytes tell their index, in the given classes in turn.
func numbered(t testing.TB, n, classes int) Set {
	t.Helper()
	px, labels := make([]byte, 6*n), make([]int32, n)
	for i := range n {
		for j := range 6 {
			px[6*i+j] = byte(i*7 + j)
		}
		labels[i] = int32(i % classes)
	}
	s, err := New("numbered", digits[:classes], tensor.New(tensor.WithShape(n, 2, 3, 1), tensor.WithBacking(px)), tensor.New(tensor.WithShape(n), tensor.WithBacking(labels)))
	require.NoError(t, err)
	return s
}

// broken is a set whose picture at 5 cannot be read.
type broken struct{ Set }

var errPicture = errors.New("picture 5 is gone")

func (b broken) Images(dst []byte, indices []int32) error {
	for _, k := range indices {
		if k == 5 {
			return errPicture
		}
	}
	return b.Set.Images(dst, indices)
}
