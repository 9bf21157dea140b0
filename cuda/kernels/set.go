package kernels

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/ulikunitz/xz"
)

// A Manifest is what index.json tells of the kernels that were compiled.
type Manifest struct {
	Compiler string          `json:"compiler"` // with its version
	Driver   int             `json:"driver"`   // the oldest driver, 525 for example, that loads its machine code
	Files    map[string]File `json:"files"`    // by the source's name without .cu
}

// A File is what became of one source file.
type File struct {
	Kernels []string `json:"kernels"` // in the source's order
	Archs   []string `json:"archs"`   // sm_90 and so on: machine code; compute_80: PTX
	PTX     string   `json:"ptx"`     // the version of the PTX language, if there is PTX
}

// A Set is a folder of compiled kernels. An image is unpacked when it is first asked for.
type Set struct {
	files  fs.FS
	index  Manifest
	images sync.Map // by the file's name: func() ([]byte, error)
}

// ErrNotBuilt is the error of a program that was built without compiled kernels.
var ErrNotBuilt = errors.New("kernels: this program holds no compiled CUDA kernels: it was built before they were compiled. 'make cuda' compiles them and builds it anew")

// Open reads the index of a folder that compile.py has written. If it has written none yet, the error is ErrNotBuilt.
func Open(files fs.FS) (*Set, error) {
	b, err := fs.ReadFile(files, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}
	if err != nil {
		return nil, fmt.Errorf("kernels: %w", err)
	}
	s := &Set{files: files}
	if err := json.Unmarshal(b, &s.index); err != nil {
		return nil, fmt.Errorf("kernels: index.json: %w: 'make cuda' writes it anew", err)
	}
	return s, nil
}

// Index tells what was compiled, and with what.
func (s *Set) Index() Manifest { return s.index }

// Files gives the names of the source files, without .cu, sorted.
func (s *Set) Files() []string {
	names := make([]string, 0, len(s.index.Files))
	for name := range s.index.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Kernels gives the names of a file's kernels, nil if there is no such file.
func (s *Set) Kernels(file string) []string { return slices.Clone(s.index.Files[file].Kernels) }

// Arch gives the architecture of the image that a GPU of compute capability major.minor can load of a file.
func (s *Set) Arch(file string, major, minor int) (string, error) {
	f, ok := s.index.Files[file]
	if !ok {
		return "", fmt.Errorf("kernels: there is no kernel file %q, only %s", file, strings.Join(s.Files(), ", "))
	}
	arch, ok := Choose(f.Archs, major, minor)
	if !ok {
		return "", fmt.Errorf("kernels: %s was not compiled for compute capability %d.%d, only for %s", file, major, minor, strings.Join(f.Archs, ", "))
	}
	return arch, nil
}

// Image gives what a GPU of compute capability major.minor can load of a file, and the architecture that it was compiled
// for: machine code, or PTX, which ends with a zero byte and which the driver translates. All callers get the same bytes.
func (s *Set) Image(file string, major, minor int) (image []byte, arch string, err error) {
	if arch, err = s.Arch(file, major, minor); err != nil {
		return nil, "", err
	}
	image, err = s.ImageFor(file, arch)
	return image, arch, err
}

// ImageFor gives the image of a file for an architecture that it was compiled for.
func (s *Set) ImageFor(file, arch string) ([]byte, error) {
	name := file + "." + arch + ".cubin.xz"
	if isPTX(arch) {
		name = file + "." + arch + ".ptx.xz"
	}
	f, _ := s.images.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		b, err := s.unpack(name)
		if err == nil && isPTX(arch) {
			b = append(b, 0)
		}
		return b, err
	}))
	return f.(func() ([]byte, error))()
}

func (s *Set) unpack(name string) ([]byte, error) {
	f, err := s.files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("kernels: %w, although index.json lists it: 'make cuda' compiles the kernels anew", err)
	}
	defer f.Close()
	z, err := xz.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("kernels: %s: %w", name, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("kernels: %s: %w", name, err)
	}
	return b, nil
}
