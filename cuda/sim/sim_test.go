package sim

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A build is one of the two libraries, with the kernels of testdata, and the programs that use it.
type build struct {
	once sync.Once
	dir  string
	err  error
}

var builds = map[string]*build{"fast": {}, "checked": {}}

var programs = []string{"good", "bad", "order", "who"}

// library builds a mode once and gives the folder of its programs.
func library(t *testing.T, mode string) string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the stand-in driver is for Linux on amd64")
	}
	if testing.Short() {
		t.Skip("building the stand-in driver takes a minute: not with -short")
	}
	for _, tool := range []string{"g++", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s: the stand-in driver cannot be built", tool)
		}
	}
	b := builds[mode]
	b.once.Do(func() { b.dir, b.err = compile(mode) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.dir
}

func compile(mode string) (string, error) {
	// The go command learns from these reads what a kept test result depends on.
	for _, pattern := range []string{"*", "*/*", "../kernels/*.cuh"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			if i, err := os.Stat(f); err == nil && i.Mode().IsRegular() {
				if _, err := os.ReadFile(f); err != nil {
					return "", err
				}
			}
		}
	}
	dir, err := filepath.Abs(filepath.Join("..", "..", "build", "sim-test", mode))
	if err != nil {
		return "", err
	}
	if err := run("./build.sh", mode, dir, "testdata/good.cu", "testdata/bad.cu"); err != nil {
		return "", err
	}
	for _, p := range programs {
		if err := run("g++", "-std=c++17", "-O1", "-Wall", "-Wno-parentheses", "-o", filepath.Join(dir, p), "testdata/"+p+".cpp",
			filepath.Join(dir, "libcuda.so.1"), filepath.Join(dir, "libcublas.so.12"), filepath.Join(dir, "libcublasLt.so.12"), "-Wl,-rpath,$ORIGIN"); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// call runs a program and gives what it printed on each stream.
func call(t *testing.T, mode, program string, env []string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(library(t, mode), program), args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ACUSIM_") && !strings.HasPrefix(e, "CUDA_") && !strings.HasPrefix(e, "LD_LIBRARY_PATH=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		t.Fatalf("%s %v: %v\n%s%s", program, args, err, out.String(), errs.String())
	}
	return strings.TrimSpace(out.String()), strings.TrimSpace(errs.String())
}

func both(t *testing.T, f func(t *testing.T, mode string)) {
	for _, mode := range []string{"fast", "checked"} {
		t.Run(mode, func(t *testing.T) { f(t, mode) })
	}
}

// Correct kernels and products give the results of plain loops, whatever order threads run in, and no build says a word.
func TestGood(t *testing.T) {
	both(t, func(t *testing.T, mode string) {
		for _, env := range [][]string{nil, {"ACUSIM_REVERSE=1"}, {"ACUSIM_GPU=a100"}} {
			out, errs := call(t, mode, "good", append(env, "ACUSIM_LEAKS=1"))
			if out != "ok" || errs != "" {
				t.Errorf("%v: %s\n%s", env, out, errs)
			}
		}
	})
}

// Faults of kernels, each found: in the checked build always, in the fast one where the address itself is wrong. Without its
// fault each runs, and no build says a word.
func TestKernelFaults(t *testing.T) {
	for _, c := range []struct {
		name, fast, checked string // the result of the call that waits
		kind                string // what the checked build's line begins with, before the kernel
		says                string
	}{
		{"read_beyond", "700", "700", "bounds", "read of 4 bytes that ends 4 bytes past an allocation of 256 bytes at bad.cu:"},
		{"write_beyond", "700", "700", "bounds", "write of 4 bytes that ends 4 bytes past an allocation of 256 bytes at bad.cu:"},
		{"shared_beyond", "700", "700", "bounds", "read of 4 bytes at byte 256 of 256 bytes of dynamic shared memory"},
		{"index_beyond", "", "700", "bounds", "index 64 of an array of type 'float [64]' at bad.cu:"},
		{"use_after_free", "700", "700", "lifetime", "an allocation of 256 bytes that was freed at bad.cu:"},
		{"unwritten", "0", "700", "initialisation", "was never written at bad.cu:"},
		{"shared_unwritten", "0", "700", "initialisation", "which this block has not written"},
		{"no_syncthreads", "0", "700", "race", "no __syncthreads between"},
		{"one_syncthreads", "0", "700", "race", "no __syncthreads between"},
		{"overwritten", "0", "700", "race", "which thread 0 read: no __syncthreads between at bad.cu:"},
		{"overwritten_in_warp", "0", "700", "race", "which thread 31 read: no __syncwarp between at bad.cu:"},
		{"no_syncwarp", "0", "700", "race", "no __syncwarp between"},
		{"no_wait", "0", "700", "cp.async", "before the wait for its cp.async"},
		{"blocks_race", "0", "700", "race", "which block 0 wrote in the same launch"},
		{"blocks_race_read", "0", "700", "race", "which block 0 wrote in the same launch"},
		{"misaligned", "", "716", "alignment", "is not a multiple of 16 at bad.cu:"},
		{"misaligned_copy", "716", "716", "alignment", "cp.async of 16 bytes"},
		{"divergent_barrier", "719", "719", "deadlock", "of 64 threads 32 have ended, 10 wait at __syncthreads, 22 in a warp collective"},
		{"phase_never_ends", "719", "719", "deadlock", "of 64 threads 32 have ended, 0 wait at __syncthreads, 0 in a warp collective, 32 at a barrier of part of the block"},
		{"product_overwritten", "0", "700", "wgmma", "which a product of warp 0 is reading: nobody has waited for it"},
		{"group_barrier", "719", "719", "deadlock", "32 at a barrier of part of the block"},
		{"wild", "700", "700", "address", "which is not device memory"},
		{"host_pointer", "0", "700", "address", "which is not device memory"},
		{"divide_by_zero", "719", "719", "division", "an integer divided by zero"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if out, errs := call(t, "fast", "bad", nil, c.name); c.fast != "" && (out != c.fast || (errs == "") != (out == "0")) {
				t.Errorf("fast: result %s, want %s\n%s", out, c.fast, errs)
			}
			out, errs := call(t, "checked", "bad", nil, c.name)
			prefix := "acusim: " + c.kind + ": kernel " + kernelOf(c.name) + ", block ("
			if out != c.checked || !strings.HasPrefix(errs, prefix) || !strings.Contains(errs, c.says) || strings.Contains(errs, "\n") {
				t.Errorf("checked: result %s, want %s and one line %s...%s\n%s", out, c.checked, prefix, c.says, errs)
			}
			for mode := range builds {
				withoutFault(t, mode, c.name, nil)
			}
		})
	}
}

