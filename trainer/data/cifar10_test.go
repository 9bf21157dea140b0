package data

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cifarParts are six small files, of which the training ones differ in length.
func cifarParts() [][]byte {
	var all [][]byte
	for k := range cifarFiles {
		all = append(all, cifar(3+k%3, uint64(k)))
	}
	return all
}

func writeCIFAR(t testing.TB, dir string, files [][]byte) {
	for k, b := range files {
		write(t, b, dir, cifarFiles[k])
	}
}

// cifarTar is the archive of files, in another order than that of their names.
func cifarTar(t testing.TB, files [][]byte) []byte {
	entries := []entry{{name: cifarFolder + "/", kind: '5'}, {name: cifarFolder + "/readme.html", body: []byte("<html>")}}
	for _, k := range []int{5, 0, 3, 2, 1, 4} {
		entries = append(entries, entry{name: cifarFolder + "/" + cifarFiles[k], body: files[k]})
	}
	return gzipped(t, tarred(t, entries...))
}

// officialCIFAR lets files stand for the official ones.
func officialCIFAR(t testing.TB, files [][]byte) {
	old := cifarDigests
	cifarDigests = [2]string{digestRecords(files[:5]...), digestRecords(files[5])}
	t.Cleanup(func() { cifarDigests = old })
}

func TestCIFAR10(t *testing.T) {
	files := cifarParts()
	officialCIFAR(t, files)
	dir := t.TempDir()
	writeCIFAR(t, filepath.Join(dir, "a"), files)
	writeCIFAR(t, filepath.Join(dir, "b", cifarFolder), files)
	archive := write(t, cifarTar(t, files), dir, "c", cifarArchive)
	writeCIFAR(t, filepath.Join(dir, "d", "cifar10"), files)
	for _, p := range []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c"), archive, filepath.Join(dir, "d")} {
		train, test, err := Load("cifar10", p, Options{})
		require.NoError(t, err, p)
		assert.Equal(t, [2]int{3 + 4 + 5 + 3 + 4, 5}, [2]int{train.Len(), test.Len()})
		assert.Equal(t, [3]int{32, 32, 3}, train.Shape())
		assert.Equal(t, "truck", test.Classes()[9])
		assert.Equal(t, []int32{0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3}, train.Labels())
		px := make([]byte, 3072)
		require.NoError(t, train.Images(px, []int32{4})) // record 1 of the second file
		record := files[1][cifarRecord:]
		for y := range 32 {
			for x := range 32 {
				for c := range 3 {
					require.Equal(t, record[1+c*1024+y*32+x], px[(y*32+x)*3+c])
				}
			}
		}
		parts, err := Verify("cifar10", p, Options{})
		require.NoError(t, err)
		assert.Equal(t, []int{19, 5}, []int{parts[0].Records, parts[1].Records})
	}
}

// The digest does not see the order of records, nor how they lie in files; it sees all else.
func TestDigestRecords(t *testing.T) {
	a, b := cifar(4, 1), cifar(3, 2)
	want := digestRecords(a, b)
	assert.Equal(t, want, digestRecords(b, a))
	assert.Equal(t, want, digestRecords(slices.Concat(a[2*cifarRecord:], b, a[:2*cifarRecord])))
	for _, other := range [][]byte{a, slices.Concat(a, b, b), slices.Concat(a[:cifarRecord], a[:3*cifarRecord], b)} {
		assert.NotEqual(t, want, digestRecords(other))
	}
	a[5000] ^= 1
	assert.NotEqual(t, want, digestRecords(a, b))

	files := cifarParts()
	officialCIFAR(t, files)
	files[0], files[5] = slices.Concat(files[0], files[5][:cifarRecord]), files[5][cifarRecord:]
	dir := t.TempDir()
	writeCIFAR(t, dir, files)
	_, err := Verify("cifar10", dir, Options{})
	refused(t, err, dir, "digest of its 20 training records")
}

func TestCIFAR10Mistakes(t *testing.T) {
	try := func(prepare func(dir string), say ...string) {
		t.Helper()
		dir := t.TempDir()
		writeCIFAR(t, dir, cifarParts())
		prepare(dir)
		_, _, err := CIFAR10(dir)
		refused(t, err, append(say, dir)...)
		_, err = Verify("cifar10", dir, Options{})
		refused(t, err, dir)
	}
	put := func(k int, b []byte) func(string) { return func(dir string) { write(t, b, dir, cifarFiles[k]) } }
	clear := func(dir string) {
		for _, f := range cifarFiles {
			require.NoError(t, os.Remove(filepath.Join(dir, f)))
		}
	}
	try(put(2, cifar(4, 1)[:3*cifarRecord+7]), "data_batch_3.bin", "cut off")
	try(put(1, nil), "data_batch_2.bin", "cut off")
	try(put(0, make([]byte, 20*cifar100)), "data_batch_1.bin", "CIFAR-100")
	bad := cifar(4, 1)
	bad[2*cifarRecord] = 10
	try(put(5, bad), "test_batch.bin", "record 2: label 10 is not in 0..9")
	try(put(3, []byte("<html>"+string(make([]byte, cifarRecord-6)))), "data_batch_4.bin", "web page")
	try(func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, cifarFiles[4]))) }, "no data_batch_5.bin")
	try(func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, cifarFiles[4])))
		require.NoError(t, os.Mkdir(filepath.Join(dir, cifarFiles[4]), 0o755))
	}, cifarFiles[4])
	try(clear, "no cifar-10-batches-bin")
	try(func(dir string) {
		clear(dir)
		write(t, nil, dir, "cifar-10-batches-py", "data_batch_1")
	}, "Python version")
	try(func(dir string) { clear(dir); write(t, nil, dir, "cifar-100-binary", "train.bin") }, "CIFAR-100")
	archive := func(b []byte) func(string) { return func(dir string) { clear(dir); write(t, b, dir, cifarArchive) } }
	whole := cifarTar(t, cifarParts())
	try(archive(whole[:len(whole)/2]), "cut off")
	try(archive(append(slices.Clone(whole[:len(whole)-6]), 0, 0, 0, 0, 0, 0)), "damaged")
	try(archive([]byte("<!doctype html>")), "web page")
	try(archive(gzipped(t, random(2000, 3))), cifarArchive)
	try(archive(gzipped(t, tarred(t, entry{name: "cifar-100-binary/fine_label_names.txt"}))), "is CIFAR-100")
	try(archive(gzipped(t, tarred(t, entry{name: cifarFolder + "/" + cifarFiles[0], body: cifar(2, 1)}))), "has no data_batch_2.bin")
	_, _, err := CIFAR10(filepath.Join(t.TempDir(), "none"))
	refused(t, err, "none")
}

func FuzzCIFAR(f *testing.F) {
	f.Add(cifar(2, 1))
	f.Add(make([]byte, cifar100))
	f.Add([]byte("<html>"))
	f.Add(append(cifar(1, 1), 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		images, labels, err := appendCIFAR(nil, nil, b, "x")
		if err != nil {
			refused(t, err, "x")
			return
		}
		require.Len(t, labels, len(b)/cifarRecord)
		require.Len(t, images, len(labels)*3072)
		for i, l := range labels {
			require.Equal(t, b[i*cifarRecord], byte(l))
			require.Less(t, l, int32(10))
		}
	})
}
