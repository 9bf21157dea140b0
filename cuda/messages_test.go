//go:build cuda

package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

const asList = "TEST_AS_LIST" // the device that is opened then

// Program is what the GPU bundle does in place of testing, unless its arguments are those of tests: see bundle_test.go.
var Program func(args []string) (status int)

// TestMain lists the devices instead of testing where a test asks for that: a driver is loaded once in a process.
func TestMain(m *testing.M) {
	if os.Getenv(asList) == "" {
		if Program != nil && !(len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-test.")) {
			os.Exit(Program(os.Args[1:]))
		}
		os.Exit(m.Run())
	}
	for _, i := range device.List() {
		fmt.Printf("%s|%s|%s\n", i.Name, i.Description, i.Reason)
	}
	d, err := device.Open(os.Getenv(asList))
	if err != nil {
		fmt.Printf("error|%v|%s\n", err, err.(*device.OpenError).Advice)
		return
	}
	fmt.Printf("opened|%s|\n", device.Describe(d))
	if err := d.Close(); err != nil {
		fmt.Println(err)
	}
}

// TestMessages plays what can be wrong with a GPU: each has a message of its own, with what was found and what to do.
func TestMessages(t *testing.T) {
	if d, err := Open(0); err != nil {
		t.Skip(err)
	} else {
		name := d.gpu.name
		require.NoError(t, d.Close())
		if !strings.Contains(name, "acusim") {
			t.Skip("a true GPU plays no cases")
		}
	}
	noNode := "" // what is said where the machine has no such file
	if _, err := os.Stat("/dev/nvidiactl"); os.IsNotExist(err) {
		noNode = ": /dev/nvidiactl does not exist"
	}
	for _, c := range []struct {
		name, env   string
		list, error string // patterns
	}{
		{"works", "ACUSIM_CASE=", `^cuda:0\|NVIDIA H100 .* 79 GiB, driver for CUDA 12\.\d, kernels for sm_90a?, cuBLAS \d+\.\d+\.\d+ with cublasLt\|$`, `^opened\|NVIDIA H100`},
		{"another GPU", "ACUSIM_GPU=h200", `^cuda:0\|NVIDIA H200 .* 140 GiB, `, `^opened\|`},
		{"no cuBLAS", "ACUMEN_CUBLAS=none", `no cuBLAS: products by kernels of acumen\|$`, `^opened\|`},
		{"no library", "LD_LIBRARY_PATH=/nowhere", `^cuda:0\|\|no NVIDIA driver: libcuda\.so\.1: `, `^error\|device "cuda:0": no NVIDIA driver: libcuda\.so\.1: .*\|install NVIDIA's driver; in a container, `},
		{"no device", "ACUSIM_CASE=NODEVICE", `^cuda:0\|\|the driver sees no GPU` + noNode + `$`, `^error\|.*the driver sees no GPU` + noNode + `.*\|.*nvidia-smi`},
		{"no device counted", "ACUSIM_CASE=HIDDEN", `^cuda:0\|\|the driver sees no GPU$`, `^error\|.*the driver sees no GPU\|.*nvidia-smi`},
		{"no such number", "TEST_AS_LIST=cuda:1", `^cuda:0\|NVIDIA H100`, `^error\|device "cuda:1": there is one GPU, cuda:0\|.*CUDA_VISIBLE_DEVICES`},
		{"another version", "ACUSIM_FAIL=cuInit:1:803", `^cuda:0\|\|libcuda\.so\.1 is of another version than the kernel's driver: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH`, `^error\|.*\|restart the machine`},
		{"old driver", "ACUSIM_CASE=OLD_DRIVER", `^cuda:0\|\|the driver is for CUDA 11\.4; this program needs one for CUDA 12\.0 or later \(525 or later\)$`, `^error\|.*\|install a newer driver`},
		{"hidden", "CUDA_VISIBLE_DEVICES=", `^cuda:0\|\|CUDA_VISIBLE_DEVICES="" hides every GPU$`, `^error\|.*\|unset it`},
		{"exclusive", "ACUSIM_CASE=EXCLUSIVE", `^cuda:0\|`, `^error\|.*another process has the GPU \(compute mode \w+\): cuDevicePrimaryCtxRetain: CUDA_ERROR_DEVICE_UNAVAILABLE.*\|end that process`},
		{"prohibited", "ACUSIM_CASE=PROHIBITED", `^cuda:0\|\|NVIDIA H100 .* is in compute mode \w+`, `^error\|.*is in compute mode \w+\|an administrator allows its use`},
		{"not permitted", "ACUSIM_CASE=NOT_PERMITTED", `^cuda:0\|`, `^error\|.*CUDA_ERROR_NOT_PERMITTED.*\|`},
		{"old architecture", "ACUSIM_CASE=OLD_ARCH", `^cuda:0\|\|.* has compute capability 6\.0, for which this program has no kernels: `, `^error\|.*\|compute capability 7\.5 \(Turing\) is the least`},
		{"part of a GPU", "ACUSIM_CASE=MIG", `^cuda:0\|.*MIG`, `^opened\|`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), asList+"=cuda:0", c.env)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(s string) bool { return strings.HasPrefix(s, "acusim: ") })
			require.GreaterOrEqual(t, len(lines), 2)
			t.Log(string(out))
			assert.Regexp(t, c.list, lines[0])
			assert.Regexp(t, c.error, lines[len(lines)-1])
		})
	}
}