// withoutFault runs a case of bad.cpp without its fault.
func withoutFault(t *testing.T, mode, name string, env []string) {
	t.Helper()
	if out, errs := call(t, mode, "bad", env, name, "mended"); out != "0" || errs != "" {
		t.Errorf("%s, without the fault: result %s\n%s", mode, out, errs)
	}
}

// kernelOf is the kernel that a case of bad.cpp launches.
func kernelOf(name string) string {
	switch name {
	case "use_after_free", "unwritten":
		return "copy"
	case "overwritten_in_warp":
		return "overwritten"
	}
	return name
}

// A build without checks shows a missing barrier when the threads run the other way round, and a missing wait by poison.
func TestFaultyValues(t *testing.T) {
	forward, _ := call(t, "fast", "bad", nil, "values_no_syncthreads")
	backward, _ := call(t, "fast", "bad", []string{"ACUSIM_REVERSE=1"}, "values_no_syncthreads")
	if forward == backward {
		t.Errorf("a missing __syncthreads gives %s in both orders of threads", forward)
	}
	if out, _ := call(t, "fast", "bad", nil, "values_no_wait"); out != "ffffffff\n0" {
		t.Errorf("before the wait the copy's destination holds %s, want ffffffff", out)
	}
}

// What the driver refuses, with its code and, where a code says little, a line that says more; in both builds, and not
// without the fault.
func TestRefusals(t *testing.T) {
	const capturing = " is not allowed while a stream is capturing"
	for _, c := range []struct{ name, code, says string }{
		{"free_while_queued", "0", ""},
		{"double_free", "1", ""},
		{"gemm_beyond", "700", "bounds: cublasSgemm_v2 reads 288 bytes at "},
		{"sticky", "700", "address: kernel wild"},
		{"capture_sync", "900", "capture: cuStreamSynchronize of a stream that is capturing"},
		{"capture_sync_other", "900", "capture: cuStreamSynchronize" + capturing},
		{"capture_sync_context", "900", "capture: cuCtxSynchronize" + capturing},
		{"capture_query", "900", "capture: cuStreamQuery of a stream that is capturing"},
		{"capture_copy", "900", "capture: cuMemcpyDtoH_v2" + capturing},
		{"capture_alloc", "900", "capture: cuMemAlloc_v2" + capturing},
		{"capture_alloc_relaxed", "0", ""},
		{"capture_module", "900", "capture: cuModuleLoadData" + capturing},
		{"capture_function", "900", "capture: cuModuleGetFunction" + capturing},
		{"capture_handle", "1", "capture: cublasCreate_v2" + capturing},
		{"capture_workspace", "14", "capture: cublasSgemm_v2 without a workspace of the handle allocates"},
		{"capture_product", "13", "capture: the first product of its kind (cublasSgemm_v2 "},
		{"capture_choice", "1", "capture: "},
		{"capture_fused", "13", "capture: "},
		{"capture_legacy", "906", "capture: copy on the legacy stream while a blocking stream is capturing"},
		{"capture_event_query", "907", "capture: cuEventQuery of an event that a capturing stream recorded"},
		{"capture_isolation", "905", "capture: a capturing stream waits for an event that was recorded outside the capture"},
		{"capture_unjoined", "904", "capture: a forked stream's work is not joined to the stream that began the capture"},
		{"capture_unmatched", "903", ""},
		{"capture_merge", "902", ""},
		{"capture_other_thread", "908", ""},
		{"fused", "0", ""},
		{"fused_uneven", "15", ""},
		{"fused_misaligned", "7", "cublasLtMatmul: a matrix that is aligned less than the algorithm was chosen for"},
		{"fused_no_workspace", "7", "cublasLtMatmul: less workspace than the algorithm needs"},
		{"fused_no_choice", "7", "cublasLtMatmul: an algorithm that was chosen for another product"},
		{"fused_other_choice", "7", "cublasLtMatmul: an algorithm that was chosen for another product"},
		{"too_many_threads", "1", "kernel copy: no grid of 1x1x1 blocks of 2048x1x1 threads"},
		{"beyond_bounds", "701", "kernel copy: 128 threads a block, its launch bound is 64"},
		{"no_blocks", "1", "kernel copy: no grid of 0x1x1 blocks of 64x1x1 threads"},
		{"too_much_shared", "1", "kernel copy: 49153 bytes of dynamic shared memory, its limit is 49152"},
		{"too_much_shared_asked", "1", "kernel copy: 232449 bytes of dynamic shared memory asked for, 232448 are possible"},
		{"parameter_size", "1", "kernel copy: a parameter block of 8 bytes, it takes 40"},
		{"copy_beyond", "1", "bounds: a copy of 257 bytes from "},
		{"no_memory", "2", ""},
		{"unknown_kernel", "500", ""},
		{"bad_image", "200", "module: the image is no cubin, no PTX and not"},
		{"stale_stream", "400", ""},
		{"legacy_forbidden", "400", "legacy: the legacy stream is used, which ACUSIM_LEGACY=error forbids"},
		{"leak", "401", "leak: the context is released with 1 device allocations (256 bytes on the device)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, mode string) {
				env := []string{"ACUSIM_LEAKS=error"}
				if c.name == "legacy_forbidden" {
					env = []string{"ACUSIM_LEGACY=error"}
				}
				out, errs := call(t, mode, "bad", env, c.name)
				if out != c.code || (errs == "") != (c.says == "") || !strings.HasPrefix(strings.TrimPrefix(errs, "acusim: "), c.says) || strings.Contains(errs, "\n") {
					t.Errorf("result %s, want %s and one line %q\n%s", out, c.code, c.says, errs)
				}
				if c.code != "0" {
					withoutFault(t, mode, c.name, env)
				}
			})
		})
	}
	both(t, func(t *testing.T, mode string) {
		if out, errs := call(t, mode, "bad", nil, "unwritten_gemm"); (out == "700") != (mode == "checked") || (errs != "") != (mode == "checked") {
			t.Errorf("a product of unwritten memory: %s\n%s", out, errs)
		}
	})
}

