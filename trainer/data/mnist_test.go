package data

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// writeMNIST writes the files of 12 training and 5 test pictures into dir.
func writeMNIST(t testing.TB, dir string, zip bool) {
	for i, n := range []int{12, 5} {
		labels := make([]byte, n)
		for k := range labels {
			labels[k] = byte(k % 10)
		}
		for j, b := range [][]byte{idx(0x803, random(n*784, uint64(i)), n, 28, 28), idx(0x801, labels, n)} {
			name := mnistFiles[2*i+j].name
			if zip {
				name, b = name+".gz", gzipped(t, b)
			}
			write(t, b, dir, name)
		}
	}
}

func TestMNIST(t *testing.T) {
	for _, zip := range []bool{false, true} {
		for _, sub := range []string{"", "mnist", "MNIST/raw"} {
			dir := t.TempDir()
			writeMNIST(t, filepath.Join(dir, sub), zip)
			for _, load := range []func() (Set, Set, error){func() (Set, Set, error) { return MNIST(dir) }, func() (Set, Set, error) { return Load("mnist", dir, Options{}) }} {
				train, test, err := load()
				require.NoError(t, err)
				assert.Equal(t, [2]int{12, 5}, [2]int{train.Len(), test.Len()})
				assert.Equal(t, "mnist", train.Name())
				assert.Equal(t, [3]int{28, 28, 1}, test.Shape())
				assert.Equal(t, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}, train.Labels())
				px, ok := Bytes(test)
				require.True(t, ok)
				assert.Equal(t, random(5*784, 1), px.Data())
			}
		}
	}
}

func TestEmbeddedMNIST(t *testing.T) {
	train, test, err := Load("mnist", t.TempDir(), Options{})
	require.NoError(t, err)
	assert.Equal(t, tensor.Shape{60000}, LabelTensor(train).Shape())
	// The counts of the classes, as known from the literature.
	for i, c := range []struct {
		set  Set
		want []int
	}{{train, []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}}, {test, []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}}} {
		got := make([]int, 10)
		for _, l := range c.set.Labels() {
			got[l]++
		}
		assert.Equal(t, c.want, got, i)
	}
	mean, std, err := Statistics(train)
	require.NoError(t, err)
	m, s := Normalisation(train)
	assert.InDelta(t, m[0], mean[0], 5e-5) // the published numbers have four digits
	assert.InDelta(t, s[0], std[0], 5e-5)

	licence, err := embedded.ReadFile("mnist/LICENSE.md")
	require.NoError(t, err)
	for _, word := range []string{"CC BY-SA 3.0", "LeCun", "Cortes"} {
		assert.Contains(t, string(licence), word)
	}
	if testing.Short() {
		return
	}
	// The files are the official ones.
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, embedded))
	parts, err := Verify("mnist", dir, Options{})
	require.NoError(t, err)
	require.Len(t, parts, 4)
	assert.Equal(t, 60000, parts[1].Records)
}

