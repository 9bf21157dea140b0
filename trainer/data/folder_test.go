package data

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeFolder makes classes of pictures of h x w whose first byte tells class and number.
func writeFolder(t testing.TB, dir string, h, w int, classes map[string]int) {
	for name, n := range classes {
		for i := range n {
			write(t, pngOf(t, grey(h, w, func(y, x int) byte { return byte(16*int(name[0]-'a') + i) })), dir, name, fmt.Sprintf("%02d.png", i))
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	writeFolder(t, filepath.Join(dir, "train"), 5, 4, map[string]int{"cat": 3, "ant": 2, "bee": 4})
	writeFolder(t, filepath.Join(dir, "test"), 5, 4, map[string]int{"bee": 1, "cat": 2})
	writeFolder(t, filepath.Join(dir, "val"), 5, 4, map[string]int{"dog": 1}) // is passed over: there is a test
	write(t, []byte("x"), dir, "train", "bee", "notes.txt")
	write(t, []byte("x"), dir, "train", ".DS_Store")
	write(t, []byte("x"), dir, "train", "bee", "._03.png")
	write(t, []byte("x"), dir, "train", "README")
	train, test, err := Load("folder", dir, Options{Channels: 1})
	require.NoError(t, err)
	assert.Equal(t, "folder", train.Name())
	assert.Equal(t, []string{"ant", "bee", "cat"}, train.Classes())
	assert.Equal(t, train.Classes(), test.Classes())
	assert.Equal(t, []int32{0, 0, 1, 1, 1, 1, 2, 2, 2}, train.Labels())
	assert.Equal(t, []int32{1, 2, 2}, test.Labels())
	assert.Equal(t, [3]int{5, 4, 1}, train.Shape())
	images, _, err := Read(train, iota32(9))
	require.NoError(t, err)
	for i, want := range []byte{0, 1, 16, 17, 18, 19, 32, 33, 34} {
		assert.Equal(t, want, images.Data().([]byte)[20*i])
	}
	_, ok := Bytes(train)
	assert.False(t, ok, "it lies on disk")
	parts, err := Verify("folder", dir, Options{})
	require.NoError(t, err)
	assert.Equal(t, []Part{{Name: "training pictures", Path: filepath.Join(dir, "train"), Records: 9}, {Name: "test pictures", Path: filepath.Join(dir, "test"), Records: 3}}, parts)

	train, _, err = Folder(dir, Options{Size: [2]int{8, 6}})
	require.NoError(t, err)
	assert.Equal(t, [3]int{8, 6, 3}, train.Shape())
	one, two, err := Folder(filepath.Join(dir, "train"), Options{}) // only classes
	require.NoError(t, err)
	assert.Equal(t, 9, one.Len())
	assert.Nil(t, two)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "test")))
	require.NoError(t, os.Rename(filepath.Join(dir, "val", "dog"), filepath.Join(dir, "val", "ant")))
	_, two, err = Folder(dir, Options{})
	require.NoError(t, err)
	assert.Equal(t, []int32{0}, two.Labels(), "val where there is no test")
}

func TestFolderMistakes(t *testing.T) {
	try := func(prepare func(dir string), o Options, say ...string) {
		t.Helper()
		dir := t.TempDir()
		writeFolder(t, filepath.Join(dir, "train"), 5, 4, map[string]int{"ant": 2, "bee": 2})
		writeFolder(t, filepath.Join(dir, "test"), 5, 4, map[string]int{"bee": 1})
		prepare(dir)
		_, _, err := Folder(dir, o)
		refused(t, err, say...)
	}
	ok := func(string) {}
	other := func(path ...string) func(string) {
		return func(dir string) {
			write(t, pngOf(t, grey(6, 4, func(y, x int) byte { return 0 })), append([]string{dir}, path...)...)
		}
	}
	try(ok, Options{Channels: 2}, "data.channels: 2")
	try(ok, Options{Size: [2]int{3, 0}}, "data.size")
	try(ok, Options{Size: [2]int{-1, -1}}, "data.size")
	try(other("train", "bee", "x.png"), Options{}, filepath.Join("bee", "x.png"), "the picture is 6x4", filepath.Join("ant", "00.png")+" is 5x4")
	try(other("test", "bee", "x.png"), Options{}, filepath.Join("test", "bee", "x.png"), "the picture is 6x4")
	try(other("train", "x.png"), Options{}, "x.png: the picture belongs to no class")
	try(other("train", "bee", "deep", "x.png"), Options{}, "deep: a folder inside the folder of class bee")
	try(other("test", "dog", "x.png"), Options{}, `training has no class "dog"`)
	try(func(dir string) { write(t, nil, dir, "train", "bee", "x.webp") }, Options{}, "x.webp: pictures of this kind are not read")
	try(func(dir string) { write(t, []byte("no"), dir, "train", "bee", "x.jpg") }, Options{}, "x.jpg: it is no whole PNG or JPEG picture")
	try(func(dir string) { require.NoError(t, os.Mkdir(filepath.Join(dir, "train", "cow"), 0o755)) }, Options{}, "class cow", "has no pictures")
	try(func(dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "test", "bee"))) }, Options{}, "has no folder with pictures")

	_, _, err := Folder(filepath.Join(t.TempDir(), "none"), Options{})
	refused(t, err, "none: there is no such folder")
	_, _, err = Folder(t.TempDir(), Options{})
	refused(t, err, "has no folder with pictures")
	_, _, err = Folder(write(t, nil, t.TempDir(), "file"), Options{})
	refused(t, err, "file")

	// What goes wrong later names the file too, and of several the first.
	dir := t.TempDir()
	writeFolder(t, dir, 5, 4, map[string]int{"ant": 9, "bee": 9})
	s, _, err := Folder(dir, Options{Size: [2]int{4, 4}})
	require.NoError(t, err)
	write(t, []byte("no"), dir, "ant", "07.png")
	require.NoError(t, os.Remove(filepath.Join(dir, "bee", "01.png")))
	_, _, err = Read(s, iota32(s.Len()))
	refused(t, err, filepath.Join("ant", "07.png"))
	_, _, err = Read(s, []int32{0, 10, 7})
	refused(t, err, filepath.Join("bee", "01.png"), "there is no such file")
	_, err = Verify("folder", dir, Options{Size: [2]int{4, 4}})
	refused(t, err, filepath.Join("ant", "07.png"))
}

func TestParallel(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	done := make([]bool, 1000)
	require.NoError(t, parallel(len(done), func(i int) error { done[i] = true; return nil }))
	assert.NotContains(t, done, false)
	for range 50 {
		err := parallel(1000, func(i int) error {
			if i%7 == 5 {
				return fmt.Errorf("%d", i)
			}
			return nil
		})
		require.EqualError(t, err, "5", "the first, whatever the order")
	}
	require.NoError(t, parallel(0, nil))
}