// Work runs when something waits for it, and no more than that needs: a missing wait gives the old value.
func TestOrder(t *testing.T) {
	both(t, func(t *testing.T, mode string) {
		for name, want := range map[string]string{
			"missing_wait": "1", "wait": "5", "missing_synchronise": "1", "pinned_overwritten": "4", "pageable_overwritten": "3",
			"query": "3", "graph_twice": "3", "graph_fork": "2", "graph_fork_missing_join": "1", "graph_gemm": "8", "large_alloc": "1",
		} {
			t.Run(name, func(t *testing.T) {
				if out, errs := call(t, mode, "order", nil, name); out != want {
					t.Errorf("%s, want %s\n%s", out, want, errs)
				}
			})
		}
	})
}

func TestLeaks(t *testing.T) {
	_, errs := call(t, "fast", "bad", []string{"ACUSIM_LEAKS=1"}, "free_while_queued")
	want := "acusim: leak: 1 retained primary contexts, 1 streams, 1 modules, 2 device allocations (384 bytes on the device)"
	if errs != want {
		t.Errorf("leaks: %s, want %s", errs, want)
	}
	if _, errs := call(t, "fast", "bad", []string{"ACUSIM_LEAKS=1"}, "wild"); strings.Contains(errs, "leak") {
		t.Errorf("after a fault nothing can be freed, yet: %s", errs)
	}
}

