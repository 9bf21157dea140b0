package data

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/acumen-ml/acumen/internal/fault"
)

// again is the hint where a file of a data set is not what it should be.
func again(set string) string {
	return fmt.Sprintf("remove it, and get it again with `acumen data get %s`", set)
}

// missing is the error for a data set that is not there.
func missing(set, dir, file string) error {
	return fault.Usagef(fmt.Sprintf("get it with `acumen data get %s`, or let data.dir (ACUMEN_DATA_DIR) name the folder that has it", set),
		"data set %s: %s has no %s", set, dir, file)
}

// damaged is the error for a file that was read as far as err says.
func damaged(set, path string, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fault.Usagef(again(set), "%s: the file is cut off", path)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &corrupt):
		return fault.Usagef(again(set), "%s: the gzip file is damaged: %w", path, err)
	}
	var on *fs.PathError
	if errors.As(err, &on) {
		return fault.Usagef("give a file that you may read", "%s: %w", path, on.Err)
	}
	return fault.Usagef(again(set), "%s: %w", path, err)
}

// unpacked is what r holds, through gzip if it is compressed. A web page is an error: it is what a browser saves under
// the file's name where the file itself is gone.
func unpacked(r io.Reader, set, path string) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, err := b.Peek(512)
	if err != nil && err != io.EOF {
		return nil, damaged(set, path, err)
	}
	if isPage(head) {
		return nil, fault.Usagef(again(set), "%s: it is a web page, not data", path)
	}
	if !bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, damaged(set, path, err)
	}
	return z, nil
}

// isPage reports whether a file that begins with head is HTML or XML.
func isPage(head []byte) bool {
	head = bytes.ToLower(bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n"))
	for _, tag := range []string{"<!doctype", "<html", "<head", "<?xml", "<!--"} {
		if bytes.HasPrefix(head, []byte(tag)) {
			return true
		}
	}
	return false
}

// readExactly reads n bytes and sees that nothing follows, which also makes gzip check its sum. Memory grows with what
// arrives, not with what a header claims.
func readExactly(r io.Reader, n int) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(min(n+bytes.MinRead, 1<<20))
	if got, err := io.CopyN(&b, r, int64(n)); err == io.EOF {
		return nil, fmt.Errorf("%d of %d bytes: %w", got, n, io.ErrUnexpectedEOF)
	} else if err != nil {
		return nil, err
	}
	switch _, err := io.ReadFull(r, make([]byte, 1)); err {
	case io.EOF:
		return b.Bytes(), nil
	case nil:
		return nil, fmt.Errorf("bytes follow after the %d that its header tells of", n)
	default:
		return nil, err
	}
}
