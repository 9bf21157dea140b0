package data

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/internal/fault"
)

// getter downloads files.
type getter struct {
	GetOptions
	tries int           // at an address, without a byte more
	pause time.Duration // before the second try; it grows with each
	stall time.Duration // how long a body may be silent
}

// lasting is an error that trying the same address again will not mend.
type lasting struct{ error }

func (e lasting) Unwrap() error { return e.error }

var errSilent = errors.New("the server fell silent")

// file downloads path's base name from one of the folders at the mirrors and addresses to path.part, until check finds
// it right. At most limit bytes are taken.
func (g *getter) file(ctx context.Context, addresses []string, path string, limit int64, check func(part string) error) error {
	part, name := path+".part", filepath.Base(path)
	var all []string
	for _, a := range append(append([]string(nil), g.Mirrors...), addresses...) {
		url := strings.TrimSuffix(a, "/") + "/" + name
		old, _ := fileSize(part)
		err := g.from(ctx, url, part, limit)
		if err == nil {
			if err = check(part); err != nil && fault.KindOf(err) == fault.Usage && old > 0 { // what was there may have been another file's
				if err = removed(part); err == nil {
					if err = g.from(ctx, url, part, limit); err == nil {
						err = check(part)
					}
				}
			}
			if err == nil {
				return nil
			}
			if fault.KindOf(err) == fault.Usage { // its content is wrong
				if rerr := removed(part); rerr != nil {
					return rerr
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			return fault.Failuref("run it again: it goes on where it stopped", "%s: stopped: %w", url, context.Cause(ctx))
		case ours(err):
			return err
		}
		all = append(all, fmt.Sprintf("%s: %v", url, err))
	}
	return fault.Failuref("see whether the network is up; run it again to go on where it stopped, or name another address in data.mirrors",
		"%s could not be downloaded: %s", name, strings.Join(all, "; "))
}

// ours reports whether this machine is to blame, so that asking again or elsewhere would not help.
func ours(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && e.Kind == fault.Failure
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return notWritten(err)
	}
	return nil
}

func fileSize(path string) (int64, error) {
	s, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return s.Size(), nil
}

// from downloads url to the file part, and tries again where that may help.
func (g *getter) from(ctx context.Context, url, part string, limit int64) error {
	for try := 1; ; try++ {
		n, err := g.once(ctx, url, part, limit)
		var end lasting
		if err == nil || ctx.Err() != nil || ours(err) {
			return err
		}
		if errors.As(err, &end) {
			return end.error
		}
		if n > 0 {
			try = 1
		}
		if try >= g.tries {
			return err
		}
		select {
		case <-time.After(g.pause * time.Duration(try)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// once asks url for what part lacks, and tells how many bytes came.
func (g *getter) once(ctx context.Context, url, part string, limit int64) (n int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	have, err := fileSize(part)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, notWritten(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, lasting{err}
	}
	req.Header.Set("Accept-Encoding", "identity") // else the transport would unpack, and Range count other bytes
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := g.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch c := resp.StatusCode; {
	case c == http.StatusOK:
		have = 0
	case c == http.StatusPartialContent && have > 0 && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case c == http.StatusRequestedRangeNotSatisfiable && have > 0:
		if resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", have) {
			return 0, nil // all is there
		}
		fallthrough
	case c == http.StatusPartialContent: // not the part that was asked for: from the start
		if err := removed(part); err != nil {
			return 0, err
		}
		return 0, errors.New("the server sent another part than was asked for")
	case c >= 500, c == http.StatusTooManyRequests, c == http.StatusRequestTimeout:
		return 0, errors.New(resp.Status)
	default:
		return 0, lasting{errors.New(resp.Status)}
	}
	total := int64(-1)
	if resp.ContentLength >= 0 {
		total = have + resp.ContentLength
	}
	if total > limit {
		return 0, lasting{fmt.Errorf("%d bytes are offered, at most %d are expected", total, limit)}
	}
	timer := time.AfterFunc(g.stall, func() { cancel(errSilent) })
	defer timer.Stop()
	body := bufio.NewReaderSize(resp.Body, 1<<16)
	if have == 0 {
		if head, _ := body.Peek(512); isPage(head) {
			return 0, lasting{errors.New("it is a web page, not data")}
		}
	}
	if n, err = g.save(part, have, total, limit, body, timer); err != nil && context.Cause(ctx) == errSilent {
		err = errSilent
	}
	return n, err
}

// save writes body to part from byte have on.
func (g *getter) save(part string, have, total, limit int64, body io.Reader, timer *time.Timer) (n int64, err error) {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return 0, notWritten(err)
	}
	defer func() {
		if cerr := f.Close(); cerr != nil && err == nil {
			err = notWritten(cerr)
		}
	}()
	if err := f.Truncate(have); err != nil {
		return 0, notWritten(err)
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return 0, notWritten(err)
	}
	buf := make([]byte, 1<<16)
	for {
		k, rerr := body.Read(buf)
		timer.Reset(g.stall)
		if _, err := f.Write(buf[:k]); err != nil {
			return n, notWritten(err)
		}
		if n += int64(k); g.Progress != nil && k > 0 {
			g.Progress(strings.TrimSuffix(filepath.Base(part), ".part"), have+n, total)
		}
		switch {
		case have+n > limit:
			return n, errors.Join(lasting{fmt.Errorf("more than the %d bytes that are expected", limit)}, removed(part))
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}