// The stand-in plays what can be wrong with a machine, and other GPUs.
func TestCases(t *testing.T) {
	for env, want := range map[string]string{
		"":                          "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\nok",
		"ACUSIM_GPU=rtx4060":        "driver 12090, devices 1\nNVIDIA GeForce RTX 4060 (acusim) sm_89\nok",
		"ACUSIM_MEMORY=513":         "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\nok",
		"ACUSIM_MEMORY=512":         "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\ncuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY",
		"ACUSIM_GPU=t4":             "driver 12090, devices 1\nTesla T4 (acusim) sm_75\nok",
		"ACUSIM_CASE=NODEVICE":      "cuInit: CUDA_ERROR_NO_DEVICE",
		"CUDA_VISIBLE_DEVICES=":     "cuInit: CUDA_ERROR_NO_DEVICE",
		"ACUSIM_CASE=NOT_PERMITTED": "cuInit: CUDA_ERROR_NOT_PERMITTED",
		"ACUSIM_CASE=HIDDEN":        "driver 12090, devices 0",
		"ACUSIM_CASE=OLD_DRIVER":    "driver 11040, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\nok",
		"ACUSIM_CASE=OLD_ARCH":      "driver 12090, devices 1\nTesla P100-PCIE-16GB (acusim) sm_60\nok",
		"ACUSIM_CASE=MIG":           "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 MIG 1g.10gb (acusim) sm_90\nok",
		"ACUSIM_CASE=EXCLUSIVE":     "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\ncuDevicePrimaryCtxRetain: CUDA_ERROR_DEVICE_UNAVAILABLE",
		"ACUSIM_CASE=PROHIBITED":    "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\ncuDevicePrimaryCtxRetain: CUDA_ERROR_DEVICE_UNAVAILABLE",
		"ACUSIM_FAIL=cuMemAlloc:2:2": "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\n" +
			"cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY",
		"ACUSIM_FAIL=cuCtxSetCurrent:1": "driver 12090, devices 1\nNVIDIA H100 80GB HBM3 (acusim) sm_90\ncuCtxSetCurrent: CUDA_ERROR_UNKNOWN",
	} {
		if out, _ := call(t, "fast", "who", []string{env}); out != want {
			t.Errorf("%s: %s\nwant %s", env, out, want)
		}
	}
	use := filepath.Join(t.TempDir(), "use")
	call(t, "fast", "who", []string{"ACUSIM_USE=" + use})
	if got, err := os.ReadFile(use); err != nil || string(got) != "peak 1024\nleft 1024\n" {
		t.Errorf("use %v: %s", err, got)
	}
	log := filepath.Join(t.TempDir(), "calls")
	call(t, "fast", "who", []string{"ACUSIM_LOG=" + log})
	got, err := os.ReadFile(log)
	if want := "cuInit\ncuGetErrorName\ncuDriverGetVersion\ncuGetErrorName\ncuDeviceGetCount\n"; err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("log %v: %s, want %s...", err, got, want)
	}
}
