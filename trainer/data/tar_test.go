package data

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// around is a folder to unpack into, and a check that nothing beside it has changed.
func around(t testing.TB) (dir string, check func()) {
	outer := t.TempDir()
	dir = filepath.Join(outer, "into")
	require.NoError(t, os.Mkdir(dir, 0o755))
	write(t, []byte("mine"), outer, "secret")
	return dir, func() {
		t.Helper()
		var found []string
		require.NoError(t, filepath.WalkDir(outer, func(p string, d fs.DirEntry, err error) error {
			if p == dir {
				return fs.SkipDir
			}
			found = append(found, p)
			return err
		}))
		require.Equal(t, []string{outer, filepath.Join(outer, "secret")}, found)
		b, err := os.ReadFile(filepath.Join(outer, "secret"))
		require.NoError(t, err)
		require.Equal(t, "mine", string(b))
		require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			require.True(t, d.IsDir() || d.Type().IsRegular(), p)
			return err
		}))
	}
}

func TestExtractTar(t *testing.T) {
	dir, check := around(t)
	b := tarred(t, entry{name: "a/", kind: tar.TypeDir}, entry{name: "a/x", body: []byte("one")}, entry{name: "./b/c/../y", body: []byte("two")}, entry{name: "empty"})
	require.NoError(t, extractTar(bytes.NewReader(b), "x", "x.tar", dir, 1000))
	for p, want := range map[string]string{"a/x": "one", "b/y": "two", "empty": ""} {
		got, err := os.ReadFile(filepath.Join(dir, p))
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	check()
}

func TestExtractTarRefuses(t *testing.T) {
	body := []byte("theirs")
	many := make([]entry, tarEntries+1)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	for name, entries := range map[string][]entry{
		"../secret":       {{name: "../secret", body: body}},
		"a/../../secret":  {{name: "a/../../secret", body: body}},
		"/etc/acumen":     {{name: "/etc/acumen", body: body}},
		"a symbolic link": {{name: "link", kind: tar.TypeSymlink, link: ".."}, {name: "link/secret", body: body}},
		"a hard link":     {{name: "link", kind: tar.TypeLink, link: "../secret"}},
		"a device":        {{name: "null", kind: tar.TypeChar}},
		"a pipe":          {{name: "pipe", kind: tar.TypeFifo}},
		"twice":           {{name: "a", body: body}, {name: "a", body: body}},
		"too large":       {{name: "a", body: make([]byte, 600)}, {name: "b", body: make([]byte, 401)}},
		"too many":        many,
	} {
		t.Run(name, func(t *testing.T) {
			dir, check := around(t)
			err := extractTar(bytes.NewReader(tarred(t, entries...)), "x", "x.tar", dir, 1000)
			refused(t, err, "x.tar")
			check()
		})
	}
	b := tarred(t, entry{name: "a", body: make([]byte, 5000)})
	refused(t, extractTar(bytes.NewReader(b[:3000]), "x", "x.tar", t.TempDir(), 1e6), "cut off")
	name := write(t, gzipped(t, b)[:50], t.TempDir(), "x.tar.gz")
	refused(t, extract("x", name, t.TempDir()), name, "cut off")
}

func FuzzTar(f *testing.F) {
	f.Add(tarred(f, entry{name: "a/", kind: tar.TypeDir}, entry{name: "a/x", body: []byte("one")}))
	f.Add(tarred(f, entry{name: "../secret", body: []byte("one")}))
	f.Add(tarred(f, entry{name: "l", kind: tar.TypeSymlink, link: "../secret"}, entry{name: "l", body: []byte("one")}))
	f.Add(tarred(f, entry{name: "/tmp/x", body: make([]byte, 2000)})[:600])
	f.Fuzz(func(t *testing.T, b []byte) {
		dir, check := around(t)
		err := extractTar(bytes.NewReader(b), "x", "x.tar", dir, 1<<16)
		if err != nil {
			require.Contains(t, err.Error(), "x.tar") // which file is to blame
		}
		check()
	})
}
