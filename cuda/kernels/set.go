package kernels

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
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

// A Set is a folder of compiled kernels.
type Set struct {
	files fs.FS
	index Manifest
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

// Image gives what a GPU of compute capability major.minor can load of a file, and the architecture that it was compiled
// for: machine code, or PTX, which ends with a zero byte and which the driver translates.
func (s *Set) Image(file string, major, minor int) (image []byte, arch string, err error) {
	f, ok := s.index.Files[file]
	if !ok {
		return nil, "", fmt.Errorf("kernels: there is no kernel file %q, only %s", file, strings.Join(s.Files(), ", "))
	}
	arch, ok = Choose(f.Archs, major, minor)
	if !ok {
		return nil, "", fmt.Errorf("kernels: %s was not compiled for compute capability %d.%d, only for %s", file, major, minor, strings.Join(f.Archs, ", "))
	}
	kind := "cubin"
	if isPTX(arch) {
		kind = "ptx"
	}
	image, err = s.read(file + "." + arch + "." + kind + ".gz")
	if err == nil && isPTX(arch) {
		image = append(image, 0)
	}
	return image, arch, err
}

func (s *Set) read(name string) ([]byte, error) {
	f, err := s.files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("kernels: %w, although index.json lists it: 'make cuda' compiles the kernels anew", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("kernels: %s: %w", name, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("kernels: %s: %w", name, err)
	}
	return b, nil
}
