//go:build cuda

package kernels

import (
	"embed"
	"io/fs"
	"sync"
)

// The folder holds at least a page that says what it is for, so that this package compiles before any kernel was.
//
//go:embed cubin
var embedded embed.FS

var embeddedSet = sync.OnceValues(func() (*Set, error) {
	files, err := fs.Sub(embedded, "cubin")
	if err != nil {
		return nil, err
	}
	return Open(files)
})

// Embedded gives the kernels that this program was built with, or ErrNotBuilt.
func Embedded() (*Set, error) { return embeddedSet() }

// Index tells which kernels this program was built with. If there are none the error is ErrNotBuilt.
func Index() (Manifest, error) {
	s, err := embeddedSet()
	if err != nil {
		return Manifest{}, err
	}
	return s.Index(), nil
}

// Arch is Set.Arch of the kernels that this program was built with.
func Arch(file string, major, minor int) (string, error) {
	s, err := embeddedSet()
	if err != nil {
		return "", err
	}
	return s.Arch(file, major, minor)
}

// Image is Set.Image of the kernels that this program was built with.
func Image(file string, major, minor int) (image []byte, arch string, err error) {
	s, err := embeddedSet()
	if err != nil {
		return nil, "", err
	}
	return s.Image(file, major, minor)
}

// Files gives the names of the source files that this program was built with, sorted; nil if there are none.
func Files() []string {
	s, err := embeddedSet()
	if err != nil {
		return nil
	}
	return s.Files()
}

// Kernels gives the names of the kernels of a file that this program was built with; nil if there is no such file.
func Kernels(file string) []string {
	s, err := embeddedSet()
	if err != nil {
		return nil
	}
	return s.Kernels(file)
}
