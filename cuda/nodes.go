package cuda

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// hiddenDevices is what CUDA_VISIBLE_DEVICES says, if it hides all GPUs.
func hiddenDevices() (value string, hidden bool) {
	v, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	return v, ok && (v == "" || v == "-1" || v == "NoDevFiles" || v == "none" || v == "void")
}

// deviceNodes says what is wrong with the files by which a process reaches the GPU, "" if nothing is.
func deviceNodes() string {
	for _, name := range []string{"/dev/nvidiactl", "/dev/nvidia0"} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return name + " does not exist"
		case errors.Is(err, os.ErrPermission):
			return fmt.Sprintf("%s may not be opened by user %d", name, os.Getuid())
		case err == nil:
			f.Close()
		}
	}
	return ""
}

// kernelModule is the version of the driver's part in the system's kernel, as "580.65.06, ", where the system tells it.
func kernelModule() string {
	b, err := os.ReadFile("/proc/driver/nvidia/version")
	if err != nil {
		return "for "
	}
	return moduleVersion(string(b))
}

// The open module names its machine between, x86_64 for example.
var moduleLine = regexp.MustCompile(`Kernel Module.*?\s([0-9]+\.[0-9.]+)\s`)

func moduleVersion(s string) string {
	m := moduleLine.FindStringSubmatch(s)
	if m == nil {
		return "for "
	}
	return m[1] + ", "
}