func TestMNISTMistakes(t *testing.T) {
	name := func(i int) string { return mnistFiles[i].name + ".gz" }
	for _, c := range []struct {
		what string
		file int
		b    []byte
		say  string
	}{
		{"truncated gzip", 0, gzipped(t, idx(0x803, random(12*784, 1), 12, 28, 28))[:2000], "the file is cut off"},
		{"truncated in the header of gzip", 0, gzipped(t, idx(0x803, random(12*784, 1), 12, 28, 28))[:5], "the file is cut off"},
		{"short", 2, gzipped(t, idx(0x803, random(4*784, 1), 5, 28, 28)), "the file is cut off"},
		{"short header", 1, gzipped(t, []byte{0, 0, 8, 1, 0}), "the file is cut off"},
		{"empty", 1, nil, "the file is cut off"},
		{"HTML", 0, []byte("\n <!DOCTYPE HTML><html><body>404 Not Found</body></html>"), "it is a web page, not data"},
		{"magic", 0, gzipped(t, idx(0x802, random(784, 1), 1, 784)), "wrong magic number 0x00000802"},
		{"labels as pictures", 0, gzipped(t, idx(0x801, random(12, 1), 12)), "wrong magic number 0x00000801"},
		{"too long", 1, gzipped(t, idx(0x801, make([]byte, 13), 12)), "bytes follow"},
		{"extents", 0, gzipped(t, idx(0x803, nil, 1<<31, 1<<31, 4)), "extents"},
		{"no pictures", 0, gzipped(t, idx(0x803, nil, 0, 28, 28)), "extents"},
		{"size", 0, gzipped(t, idx(0x803, random(12*100, 1), 12, 10, 10)), "pictures of 10x10, MNIST's are 28x28"},
		{"count", 1, gzipped(t, idx(0x801, make([]byte, 11), 11)), "11 labels for the 12 pictures of train-images-idx3-ubyte.gz"},
		{"label", 3, gzipped(t, idx(0x801, []byte{0, 1, 2, 10, 3}, 5)), "record 3: label 10 is not in 0..9"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			writeMNIST(t, dir, true)
			path := write(t, c.b, dir, name(c.file))
			_, _, err := MNIST(dir)
			refused(t, err, path, c.say)
			_, err = Verify("mnist", dir, Options{})
			refused(t, err, dir)
		})
	}
	t.Run("bit flipped in gzip", func(t *testing.T) {
		dir := t.TempDir()
		writeMNIST(t, dir, true)
		b, err := os.ReadFile(filepath.Join(dir, name(0)))
		require.NoError(t, err)
		b[len(b)-6] ^= 1 // of the sum
		path := write(t, b, dir, name(0))
		_, _, err = MNIST(dir)
		refused(t, err, path, "the gzip file is damaged")
	})
	t.Run("missing", func(t *testing.T) {
		dir := t.TempDir()
		_, _, err := MNIST(dir)
		refused(t, err, dir, name(0))
		_, err = Verify("mnist", dir, Options{})
		refused(t, err, dir)
		writeMNIST(t, dir, true)
		require.NoError(t, os.Remove(filepath.Join(dir, name(3))))
		_, _, err = Load("mnist", dir, Options{}) // not silently those in the program
		refused(t, err, dir, name(3))
	})
	t.Run("unreadable", func(t *testing.T) {
		dir := t.TempDir()
		writeMNIST(t, dir, true)
		require.NoError(t, os.Remove(filepath.Join(dir, name(1))))
		require.NoError(t, os.Mkdir(filepath.Join(dir, name(1)), 0o755))
		_, _, err := MNIST(dir)
		refused(t, err, name(1))
	})
	t.Run("changed", func(t *testing.T) {
		dir := t.TempDir()
		writeMNIST(t, dir, true)
		_, err := Verify("mnist", dir, Options{})
		refused(t, err, name(0), "SHA-256")
	})
}

func FuzzIDX(f *testing.F) {
	f.Add(idx(0x801, []byte{1, 2, 3}, 3))
	f.Add(idx(0x803, random(12, 1), 3, 2, 2))
	f.Add(gzipped(f, idx(0x803, random(12, 1), 3, 2, 2)))
	f.Add(idx(0x803, nil, 1<<31, 1<<31, 1<<31))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, rank := range []int{1, 3} {
			r, err := unpacked(bytes.NewReader(b), "mnist", "x")
			if err != nil {
				continue
			}
			dims, content, err := parseIDX(r, rank)
			if err != nil {
				refused(t, damaged("mnist", "x", err), "x")
				continue
			}
			n := 1
			for _, d := range dims {
				n *= d
			}
			require.Len(t, dims, rank)
			require.Len(t, content, n)
			if !strings.HasPrefix(string(b), "\x1f\x8b") {
				require.Equal(t, b, idx(uint32(0x800+rank), content, dims...), "what is read is what was there")
			}
		}
	})
}
