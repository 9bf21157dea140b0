//go:build cuda

package driver

// #cgo LDFLAGS: -Wl,--as-needed -L${SRCDIR}/lib -ldl -lpthread
// #include "driver.h"
import "C"

// Built tells whether this program has the CUDA back-end.
const Built = true

// Load loads libcuda.so.1 and initialises it, once; every later call gives the same answer. The error is a *NoLibrary, or
// an *Error of cuInit with the driver's reason.
func Load() error {
	code := int(C.acu_load())
	if code == 0 {
		return nil
	}
	if e := noLibrary(); e != nil {
		return e
	}
	return failure("cuInit", code)
}

func noLibrary() *NoLibrary {
	if why := C.GoString(C.acu_load_reason()); why != "" {
		return &NoLibrary{why}
	}
	return nil
}

// Version is the CUDA version that the driver supports, 13000 for 13.0, also where Load failed because the driver cannot
// be initialised; 0 if there is no driver.
func Version() int { return int(C.acu_version()) }

// plainLaunch makes launches use cuLaunchKernel, as they do where a driver lacks cuLaunchKernelEx.
func plainLaunch() (undo func()) {
	C.acu_launch_plain(1)
	return func() { C.acu_launch_plain(0) }
}
