//go:build !cuda

package kernels

// Index is ErrNotBuilt in a program without the CUDA back-end.
func Index() (Manifest, error) { return Manifest{}, ErrNotBuilt }

// Embedded is ErrNotBuilt.
func Embedded() (*Set, error) { return nil, ErrNotBuilt }

// Arch is ErrNotBuilt.
func Arch(file string, major, minor int) (string, error) { return "", ErrNotBuilt }

// Image is ErrNotBuilt.
func Image(file string, major, minor int) (image []byte, arch string, err error) {
	return nil, "", ErrNotBuilt
}

// Files is nil.
func Files() []string { return nil }
