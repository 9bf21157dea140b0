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
	m := regexp.MustCompile(`Kernel Module[^0-9]*([0-9][0-9.]+)`).FindSubmatch(b)
	if m == nil {
		return "for "
	}
	return string(m[1]) + ", "
}
