package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
)

// site is a server of files that keeps what was asked of it.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string // path, and the Range if there was one
	// answer, if set, may answer a request itself: n is its number from 0.
	answer func(w http.ResponseWriter, r *http.Request, n int) bool
}

func newSite(t testing.TB, files map[string][]byte) *site {
	s := &site{files: files}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		n := len(s.asked)
		s.asked = append(s.asked, strings.TrimSuffix(r.URL.Path+" "+r.Header.Get("Range"), " "))
		b, ok := s.files[path.Base(r.URL.Path)]
		s.mu.Unlock()
		switch {
		case s.answer != nil && s.answer(w, r, n):
		case !ok:
			http.NotFound(w, r)
		default:
			http.ServeContent(w, r, "x.bin", time.Time{}, bytes.NewReader(b))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// cutAfter answers with the first n bytes of the file and breaks the connection.
func (s *site) cutAfter(w http.ResponseWriter, r *http.Request, n int) {
	b := s.files[path.Base(r.URL.Path)]
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_, _ = w.Write(b[:n])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func newGetter(mirrors ...string) *getter {
	return &getter{GetOptions: GetOptions{Mirrors: mirrors, Client: &http.Client{}}, tries: 3, pause: time.Millisecond, stall: 10 * time.Second}
}

// is makes a check that the content is want.
func is(want []byte) func(string) error {
	return func(part string) error {
		b, err := os.ReadFile(part)
		if err == nil && !bytes.Equal(b, want) {
			return fault.Usagef("get it again", "wrong checksum")
		}
		return err
	}
}

func TestDownload(t *testing.T) {
	want := random(300_000, 5)
	fetch := func(g *getter, dir string) error {
		return g.file(context.Background(), nil, filepath.Join(dir, "f.gz"), 1<<20, is(want))
	}
	files := func() map[string][]byte { return map[string][]byte{"f.gz": want} }
	got := func(dir string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, "f.gz.part"))
		require.NoError(t, err)
		return b
	}

	t.Run("whole", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		g := newGetter(s.URL + "/sets/") // a slash at the end does not matter
		var last [2]int64
		g.Progress = func(file string, done, total int64) {
			assert.Equal(t, "f.gz", file)
			assert.Greater(t, done, last[0])
			last = [2]int64{done, total}
		}
		require.NoError(t, fetch(g, dir))
		assert.Equal(t, [2]int64{300_000, 300_000}, last)
		assert.Equal(t, []string{"/sets/f.gz"}, s.asked)
		assert.Equal(t, want, got(dir))
	})
	t.Run("broken connections", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 0 {
				s.cutAfter(w, r, 100_000)
			}
			if n == 1 { // breaks before a byte comes
				panic(http.ErrAbortHandler)
			}
			return false
		}
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Equal(t, []string{"/f.gz", "/f.gz bytes=100000-", "/f.gz bytes=100000-"}, s.asked)
		assert.Equal(t, want, got(dir))
	})
	t.Run("goes on where an earlier call stopped", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		write(t, want[:1000], dir, "f.gz.part")
		g := newGetter(s.URL)
		first := int64(0)
		g.Progress = func(_ string, done, total int64) {
			if first == 0 {
				first = done
			}
			assert.Equal(t, int64(300_000), total)
		}
		require.NoError(t, fetch(g, dir))
		assert.Greater(t, first, int64(1000))
		assert.Equal(t, []string{"/f.gz bytes=1000-"}, s.asked)
	})
	t.Run("all was there", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		write(t, want, dir, "f.gz.part")
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Len(t, s.asked, 1) // answered with 416
	})
	t.Run("too much was there", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		write(t, append(want[:len(want):len(want)], 1, 2, 3), dir, "f.gz.part")
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Equal(t, want, got(dir))
	})
	t.Run("another file's beginning was there", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		write(t, random(1000, 9), dir, "f.gz.part")
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Equal(t, []string{"/f.gz bytes=1000-", "/f.gz"}, s.asked)
	})
	t.Run("a server without ranges", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			_, _ = w.Write(want)
			return true
		}
		write(t, random(1000, 9), dir, "f.gz.part")
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Len(t, s.asked, 1)
	})
	t.Run("a server that sends another range", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 0 {
				r.Header.Set("Range", "bytes=5-")
			}
			return false
		}
		write(t, want[:1000], dir, "f.gz.part")
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Equal(t, want, got(dir))
	})
	t.Run("busy for a while", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n < 2 {
				w.WriteHeader([]int{503, 429}[n])
			}
			return n < 2
		}
		require.NoError(t, fetch(newGetter(s.URL), dir))
		assert.Len(t, s.asked, 3)
	})
	t.Run("the next address", func(t *testing.T) {
		bad := map[string]func(w http.ResponseWriter, r *http.Request, n int) bool{
			"404 Not Found": func(w http.ResponseWriter, r *http.Request, n int) bool { http.NotFound(w, r); return true },
			"web page": func(w http.ResponseWriter, r *http.Request, n int) bool {
				fmt.Fprint(w, "<!DOCTYPE html><html>please log in</html>")
				return true
			},
			"wrong checksum": func(w http.ResponseWriter, r *http.Request, n int) bool {
				_, _ = w.Write(random(300_000, 6))
				return true
			},
			"500 Internal": func(w http.ResponseWriter, r *http.Request, n int) bool { w.WriteHeader(500); return true },
			"are expected": func(w http.ResponseWriter, r *http.Request, n int) bool {
				_, _ = w.Write(make([]byte, 2<<20))
				return true
			},
			"at most 1048576 are expected": func(w http.ResponseWriter, r *http.Request, n int) bool {
				w.Header().Set("Content-Length", "2000000")
				return true
			},
		}
		for say, answer := range bad {
			b, s, dir := newSite(t, nil), newSite(t, files()), t.TempDir()
			b.answer = answer
			require.NoError(t, fetch(newGetter(b.URL, s.URL), dir), say)
			assert.Equal(t, want, got(dir), say)
			if say == "500 Internal" {
				assert.Len(t, b.asked, 3)
			} else {
				assert.Len(t, b.asked, 1, say)
			}
			err := fetch(newGetter(b.URL), t.TempDir())
			require.ErrorContains(t, err, say)
			assert.ErrorContains(t, err, b.URL+"/f.gz")
			assert.Equal(t, fault.Failure, fault.KindOf(err))
			assert.Contains(t, fault.HintOf(err), "data.mirrors")
		}
		require.NoError(t, fetch(newGetter("http://127.0.0.1:1", "no address", "ftp://x", newSite(t, files()).URL), t.TempDir()))
	})
	t.Run("silence", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 0 {
				w.Header().Set("Content-Length", "300000")
				_, _ = w.Write(want[:10])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
			return n == 0
		}
		g := newGetter(s.URL)
		g.stall = 50 * time.Millisecond
		require.NoError(t, fetch(g, dir))
		assert.Equal(t, []string{"/f.gz", "/f.gz bytes=10-"}, s.asked)
	})
	t.Run("stopped", func(t *testing.T) {
		s, dir := newSite(t, files()), t.TempDir()
		ctx, cancel := context.WithCancelCause(context.Background())
		stop := errors.New("interrupt")
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 0 {
				w.Header().Set("Content-Length", "300000")
				_, _ = w.Write(want[:70_000])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
			return n == 0
		}
		g := newGetter(s.URL)
		g.Progress = func(_ string, done, _ int64) {
			if done == 70_000 {
				cancel(stop)
			}
		}
		err := g.file(ctx, []string{s.URL}, filepath.Join(dir, "f.gz"), 1<<20, is(want))
		require.ErrorIs(t, err, stop)
		assert.Contains(t, fault.HintOf(err), "goes on where it stopped")
		assert.Len(t, s.asked, 1, "no other address is asked")
		assert.Equal(t, want[:70_000], got(dir), "what came is kept")
		g.Progress = nil
		require.NoError(t, fetch(g, dir))
		assert.Equal(t, "/f.gz bytes=70000-", s.asked[1])
	})
	t.Run("no room", func(t *testing.T) {
		s := newSite(t, files())
		err := fetch(newGetter(s.URL, s.URL), filepath.Join(t.TempDir(), "none"))
		require.Error(t, err)
		assert.Contains(t, fault.HintOf(err), "make room")
		assert.Len(t, s.asked, 1, "another address would not help")
	})
}

func TestGetMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks all of MNIST several times")
	}
	files := map[string][]byte{}
	for _, f := range mnistFiles {
		b, err := embedded.ReadFile("mnist/" + f.name + ".gz")
		require.NoError(t, err)
		files[f.name+".gz"] = b
	}
	s, dir := newSite(t, files), filepath.Join(t.TempDir(), "new", "data")
	o := GetOptions{Mirrors: []string{s.URL}}
	parts, err := Get(t.Context(), "mnist", dir, o)
	require.NoError(t, err)
	assert.Len(t, parts, 4)
	assert.Len(t, s.asked, 4)
	entries, err := os.ReadDir(filepath.Join(dir, "mnist"))
	require.NoError(t, err)
	assert.Len(t, entries, 4, "nothing else is left")
	_, err = Get(t.Context(), "mnist", dir, o)
	require.NoError(t, err)
	assert.Len(t, s.asked, 4, "what is there is not asked for again")

	// One file is damaged, one packed otherwise: only the first is fetched.
	write(t, []byte("<html>"), dir, "mnist", mnistFiles[1].name+".gz")
	require.NoError(t, os.Remove(filepath.Join(dir, "mnist", mnistFiles[3].name+".gz")))
	z, err := unpacked(bytes.NewReader(files[mnistFiles[3].name+".gz"]), "mnist", "x")
	require.NoError(t, err)
	_, labels, err := parseIDX(z, 1)
	require.NoError(t, err)
	write(t, idx(0x801, labels, len(labels)), dir, "mnist", mnistFiles[3].name)
	_, err = Get(t.Context(), "mnist", dir, o)
	require.NoError(t, err)
	assert.Equal(t, []string{"/" + mnistFiles[1].name + ".gz"}, s.asked[4:])
}

