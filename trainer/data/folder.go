package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/acumen-ml/acumen/internal/fault"
)

// pictures lie in files that are decoded when they are asked for.
type pictures struct {
	shape   [3]int
	fit     bool
	classes []string
	files   []string
	labels  []int32
}

const folderHint = "a folder of pictures has train/CLASS/*.png or *.jpg, and test/CLASS beside it; without train, the classes' folders themselves"

// Folder is a folder of PNG and JPEG pictures with one sub-folder for each class, named after it: dir/train/CLASS and
// dir/test/CLASS (val or valid count as test where there is no test), or only dir/CLASS. Classes are in the order of
// their names, pictures in that of theirs. test is nil if there is none; its classes must be among those of train. All
// pictures must have one size unless o.Size tells to which they are to be brought, as Picture does with fit. They are
// read when they are needed.
func Folder(dir string, o Options) (train, test Set, err error) {
	if o.Channels == 0 {
		o.Channels = 3
	}
	if !slices.Contains([]int{1, 3, 4}, o.Channels) {
		return nil, nil, fault.Usagef("write 1 for grey, 3 for colour or 4 for colour and alpha", "data.channels: %d", o.Channels)
	}
	if (o.Size[0] == 0) != (o.Size[1] == 0) || o.Size[0] < 0 || o.Size[1] < 0 || o.Size[0] > 1<<14 || o.Size[1] > 1<<14 {
		return nil, nil, fault.Usagef("write [HEIGHT, WIDTH] in pixels", "data.size: %v", o.Size)
	}
	if _, err := os.ReadDir(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fault.Usagef("let data.dir (ACUMEN_DATA_DIR) name the folder with the pictures", "data set folder: %s: there is no such folder", dir)
		}
		return nil, nil, fault.Usagef(folderHint, "data set folder: %w", err)
	}
	root, held := dir, ""
	if isDir(filepath.Join(dir, "train")) {
		root = filepath.Join(dir, "train")
		for _, n := range []string{"test", "val", "valid"} {
			if p := filepath.Join(dir, n); held == "" && isDir(p) {
				held = p
			}
		}
	}
	first, err := listPictures(root, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := first.measure(o, [3]int{}, ""); err != nil {
		return nil, nil, err
	}
	if held == "" {
		return first, nil, nil
	}
	second, err := listPictures(held, first.classes)
	if err != nil {
		return nil, nil, err
	}
	if err := second.measure(o, first.shape, first.files[0]); err != nil {
		return nil, nil, err
	}
	return first, second, nil
}

func isDir(p string) bool {
	s, err := os.Stat(p)
	return err == nil && s.IsDir()
}

// listPictures finds the pictures under root. classes are the only ones allowed, nil: those that are there.
func listPictures(root string, classes []string) (*pictures, error) {
	entries, err := os.ReadDir(root) // in the order of names
	if err != nil {
		return nil, fault.Usagef(folderHint, "data set folder: %w", err)
	}
	s := &pictures{classes: classes}
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(root, e.Name())
		if strings.HasPrefix(name, ".") {
			continue
		}
		if !isDir(path) {
			if kindOf(name) != "" {
				return nil, fault.Usagef("put it into the folder of its class", "%s: the picture belongs to no class", path)
			}
			continue
		}
		files, err := classPictures(path)
		if err != nil {
			return nil, err
		}
		label := slices.Index(s.classes, name)
		if label < 0 {
			if classes != nil {
				return nil, fault.Usagef(fmt.Sprintf("the classes of training are %s", strings.Join(classes, ", ")), "%s: training has no class %q", path, name)
			}
			label = len(s.classes)
			s.classes = append(s.classes, name)
		}
		s.files = append(s.files, files...)
		s.labels = append(s.labels, slices.Repeat([]int32{int32(label)}, len(files))...)
	}
	if len(s.files) == 0 {
		return nil, fault.Usagef(folderHint, "data set folder: %s has no folder with pictures", root)
	}
	return s, nil
}

// classPictures are the paths of the pictures in the folder of a class, at least one.
func classPictures(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.Usagef(folderHint, "data set folder: %w", err)
	}
	var files []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch k := kindOf(e.Name()); {
		case strings.HasPrefix(e.Name(), "."):
		case isDir(path):
			return nil, fault.Usagef(folderHint, "%s: a folder inside the folder of class %s", path, filepath.Base(dir))
		case k == "read":
			files = append(files, path)
		case k == "other":
			return nil, fault.Usagef("convert it to PNG or JPEG, or remove it", "%s: pictures of this kind are not read", path)
		}
	}
	if len(files) == 0 {
		return nil, fault.Usagef(folderHint, "data set folder: class %s (%s) has no pictures", filepath.Base(dir), dir)
	}
	return files, nil
}

// kindOf tells by a file's name whether it is a picture: "read", "other" for a kind that is not read, else "".
func kindOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg":
		return "read"
	case ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".avif", ".ppm", ".pgm":
		return "other"
	}
	return ""
}

// measure finds the shape: o.Size, or the size that all pictures have, which must be want's if that is given; then like
// is a picture that has it.
func (s *pictures) measure(o Options, want [3]int, like string) error {
	if s.fit = o.Size[0] > 0; s.fit {
		s.shape = [3]int{o.Size[0], o.Size[1], o.Channels}
		return nil
	}
	if like == "" {
		like = s.files[0]
		h, w, err := pictureSize(like)
		if err != nil {
			return err
		}
		want = [3]int{h, w, o.Channels}
	}
	s.shape = want
	return parallel(len(s.files), func(i int) error {
		h, w, err := pictureSize(s.files[i])
		if err == nil && (h != want[0] || w != want[1]) {
			err = fault.Usagef(fmt.Sprintf("set data.size, such as [%d, %d], to have pictures resized", want[0], want[1]),
				"%s: the picture is %dx%d, %s is %dx%d", s.files[i], h, w, like, want[0], want[1])
		}
		return err
	})
}

func (s *pictures) Name() string      { return "folder" }
func (s *pictures) Len() int          { return len(s.files) }
func (s *pictures) Shape() [3]int     { return s.shape }
func (s *pictures) Classes() []string { return s.classes }
func (s *pictures) Labels() []int32   { return s.labels }

func (s *pictures) Images(dst []byte, indices []int32) error {
	checkImages(s, dst, indices)
	size := pictureBytes(s)
	return parallel(len(indices), func(i int) error {
		px, err := Picture(s.files[indices[i]], s.shape, s.fit)
		copy(dst[i*size:(i+1)*size], px)
		return err
	})
}

// parallel calls f for 0 .. n-1 on all processors and gives the error of the first index that has one. After an error
// it begins no more calls.
func parallel(n int, f func(i int) error) error {
	errs, next := make([]error, n), atomic.Int64{}
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if errs[i] = f(i); errs[i] != nil {
					next.Store(int64(n)) // all lower indices are already begun, so that the first error is always found
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// verifyFolder decodes every picture.
func verifyFolder(dir string, o Options) ([]Part, error) {
	train, test, err := Folder(dir, o)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for i, s := range []Set{train, test} {
		p, ok := s.(*pictures)
		if !ok {
			continue
		}
		err := parallel(p.Len(), func(i int) error {
			_, err := Picture(p.files[i], p.shape, p.fit)
			return err
		})
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{Name: []string{"training pictures", "test pictures"}[i], Path: filepath.Dir(filepath.Dir(p.files[0])), Records: p.Len()})
	}
	return parts, nil
}
