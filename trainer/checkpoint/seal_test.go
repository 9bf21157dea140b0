package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/internal/atomicfile/faultfs"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

// Who wants the weights reads them, whatever has become of the optimiser's state; whoever wants all does not.
func TestLoadWeightsOfALargeFile(t *testing.T) {
	const n = 1<<20 + 77 // numbers: some pieces of each tensor
	of := func(v float32) *tensor.Dense {
		x := make([]float32, n)
		for i := range x {
			x[i] = v + float32(i%1000)
		}
		return vector(x...)
	}
	c := small(1)
	c.Weights = map[string]*tensor.Dense{"a": of(1), "z": of(2)} // one before the state, one after
	c.Optim = map[string]map[string]*tensor.Dense{"momentum": {"a": of(3), "z": of(4)}}
	b := encode(t, c)
	path := filepath.Join(t.TempDir(), "x.safetensors")
	data := 8 + int(binary.LittleEndian.Uint64(b))
	for name, at := range map[string]int{"sound": -1, "a": 5, "last of a": 4*n - 1, "state": 4*n + 2<<20, "more state": 8*n + 2<<20, "split": 12 * n, "z": 16 * n} {
		bad := bytes.Clone(b)
		if at >= 0 {
			bad[data+at] ^= 4
		}
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		all, err := checkpoint.Load(path)
		if at < 0 {
			require.NoError(t, err)
			assert.Equal(t, b, encode(t, all))
		} else {
			piece := data + at>>20<<20
			assert.ErrorContains(t, err, fmt.Sprintf("bytes %d to %d of the file) does not match its SHA-256", piece, min(piece+1<<20, len(b))-1), name)
		}
		weights, err := checkpoint.LoadWeights(path)
		if at >= 0 && !strings.Contains(name, "state") {
			assert.ErrorContains(t, err, "does not match its SHA-256", name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.Weights["a"].Data(), weights.Weights["a"].Data(), name)
		assert.Equal(t, c.Weights["z"].Data(), weights.Weights["z"].Data(), name)
		assert.Equal(t, c.Split, weights.Split, name)
		assert.Equal(t, map[string]map[string]*tensor.Dense{"momentum": {}}, weights.Optim, name)
	}
}

// No byte can be changed, lost or added unseen.
func TestEveryByteIsGuarded(t *testing.T) {
	b := encode(t, small(1))
	refused := func(bad []byte, what string, at int) {
		_, err := checkpoint.Decode(bad)
		if assert.Error(t, err, "%s %d of %d", what, at, len(b)) {
			assert.Equal(t, fault.Usage, fault.KindOf(err))
			assert.NotEmpty(t, fault.HintOf(err))
		}
	}
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, 0x20, 0xff} {
			bad := bytes.Clone(b)
			bad[i] ^= flip
			refused(bad, "byte", i)
		}
		refused(b[:i], "cut at", i)
	}
	refused(append(bytes.Clone(b), 0), "one more than", len(b))
	_, err := checkpoint.Decode(b)
	require.NoError(t, err)
}

// The message names the file and the region.
func TestDamageIsNamed(t *testing.T) {
	b := encode(t, small(1))
	head := 8 + int(binary.LittleEndian.Uint64(b))
	find := func(s string) int {
		i := bytes.Index(b, []byte(s))
		require.Positive(t, i, s)
		return i
	}
	change := func(i int, to byte) []byte {
		bad := bytes.Clone(b)
		require.NotEqual(t, to, bad[i])
		bad[i] = to
		return bad
	}
	path := filepath.Join(t.TempDir(), "last.safetensors")
	for name, c := range map[string]struct {
		bytes     []byte
		say, hint string
	}{
		"length":         {change(6, 9), "a header of", "best.safetensors or last.safetensors"},
		"syntax":         {change(8, '['), "header", "damaged"},
		"metadata":       {change(find("mnist"), 'M'), "its header (metadata and table of tensors) does not match", "damaged"},
		"table":          {change(find("fc.bias")+1, 'C'), "its header (metadata and table of tensors) does not match", "damaged"},
		"padding":        {change(head-1, '\n'), "header", "damaged"},
		"its own digest": {change(find(`sha256.header":"`)+20, '!'), "its header", "damaged"},
		"data's digest":  {change(find(`sha256.data":"`)+20, '!'), "its header", "damaged"},
		"first data":     {change(head, 1), "its data (the tensors, bytes " + strconv.Itoa(head) + " to ", "damaged"},
		"last data":      {change(len(b)-1, 1), "its data (the tensors, bytes " + strconv.Itoa(head) + " to ", "damaged"},
		"half":           {b[:len(b)-5], "truncated", "damaged"},
		"empty":          {nil, "ends before its header", "damaged"},
		"something else": {[]byte("<html>not found</html>"), "a header of", "damaged"},
		"other tensors":  {[]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), "not a checkpoint of acumen", "acumen train wrote"},
	} {
		require.NoError(t, os.WriteFile(path, c.bytes, 0o600))
		_, err := checkpoint.Load(path)
		if assert.Error(t, err, name) {
			assert.True(t, strings.HasPrefix(err.Error(), path+": "), "%s: %v", name, err)
			assert.Contains(t, err.Error(), c.say, name)
			assert.Contains(t, fault.HintOf(err), c.hint, name)
			assert.Equal(t, fault.Usage, fault.KindOf(err), name)
		}
	}
	_, err := checkpoint.Load(path + ".gone")
	assert.EqualError(t, err, path+".gone: there is no such file")
	assert.Contains(t, fault.HintOf(err), "runs/lenet5-001/best.safetensors")
	dir := filepath.Dir(path)
	_, err = checkpoint.Load(dir)
	assert.EqualError(t, err, dir+": it is a folder")
	assert.Contains(t, fault.HintOf(err), filepath.Join(dir, "best.safetensors"))
	assert.Equal(t, fault.Usage, fault.KindOf(err), "a folder")
}