func TestGetCIFAR10(t *testing.T) {
	files := cifarParts()
	officialCIFAR(t, files)
	old := cifarAddresses
	defer func() { cifarAddresses = old }()
	good := newSite(t, map[string][]byte{cifarArchive: cifarTar(t, files)})
	cifarAddresses = []string{good.URL}
	other := cifarParts()
	other[2][77] ^= 1
	bad := newSite(t, map[string][]byte{cifarArchive: cifarTar(t, other)})
	evil := newSite(t, map[string][]byte{cifarArchive: gzipped(t, tarred(t, entry{name: "../evil", body: []byte("x")}))})

	outer := t.TempDir()
	dir := filepath.Join(outer, "data")
	writeCIFAR(t, filepath.Join(dir, cifarFolder), other) // is replaced
	write(t, []byte("mine"), dir, cifarFolder, "notes.txt")
	write(t, []byte("x"), dir, "."+cifarFolder+".tmp-7", "data_batch_1.bin") // of a call that was killed
	parts, err := newGetter(evil.URL, bad.URL).set(t.Context(), "cifar10", dir)
	require.NoError(t, err)
	assert.Equal(t, 19, parts[0].Records)
	for _, s := range []*site{evil, bad, good} {
		assert.Len(t, s.asked, 1)
	}
	names := func(p string) (all []string) {
		entries, err := os.ReadDir(p)
		require.NoError(t, err)
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	assert.Equal(t, []string{"data"}, names(outer))
	assert.Equal(t, []string{cifarFolder}, names(dir), "neither the archive nor what was unpacked of others is left")
	assert.Equal(t, append(append([]string(nil), cifarFiles[:5]...), "notes.txt", "readme.html", cifarFiles[5]), names(filepath.Join(dir, cifarFolder)))

	_, err = Get(t.Context(), "cifar10", dir, GetOptions{})
	require.NoError(t, err)
	assert.Len(t, good.asked, 1, "what is there is not asked for again")
	archive := t.TempDir()
	write(t, cifarTar(t, files), archive, cifarArchive)
	_, err = Get(t.Context(), "cifar10", archive, GetOptions{})
	require.NoError(t, err)
	assert.Len(t, good.asked, 1, "nor where the archive is there")

	inside := t.TempDir() // dir is the folder itself, and has a wrong file
	writeCIFAR(t, inside, other)
	_, err = newGetter().set(t.Context(), "cifar10", inside)
	require.NoError(t, err)
	assert.Len(t, good.asked, 2)
	assert.NotContains(t, names(inside), cifarFolder)

	cifarAddresses = nil
	empty := t.TempDir()
	_, err = newGetter(evil.URL, bad.URL).set(t.Context(), "cifar10", empty)
	require.ErrorContains(t, err, "leads out of the folder")
	require.ErrorContains(t, err, "digest of its 19 training records")
	assert.Equal(t, fault.Failure, fault.KindOf(err))
	assert.Empty(t, names(empty))
}
