//go:build cuda

package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// search is where cuBLAS is looked for.
type search struct {
	named   string   // ACUMEN_CUBLAS
	folders []string // after the linker's path
	open    func(path, before string) (*Blas, error)
}

var sonames = []string{"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"}

func systemSearch() search {
	home, _ := os.UserHomeDir()
	return search{os.Getenv("ACUMEN_CUBLAS"), folders(os.Getenv, home), openBlas}
}

// folders lists the lib folders of CUDA toolkits and of Python's packages from NVIDIA (nvidia/cublas/lib,
// nvidia/cu13/lib). Python is not asked: it may be another one that is first in the path.
func folders(env func(string) string, home string) []string {
	var all []string
	for _, name := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if d := env(name); d != "" {
			all = append(all, filepath.Join(d, "lib64"))
		}
	}
	all = append(all, "/usr/local/cuda/lib64")
	roots := []string{"/usr/lib/python3*/dist-packages", "/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages"}
	for _, name := range []string{"CONDA_PREFIX", "VIRTUAL_ENV"} {
		if d := env(name); d != "" {
			roots = append([]string{filepath.Join(d, "lib/python3*/site-packages")}, roots...)
		}
	}
	if home != "" {
		roots = append(roots, filepath.Join(home, ".local/lib/python3*/site-packages"))
	}
	if d := env("CONDA_PREFIX"); d != "" {
		all = append(all, filepath.Join(d, "lib"))
	}
	for _, r := range roots {
		all = append(all, filepath.Join(r, "nvidia/*/lib"))
	}
	return all
}

func findBlas(s search) (*Blas, error) {
	switch s.named {
	case "":
	case "none":
		return nil, errors.New("cuBLAS is switched off: ACUMEN_CUBLAS is none")
	default:
		b, err := s.open(s.named, neighbour(s.named))
		if err != nil {
			return nil, fmt.Errorf("ACUMEN_CUBLAS names %s: %w", s.named, err)
		}
		return b, nil
	}
	var tried, absent []string
	for _, so := range sonames {
		b, err := s.open(so, "")
		if err == nil {
			return b, nil
		}
		if strings.HasPrefix(err.Error(), so+":") && strings.HasSuffix(err.Error(), "No such file or directory") {
			absent = append(absent, so)
		} else {
			tried = append(tried, err.Error())
		}
	}
	if len(absent) > 0 {
		tried = append(tried, "the dynamic linker finds no "+strings.Join(absent, ", "))
	}
	var empty []string
	for _, pattern := range s.folders {
		before := len(tried)
		for _, so := range sonames {
			files, _ := filepath.Glob(filepath.Join(pattern, so)) // fails on a bad pattern only: a folder's name with [ in it
			for _, f := range files {
				b, err := s.open(f, neighbour(f))
				if err == nil {
					return b, nil
				}
				tried = append(tried, err.Error())
			}
		}
		if len(tried) == before {
			empty = append(empty, pattern)
		}
	}
	if len(empty) > 0 {
		tried = append(tried, "none in "+strings.Join(empty, ", "))
	}
	return nil, fmt.Errorf("cuBLAS was not found: %s; ACUMEN_CUBLAS may name the file", strings.Join(tried, "; "))
}

// neighbour is the libcublasLt beside a libcublas. Loaded first, it is the one that the libcublas uses, also where the
// linker would not look beside it.
func neighbour(libcublas string) string {
	dir, file := filepath.Split(libcublas)
	f := dir + strings.Replace(file, "libcublas.", "libcublasLt.", 1)
	if _, err := os.Stat(f); err != nil || f == libcublas {
		return ""
	}
	return f
}