// A file of format 1, as the program wrote it then, is read, and its bytes are guarded too.
func TestFormat1(t *testing.T) {
	path := filepath.Join("testdata", "format1.safetensors")
	c, err := checkpoint.Load(path)
	require.NoError(t, err)
	want := small(1)
	assert.Equal(t, 1, c.Meta.Version)
	c.Meta.Version = checkpoint.Version
	assert.Equal(t, want.Meta, c.Meta)
	assert.Equal(t, encode(t, want), encode(t, c), "it is written in today's format")
	weights, err := checkpoint.LoadWeights(path)
	require.NoError(t, err)
	assert.Equal(t, c.Weights, weights.Weights)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x20
		_, err := checkpoint.Decode(bad)
		assert.Error(t, err, "byte %d", i)
	}
}

// A file of which a part cannot be read is not called damaged, and one that shrinks is named so.
func TestUnreadable(t *testing.T) {
	d := faultfs.New()
	b := encode(t, of(network(t, "mlp", 1)))
	head := int(8 + binary.LittleEndian.Uint64(b))
	require.Greater(t, len(b), head+2<<20, "it has several pieces")
	for _, at := range []int{0, 5, 8, head - 1, head, head + 1<<20, head + 1<<20 + 9, len(b) - 1} {
		for _, cause := range []error{io.EOF, &fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}} {
			s, err := checkpoint.OpenStore(failing{d, int64(at), cause}, "/run", 0)
			require.NoError(t, err)
			if _, err := d.Open("/run/last.safetensors"); err != nil {
				require.NoError(t, s.Save(of(network(t, "mlp", 1)), false, 0))
			}
			_, err = s.LoadLast()
			require.Error(t, err, at)
			assert.Equal(t, fault.Usage, fault.KindOf(err))
			assert.True(t, strings.HasPrefix(err.Error(), "/run/last.safetensors: "), err.Error())
			if cause != io.EOF {
				assert.ErrorIs(t, err, syscall.EIO)
				assert.Contains(t, fault.HintOf(err), "whether it can be read", at)
				assert.NotContains(t, err.Error(), "read x", "the path stands there already")
			} else if at >= head {
				assert.ErrorContains(t, err, fmt.Sprintf("became shorter while it was read: it ends at byte %d", at))
			}
		}
	}
}

// failing is a file system of whose files nothing from byte at on can be read.
type failing struct {
	*faultfs.Disk
	at    int64
	cause error
}

func (f failing) Open(name string) (atomicfile.Reader, error) {
	r, err := f.Disk.Open(name)
	return failingReader{r, f}, err
}

type failingReader struct {
	atomicfile.Reader
	f failing
}

func (r failingReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(b, off)
	if off+int64(n) <= r.f.at {
		return n, err
	}
	return int(max(r.f.at-off, 0)), r.f.cause
}

// A sound file of another format is told from a damaged one.
func TestOtherVersion(t *testing.T) {
	b := encode(t, small(1))
	at := bytes.Index(b, []byte(`\"version\":2,`))
	require.Positive(t, at)
	b[at+len(`\"version\":`)] = '7'
	b = checkpoint.Sealed(b)
	path := filepath.Join(t.TempDir(), "last.safetensors")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	_, err := checkpoint.Load(path)
	assert.EqualError(t, err, path+": format version 7, this program reads up to 2")
	assert.Equal(t, fault.Usage, fault.KindOf(err))
	assert.Contains(t, fault.HintOf(err), "release")
}
