package setup

import (
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stubsVersion changes when installed environments are to be made anew.
const stubsVersion = "1"

// gpuPrefixes begin the names of functions in NVIDIA's libraries that PyTorch calls.
var gpuPrefixes = []string{"cublas", "cudnn", "cufft", "cusparse", "cusolver", "curand", "cuFile", "nccl", "nvrtc", "nvshmem", "nvJitLink"}

// standIns gives PyTorch's wheel for GPUs the libraries of NVIDIA's that it names and that were not installed: they have
// the right names, and functions that abort. None is called where there is no GPU.
func (p Place) standIns(cc, packages string) error {
	torch := filepath.Join(packages, "torch", "lib")
	mine, err := filepath.Glob(filepath.Join(torch, "*.so*"))
	if err != nil || len(mine) == 0 {
		return fmt.Errorf("no libraries in %s: %v", torch, err)
	}
	there := map[string]bool{}
	err = filepath.WalkDir(filepath.Join(packages, "nvidia"), func(path string, _ os.DirEntry, err error) error {
		there[filepath.Base(path)] = true
		return err
	})
	if err != nil {
		return err
	}
	needed, calls := map[string]bool{}, map[string]bool{}
	for _, path := range mine {
		there[filepath.Base(path)] = true
		if err := readNeeds(path, needed, calls); err != nil {
			return err
		}
	}
	var b strings.Builder
	b.WriteString("void abort(void);\n")
	for _, c := range slices.Sorted(maps.Keys(calls)) {
		fmt.Fprintf(&b, "__attribute__((weak)) void %s(void) { abort(); }\n", c)
	}
	for _, lib := range slices.Sorted(maps.Keys(needed)) {
		// libcuda is the driver: where it is missing, PyTorch says that there is no GPU.
		if there[lib] || lib == "libcuda.so.1" {
			continue
		}
		if err := p.library(cc, b.String(), filepath.Join(torch, lib), "-Wl,-soname,"+lib); err != nil {
			return err
		}
	}
	return nil
}

// readNeeds adds the libraries of NVIDIA's that one at path names, and the functions of theirs that it does not have.
func readNeeds(path string, needed, calls map[string]bool) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, l := range libs {
		if isGPU(l) {
			needed[l] = true
		}
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range symbols {
		for _, prefix := range gpuPrefixes {
			if strings.HasPrefix(s.Name, prefix) {
				calls[s.Name] = true
			}
		}
	}
	return nil
}

// isGPU reports whether a library is one of NVIDIA's, libcuda and libcudart among them.
func isGPU(lib string) bool {
	for _, prefix := range []string{"libcu", "libnv", "libnccl"} {
		if strings.HasPrefix(lib, prefix) {
			return true
		}
	}
	return false
}
