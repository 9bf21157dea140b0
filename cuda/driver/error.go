//go:build cuda

package driver

// #include "driver.h"
import "C"
import (
	"fmt"
	"reflect"
)

// Codes of CUresult that a caller may want to tell apart.
const (
	InvalidValue           = 1
	OutOfMemory            = 2
	DevicesUnavailable     = 46 // busy in exclusive mode, or prohibited
	NoDevice               = 100
	InvalidDevice          = 101
	InvalidContext         = 201
	NoBinaryForGPU         = 209
	UnsupportedPTX         = 222
	NotFound               = 500 // also: the driver lacks the function that was called
	NotReady               = 600
	IllegalAddress         = 700
	SystemDriverMismatch   = 803 // kernel module and libcuda.so.1 are of different versions
	CompatNotSupported     = 804
	StreamCaptureForbidden = 900
	StreamCaptureInvalid   = 901
)

// Error is a call that failed: "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory".
type Error struct {
	Call string // the C function, and for a launch the kernel in parentheses
	Code int    // CUresult or cublasStatus_t
	Name string // CUDA_ERROR_OUT_OF_MEMORY; may be empty
	Text string // the library's own sentence; may be empty
}

func (e *Error) Error() string {
	s := e.Call + ": "
	if e.Name != "" {
		s += fmt.Sprintf("%s (%d)", e.Name, e.Code)
	} else {
		s += fmt.Sprintf("error %d", e.Code)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// NoLibrary is the error of Load where there is no driver at all.
type NoLibrary struct {
	Reason string // what the dynamic linker said
}

func (e *NoLibrary) Error() string {
	return "no NVIDIA driver: " + e.Reason
}

func failure(call string, code int) error {
	if e := noLibrary(); e != nil {
		return fmt.Errorf("%s: %w", call, e)
	}
	return &Error{call, code, C.GoString(C.acu_error_name(C.int(code))), C.GoString(C.acu_error_text(C.int(code)))}
}

// check makes an error of what a function of driver.c returned.
func check(call string, r C.int) error {
	if r == 0 {
		return nil
	}
	if r < 0 {
		return failure("cuCtxSetCurrent", int(-r))
	}
	return failure(call, int(r))
}

// wrap makes an error of ours of one of gorgonia.org/cu, whose type is an unexported integer.
func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	if v := reflect.ValueOf(err); v.CanInt() {
		return failure(call, int(v.Int()))
	}
	return fmt.Errorf("%s: %w", call, err)
}
